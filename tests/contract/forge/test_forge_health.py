"""What `doctor` asks every forge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from adapters.forge import Forges
from tests.contract.forge.forge_labs import ForgeLab, config
from tests.simulators.clock import WallClock

Make = Callable[[str], Forges]


@pytest.fixture
async def forges(lab: ForgeLab) -> AsyncIterator[Make]:
    opened: list[Forges] = []

    def make(token: str) -> Forges:
        opened.append(Forges({"forge.test": replace(config(lab), token=token)}, WallClock()))
        return opened[-1]

    yield make
    for made in opened:
        await made.close()


async def test_it_answers_and_takes_the_token(lab: ForgeLab, forges: Make) -> None:
    made = forges(lab.token)
    assert made.instances == ("forge.test",)
    assert (await made.health("forge.test")).account == "me"


async def test_without_a_token_it_answers_as_well(forges: Make) -> None:
    assert (await forges("").health("forge.test")).account is None
