"""A run's message on a platform that carries messages: sent once, edited in place, closed with one line.

In a chat of one person that takes drafts, the text is shown as a draft, which rings nobody and leaves nothing behind;
a message with the Stop button stands beside it for runs that take longer.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from core import view_run
from core.budget import Account, NotNow, Priority
from core.delivery import Fault
from core.errors import ChatDenied, ChatDoubt, ChatError, ChatFormat, MessageGone, PlaceGone
from core.live import Complain
from core.messages import Messenger, Outgoing, Page, Post, PostKind, PostState
from core.model import Place
from core.outbox import Outbox
from core.ports import Clock, RunHeader, RunReport, Store
from core.progress import Progress
from core.tasks import to_the_end
from core.view_run import Shown

# Seconds. A short run is over before anything but its answer is worth showing; the first words are not kept waiting.
AFTER_WORDS = 0.03
WITHOUT_WORDS = 1.5
AFTER_LAST_WORDS = 0.5  # what the agent has said to its end is its answer most of the time, and that goes first
MARK_AFTER = 3.0  # seconds a run with a draft goes on before it gets a message with Stop
DRAFT_SHARE = 0.6  # of a draft's life after which it is sent again

_SHOWN = {PostState.SENDING, PostState.UNKNOWN, PostState.SENT}  # or may be


@dataclass(frozen=True, slots=True)
class LiveMessages:
    """Makes them."""

    store: Store
    account: Account
    outbox: Outbox
    clock: Clock
    fault: Fault
    complain: Complain

    @property
    def messenger(self) -> Messenger:
        """The account's."""
        return self.account.messenger

    def open(self, place: Place, header: RunHeader) -> RunMessage:
        """Nothing is sent before its first update."""
        return RunMessage(self, place, header)


