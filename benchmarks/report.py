"""What was measured, as Markdown: figures, and the targets beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.stats import Summary


@dataclass(frozen=True, slots=True)
class Table:
    """Cells are printed as they are."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def lines(self) -> Iterator[str]:
        """Markdown; the columns padded, so that it reads in a terminal too."""
        everything = [self.head, *self.rows]
        widths = [max(3, *(len(row[column]) for row in everything)) for column in range(len(self.head))]
        ruler = [f"{'-' * (width - 1)}:" if column else "-" * width for column, width in enumerate(widths)]
        for row in (self.head, ruler, *self.rows):
            cells = [
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            yield f"| {' | '.join(cells)} |"


@dataclass(frozen=True, slots=True)
class Target:
    """What was promised, and what came out."""

    what: str
    wanted: str
    measured: str
    met: bool


@dataclass(frozen=True, slots=True)
class Section:
    """One thing that was measured."""

    title: str
    how: str  # what the figures are, so that they can be judged without reading the code
    tables: Sequence[Table]
    targets: Sequence[Target] = ()

    def lines(self) -> Iterator[str]:
        """Markdown."""
        yield from (f"## {self.title}", "", self.how, "")
        for table in self.tables:
            yield from (*table.lines(), "")


def document(head: Sequence[str], sections: Sequence[Section]) -> str:
    """The whole report: the targets first."""
    targets = [
        (target.what, target.wanted, target.measured, "yes" if target.met else "**no**")
        for section in sections
        for target in section.targets
    ]
    lines = ["# What kugetsu costs", "", *head, "", "## Targets", ""]
    lines += [*Table(("", "target", "measured", "met"), targets).lines(), ""]
    for section in sections:
        lines += section.lines()
    return "\n".join(lines).rstrip() + "\n"


def ms(value: float) -> str:
    """Milliseconds, with a decimal where that tells something."""
    return f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"


def spread(found: Summary) -> tuple[str, str, str]:
    """The cells p50, p95 and sample count."""
    return ms(found.p50), ms(found.p95), f"{found.count:,}"
