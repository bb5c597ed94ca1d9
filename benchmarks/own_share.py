"""kugetsu's own share of the way: from a message to its prompt, and from the agent's event to the chat."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.processes import Stage
from benchmarks.report import Section, Table, Target, ms, spread
from benchmarks.repository import make_repository
from benchmarks.scenarios import LiveFound, PromptsFound

LIVE = (1, 50, 200)
CONSOLE, PACED = 0.0, 1.5  # seconds between updates: the terminal's, and what a chat platform allows
PROMPT_MS, EVENT_MS = 10.0, 20.0  # targets: 95th percentile with 50 live runs
FILES = (1, 2000)

HOW = """\
A synthetic opencode in a process of its own; each live run streams 20 pieces of text a second. *Message → prompt*: from
`Intake.receive` until the server has the prompt, of messages to one session while the others stream. *Event → chat
call*: from the stamp in the event until `LiveMessage.update` is called with it; for paced chats, what an event waited
because its chat's pace forbade a call is not counted. Both without git. Every run's text is in the database before it
is shown, as always. *First* and *last quarter*: p95 of the events sent in that part of the time, to show whether it
falls behind."""

HOW_GIT = """\
One message after the other with real git and nothing else going on. The snapshots are kugetsu's own, before and after
each run; nothing changes in the files."""

Found = dict[tuple[int, float], LiveFound]


async def measure(stage: Stage) -> tuple[Section, Found]:
    """The section, and what memory is read from."""
    found: Found = {}
    for interval in (CONSOLE, PACED):
        for runs in LIVE:
            found[runs, interval] = await stage.play("live", runs=runs, interval=interval)
    rows = [_row(runs, interval, lived) for (runs, interval), lived in found.items()]
    head = ("live runs", "pace", "message → prompt p50 ms", "p95", "n", "event → chat call p50 ms", "p95", "n")
    tail = ("first quarter", "last quarter", "events/s", "chat calls/s a run", "CPU % of a core")
    targets = [*_targets(found, CONSOLE, "console"), *_targets(found, PACED, "paced")]
    return Section("kugetsu's own share", HOW, [Table((*head, *tail), rows)], targets), found


async def measure_git(stage: Stage) -> Section:
    """What git adds, by the size of the repository."""
    rows = []
    for files in FILES:
        project = make_repository(stage.folder / f"repository-{files}", files)
        found: PromptsFound = await replace(stage, project=project).play("prompts")
        cells = [spread(each) for each in (found.with_git, found.without_git, found.before, found.after)]
        rows.append((f"{files:,}", *(cell for p50, p95, _ in cells for cell in (p50, p95)), cells[0][2]))
    head = ("files", "message → prompt p50 ms", "p95", "without snapshot p50", "p95")
    tail = ("snapshot before p50", "p95", "snapshot after p50", "p95", "n")
    return Section("Git snapshots", HOW_GIT, [Table((*head, *tail), rows)])


def _row(runs: int, interval: float, found: LiveFound) -> tuple[str, ...]:
    return (
        str(runs),
        f"{interval:g} s",
        *spread(found.prompts),
        *spread(found.events),
        ms(found.early.p95),
        ms(found.late.p95),
        f"{found.per_second:,.0f}",
        f"{found.chat_calls:.1f}",
        f"{100 * found.cpu:.0f}",
    )


def _targets(found: Found, interval: float, name: str) -> list[Target]:
    many, most = found[50, interval], found[200, interval]
    keeps_up = most.late.p95 <= max(2 * most.early.p95, EVENT_MS) and most.per_second >= 0.98 * 20 * 200
    return [
        Target(
            f"message → prompt sent, p95, 50 live runs, {name}",
            f"≤ {PROMPT_MS:g} ms",
            f"{ms(many.prompts.p95)} ms",
            many.prompts.p95 <= PROMPT_MS,
        ),
        Target(
            f"event → chat call, p95, 50 live runs, {name}",
            f"≤ {EVENT_MS:g} ms",
            f"{ms(many.events.p95)} ms",
            many.events.p95 <= EVENT_MS,
        ),
        Target(
            f"200 live runs × 20 events/s without falling behind, {name}",
            "4,000/s, lag does not grow",
            f"{most.per_second:,.0f}/s, p95 {ms(most.early.p95)} → {ms(most.late.p95)} ms",
            keeps_up,
        ),
    ]
