"""Every sentence a person reads, as Markdown. Pure. Platforms render it; none writes sentences of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from core import commands
from core.access import Role
from core.edits import Edit, FoundBase, FoundSession
from core.errors import Busy, KugetsuError, NotAllowed, NotFound
from core.messages import Post, PostKind, PostState
from core.model import (
    AgentRequest,
    BaseSession,
    Button,
    Document,
    Inbound,
    IssueRef,
    PermissionRequest,
    Person,
    Place,
    Project,
    ProjectRef,
    Refusal,
    Run,
    RunState,
    Session,
    SessionKey,
)
from core.ports import Ask, Issue, Received, Stake

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


def queued(position: int, run: Run) -> Document:
    """`position` 1 is the next one."""
    return Document(f"Queued at {position}: run {run.number} starts when the one before has ended.")


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
        return Document("Noted; the other questions are still open.")
    words = {"once": "Allowed once", "always": "Always allowed from now on", "reject": "Rejected", "answer": "Answered"}
    reply = ask.decision.reply
    return Document(f"{words.get(reply, reply)}: {request_line(ask.request)}")


# ── status and lists ───────────────────────────────────────────────────────────────────────────


def status(
    session: Session, runs: Sequence[Run], waiting: int, places: Sequence[Place], links: Sequence[str], now: datetime
) -> Document:
    """One session, newest run last."""
    lines = [
        f"{session.key} {session.title}".rstrip(),
        f"{session.state} · {_age(now - session.updated)} · {len(runs)} runs · ${sum(run.cost for run in runs):.4f}",
        f"worktree `{session.directory}`" + (f" · branch `{session.branch}`" if session.branch else ""),
        f"session `{session.agent_id or 'not made yet'}`",
    ]
    if waiting:
        lines.append(f"{waiting} waiting")
    if places:
        lines.append("shown in " + ", ".join(str(place) for place in places))
    lines += links
    over = [run for run in runs if run.state.over]
    if over:
        last = over[-1]
        lines += ["", f"Run {last.number} {last.state}: {_first_line(last.prompt)}", "", last.error or last.text]
    return Document("\n".join(lines).rstrip())


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
    """One line a command the person may use."""
    specs = [spec for spec in commands.TABLE if role >= spec.role]
    lines = [f"`/{spec.usage}` — {spec.summary}" for spec in specs]
    return Document("\n".join([*lines, "", "Any other line is the next instruction to the session shown here."]))


def help_one(spec: commands.Spec) -> Document:
    """Usage, options and examples."""
    options = [f"`--{o.name}{' ' + o.value if o.value else ''}` — {o.help}" for o in spec.options]
    return Document("\n".join([f"`/{spec.usage}`", spec.summary, *options, *(f"`/{e}`" for e in spec.examples)]))


def not_allowed(person: Person, needed: Role) -> NotAllowed:
    """Default deny, with the way out."""
    return NotAllowed(f"This needs the role {needed.name.lower()}.", f"An admin can give it to `{person.id}`.")


def _first_line(text: str) -> str:
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


# ── the end of a session's life ────────────────────────────────────────────────────────────────


def stake(found: Stake) -> str:
    """What would be lost, in one line."""
    parts = []
    if found.locked:
        parts.append(f"the worktree is locked ({found.locked})")
    if found.changes:
        parts.append(f"{len(found.changes)} uncommitted: {', '.join(line[3:] for line in found.changes[:5])}")
    if found.commits:
        parts.append(f"{len(found.commits)} commits that are nowhere else: {', '.join(found.commits[:5])}")
    return "; ".join(parts)


def at_stake(session: Session, found: Stake) -> str:
    """Why it is not destroyed."""
    return f"{session.key} has work that would be lost: {stake(found)}."


def will_destroy(session: Session, found: Stake, offers: Sequence[Button]) -> Document:
    """Asks first."""
    lost = f"\nLost would be: {stake(found)}." if found else "\nEverything in it is committed and pushed."
    branch = f", branch `{session.branch}`" if session.branch else ""
    text = f"Destroying {session.key} deletes its opencode session, worktree `{session.directory}`{branch}.{lost}"
    return Document(f"{text}\n`/destroy -y {session.key}` does it without asking.", tuple(offers))


def destroyed(session: Session) -> Document:
    """The answer to `destroy`."""
    return Document(f"{session.key} is destroyed.")


def base_destroyed(project: Project) -> Document:
    """The answer to `destroy --base`."""
    return Document(f"The base session of {project.ref} is deleted. Its forks stay; the next `/start` makes a new one.")


def archived(session: Session) -> Document:
    """The worktree is gone, the rest stays."""
    return Document(f"{session.key} is archived: its worktree is removed, `/continue {session.key} …` brings it back.")


def full(project: Project, oldest: Session, offers: Sequence[Button]) -> Document:
    """No room for one more session."""
    text = f"{project.ref} has as many sessions as `sessions.max_per_project` allows."
    return Document(
        f"{text} {oldest.key}, unused since {oldest.updated:%Y-%m-%d}, is clean and can be archived.", tuple(offers)
    )


def lost(session: Session) -> NotFound:
    """A prompt to a session that opencode no longer has."""
    return NotFound(
        f"opencode no longer has the session of {session.key}; worktree `{session.directory}` is untouched.",
        f"`/fork {session.key.ref} …` makes another one."
        if session.key.name
        else f"`/start {session.key.ref} …` makes a new session on the same worktree.",
    )


def session_gone(session: Session) -> str:
    """opencode forgot it."""
    return f"{session.key}: opencode no longer has its session; `/start {session.key.ref} …` makes a new one"


def census(lines: Sequence[tuple[str, str]], offers: Sequence[Button]) -> Document:
    """The answer to `prune`: what was found, (remedy, text) each."""
    if not lines:
        return Document("Everything fits together: nothing to prune.")
    words = {"repair": "repaired", "remove": "can be removed", "removed": "removed", "report": "look at it"}
    return Document("\n".join(f"{words[remedy]}: {text}" for remedy, text in lines), tuple(offers))


def changes(session: Session, stat: str) -> Document:
    """The answer to `diff`."""
    if not stat:
        return Document(f"{session.key} has changed no file.")
    lines = stat.splitlines()
    shown = lines if len(lines) <= 25 else [*lines[:23], "…", lines[-1]]
    body = "\n".join(shown)
    return Document(f"What {session.key.tag} has changed since its first run, the patch is a file:\n```\n{body}\n```")


def sent_file(name: str, size: int) -> Document:
    """The answer to `send`."""
    return Document(f"{name} ({file_size(size)}) is in the thread.")


def file_size(size: int) -> str:
    """`12 kB`."""
    for unit, step in (("MB", 1024**2), ("kB", 1024)):
        if size >= step:
            return f"{size / step:.0f} {unit}"
    return f"{size} bytes"


def exported(session: Session, file: Path) -> Document:
    """The answer to `export`."""
    return Document(f"{session.key} is in `{file}`. On the other machine: `kugetsu import {file.name}`.")


def imported(session: Session) -> Document:
    """The answer to `import`."""
    where = f"worktree `{session.directory}`, branch `{session.branch}`"
    return Document(f"{session.key} is here: {where}. `/continue {session.key} …` goes on with it.")


# ── index.json and sessions/*.json, edited by hand ─────────────────────────────────────────────


def edit_untaken(edit: Edit, why: KugetsuError) -> str:
    """Something in a file is not taken."""
    match edit:
        case FoundSession(file, key, agent_id):
            what = f"{file}: `{agent_id}` for {key} is not taken. "
        case FoundBase(file, _, agent_id):
            what = f"{file}: `{agent_id}` as base session is not taken. "
        case _:
            what = f"{edit.file}: "
    return f"{what}{why} {why.hint}".rstrip()


def edits_held(edit: Edit, why: KugetsuError) -> str:
    """Nobody can say whether the sessions named there exist."""
    return (
        f"{edit.file} names sessions that could not be looked up: {why} {why.hint}".rstrip()
        + " The file stays as it is; the next start and `/prune` try again."
    )


def written_again(file: str, subject: SessionKey | ProjectRef | None, *, entry: bool) -> str:
    """What kugetsu wrote was gone."""
    what = f"{file}: the entry of {subject}" if entry else file
    if isinstance(subject, SessionKey):
        ending = f"; `/destroy {subject}` ends a session"
    else:
        ending = f"; `/destroy --base {subject}` ends a base session" if subject else ""
    return f"{what} was missing and is written again{ending}."


def adopted(session: Session) -> str:
    """A session that a person, or an earlier kugetsu, had written down."""
    where = f" on branch `{session.branch}`" if session.branch else ", a checkout that stays when it ends"
    return f"{session.key} is taken up: opencode's session `{session.agent_id}` in {session.directory}{where}."


def base_adopted(base: BaseSession) -> str:
    """Likewise for a base."""
    return f"The base session of {base.project} is opencode's `{base.agent_id}` now."


def exchanged(session: Session, agent_id: str) -> str:
    """A session got another one of opencode's."""
    return f"{session.key} has opencode's session `{agent_id}` now, instead of `{session.agent_id}`."


