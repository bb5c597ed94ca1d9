"""Buttons that stand for a line."""

from core.offers import Offers
from tests.fakes.world import VIEWER, Outside, World


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
