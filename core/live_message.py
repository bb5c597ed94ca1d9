"""A run's message on a platform that carries messages: sent once, edited in place, closed with one line.

In a chat of one person that takes drafts, the text is shown as a draft, which rings nobody and leaves nothing behind;
a message with the Stop button stands beside it for runs that take longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from core import view_run
from core.budget import Account, Priority
from core.delivery import Fault
from core.errors import ChatDoubt, ChatError, MessageGone
from core.live import Complain
from core.messages import Outgoing, Page, Post, PostKind, PostState
from core.model import Place
from core.outbox import Outbox
from core.ports import Clock, RunHeader, RunReport, Store
from core.progress import Progress
from core.tasks import to_the_end

# Seconds. A short run is over before anything but its answer is worth showing; the first words are not kept waiting.
AFTER_WORDS = 0.06
WITHOUT_WORDS = 1.5
MARK_AFTER = 3.0  # seconds a run with a draft goes on before it gets a message with Stop
DRAFT_SHARE = 0.6  # of a draft's life after which it is sent again


class LiveMessages:
    """Makes them, and finds those of a dead process."""

    def __init__(
        self,
        store: Store,
        account: Account,
        outbox: Outbox,
        clock: Clock,
        fault: Fault,
        complain: Complain,
    ) -> None:
        self.store = store
        self.account = account
        self.messenger = account.messenger
        self.outbox = outbox
        self.clock = clock
        self.fault = fault
        self.complain = complain

    def open(self, place: Place, header: RunHeader) -> RunMessage:
        """Nothing is sent before its first update."""
        return RunMessage(self, place, header)

    async def take_over(self, post: Post) -> Post | None:
        """A live message that may have been sent when its process died, if it is there; else it is forgotten."""
        if post.state is not PostState.PENDING:
            out = Outgoing(post.page, post.buttons, silent=True, reply_to=post.reply_to)
            try:
                message = await self.messenger.find(
                    post.place, out, post.key, post.after, lambda: self.account.turn(post.place, Priority.NOTICE)
                )
            except ChatError as error:
                self.complain(f"whether {post.key} is shown in {post.place} could not be found out", error)
                message = None
            if message is not None:
                found = replace(post.in_state(PostState.SENT, "found after a crash"), message=message)
                await self.store.save_post(found)
                return found
        await self.store.save_post(post.in_state(PostState.DROPPED, "not sent before a crash"))
        return None


class RunMessage:
    """A `core.ports.LiveMessage`."""

    def __init__(self, live: LiveMessages, place: Place, header: RunHeader) -> None:
        self._live = live
        self._place = place
        self._header = header
        self._begun = self._now
        self._first_words: float | None = None
        self._post: Post | None = None
        self._edits = 0
        self._again = 0  # messages that were deleted under us
        self._drafts = live.messenger.traits.drafts and live.messenger.is_direct(place)
        self._opened = False
        self._waits = False  # for people: the draft may fade, the request itself is shown

    @property
    def refresh(self) -> float:
        """A draft fades unless it is sent again."""
        shown = self._drafts and self._opened and not self._waits
        return self._live.messenger.traits.draft_life * DRAFT_SHARE if shown else 0.0

    def patience(self, progress: Progress) -> float:
        """See LiveMessage."""
        if self._opened:
            return 0.0
        if self._first_words is None and progress.text:
            self._first_words = self._now
        words = self._first_words + AFTER_WORDS if self._first_words is not None else self._begun + WITHOUT_WORDS
        return min(words, self._begun + WITHOUT_WORDS + AFTER_WORDS) - self._now

    async def update(self, newest: Callable[[], Awaitable[Progress]]) -> Progress:
        """See LiveMessage."""
        async with self._live.account.turn(self._place, Priority.PROGRESS, self._key):
            progress = await newest()
            await to_the_end(self._show(progress))
        self._waits = bool(progress.asking)
        self._opened = True
        if self._drafts and self._post is None and self._now - self._begun >= MARK_AFTER:
            self._post = await self._stored()
        if self._drafts and self._post is None and self._now - self._begun >= MARK_AFTER:
            async with self._live.account.turn(self._place, Priority.PROGRESS, self._key):
                await to_the_end(self._send(self._mark_page()))
        return progress

    async def settle(self, progress: Progress, report: RunReport) -> None:
        """Shrinks to one line; behind the answer, which the outbox sends first."""
        del progress
        self._live.account.budget.forget(self._key)
        post = self._post or await self._stored()
        if post:
            last = Outgoing(self._live.messenger.pages(view_run.over(report))[0], silent=True)
            self._live.outbox.close(post, last)

    async def _show(self, progress: Progress) -> None:
        seconds = (self._live.clock.now() - (self._header.run.started or self._header.run.created)).total_seconds()
        shown = view_run.live(self._header, progress, max(seconds, 0.0))
        page = self._live.messenger.live_page(shown.head, shown.lines, shown.body)
        if self._drafts:
            try:
                await self._live.messenger.draft(self._place, self._header.run.id, page)
            except ChatError as error:
                if error.retryable:
                    raise
                self._drafts = False
                self._live.complain(f"no drafts in {self._place}, messages are edited instead", error)
            else:
                return
        if self._post is None:
            self._post = await self._stored()
        if self._post is None:
            await self._send(page)
        else:
            await self._edit(self._post, page)

    async def _send(self, page: Page) -> None:
        """Noted before and after: what a process that dies in between has sent, the next one looks for."""
        live, run = self._live, self._header.run
        after = await live.store.newest_message(self._place.platform, self._place.chat)
        buttons = view_run.stop_button(run, self._header.session)
        post = Post(
            key=f"{self._key}:{self._again}",
            place=self._place,
            kind=PostKind.LIVE,
            page=page,
            created=live.clock.now(),
            buttons=buttons,
            run=run.id,
            state=PostState.SENDING,
            after=after,
        )
        [post] = await live.store.add_posts([post])
        live.fault("live message noted")
        try:
            message = await live.messenger.send(self._place, Outgoing(page, buttons, silent=True), post.key)
        except ChatDoubt:
            self._post = await live.take_over(post.in_state(PostState.UNKNOWN))
            if self._post is None:
                self._again += 1
            raise
        except ChatError as error:
            self._again += 1
            await live.store.save_post(post.in_state(PostState.DROPPED, str(error)))
            raise
        live.fault("live message sent")
        self._post = replace(post.in_state(PostState.SENT), message=message)
        await live.store.save_post(self._post)
        live.fault("live message recorded")

    async def _edit(self, post: Post, page: Page) -> None:
        most = self._live.messenger.traits.max_edits
        if most is not None and self._edits >= most:
            return
        self._edits += 1
        buttons = view_run.stop_button(self._header.run, self._header.session)
        try:
            await self._live.messenger.edit(self._place, post.message, Outgoing(page, buttons, silent=True))
        except MessageGone:
            await self._live.store.save_post(post.in_state(PostState.CLOSED, "deleted by somebody"))
            self._post = None
            self._again += 1
            if self._again == 1:  # once; who deletes it twice does not want it
                await self._send(page)

    async def _stored(self) -> Post | None:
        """That of a process that died, or of this run before its place was detached and attached again."""
        posts = await self._live.store.posts_of(run=self._header.run.id)
        mine = [post for post in posts if post.kind is PostKind.LIVE and post.place == self._place]
        self._again = max(self._again, len(mine))
        return next((post for post in mine if post.state is PostState.SENT), None)

    def _mark_page(self) -> Page:
        return self._live.messenger.pages(view_run.live_mark(self._header))[0]

    @property
    def _key(self) -> str:
        return f"live:{self._header.run.id}:{self._place}"

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()
