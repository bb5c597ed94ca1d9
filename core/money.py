"""Amounts of money as people write and read them, in USD. Pure."""

from __future__ import annotations

import re

from core.errors import UsageError

EXAMPLE = "2$"
MORE = "5$"  # in an example of how to raise a budget
HIGHEST = 1_000_000.0
OFF = {"off", "none", "no", "unlimited"}

_UNCLEAR = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")  # a thousand to some, one to others
_AMOUNT = re.compile(r"(?:\$|usd)?\s*(\d+(?:[.,]\d+)?)\s*(?:\$|usd|dollars?)?", re.IGNORECASE)


def parse(text: str) -> float:
    """USD; 0 for no limit. Raises UsageError."""
    said = text.strip()
    if said.lower() in OFF:
        return 0.0
    found = _AMOUNT.fullmatch(said)
    if not found:
        raise UsageError(f"`{said[:40]}` is no amount in US dollars.", f"For example `{EXAMPLE}`, or `off`.")
    if _UNCLEAR.fullmatch(found[1]):
        whole, thousandths = re.split("[.,]", found[1])
        raise UsageError(f"`{said[:40]}` can be read in two ways.", f"Say `{whole}{thousandths}` or `{whole}.00`.")
    amount = float(found[1].replace(",", "."))
    if not amount:
        raise UsageError("With a budget of 0 nothing could be done.", "`/budget off` takes the limit away.")
    if amount > HIGHEST:
        raise UsageError(f"{text.strip()[:40]} is more than {text_of(HIGHEST)}.", "`/budget off` means no limit.")
    return amount


def text_of(amount: float) -> str:
    """`$0.0123`, `$2`, `$2.50`: small amounts with the digits that tell them apart."""
    if amount and amount < 0.1:
        return f"${amount:.4f}"
    return f"${amount:,.0f}" if amount == round(amount) else f"${amount:,.2f}"
