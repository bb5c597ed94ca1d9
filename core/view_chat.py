"""Sentences about messages themselves: who wrote them, when they came, what became of them. Pure; see core.view."""

from __future__ import annotations

from collections.abc import Sequence

from core.access import Role
from core.errors import Busy, NotFound
from core.messages import Post, PostKind, PostState
from core.model import (
    Button,
    Document,
    Inbound,
    Person,
    Run,
    RunState,
    Session,
)
from core.ports import Received
from core.view import first_line

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
        f"- {message.at:%m-%d %H:%M} UTC {message.person.name}: {first_line(message.text)}" for message in messages
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
        f"- {message.at:%m-%d %H:%M} UTC {message.person.name}: {first_line(message.text)}" for message in messages
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
    lines = [f"“{first_line(received.inbound.text)}” ({at}):"]
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
