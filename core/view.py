"""Every sentence a person reads, as Markdown. Pure. Platforms render it; none writes sentences of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from core import commands, money
from core.access import Role
from core.errors import KugetsuError, NotAllowed
from core.model import (
    AgentRequest,
    Button,
    Document,
    IssueRef,
    PermissionRequest,
    Person,
    Place,
    Project,
    Refusal,
    Run,
    RunState,
    Session,
    SessionKey,
)
from core.ports import Ask, Issue

BASE_READS_ONLY = "This session only reads: it is the base that every issue's session is forked from."
CUT_CODE = "cut"
CUT = "kugetsu or opencode ended while this was being worked on."
ONLY_FILES = "Look at the attached files."
CUT_GOES_ON = f"{CUT} The agent is told to carry on."
CARRY_ON = (
    "You were interrupted: the program that runs you ended and is back now. Look at what is done and what is not, then "
    "carry on with the task where you left off."
)
FOR_THE_AGENT = "To show people a file of your worktree (a report, a picture), run `kugetsu send PATH` in the shell."
MAY_BE_A_REPEAT = "(may be a repeat)"
STOPPED = "Stopped. What was done is kept."
SETUP_LINES = 3  # of the set-up's output in the thread; it failed → its error carries more


def error(problem: KugetsuError) -> Document:
    """What failed and why, then what to do next."""
    return Document(f"{problem}\n{problem.hint}" if problem.hint else str(problem))


def internal_error() -> Document:
    """A defect of ours, honestly."""
    return Document("Something in kugetsu itself failed; its log says what.\n`/doctor` checks the set-up.")


# ── sessions ───────────────────────────────────────────────────────────────────────────────────


def starting(session: Session) -> Document:
    """The receipt of `start` and `fork`."""
    origin = f", forked from {session.parent.tag}" if session.parent else ""
    where = f" on branch `{session.branch}`" if session.branch else " in the project's checkout"
    return Document(f"{session.key}{where}{origin}")


def exists(session: Session, places: Sequence[Place], offers: Sequence[Button]) -> Document:
    """A second `start`: never a second session by accident."""
    shown = ", ".join(str(place) for place in places) or "nowhere"
    return Document(
        f"{session.key} has a session already ({session.state}), shown in {shown}, worktree `{session.directory}`.\n"
        f"`/continue {session.key} …` goes on with it, `/fork {session.key} …` branches it, "
        f"`/watch {session.key}` shows it here.",
        tuple(offers),
    )


def shared(ref: IssueRef, existing: Session | None, offers: Sequence[Button]) -> Document:
    """A link to an issue, shared without a word."""
    if existing:
        return Document(f"{ref} has a session already ({existing.state}): `/continue {ref} …` goes on.", tuple(offers))
    return Document(f"`/start {ref} what is to be done` starts it; without words, from its own text.", tuple(offers))


def queued(position: int, run: Run, offers: Sequence[Button]) -> Document:
    """`position` 1 is the next one."""
    return Document(f"Queued at {position}: run {run.number} starts when the one before has ended.", tuple(offers))


def waits_for_slot(limit: int) -> str:
    """All live runs of `runs.max_concurrent` are taken."""
    return f"{limit} runs are live, the limit of `runs.max_concurrent`; this one starts when one of them ends."


def setting_up(project: Project) -> str:
    """Before the project's set-up command runs in a new worktree."""
    return f"Setting up: `{project.setup}`"


def set_up(lines: Sequence[str]) -> str:
    """Its last lines of output."""
    tail = "\n".join(line[:200] for line in lines[-SETUP_LINES:])
    return f"Set up.\n```\n{tail}\n```" if tail.strip() else "Set up."


def base_preparing(project: Project) -> str:
    """The base prompt is put to a new base session."""
    return f"Preparing the base session of {project.ref}: {project.base_prompt}"


def base_lost(project: Project) -> str:
    """opencode no longer has the base session."""
    return (
        f"opencode no longer has the base session of {project.ref}; it is made again. Issues' sessions are untouched."
    )


def base_old(project: Project, created: datetime) -> str:
    """A refresh is offered."""
    return f"The base session of {project.ref} is from {created:%Y-%m-%d}; `/init {project.ref} --force` makes it anew."


def base_ready(project: Project, session: str, *, anew: bool) -> Document:
    """The answer to `init`."""
    return Document(f"The base session of {project.ref} is {'made anew' if anew else 'ready'}: `{session}`.")


def no_snapshot(problem: KugetsuError) -> Document:
    """git could not take the worktree's state before or after a run."""
    return Document(f"The files could not be recorded, so this run cannot be forked from: {problem}")


