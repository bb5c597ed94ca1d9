"""Buttons that stand for a line."""

import re

import pytest

from core.offers import Offers
from tests.fakes.phone import Phone
from tests.fakes.world import BOB, VIEWER, Outside, World


async def test_a_button_says_its_line(world: World) -> None:
    offers = Offers(world.store)
    one, other = await offers.make("Watch", "/watch o/r#1"), await offers.make("Watch", "/watch o/r#1")
    assert one.id != other.id
    assert (one.label, await offers.line(one.id)) == ("Watch", "/watch o/r#1")
    assert await offers.line("unknown") is None


async def test_ids_are_opaque_and_fit_every_platform(world: World) -> None:
    button = await Offers(world.store).make("x" * 100, "/start " + "y" * 5000)  # Telegram takes 64 bytes
    assert len(button.id) <= 32


async def test_a_button_works_after_a_restart(outside: Outside) -> None:
    first = await World(outside).open()
    await first.say("/start shoko/kugetsu#14 do it")
    await first.quiet()
    offered = await first.say("/start shoko/kugetsu#14 and more")
    assert [button.label for button in offered.document.buttons] == ["Continue here", "Fork", "Watch"]
    await first.close()
    second = await World(outside).open()
    button = offered.document.buttons[0].id
    assert (await second.press_button(button, VIEWER)).code == "not_allowed"
    assert (await second.press_button(button)).ok
    await second.quiet()
    assert second.agent.prompts == ["do it", "and more"]
    await second.close()


@pytest.mark.looptime
async def test_a_link_of_status_opens_the_session_for_whoever_follows_it(bot: World) -> None:
    await bot.resume()
    await Phone(bot).say("/start shoko/kugetsu#14 do it")
    other = Phone(bot, BOB, "2")
    await other.say("/status shoko/kugetsu#14")
    [token] = re.findall(r"https://fake\.example/start/(\S+)", other.messenger.messages[-1].text)
    await other.say(f"/start {token}")
    assert other.messenger.find_text("This place shows")


async def test_a_status_without_links_leaves_nothing_in_the_store(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.say("/start shoko/kugetsu#14 do it")
    await world.quiet()
    kept: list[str] = []
    monkeypatch.setattr(Offers, "keep", lambda _self, token, _line: kept.append(token))
    assert (await world.say("/status shoko/kugetsu#14")).ok
    assert not kept
