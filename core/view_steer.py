"""Sentences about steering a session: its queue, what it did, what it works with, what it may. Pure; see core.view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from core import money
from core.markdown import code, plain, quoted
from core.model import Button, Document, PermissionRule, Project, Run, Session, Verbosity
from core.ports import AgentModel, AgentProfile, FileChange
from core.progress import Progress, Text
from core.view import first_line
from core.view_run import step_line

if TYPE_CHECKING:
    from core.spending import Limit

MOST_LISTED = 5  # with buttons of their own; a phone shows no more at once
FILES_SHOWN = 20  # of a diff; the patch has all
PATH = 44  # characters of a path: a phone's line
OUTPUT = 1500  # characters of a tool's output in the details; opencode keeps the whole
MODELS_SHOWN = 15

TAKEN_OUT = "Taken out of the queue."
ASIDE_FOR_THE_AGENT = (
    "This is a question on the side, from a person who watches you work. Answer it briefly from what you know and from "
    "what you can look up; change nothing, and do not go on with the task."
)
ASIDE_ASKS_NOBODY = "Nobody can be asked here. Answer from what you know."


# ── the queue ──────────────────────────────────────────────────────────────────────────────────


def queue(session: Session, waiting: Sequence[Run], buttons: Sequence[Button]) -> Document:
    """What waits, in the order in which it is sent."""
    if not waiting:
        return Document(f"Nothing waits in {session.key.tag}.")
    lines = [f"{number}. run {run.number}: {plain(first_line(run.prompt))}" for number, run in enumerate(waiting, 1)]
    return Document("\n".join([f"**{session.key.tag}** waiting:", *lines]), tuple(buttons))


def taken_out(session: Session, runs: Sequence[Run]) -> Document:
    """The answer to `queue clear` and `queue cancel`."""
    if not runs:
        return Document(f"Nothing waited in {session.key.tag}.")
    which = ", ".join(str(run.number) for run in runs)
    many = f"Runs {which} are" if len(runs) > 1 else f"Run {which} is"
    return Document(f"{many} taken out of the queue of {session.key.tag}.")


def interrupted(run: Run) -> str:
    """Why the run under way ended."""
    return f"Stopped, as run {run.number} was to go first. What was done is kept."


def goes_now(run: Run) -> Document:
    """The answer to `queue now`."""
    return Document(f"Run {run.number} goes now: {plain(first_line(run.prompt))}")


def aside(session: Session, answer: str, cost: float) -> Document:
    """The answer to `btw`."""
    figures = f" · {money.text_of(cost)}" if cost else ""
    return Document(f"{answer}\n\n💬 {session.key.tag} · on the side{figures}")


# ── what it did ────────────────────────────────────────────────────────────────────────────────


def whole_session(session: Session) -> str:
    """What a diff is about."""
    return f"**{session.key.tag}** since it left its base" if session.branch else f"**{session.key.tag}** in all"


def one_run(session: Session, run: Run) -> str:
    """Likewise."""
    return f"**{session.key.tag}** run {run.number}{' (undone)' if run.undone else ''}"


def changes(what: str, files: Sequence[FileChange]) -> Document:
    """The answer to `diff`."""
    if not files:
        return Document(f"{what}: no file has changed.")
    return Document(f"{what}: {_total(files)}. The patch is a file.\n{file_list(files)}")


def file_list(files: Sequence[FileChange]) -> str:
    """`+12 −3 core/login.py`, a line each."""
    lines = [_file(change) for change in files[:FILES_SHOWN]]
    if len(files) > FILES_SHOWN:
        lines.append(f"… and {len(files) - FILES_SHOWN} more")
    return "\n".join(lines)


def _total(files: Sequence[FileChange]) -> str:
    added, removed = sum(change.added for change in files), sum(change.removed for change in files)
    return f"{len(files)} {'file' if len(files) == 1 else 'files'}, +{added} −{removed}"


def _file(change: FileChange) -> str:
    figures = "binary" if change.binary else f"+{change.added} −{change.removed}"
    path = _path(change.path)
    return f"`{path}` {figures}" if not change.before else f"`{_path(change.before)}` → `{path}` {figures}"


def _path(path: str) -> str:
    """The end of it tells most."""
    shown = " ".join(path.replace("`", "'").split())
    return shown if len(shown) <= PATH else f"…{shown[-PATH + 1 :]}"


def details(session: Session, run: Run, progress: Progress) -> str:
    """The answer to `details`: steps with their output, which platforms fold, and what the model thought."""
    lines = [f"**{session.key.tag}** run {run.number}: {plain(first_line(run.prompt))}"]
    for item in progress.items:
        if isinstance(item, Text):
            if item.reasoning and item.text.strip():
                lines += ["💭 thinking", *_quoted(item.text)]
            continue
        lines.append(step_line(item))
        lines += _quoted(item.error or item.output)
    if len(lines) == 1:
        lines.append("It used no tool, and its model told no thoughts.")
    return "\n".join(lines)


def details_as_file(session: Session, run: Run, progress: Progress) -> Document:
    """Where they do not fit a message."""
    failed = sum(1 for step in progress.steps if step.error)
    more = f", {failed} of them failed" if failed else ""
    return Document(f"**{session.key.tag}** run {run.number}: {len(progress.steps)} steps{more}; the file tells each.")


def _quoted(text: str) -> list[str]:
    cut = text.strip("\n")
    if len(cut) > OUTPUT:
        cut = f"{cut[: OUTPUT // 2]}\n…\n{cut[-OUTPUT // 2 :]}"
    return [*quoted(cut), ""] if cut else []


def undone(
    session: Session, run: Run, files: Sequence[FileChange], offers: Sequence[Button], *, moved: bool
) -> Document:
    """The answer to `undo`. Not `moved`: the branch has commits that others may have."""
    what = f" {_total(files)} put back." if files else " No file had changed."
    kept = "\nIts commits are on a remote or another branch, so this branch keeps them; the files are as before."
    left = "" if moved else kept
    again = "\nThe agent does not remember it any more. `/redo` brings it again."
    text = f"**{session.key.tag}** run {run.number} is taken back: {plain(first_line(run.prompt))}\n{what.strip()}"
    return Document(f"{text}{left}{again}", tuple(offers))


def redone(session: Session, run: Run, offers: Sequence[Button]) -> Document:
    """The answer to `redo`."""
    return Document(f"**{session.key.tag}** run {run.number} is back, files and conversation.", tuple(offers))


# ── what it works with ─────────────────────────────────────────────────────────────────────────


def models(
    session: Session, now: str, current: AgentModel | None, shown: Sequence[AgentModel], buttons: Sequence[Button]
) -> Document:
    """The answer to `model`."""
    variant = f" ({session.variant})" if session.variant else ""
    holds = f", holds {current.context:,} tokens" if current and current.context else ""
    lines = [f"**{session.key.tag}** works with `{now or 'what opencode chooses'}`{variant}{holds}."]
    lines += [f"- `{model.id}`" for model in shown[:MODELS_SHOWN]]
    if len(shown) > MODELS_SHOWN:
        lines.append(f"… and {len(shown) - MODELS_SHOWN} more: `/model` and a part of the name finds them.")
    return Document("\n".join(lines), tuple(buttons))


def model_set(session: Session, now: str, buttons: Sequence[Button], *, going: bool, default: bool) -> Document:
    """A model was chosen; `going`: a run goes on with the one before."""
    which = f"`{now or 'what opencode chooses'}`{f' ({session.variant})' if session.variant else ''}"
    what = f"**{session.key.tag}** {'goes back to' if default else 'works with'} {which}"
    return Document(f"{what} {_from(going=going)}.", tuple(buttons))


def agents(session: Session, now: str, known: Sequence[AgentProfile], buttons: Sequence[Button]) -> Document:
    """The answer to `agent`."""
    lines = [f"**{session.key.tag}** works as {f'`{now}`' if now else 'opencode’s default agent'}."]
    lines += [f"- `{agent.name}` {plain(first_line(agent.description))}".rstrip() for agent in known[:MODELS_SHOWN]]
    return Document("\n".join(lines), tuple(buttons))


def agent_set(session: Session, *, going: bool) -> Document:
    """An agent was chosen."""
    which = f"as `{session.agent}`" if session.agent else "as opencode's default agent"
    return Document(f"**{session.key.tag}** works {which} {_from(going=going)}.")


def _from(*, going: bool) -> str:
    return "from the next prompt on; the run under way goes on as it is" if going else "from now on"


def compacting(session: Session) -> str:
    """It may take a minute."""
    return f"**{session.key.tag}** its conversation is being summarised; what you write meanwhile waits."


def compacted(session: Session) -> Document:
    """The answer to `compact`."""
    return Document(f"**{session.key.tag}** goes on from a summary of its conversation.")


def verbosity(now: Verbosity, buttons: Sequence[Button]) -> Document:
    """The answer to `verbosity`."""
    return Document(f"This place is {now}. Quiet: that it works; normal: what it does; detailed: all.", tuple(buttons))


def verbosity_set(now: Verbosity) -> Document:
    """It was chosen."""
    return Document(f"This place is {now} from now on.")


# ── what it may ────────────────────────────────────────────────────────────────────────────────


def rule(standing: PermissionRule) -> str:
    """`allow bash git *`."""
    return f"{standing.action} {standing.permission} {standing.pattern}"


def permissions(session: Session, project: Project, buttons: Sequence[Button]) -> Document:
    """The answer to `permissions`."""
    lines = [f"**{session.key.tag}** standing rules, the last that matches counts:"]
    lines += [f"{number}. `{code(rule(each))}`" for number, each in enumerate(session.rules, 1)]
    if not session.rules:
        lines.append("none; *Always* below a request makes one, and so does `/permissions allow bash git *`")
    if project.permissions:
        lines += ["", "From config.yaml, before them:"]
        lines += [f"- `{code(rule(each))}`" for each in project.permissions]
    return Document("\n".join(lines), tuple(buttons))


def rule_granted(session: Session, standing: PermissionRule) -> Document:
    """A rule was made."""
    return Document(f"**{session.key.tag}** `{code(rule(standing))}` from now on.")


def rule_withdrawn(session: Session, standing: PermissionRule) -> Document:
    """A rule was withdrawn."""
    return Document(f"**{session.key.tag}** `{code(rule(standing))}` is withdrawn.")


def used_up(limit: Limit) -> str:
    """Why nothing more is begun, or why a run ended."""
    return f"The budget of {limit.whose} is used up: {_spent(limit)}. What was done is kept."


def nearly_used_up(limit: Limit) -> str:
    """Once, on the way there."""
    return f"⚠ {_spent(limit)} of the budget of {limit.whose} are spent. At the end of it the run is stopped."


def budget(session: Session, spent: float, limits: Sequence[Limit]) -> Document:
    """The answer to `budget`."""
    lines = [f"**{session.key.tag}** has cost {money.text_of(spent)}."]
    lines += [f"{limit.whose}: {_spent(limit)}" for limit in limits]
    if not session.budget:
        lines.append("It has no budget; `/budget 2$` sets one.")
    return Document("\n".join(lines))


def day_budget(limit: Limit) -> Document:
    """The answer to `budget --day` and `--person`."""
    if not limit.amount:
        return Document(f"{limit.whose}: {money.text_of(limit.spent)}, no budget.")
    return Document(f"{limit.whose}: {_spent(limit)}")


def _spent(limit: Limit) -> str:
    return f"{money.text_of(limit.spent)} of {money.text_of(limit.amount)}"