def stopped(session: Session) -> Document:
    """The answer to `stop`."""
    return Document(f"Stopped {session.key.tag}. What was done is kept; `/retry` runs the prompt again.")


def nothing_to_stop(session: Session) -> Document:
    """No run is under way."""
    return Document(f"Nothing is running in {session.key.tag}.")


def was_cut(run: Run, offers: Sequence[Button]) -> Document:
    """A run that the death of a process ended."""
    kept = f"\n\nReceived until then:\n\n{run.text}" if run.text else ""
    return Document(f"Run {run.number} was cut off: {CUT} `/retry` runs its prompt again.{kept}", tuple(offers))


def left(run: Run) -> Document:
    """The answer to `retry --leave`."""
    return Document(f"Run {run.number} is left as it is: nothing is sent again.")


def stalled(run: Run, session: Session, seconds: float, *, answers: bool) -> Document:
    """Nothing was heard of a run for long."""
    minutes = f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
    why = (
        "opencode answers, so it is the model or a tool that takes so long."
        if answers
        else "opencode itself does not answer; it is restarted when it stays so."
    )
    buttons = (Button(f"stop:{run.id}", f"Stop {session.key.tag}"), Button(f"wait:{run.id}", "Wait"))
    return Document(f"{session.key.tag}: nothing was heard of run {run.number} for {minutes}. {why}", buttons)


def waits() -> Document:
    """Somebody chose to wait for a run that says nothing."""
    return Document("Then it goes on. It is said again if nothing is heard for as long once more.")


def stopping(session: SessionKey) -> Document:
    """The answer to the Stop button."""
    return Document(f"Stopped {session.tag}.")


def handed_over(session: SessionKey) -> Document:
    """The bot is being stopped while a run goes on."""
    return Document(f"kugetsu is being stopped. {session.tag} goes on when it is back; what was received is kept.")


def attached(session: Session) -> Document:
    """The answer to `watch`."""
    return Document(f"This place shows {session.key} now: {session.title or 'no title yet'} ({session.state}).")


def reopened(session: Session) -> Document:
    """Its worktree was deleted by hand."""
    return Document(f"The worktree `{session.directory}` was gone; it is made again from branch `{session.branch}`.")


def detached() -> Document:
    """The answer to `unwatch`."""
    return Document("This place shows no session any more.")


def suggestions(
    sessions: Sequence[Session], issues: Sequence[Issue], complaints: Sequence[str], offers: Sequence[Button]
) -> Document:
    """`start` alone."""
    lines = [f"Which issue? For example: `/start {commands.REF} implement the login form`."]
    if sessions:
        lines += ["", "Last used:", *(f"- {session.key} {session.title}".rstrip() for session in sessions)]
    if issues:
        lines += ["", "Open issues:", *(f"- {issue.ref} {issue.title}" for issue in issues)]
    return Document("\n".join([*lines, *complaints]), tuple(offers))


# ── what the agent asks ────────────────────────────────────────────────────────────────────────


def request_line(request: AgentRequest) -> str:
    """One line, for lists: `external_directory /tmp/x`."""
    if isinstance(request, PermissionRequest):
        return f"{request.permission} {request.detail or ' '.join(request.patterns)}".strip()
    return "question: " + " / ".join(question.text for question in request.questions)


def denied_by_rule(request: PermissionRequest) -> str:
    """Told to the agent."""
    return f"The project's rules deny {request_line(request)}."


def cannot_ask() -> Document:
    """Once for each session, where the backend cannot ask."""
    return Document(
        "Nobody can be asked on this transport: what no rule allows is refused, and listed at the end. "
        "`permissions` of the project in config.yaml allow things in advance; `/retry --allow` what was refused."
    )


def retry_with(refused: Sequence[Refusal]) -> str:
    """A button: what pressing it allows from now on, as far as there is room."""
    allowed = [refusal for refusal in refused if refusal.permission]
    first = allowed[0]
    what = f"{first.permission} {', '.join(first.patterns)}".strip()
    more = f" and {len(allowed) - 1} more" if len(allowed) > 1 else ""
    return f"Retry with {what if len(what) <= 60 else f'{what[:59]}…'}{more}"


def decided(ask: Ask) -> Document:
    """Who decided what, for the person who pressed."""
    if ask.decision is None:
        return Document("Reply with your reason." if isinstance(ask.request, PermissionRequest) else "Noted.")
    words = {"once": "Allowed once", "always": "Always allowed from now on", "reject": "Rejected", "answer": "Answered"}
    reply = ask.decision.reply
    return Document(f"{words.get(reply, reply)}: {request_line(ask.request)}")


# ── status and lists ───────────────────────────────────────────────────────────────────────────


