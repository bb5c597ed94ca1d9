"""Every entry of `refusals.yaml`: the broken bot's call is refused as written, the corrected call is taken."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.simulators.telegram import Limits, TelegramSimulator
from tests.simulators.telegram.methods import METHODS
from tests.simulators.telegram.refusals import PNG, Refusal, as_form, load, prepare, resolve, set_up

TOKEN = "12345:TEST"
REFUSALS = load()
LONG_PNG = PNG[:16] + (5000).to_bytes(4, "big") + (10).to_bytes(4, "big") + PNG[24:]
UPLOADS = {"text": b"text", "empty": b"", "png": PNG, "long_png": LONG_PNG}


async def send(entry: Refusal) -> tuple[int, dict[str, Any], TelegramSimulator]:
    """The call as a bot would make it, against a fresh world."""
    async with TelegramSimulator(TOKEN, limits=Limits.none()) as sim:
        names = await prepare(sim)
        await set_up(sim, entry.setup, names)
        url = f"{sim.base_url}{entry.token or TOKEN}/{entry.method}"
        form: Any = as_form(resolve(entry.params, names))
        headers = {}
        if entry.files:
            fields = form
            form = aiohttp.FormData(fields)
            for name, kind in entry.files.items():
                form.add_field(name, UPLOADS[kind], filename="file.bin")
        if entry.body:
            form, headers = entry.body, {"Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.post(url, data=form, headers=headers) as response,
        ):
            return response.status, await response.json(), sim


@pytest.mark.parametrize("entry", REFUSALS, ids=lambda entry: entry.name)
async def test_refused_and_put_right(entry: Refusal) -> None:
    (status, body, sim), (right, taken, _) = await asyncio.gather(send(entry), send(entry.corrected))
    code, text = entry.error
    assert (status, body["ok"], body["error_code"]) == (code, False, code), body
    assert body["description"].startswith(text), body
    assert (sim.log.calls[-1].code, sim.log.calls[-1].error) == (code, body["description"])
    assert (right, taken["ok"]) == (200, True), taken


def test_names_are_unique() -> None:
    assert len({entry.name for entry in REFUSALS}) == len(REFUSALS)


def test_what_takes_parameters_has_refusals() -> None:
    """Methods that cannot be called wrongly apart, each has an entry."""
    free = {"getme", "logout", "deletewebhook", "getwebhookinfo", "getforumtopiciconstickers"}
    free |= {f"{verb}my{what}" for verb in ("get", "set") for what in ("name", "description", "shortdescription")}
    free |= {"getmycommands", "deletemycommands", "getchatmenubutton", "unpinchatmessage", "getchatmembercount"}
    assert {name for name in METHODS if name not in free} <= {entry.method.lower() for entry in REFUSALS}
