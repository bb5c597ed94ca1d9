"""Accepting prompts: from here on a prompt is on disk and will be answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from core import view, view_life
from core.audience import Audience
from core.callers import Caller
from core.errors import QueueFull, UsageError
from core.mailbox import Mailboxes
from core.model import Attachment, Document, Place, Run, RunState, Session, SessionState
from core.offers import Offers
from core.ports import Reply, Store, source_of
from core.spending import Spending

MAX_PROMPT_BYTES = 2 * 1024 * 1024  # above what any model's context holds; a message's size must not hurt the store

DebugLog = Callable[[str], None]  # switches the debug log of a session's slug on


class Prompts:
    """The queue's way in."""

    def __init__(
        self,
        store: Store,
        mailboxes: Mailboxes,
        audience: Audience,
        spending: Spending,
        offers: Offers,
        queue_depth: int,
        debug_log: DebugLog,
    ) -> None:
        self._store = store
        self._mailboxes = mailboxes
        self._audience = audience
        self._spending = spending
        self._offers = offers
        self._queue_depth = queue_depth
        self._debug_log = debug_log
        self._queueing = asyncio.Lock()  # a place in the queue is counted and taken in one go

    async def show(self, caller: Caller, session: Session) -> Place:
        """Where the session is to be shown for this caller; attached from now on."""
        place = await self._audience.open_thread(caller.inbound.place, session, caller.inbound.message)
        await self._audience.attach(place, session.key)
        return place

    async def accept(
        self,
        session: Session,
        text: str,
        caller: Caller,
        place: Place | None = None,
        receipt: Document | None = None,
        *,
        once: bool = False,
        attachments: tuple[Attachment, ...] | None = None,
    ) -> Reply:
        """Queue a prompt, with the caller's files unless others are given. `once`: a repeated start adds no second.

        Raises UsageError, NotFound (gone), QueueFull, OverBudget.
        """
        files = caller.attachments if attachments is None else attachments
        text = checked(text or (view.ONLY_FILES if files else ""))
        if session.state is SessionState.GONE:
            raise view_life.lost(session)
        await self._spending.check(session, caller.inbound.person.id)
        async with self._queueing:
            waiting = await self._store.unfinished_runs(session.key)
            run = next((run for run in waiting if once and run.prompt == text), None)
            if run is None:
                self._refuse_full(session, waiting)
                asked_in = place or caller.inbound.place
                run = await self._store.add_run(
                    session.key,
                    text,
                    caller.inbound.person.id,
                    asked_in,
                    message=caller.inbound.message,
                    attachments=files,
                    source=source_of(caller.row),
                )
        if caller.inbound.debug:
            self._debug_log(session.slug)
        self._mailboxes.wake(session.key)
        position = len(waiting) if run not in waiting else 0
        if position:
            receipt = view.queued(position, run, await self._offers.entry(run))
        return Reply(receipt or Document(""), place=place, run=run.id)

    def _refuse_full(self, session: Session, waiting: list[Run]) -> None:
        queued = sum(run.state is RunState.QUEUED for run in waiting)
        if queued >= self._queue_depth:
            raise QueueFull(
                f"{queued} prompts wait in {session.key.tag} already, the limit of `runs.queue_depth`.",
                "Wait for one to end, or `/stop` the run under way.",
            )


def checked(text: str) -> str:
    """A prompt as it goes to the agent. Raises UsageError when it is empty, too large or has NUL characters."""
    if not text.strip():
        raise UsageError("The message is empty.", "Say what to do.")
    if "\0" in text:
        raise UsageError("The message contains a NUL character.", "Send it as plain text.")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_PROMPT_BYTES:
        raise UsageError(
            f"The message has {size / 1024**2:.1f} MB; {MAX_PROMPT_BYTES // 1024**2} MB are the limit.",
            "Put it into a file of the worktree and name the file.",
        )
    return text.strip()
