"""Each kind of forge with something on it: GitHub is the real emulator, the others are strict fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime

import pytest

from adapters.forge import Forges
from core.ports import Forge
from tests.contract.forge.forge_labs import FakeLab, ForgeLab, GitHubLab, config
from tests.simulators.clock import WallClock
from tests.simulators.forges import FakeGitea, FakeGitLab
from tests.simulators.github_emulator import GitHubEmulator, StrictGitHub

KINDS = ["github", "gitea", "forgejo", "gitlab"]


@pytest.fixture(scope="session")
def github() -> Iterator[GitHubEmulator]:
    with GitHubEmulator() as emulator:
        yield emulator


class LabClock(WallClock):
    """The time of the lab's forge."""

    def __init__(self, lab: ForgeLab) -> None:
        self._lab = lab

    def now(self) -> datetime:
        return self._lab.fake.now if isinstance(self._lab, FakeLab) else super().now()


@pytest.fixture(params=KINDS)
async def lab(request: pytest.FixtureRequest) -> AsyncIterator[ForgeLab]:
    if request.param == "github":
        emulator: GitHubEmulator = request.getfixturevalue("github")
        front = StrictGitHub(emulator.url)
        await front.start()
        github = GitHubLab(emulator.url, front, f"work-{abs(hash(request.node.nodeid))}")
        await github.open()
        yield github
        await front.stop()
        return
    fake = FakeGitLab() if request.param == "gitlab" else FakeGitea(sorts=request.param == "forgejo")
    await fake.start()
    yield FakeLab(request.param, fake)
    await fake.stop()


@pytest.fixture
async def ask(lab: ForgeLab) -> AsyncIterator[Callable[..., Forge]]:
    """The adapter for the lab's forge, by default with its token."""
    opened: list[Forges] = []

    def make(*, token: bool = True) -> Forge:
        forges = Forges({lab.project.instance: config(lab, token=token)}, LabClock(lab))
        opened.append(forges)
        forge = forges.get(lab.project)
        assert forge
        return forge

    yield make
    for forges in opened:
        await forges.close()
