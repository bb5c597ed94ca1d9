"""Buttons that stand for a line."""

from core.offers import KEPT, Offers


def test_a_button_says_its_line() -> None:
    offers = Offers()
    one, other = offers.make("Watch", "/watch o/r#1"), offers.make("Watch", "/watch o/r#1")
    assert one.id != other.id
    assert (one.label, offers.line(one.id)) == ("Watch", "/watch o/r#1")
    assert offers.line("unknown") is None


def test_ids_are_opaque_and_fit_every_platform() -> None:
    button = Offers().make("x" * 100, "/start " + "y" * 5000)  # Telegram takes 64 bytes
    assert len(button.id) <= 32


def test_only_the_newest_are_kept() -> None:
    offers = Offers()
    first = offers.make("a", "/a")
    buttons = [offers.make("b", "/b") for _ in range(KEPT)]
    assert offers.line(first.id) is None
    assert all(offers.line(button.id) for button in buttons)
