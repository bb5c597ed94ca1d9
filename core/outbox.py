"""Messages on their way to one platform: stored first, sent in order place by place, and never forgotten.

One pump a place, made on demand, gone when nothing waits. Sends go before edits: what is new in a place is worth more
than what changes there. What becomes of a message after each failure is `core.delivery`'s to say.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from core import delivery, view, view_chat
from core.budget import Account, Priority
from core.delivery import Fault
from core.errors import ChatDenied, ChatFormat, ChatLimited, KugetsuError, MessageGone, PlaceGone, StoreError
from core.live import Complain
from core.messages import Outgoing, Page, Post, PostKind, PostState
from core.model import Place
from core.ports import Clock, Store
from core.tasks import Beside, to_the_end

Rehome = Callable[[Place, Place | None, str], Awaitable[None]]  # from, to (None: nowhere), why

DECIDED = "decided before it was shown"

_PRIORITY = {
    PostKind.ANSWER: Priority.ANSWER,
    PostKind.FILE: Priority.ANSWER,
    PostKind.ASK: Priority.ASK,
    PostKind.REPLY: Priority.NOTICE,
    PostKind.NOTICE: Priority.NOTICE,
    PostKind.LIVE: Priority.NOTICE,
}


@dataclass(frozen=True, slots=True)
class _Edit:
    """What a message is to look like."""

    post: Post
    out: Outgoing
    closes: bool = False  # for good
    attempts: int = 0


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
        self._edits: defaultdict[Place, deque[_Edit]] = defaultdict(deque)
        self._pumps: dict[Place, asyncio.Task[None]] = {}
        self._withdrawn: set[str] = set()  # requests
        self._beside = Beside()
        self._stopping = False

    async def add(self, posts: Sequence[Post]) -> list[Post]:
        """They are on disk when this returns, and on their way; keys that were added before change nothing."""
        if not posts:
            return []  # a trip to the database less on the way from a message to its prompt
        stored = await self._store.add_posts(posts)
        self._fault("posts recorded")
        for post in stored:
            if post.state is PostState.PENDING:
                self._queue(post)
        return stored

    async def recover(self, posts: Sequence[Post]) -> None:
        """Go on with what a dead process left: `posts` to be sent, oldest first."""
        for post in posts:
            self._queue(await self.doubted(post))

    async def doubted(self, post: Post) -> Post:
        """What was being sent when its process died, noted as that."""
        left = delivery.after_crash(post)
        if left is not post:
            await self._store.save_post(left)
        return left

    async def look_for(self, post: Post) -> Post | None:
        """A message in doubt: as it was found, or None. Raises ChatError when that cannot be told."""
        sought = await self._outgoing(post)
        message = await self._messenger.find(post.place, sought, post.key, post.after, lambda: self._turn(post))
        if message is None:
            return None
        found = replace(post.in_state(PostState.SENT, "found after a doubt"), message=message)
        await self._record(found)
        return found

    def close(self, post: Post, last: Outgoing) -> None:
        """Have `post`, which is shown, end as `last`; after that it is closed."""
        self._change(_Edit(post, last, closes=True))

    def revise(self, post: Post, now: Outgoing) -> None:
        """Have `post`, which is shown or about to be, look like `now`; only the newest look is ever sent.

        Once it is to be closed, nothing else changes it.
        """
        if not any(edit.closes and edit.post.key == post.key for edit in self._edits[post.place]):
            self._change(_Edit(post, now))

    def _change(self, edit: _Edit) -> None:
        edits = self._edits[edit.post.place]
        outdated = [old for old in edits if old.post.key == edit.post.key and not old.closes]
        for old in outdated:
            edits.remove(old)
        edits.append(edit)
        self._wake(edit.post.place)

    def withdraw(self, ask: str) -> None:
        """A request that is still to be sent is not sent any more, also if an attempt under way fails."""
        self._withdrawn.add(ask)
        for posts in self._posts.values():
            for post in [post for post in posts if post.ask == ask and post.state is PostState.PENDING]:
                posts.remove(post)
                self._beside.start(self._record(post.in_state(PostState.CLOSED, DECIDED)))

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
                try:
                    pause = await (self._send_next(place) if self._posts[place] else self._edit_next(place))
                except StoreError as error:  # a full disk: nothing is sent that could not be noted as sent
                    self._complain(f"what is sent to {place} cannot be recorded; trying again", error)
                    pause = delivery.LONGEST
                if pause:
                    await self._clock.sleep(pause)
        except ChatDenied as error:
            self._complain(f"nothing can be sent to {self._messenger.platform} until its account works again", error)
        except Exception as error:  # noqa: BLE001  other places go on; what waits here is in the store
            self._complain(f"messages to {place} wait for the next one there, or the next start", error)
        finally:
            # No await since the last look: what was added meanwhile is seen.
            del self._pumps[place]
            if not self._posts[place] and not self._edits[place]:
                del self._posts[place], self._edits[place]

    async def _sum_up(self, place: Place) -> None:
        """After a long outage: one line in place of many old news."""
        waiting = self._posts[place]
        old = delivery.outdated(waiting, self._clock.now())
        if not old:
            return
        page = self._messenger.pages(view_chat.summed_up(len(old)))[0]
        summary = Post(f"summary:{old[-1].key}", place, PostKind.NOTICE, page, self._clock.now())
        [summary] = await self._store.add_posts([summary])
        if all(post.key != summary.key for post in waiting):
            waiting.appendleft(summary)
        for post in old:
            await self._store.save_post(post.in_state(PostState.DROPPED, "summed up after an outage"))
            waiting.remove(post)

    async def _send_next(self, place: Place) -> float:
        """Send the oldest message. Returns seconds to wait before anything else is tried here."""
        await self._sum_up(place)
        post = self._posts[place][0]
        try:
            if post.state is PostState.UNKNOWN:
                post = await self._resolve(place, post)
            if post.state is not PostState.PENDING:
                return 0.0
            async with self._turn(post):
                if next(iter(self._posts[place]), None) is not post:
                    return 0.0  # withdrawn while it waited for its turn
                return await to_the_end(self._send(place, post))
        except ChatLimited:
            return 0.0

    async def _resolve(self, place: Place, post: Post) -> Post:
        """In doubt: found and so sent, or to be sent again."""
        now = post
        try:
            if self._messenger.traits.remembers > self._clock.now() - post.created:
                now = post.in_state(PostState.PENDING)  # the platform itself shows a repeated key once
            else:
                now = await self.look_for(post) or delivery.not_found(post)
        except StoreError:
            raise
        except KugetsuError as error:
            now, pause = await self._failed(place, post, error)
            if isinstance(error, ChatDenied):
                raise
            await self._clock.sleep(pause)
            return now
        if now.state is not PostState.SENT:
            await self._record(now)
        self._put(place, now)
        return now

    async def _send(self, place: Place, post: Post) -> float:
        """Note, send, note. Comes to its end whatever happens, so that no message is shown and not known."""
        waiting = self._posts[place]
        waiting[0] = sending = post.in_state(PostState.SENDING)  # at once: from here on it cannot be withdrawn
        try:
            out = await self._outgoing(post)
            waiting[0] = sending = replace(
                sending, after=await self._store.newest_message(post.place.platform, post.place.chat)
            )
            await self._store.save_post(sending)
        except StoreError:
            waiting[0] = post
            raise
        self._fault("post sending")
        try:
            message = await self._messenger.send(post.place, out, post.key)
        except (ChatLimited, ChatDenied) as error:
            await self._failed(place, sending, error)
            raise
        except KugetsuError as error:
            return (await self._failed(place, sending, error))[1]
        except Exception as error:  # noqa: BLE001  a defect of an adapter must not end the place
            self._complain(f"{post.kind} {post.key} cannot be sent to {place} as it is", error)
            simpler = ChatFormat("kugetsu could not send it as it was")
            return (await self._failed(place, replace(sending, repeat=True), simpler))[1]
        self._fault("post sent")
        sent = replace(sending.in_state(PostState.SENT), message=message)
        await self._record(sent)
        self._fault("post sent and recorded")
        self._put(place, sent)
        return 0.0

    async def _failed(self, place: Place, post: Post, error: KugetsuError) -> tuple[Post, float]:
        now, pause = delivery.after_failure(post, error)
        await self._record(now)
        if now.state is PostState.PENDING and now.ask in self._withdrawn and not now.repeat:
            now = now.in_state(PostState.CLOSED, DECIDED)
            await self._record(now)
        self._put(place, now)
        if isinstance(error, PlaceGone):
            await self._rehome(place, error.instead, str(error))
        if now.state is PostState.DROPPED:
            self._complain(f"{post.kind} {post.key} could not be shown in {place}", error)
        return now, pause

    def _put(self, place: Place, now: Post) -> None:
        """The message at the head of the place's queue is `now`: still to be sent, over, or at home elsewhere."""
        waiting = self._posts[place]
        if now.place != place:
            waiting.popleft()
            self._queue(now)
        elif now.state in {PostState.PENDING, PostState.UNKNOWN}:
            waiting[0] = now
        else:
            waiting.popleft()

    async def _edit_next(self, place: Place) -> float:
        """Change the message that waits longest for that."""
        edits = self._edits[place]
        edit = edits[0]
        post = edit.post
        shown = await self._store.post(post.key)
        try:
            if shown and shown.state in {PostState.SENDING, PostState.UNKNOWN}:
                shown = await self._found_or_dropped(await self.doubted(shown))
            if shown and shown.message and (edit.closes or shown.state is not PostState.CLOSED):
                async with self._turn(shown, Priority.NOTICE):
                    await self._messenger.edit(shown.place, shown.message, edit.out)
                    self._fault("post closed" if edit.closes else "post revised")
        except (StoreError, ChatDenied):
            raise
        except ChatFormat as error:
            if edit.out.page.format:
                _put_in_place(edits, edit, replace(edit, out=replace(edit.out, page=edit.out.page.plain)))
                return 0.0
            self._complain(f"{post.kind} {post.key} could not be closed in {place}", error)
        except KugetsuError as error:
            if error.retryable:
                tried = replace(edit, attempts=edit.attempts + 1)
                if _put_in_place(edits, edit, tried):
                    edits.rotate(-1)
                return 0.0 if isinstance(error, ChatLimited) else delivery.pause(tried.attempts)
            if not isinstance(error, MessageGone | PlaceGone):
                self._complain(f"{post.kind} {post.key} could not be closed in {place}", error)
        if edit in edits:
            edits.remove(edit)
        if edit.closes and shown and shown.state is PostState.SENT:
            await self._record(shown.in_state(PostState.CLOSED))
        return 0.0

    async def _found_or_dropped(self, post: Post) -> Post:
        if found := await self.look_for(post):
            return found
        dropped = post.in_state(PostState.DROPPED, "it was not shown before a crash")
        await self._record(dropped)
        return dropped

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

    async def _record(self, post: Post) -> None:
        """Until it is on disk; when the process leaves before, the next one has its doubts about the message."""
        told = False
        while True:
            try:
                await self._store.save_post(post)
            except StoreError as error:
                if not told or self._stopping:
                    self._complain(f"that {post.key} is {post.state} cannot be recorded", error)
                if self._stopping:
                    return
                told = True
                await self._clock.sleep(1.0)
            else:
                return


def _put_in_place(edits: deque[_Edit], before: _Edit, now: _Edit) -> bool:
    """False: a newer look has come in its place meanwhile."""
    if before not in edits:
        return False
    edits[edits.index(before)] = now
    return True