def retitled(key: SessionKey, title: str) -> str:
    """A title was changed by hand."""
    return f"{key} is called “{title}” now."


# ── threads ────────────────────────────────────────────────────────────────────────────────────


def gone_with_its_session() -> str:
    """In place of a live message whose session was destroyed."""
    return "■ Its session was destroyed."


def thread_again() -> str:
    """A process died while it opened a thread."""
    return "kugetsu ended while it opened this thread; an empty one of the same name may be left."


def thread_in_doubt(session: Session) -> str:
    """Whether a thread was opened cannot be told."""
    return f"{session.key.tag} goes on here: its thread could not be opened, though an empty one may be left."


# ── messages of chats ──────────────────────────────────────────────────────────────────────────


def leaving() -> Busy:
    """A button pressed while the bot drains."""
    return Busy("kugetsu is being stopped.", "Press again when it is back.")


def held_no_more() -> NotFound:
    """The question about late messages was answered before."""
    return NotFound("That was decided already.")


def backlog(messages: Sequence[Inbound], question: str) -> Document:
    """Messages that came while kugetsu was not there."""
    lines = [
        f"- {message.at:%m-%d %H:%M} UTC {message.person.name}: {_first_line(message.text)}" for message in messages
    ]
    many = len(messages) > 1
    head = f"{len(messages)} messages came" if many else "A message came"
    choices = [("run", "Run in order" if many else "Run it"), ("last", "Only the last"), ("drop", "Discard")]
    buttons = tuple(Button(f"held:{question}:{name}", label) for name, label in choices if many or name != "last")
    return Document("\n".join([f"{head} while kugetsu was not there:", *lines]), buttons)


