"""Messages on their way to one platform: stored first, sent in order place by place, and never forgotten.

One pump a place, made on demand, gone when nothing waits. Sends go before edits: what is new in a place is worth more
than what changes there. What becomes of a message after each failure is `core.delivery`'s to say.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

from core import delivery, view
from core.budget import Account, Priority
from core.delivery import Fault
from core.errors import ChatDenied, ChatDoubt, KugetsuError, MessageGone, PlaceGone, StoreError
from core.live import Complain
from core.messages import Outgoing, Page, Post, PostKind, PostState
from core.model import Place
from core.ports import Clock, Store
from core.tasks import Beside, to_the_end

Rehome = Callable[[Place, Place | None, str], Awaitable[None]]  # from, to (None: nowhere), why

_PRIORITY = {
    PostKind.ANSWER: Priority.ANSWER,
    PostKind.FILE: Priority.ANSWER,
    PostKind.ASK: Priority.ASK,
    PostKind.REPLY: Priority.NOTICE,
    PostKind.NOTICE: Priority.NOTICE,
    PostKind.LIVE: Priority.NOTICE,
}


class Outbox:
    """Of one messenger. `rehome` is told of places where nothing can be shown any more."""

    def __init__(
        self,
        store: Store,
        account: Account,
        clock: Clock,
        rehome: Rehome,
        fault: Fault,
        complain: Complain,
    ) -> None:
        self._store = store
        self._account = account
        self._messenger = account.messenger
        self._clock = clock
        self._rehome = rehome
        self._fault = fault
        self._complain = complain
        self._posts: defaultdict[Place, deque[Post]] = defaultdict(deque)
        self._edits: defaultdict[Place, deque[tuple[Post, Outgoing]]] = defaultdict(deque)
        self._pumps: dict[Place, asyncio.Task[None]] = {}
        self._beside = Beside()
        self._stopping = False

    async def add(self, posts: Sequence[Post]) -> list[Post]:
        """They are on disk when this returns, and on their way; keys that were added before change nothing."""
        stored = await self._store.add_posts(posts)
        self._fault("posts recorded")
        for post in stored:
            if post.state is PostState.PENDING:
                self._queue(post)
        return stored

    async def recover(self, posts: Sequence[Post]) -> None:
        """Go on with what a dead process left: `posts` to be sent, oldest first."""
        for post in posts:
            left = delivery.after_crash(post)
            if left is not post:
                await self._store.save_post(left)
            self._queue(left)

    def close(self, post: Post, last: Outgoing) -> None:
        """Have `post`, which is shown, end as `last`; after that it is closed."""
        self._edits[post.place].append((post, last))
        self._wake(post.place)

    def withdraw(self, ask: str) -> None:
        """A request that is still to be sent is not sent any more."""
        for posts in self._posts.values():
            for post in list(posts):
                if post.ask == ask and post.state is PostState.PENDING and post.attempts == 0:
                    posts.remove(post)
                    self._beside.start(self._save_or_complain(post.in_state(PostState.CLOSED, "decided before")))

    def busy(self, place: Place) -> bool:
        """Whether something waits there that goes before progress."""
        return bool(self._posts.get(place))

    async def idle_at(self, place: Place) -> None:
        """Wait until nothing is on its way to one place, or for an outage to end."""
        if pump := self._pumps.get(place):
            await asyncio.wait([pump])

    async def idle(self) -> None:
        """Wait until nothing is on its way that can be sent now."""
        while self._pumps:
            await asyncio.wait(list(self._pumps.values()))

    async def stop(self, patience: float) -> None:
        """Finish what can be finished within `patience` seconds; the rest waits for the next process."""
        if self._pumps:
            await asyncio.wait(list(self._pumps.values()), timeout=patience)
        self._stopping = True
        for pump in list(self._pumps.values()):
            pump.cancel()
        await asyncio.gather(*self._pumps.values(), return_exceptions=True)
        await self._beside.close(1.0)

    # ── one place ──────────────────────────────────────────────────────────────────────────────

    def _queue(self, post: Post) -> None:
        waiting = self._posts[post.place]
        if all(other.key != post.key for other in waiting):
            waiting.append(post)
        self._wake(post.place)

    def _wake(self, place: Place) -> None:
        if place not in self._pumps and not self._stopping:
            self._pumps[place] = asyncio.create_task(self._pump(place), name=f"outbox {place}")

    async def _pump(self, place: Place) -> None:
        try:
            while self._posts[place] or self._edits[place]:
                if self._posts[place]:
                    await self._sum_up(place)
                    pause = await self._send_next(place)
                else:
                    pause = await self._edit_next(place)
                if pause:
                    await self._clock.sleep(pause)
        except ChatDenied as error:
            self._complain(f"nothing can be sent to {self._messenger.platform} until its account works again", error)
        except Exception as error:  # noqa: BLE001  other places go on; what waits here is in the store
            self._complain(f"messages to {place} wait for the next start", error)
        finally:
            # No await since the last look: what was added meanwhile is seen.
            del self._pumps[place]
            if not self._posts[place] and not self._edits[place]:
                del self._posts[place], self._edits[place]

    async def _sum_up(self, place: Place) -> None:
        """After a long outage: one line in place of many old news."""
        old = delivery.outdated(self._posts[place], self._clock.now())
        if not old:
            return
        for post in old:
            await self._save(post.in_state(PostState.DROPPED, "summed up after an outage"))
            self._posts[place].remove(post)
        page = self._messenger.pages(view.summed_up(len(old)))[0]
        newest = old[-1]
        summary = Post(f"summary:{newest.key}", place, PostKind.NOTICE, page, self._clock.now())
        [stored] = await self._store.add_posts([summary])
        self._posts[place].appendleft(stored)

    async def _send_next(self, place: Place) -> float:
        """Send the oldest message. Returns seconds to wait before anything else is tried here."""
        post = self._posts[place][0]
        try:
            if post.state is PostState.UNKNOWN:
                post = await self._look_for(post)
            if post.state is PostState.PENDING:
                post = await to_the_end(self._send(post))
            pause = 0.0
        except StoreError as error:  # a full disk: nothing is sent that could not be noted as sent
            self._complain(f"what is sent to {place} cannot be recorded; trying again", error)
            return delivery.LONGEST
        except ChatDenied:
            raise
        except KugetsuError as error:
            post, pause = delivery.after_failure(replace(post, state=PostState.SENDING), error)
            await self._save(post)
            if isinstance(error, PlaceGone):
                await self._rehome(place, error.instead, str(error))
            if post.state is PostState.DROPPED:
                self._complain(f"{post.kind} {post.key} could not be shown in {place}", error)
        waiting = self._posts[place]
        if post.place != place:
            waiting.popleft()
            self._queue(post)
        elif post.state in {PostState.PENDING, PostState.UNKNOWN}:
            waiting[0] = post
        else:
            waiting.popleft()
        return pause

    async def _send(self, post: Post) -> Post:
        """Note, send, note. Comes to its end whatever happens, so that no message is shown and not known."""
        async with self._turn(post):
            after = await self._store.newest_message(post.place.platform, post.place.chat)
            await self._save(replace(post.in_state(PostState.SENDING), after=after))
            self._fault("post sending")
            message = await self._messenger.send(post.place, await self._outgoing(post), post.key)
            self._fault("post sent")
        sent = replace(post.in_state(PostState.SENT), message=message)
        await self._save_surely(sent)
        self._fault("post sent and recorded")
        return sent

    async def _look_for(self, post: Post) -> Post:
        """In doubt: found and so sent, or to be sent again."""
        if self._messenger.traits.remembers > self._clock.now() - post.created:
            return post.in_state(PostState.PENDING)  # the platform itself shows a repeated key once
        sought = await self._outgoing(post)
        message = await self._messenger.find(post.place, sought, post.key, post.after, lambda: self._turn(post))
        if message is not None:
            found = replace(post.in_state(PostState.SENT, "found after a doubt"), message=message)
        else:
            found = delivery.not_found(post)
        await self._save(found)
        return found

    async def _edit_next(self, place: Place) -> float:
        post, last = self._edits[place][0]
        stored = await self._store.post(post.key)
        if stored is None or stored.state is not PostState.SENT:
            self._edits[place].popleft()
            return 0.0
        try:
            async with self._turn(stored, Priority.NOTICE):
                await self._messenger.edit(stored.place, stored.message, last)
                self._fault("post closed")
        except ChatDenied:
            raise
        except KugetsuError as error:
            if error.retryable:
                tried = replace(stored, attempts=stored.attempts + 1)
                await self._save(tried)
                return 0.0 if isinstance(error, ChatDoubt) else delivery.pause(tried.attempts)
            if not isinstance(error, MessageGone):
                self._complain(f"{stored.kind} {stored.key} could not be closed in {place}", error)
        self._edits[place].popleft()
        await self._save(stored.in_state(PostState.CLOSED))
        return 0.0

    def _turn(self, post: Post, priority: Priority | None = None) -> AbstractAsyncContextManager[None]:
        return self._account.turn(post.place, _PRIORITY[post.kind] if priority is None else priority)

    async def _outgoing(self, post: Post) -> Outgoing:
        content = b""
        if post.kind is PostKind.FILE and not post.file and post.run is not None:
            run = await self._store.run(post.run)
            content = run.text.encode("utf-8", "replace") if run else b""
        page = Page(f"{post.page.text}\n\n{view.MAY_BE_A_REPEAT}", post.page.format) if post.repeat else post.page
        return Outgoing(
            page,
            post.buttons,
            post.silent,
            post.reply_to,
            file=Path(post.file) if post.file else None,
            file_name=post.file_name,
            content=content,
        )

    async def _save(self, post: Post) -> None:
        await self._store.save_post(post)

    async def _save_surely(self, post: Post) -> None:
        told = False
        while True:
            try:
                await self._save(post)
            except StoreError as error:
                if not told:
                    self._complain(f"that {post.key} was sent cannot be recorded; trying again until it is", error)
                told = True
                await self._clock.sleep(1.0)
            else:
                return

    async def _save_or_complain(self, post: Post) -> None:
        try:
            await self._save(post)
        except KugetsuError as error:
            self._complain(f"{post.key} could not be recorded", error)