class RunMessage:
    """A `core.ports.LiveMessage`."""

    def __init__(self, live: LiveMessages, place: Place, header: RunHeader) -> None:
        self._live = live
        self._place = place
        self._header = header
        self._begun = self._shown_at = self._now
        self._first_words: float | None = None
        self._last_words = ("", 0.0)  # which part was said to its end, and when
        self._over = False
        self._post: Post | None = None
        self._unsent: Post | None = None  # an attempt that came to nothing
        self._looked = False  # for what a dead process left
        self._number = 0  # of messages that were, or may have been, sent before
        self._edits = 0
        self._deleted = 0  # messages that were, under us
        self._plain = False  # formatting was refused
        self._drafts = live.messenger.traits.drafts and live.messenger.is_direct(place)
        self._waits = False  # for people: the draft may fade, the request itself is shown
        self._looks: Shown | None = None  # what is shown, the time apart
        self._given_up = False  # nobody wants it, or nothing can be shown there

    @property
    def refresh(self) -> float:
        """A draft fades unless it is sent again; and its message with Stop comes without news."""
        if not self._drafts or self._looks is None or self._given_up or self._over:
            return 0.0
        mark = self._begun + MARK_AFTER - self._shown_at if self._post is None else math.inf
        life = math.inf if self._waits else self._live.messenger.traits.draft_life * DRAFT_SHARE
        soonest = min(mark, life)
        return 0.0 if soonest == math.inf else max(soonest, 0.001)

    def patience(self, progress: Progress) -> float:
        """See LiveMessage."""
        if self._given_up:
            return math.inf
        if hold := self._hold(progress):
            return hold
        if self._looks is not None:
            return math.inf if self._look(progress) == self._looks else 0.0
        if self._first_words is None and progress.text:
            self._first_words = self._now
        words = self._first_words + AFTER_WORDS if self._first_words is not None else self._begun + WITHOUT_WORDS
        return min(words, self._begun + WITHOUT_WORDS + AFTER_WORDS) - self._now

    def _hold(self, progress: Progress) -> float:
        """Seconds in which nothing is shown: a call now would keep the answer, which is about to come, waiting."""
        self._over = progress.outcome is not None
        if self._over:
            return math.inf
        if not progress.said or progress.asking:
            return 0.0
        if self._last_words[0] != progress.said:
            self._last_words = progress.said, self._now
        return max(self._last_words[1] + AFTER_LAST_WORDS - self._now, 0.0)

    async def update(self, newest: Callable[[], Awaitable[Progress]]) -> Progress | None:
        """See LiveMessage."""
        if not self._drafts:
            await self._take_over()
        shown: Progress | None = None

        async def show() -> None:
            nonlocal shown
            progress = await self._unheld(newest)
            await to_the_end(self._show(progress))
            shown = progress

        async def mark() -> None:
            await self._unheld(newest)
            await to_the_end(self._send(self._mark_page()))

        await self._in_turns(show)
        if self._lacks_mark:
            await self._take_over()
        if self._lacks_mark:
            await self._in_turns(mark)
        return shown

    @property
    def _lacks_mark(self) -> bool:
        """A draft has no buttons: a run that takes longer needs its message with Stop beside it."""
        return self._drafts and self._post is None and self._now - self._begun >= MARK_AFTER

    async def _unheld(self, newest: Callable[[], Awaitable[Progress]]) -> Progress:
        progress = await newest()
        if self._hold(progress):
            raise NotNow
        return progress

    async def settle(self, progress: Progress, report: RunReport) -> None:
        """Shrinks to one line; behind the answer, which the outbox sends first."""
        del progress
        self._live.account.budget.forget(self._key)
        await self._drop_unsent()
        await self._left()
        if self._post:
            page = self._live.messenger.pages(view_run.over(report))[0]
            last = Outgoing(page, view_run.looks(report), silent=True)
            self._live.outbox.close(self._post, last)

    async def _in_turns(self, show: Callable[[], Awaitable[None]]) -> None:
        """Each call in a turn of its own; where one way of showing it is refused, the next is tried."""
        while not self._given_up:
            try:
                async with self._live.account.turn(self._place, Priority.PROGRESS, self._key):
                    await show()
            except PlaceGone as error:
                await self._forget("its place is gone")
                self._given_up = error.instead in {None, self._place}
                self._place = error.instead or self._place
            except MessageGone:
                await self._forget("deleted by somebody")
                self._deleted += 1
                self._given_up = self._deleted > 1  # who deletes it twice does not want it
            except (ChatFormat, ChatError) as error:
                if error.retryable or isinstance(error, ChatDenied) or not self._other_way(error):
                    raise
            else:
                return

    def _other_way(self, error: ChatError) -> bool:
        if self._drafts:
            self._live.complain(f"no drafts in {self._place}, messages are edited instead", error)
            self._drafts = False
        elif isinstance(error, ChatFormat) and not self._plain:
            self._plain = True
        else:
            return False
        return True

    async def _show(self, progress: Progress) -> None:
        seconds = (self._live.clock.now() - (self._header.run.started or self._header.run.created)).total_seconds()
        look = self._look(progress, max(seconds, 0.0))
        page = self._live.messenger.live_page(look.head, look.lines, look.body)
        if self._drafts:
            await self._live.messenger.draft(self._place, self._header.run.id, page)
        elif self._post is None:
            await self._send(page)
        else:
            await self._edit(self._post, page)
        self._looks = self._look(progress)
        self._shown_at = self._now
        self._waits = bool(progress.asking)

    async def _send(self, page: Page) -> None:
        """Noted before and after: what a process that dies in between has sent, the next one looks for."""
        live, run = self._live, self._header.run
        page = page.plain if self._plain else page
        post = Post(
            key=f"{self._key}:{self._number}",
            place=self._place,
            kind=PostKind.LIVE,
            page=page,
            created=live.clock.now(),
            buttons=view_run.stop_button(run, self._header.session),
            run=run.id,
            state=PostState.SENDING,
            after=await live.store.newest_message(self._place.platform, self._place.chat),
        )
        [noted] = await live.store.add_posts([post])
        post = replace(post, id=noted.id)
        if noted.state is PostState.PENDING:  # by an attempt that came to nothing
            await live.store.save_post(post)
        live.fault("live message noted")
        try:
            message = await live.messenger.send(self._place, Outgoing(page, post.buttons, silent=True), post.key)
        except ChatDoubt as error:
            self._post = post.in_state(PostState.UNKNOWN, str(error))
            self._number += 1
            await live.store.save_post(self._post)
            raise
        except ChatError as error:
            self._unsent = post.in_state(PostState.PENDING, str(error))
            await live.store.save_post(self._unsent)
            raise
        live.fault("live message sent")
        self._post = replace(post.in_state(PostState.SENT), message=message)
        self._number += 1
        await live.store.save_post(self._post)
        live.fault("live message recorded")
        await self._drop_unsent(unless=post.key)

    async def _drop_unsent(self, unless: str = "") -> None:
        """An attempt that came to nothing is not left waiting: its place may have moved, its run may be over."""
        unsent, self._unsent = self._unsent, None
        if unsent and unsent.key != unless:
            await self._live.store.save_post(unsent.in_state(PostState.DROPPED, unsent.note))

    async def _edit(self, post: Post, page: Page) -> None:
        most = self._live.messenger.traits.max_edits
        if most is not None and self._edits >= most - 1:  # the last one is for its end
            return
        self._edits += 1
        buttons = view_run.stop_button(self._header.run, self._header.session)
        out = Outgoing(page.plain if self._plain else page, buttons, silent=True)
        await self._live.messenger.edit(self._place, post.message, out)

    async def _forget(self, why: str) -> None:
        if self._post:
            await self._live.store.save_post(self._post.in_state(PostState.CLOSED, why))
        self._post = None
        self._edits = 0

    async def _take_over(self) -> None:
        """What was or may have been sent before, if it is there. Raises ChatError while that cannot be told."""
        await self._left()
        if self._post and self._post.state is not PostState.SENT:
            found = await self._live.outbox.look_for(await self._live.outbox.doubted(self._post))
            if found is None:
                await self._live.store.save_post(self._post.in_state(PostState.DROPPED, "it was not shown"))
            self._post = found

    async def _left(self) -> None:
        """By a process that died, or by this one before its place was detached and attached again."""
        if self._looked:
            return
        posts = await self._live.store.posts_of(run=self._header.run.id)
        mine = [post for post in posts if post.kind is PostKind.LIVE and post.place == self._place]
        self._post = self._post or next((post for post in mine if post.state in _SHOWN), None)
        self._number = max(self._number, sum(post.state is not PostState.PENDING for post in mine))
        self._looked = True

    def _mark_page(self) -> Page:
        return self._live.messenger.pages(view_run.live_mark(self._header))[0]

    def _look(self, progress: Progress, seconds: float = 0.0) -> Shown:
        return view_run.live(self._header, progress, seconds)

    @property
    def _key(self) -> str:
        return f"live:{self._header.run.id}:{self._place}"

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()
