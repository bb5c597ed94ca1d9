"""Amounts as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.money import HIGHEST, OFF, parse, text_of


@pytest.mark.parametrize(
    ("said", "amount"),
    [
        ("2", 2),
        ("2$", 2),
        ("$2", 2),
        ("$ 2.50", 2.5),
        ("2,50", 2.5),
        (" 2,5 $ ", 2.5),
        ("2 USD", 2),
        ("usd 2", 2),
        ("1 dollar", 1),
        ("2 Dollars", 2),
        ("0.005", 0.005),
        ("0,125", 0.125),
        ("1000", 1000),
        ("1000000", 1_000_000),
        ("off", 0),
        ("OFF", 0),
        ("unlimited", 0),
    ],
)
def test_what_is_understood(said: str, amount: float) -> None:
    assert parse(said) == amount


@pytest.mark.parametrize(
    "said",
    [
        *["", " ", "$", "-1", "+1", "nan", "inf", "-inf", "1e9", "1_000", "0x10", "two", "2€", "2.", ".5", "2.5.1"],
        *[
            "2 3",
            "2$ please",
            "1 000",
            "²",
            "1000001",
            "9" * 400,
            "9" * 5000,
            "0",
            "0.00",
            "$0",
            "-0",
            "off off",
            "2\0",
        ],
    ],
)
def test_what_is_not(said: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(said)
    assert raised.value.hint
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("said", ["1,000", "1.000", "$10,000", "999.999 $"])
def test_what_may_be_a_thousand_or_one_is_asked_about(said: str) -> None:
    with pytest.raises(UsageError, match="two ways"):
        parse(said)


def test_the_hint_of_it_works() -> None:
    with pytest.raises(UsageError) as raised:
        parse("12.500")
    assert "`12500`" in raised.value.hint
    assert parse("12500") == 12500
    assert "`12.00`" in raised.value.hint


@given(st.text(max_size=12))
def test_anything_is_an_amount_or_a_refusal(said: str) -> None:
    try:
        amount = parse(said)
    except UsageError:
        return
    assert 0 < amount <= HIGHEST or (amount == 0 and said.strip().lower() in OFF)


@given(st.integers(1, int(HIGHEST) * 100))
def test_what_is_shown_is_what_was_meant(cents: int) -> None:
    amount = cents / 100
    shown = text_of(amount)
    assert float(shown.removeprefix("$").replace(",", "")) == amount
    if "," not in shown:
        assert parse(shown) == amount


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0, "$0"), (0.0123, "$0.0123"), (0.1, "$0.10"), (2, "$2"), (2.5, "$2.50"), (1234.5, "$1,234.50")],
)
def test_text(amount: float, shown: str) -> None:
    assert text_of(amount) == shown