def backlog_decided(choice: str, count: int, by: Person) -> Document:
    """What was chosen."""
    what = {"run": "run in order", "last": "the last one is run, the others are discarded", "drop": "discarded"}[choice]
    return Document(f"{count} messages that came while kugetsu was not there: {what}, decided by {by.name}.")


def backlog_dropped(messages: Sequence[Inbound]) -> Document:
    """Too old to be run at all."""
    lines = [
        f"- {message.at:%m-%d %H:%M} UTC {message.person.name}: {_first_line(message.text)}" for message in messages
    ]
    head = "Not run, because they are older than `runs.backlog.drop_after`; send again what is still wanted:"
    return Document("\n".join([head, *lines]))


def entry_changed(run: Run) -> Document:
    """A message was edited while its prompt waited."""
    return Document(f"Run {run.number} will get the edited text.")


def too_late_to_change(run: Run) -> Document:
    """A message was edited after its prompt was sent."""
    return Document(f"Run {run.number} has the text as it was. Send what is to be different as a new message.")


def heard(spoken: str) -> str:
    """A voice note in words."""
    return f"Heard: {spoken}"


def not_transcribed(why: str = "") -> str:
    """A voice note that goes to the agent as a file."""
    reason = why or "`transcription` is not set up in config.yaml"
    return f"The voice note was not put into words ({reason}); the agent gets it as a file."


def stranger(person: Person) -> Document:
    """The only thing somebody unknown is told, in a direct message."""
    return Document(f"You are `{person.id}`, and nobody here knows you yet. `/whoami` gets you a code for an admin.")


def stranger_code(person: Person, code: str) -> Document:
    """For an admin to pair somebody with."""
    return Document(f"You are `{person.id}`. An admin makes you known with `/pair {code}`.")


def why(received: Received, run: Run | None, before: int, posts: Sequence[Post]) -> Document:
    """What became of a message; `before`: how many runs are in front of its own."""
    at = f"{received.inbound.at:%m-%d %H:%M:%S} UTC"
    lines = [f"“{_first_line(received.inbound.text)}” ({at}):"]
    if received.held:
        lines.append("It waits for the answer to the question above: it came while kugetsu was not there.")
    elif not received.outcome:
        lines.append("It is being worked out.")
    elif received.outcome != "accepted" or run is None:
        lines.append(f"{received.outcome}{': ' + received.reason if received.reason else '.'}")
    if run is not None:
        lines.append(f"It became run {run.number} of {run.session.tag}, which is {run.state}.")
        if run.state is RunState.QUEUED:
            lines.append(f"It waits for {before} run{'' if before == 1 else 's'} before it.")
        if run.error:
            lines.append(run.error)
    late = {PostState.DROPPED, PostState.UNKNOWN, PostState.PENDING}
    lines += [
        f"Its {post.kind} is {post.state}{': ' + post.note if post.note else ''}."
        for post in posts
        if post.state in late and post.kind is not PostKind.LIVE
    ]
    return Document("\n".join(lines))


def paired(person: Person, role: Role) -> Document:
    """The answer to `pair`."""
    return Document(f"{person.name} (`{person.id}`) is {role.name.lower()} now.")


# ── what came late ─────────────────────────────────────────────────────────────────────────────


def summed_up(count: int) -> str:
    """In place of old news after an outage."""
    return (
        f"{count} notices from a time when nothing could be sent here are left out. `/status` tells how things stand."
    )