def status(
    session: Session,
    runs: Sequence[Run],
    waiting: int,
    places: Sequence[Place],
    links: Sequence[str],
    spent: float,
    now: datetime,
) -> Document:
    """One session, newest run last. `spent` in USD, on all of it."""
    lines = [
        f"{session.key} {session.title}".rstrip(),
        f"{session.state} · {_age(now - session.updated)} · {len(runs)} runs · {_costs(session, spent)}",
        *_works_with(session, runs),
        f"worktree `{session.directory}`" + (f" · branch `{session.branch}`" if session.branch else ""),
        f"session `{session.agent_id or 'not made yet'}`",
    ]
    if waiting:
        lines.append(f"{waiting} waiting")
    if places:
        lines.append("shown in " + ", ".join(str(place) for place in places))
    lines += links
    over = [run for run in runs if run.state.over and (run.started or run.state is not RunState.STOPPED)]
    if over:
        last = over[-1]
        undone = ", undone" if last.undone else ""
        lines += ["", f"Run {last.number} {last.state}{undone}: {first_line(last.prompt)}", "", last.error or last.text]
    return Document("\n".join(lines).rstrip())


def _costs(session: Session, spent: float) -> str:
    return money.text_of(spent) + (f" of {money.text_of(session.budget)}" if session.budget else "")


def _works_with(session: Session, runs: Sequence[Run]) -> list[str]:
    """Model, agent, tokens, and how full the context is, as far as they are known."""
    last = next((run for run in reversed(runs) if run.context), None)
    tokens = sum(run.tokens.total for run in runs)
    model = session.model or next((run.model for run in reversed(runs) if run.model), "")
    parts = [f"`{model}`" + (f" ({session.variant})" if session.variant else "")] if model else []
    parts += [f"agent `{session.agent}`"] if session.agent else []
    parts += [f"{tokens:,} tokens"] if tokens else []
    if last and last.context_limit:
        parts.append(f"{last.context:,} of {last.context_limit:,} ({last.context / last.context_limit:.0%}) of context")
    elif last:
        parts.append(f"{last.context:,} tokens of context")
    return [" · ".join(parts)] if parts else []


def sessions(found: Sequence[Session], now: datetime) -> Document:
    """Forks below what they were forked from."""
    if not found:
        return Document(f"No sessions yet. `/start {commands.REF} …` makes one.")
    lines: list[str] = []

    def add(parent: Session | None, depth: int) -> None:
        for session in found:
            if (session.parent.key if session.parent else None) == (parent.key.key if parent else None):
                mark = "  " * depth + ("└ " if depth else "")
                title = f" · {session.title}" if session.title else ""
                lines.append(f"{mark}{session.key}{title} · {session.state} · {_age(now - session.updated)}")
                add(session, depth + 1)

    add(None, 0)
    known = {session.key.key for session in found}
    for session in found:
        if session.parent and session.parent.key not in known:
            lines.append(f"{session.key} (its parent is gone) · {session.state}")
            add(session, 1)
    return Document("\n".join(lines))


# ── people and help ────────────────────────────────────────────────────────────────────────────


def whoami(person: Person, role: Role) -> Document:
    """The id as a line to paste into the configuration."""
    line = f"access: {{admins: [{_yaml(person.id)}]}}"
    return Document(f"You are `{person.id}` ({person.name}), {role.name.lower()}.\nFor config.yaml: `{line}`")


def help_all(role: Role) -> Document:
    """The commands the person may use, short enough for a phone."""
    lines = ["Write what is to be done next, or:"]
    for group in commands.Group:
        names = [f"/{spec.name}" for spec in commands.TABLE if spec.group is group and role >= spec.role]
        if names:
            lines.append(f"**{group.value}** {' '.join(names)}")
    return Document("\n".join([*lines, "`/help start` tells about one of them. `!` works as `/` does."]))


def help_one(spec: commands.Spec) -> Document:
    """Usage, options and examples."""
    options = [f"`--{o.name}{' ' + o.value if o.value else ''}` — {o.help}" for o in spec.options]
    return Document("\n".join([f"`/{spec.usage}`", spec.summary, *options, *(f"`/{e}`" for e in spec.examples)]))


def not_allowed(person: Person, needed: Role) -> NotAllowed:
    """Default deny, with the way out."""
    return NotAllowed(f"This needs the role {needed.name.lower()}.", f"An admin can give it to `{person.id}`.")


def first_line(text: str) -> str:
    """At most 80 characters of it."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= 80 else f"{line[:79]}…"


def _age(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return "just now"


def _yaml(text: str) -> str:
    return f'"{text}"' if text.startswith("@") or text.count(":") > 1 else text
