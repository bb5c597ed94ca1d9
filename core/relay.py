"""A platform that carries messages as a chat of core's: runs, requests and notices become posts and edits.

What must not be lost goes through the outbox; what only shows how things stand (the live message) is edited directly,
latest state only, as the budget allows.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from core import view, view_run
from core.budget import Account, Priority
from core.delivery import Fault
from core.errors import KugetsuError
from core.live import Complain
from core.live_message import LiveMessages
from core.messages import Mark, Messenger, Outgoing, Post, PostKind, PostState, is_chain
from core.model import Document, Inbound, Place, RunState, Session
from core.outbox import Outbox
from core.ports import Ask, Clock, LiveMessage, Operation, Reply, RunHeader, RunReport, Store
from core.tasks import Beside

WHOLE_ABOVE = 5  # messages of an answer, above which it comes as a file too
THREAD_PATIENCE = 15.0  # seconds for a thread to be opened before the work goes on in the chat itself
THREAD = "thread"


class Relay:
    """A `core.ports.ChatPort` on a `Messenger`."""

    def __init__(
        self,
        store: Store,
        messenger: Messenger,
        clock: Clock,
        fault: Fault,
        complain: Complain,
    ) -> None:
        self.platform = messenger.platform
        self.messenger = messenger
        self._store = store
        self._clock = clock
        self._fault = fault
        self._complain = complain
        self._account = Account(messenger)
        self._outbox = Outbox(store, self._account, clock, self._rehome, fault, complain)
        self._live = LiveMessages(store, self._account, self._outbox, clock, fault, complain)
        self._beside = Beside()

    # ── ChatPort ───────────────────────────────────────────────────────────────────────────────

    def can_ask(self, place: Place) -> bool:
        """Always: whoever is not there now finds the request when coming back."""
        return True

    async def open_thread(self, origin: Place, session: Session, message: str) -> Place:
        """See ChatPort. A thread is noted as an intent first: a crash may leave an empty one that nobody can find."""
        for place in await self._store.places(session.key):
            if (place.platform, place.chat) == (origin.platform, origin.chat):
                return place
        intent = await self._intent(session)
        again = "asked" in intent.done
        if not again:
            intent = await self._store.step_done(intent, "asked")
        self._fault("thread intended")
        async with asyncio.timeout(THREAD_PATIENCE), self._account.turn(origin, Priority.ANSWER):
            place = await self.messenger.open_thread(origin, view_run.title(session), message)
        self._fault("thread made")
        await self._store.attach(place, session.key)
        await self._store.end(intent)
        self._fault("thread recorded")
        if again and place.thread and not is_chain(place):
            await self.send(place, Document(view.thread_again()))
        return place

    def link(self, place: Place, token: str) -> str:
        """See ChatPort."""
        return self.messenger.link(place) or self.messenger.invitation(token)

    async def renamed(self, session: Session) -> None:
        """The session has another title."""
        await self._in_threads(session, lambda place: self.messenger.rename_thread(place, view_run.title(session)))

    async def ended(self, session: Session, places: Sequence[Place]) -> None:
        """The session is destroyed; `places` were its own."""
        for place in places:
            if place.platform == self.platform:
                await self._outbox.idle_at(place)
                await self._call(self.messenger.close_thread(place), f"thread {place} could not be closed")

    async def send(self, place: Place, document: Document) -> None:
        """On disk when this returns."""
        await self._post(place, document, f"notice:{secrets.token_hex(8)}", PostKind.NOTICE)

    async def send_file(self, place: Place, file: Path, name: str) -> None:
        """The file is read when it is sent."""
        page = self.messenger.pages(f"`{name}`")[0]
        key = f"file:{secrets.token_hex(8)}"
        post = Post(key, place, PostKind.FILE, page, self._clock.now(), file=str(file), file_name=name)
        await self._outbox.add([post])

    def live(self, place: Place, header: RunHeader) -> LiveMessage:
        """See ChatPort. One that a dead process left is taken over."""
        return self._live.open(place, header)

    async def answer(self, place: Place, report: RunReport, key: str) -> None:
        """On disk when this returns, each of its messages under a key of its own."""
        pages = self.messenger.pages(view_run.answer(report).markdown)
        now, run = self._clock.now(), report.run
        here = run.message if place == run.place or place.chat == run.place.chat else ""
        posts = [
            Post(
                key=f"{key}:{number}",
                place=place,
                kind=PostKind.ANSWER,
                page=page,
                created=now,
                buttons=view_run.rows(report.buttons) if number == len(pages) - 1 else (),
                silent=number > 0,  # one ring a run
                reply_to=here if number == 0 else "",
                run=run.id,
            )
            for number, page in enumerate(pages)
        ]
        if len(pages) > WHOLE_ABOVE:
            name = f"{report.session.slug}-run-{run.number}.md"
            page = self.messenger.pages("The whole answer as a file.")[0]
            posts.append(Post(f"{key}:file", place, PostKind.FILE, page, now, file_name=name, run=run.id))
        await self._outbox.add(posts)
        if place == run.place and run.message:
            self.mark(place, run.message, Mark.DONE if run.state is RunState.DONE else Mark.FAILED)

    async def ask(self, place: Place, ask: Ask) -> None:
        """One message a question, ringing."""
        now = self._clock.now()
        await self._outbox.add(
            [
                Post(
                    key=f"ask:{ask.id}:{number}:{place}",
                    place=place,
                    kind=PostKind.ASK,
                    page=self.messenger.pages(asking.markdown)[0],
                    created=now,
                    buttons=asking.rows,
                    silent=False,
                    run=ask.run,
                    ask=ask.id,
                )
                for number, asking in enumerate(view_run.asking(ask))
            ]
        )

    async def answered(self, place: Place, ask: Ask, number: int, chosen: str, by: str) -> None:
        """One question of several has its answer."""
        for post in await self._asked(place, ask):
            if question_of(post.key) == number:
                self._close(post, view_run.answered(ask, number, chosen, by))

    async def settle_ask(self, place: Place, ask: Ask, by: str) -> None:
        """In place, in every message of it; what is not shown yet never is."""
        self._outbox.withdraw(ask.id)
        for post in await self._asked(place, ask):
            self._close(post, view_run.settled(ask, question_of(post.key), by))

    # ── for the inbox ──────────────────────────────────────────────────────────────────────────

    async def reply(self, inbound: Inbound, row: int, reply: Reply) -> None:
        """What the sender of a message is told: under it, and in the new thread where the work goes on."""
        places = [inbound.place]
        if reply.place and reply.place.platform == self.platform and reply.place != inbound.place:
            # A thread of its own gets it too; a reply chain is seen where it begins.
            places = [reply.place] if is_chain(reply.place) else [inbound.place, reply.place]
        for number, place in enumerate(places):
            under = inbound.message if number == 0 and place.chat == inbound.place.chat else ""
            link = self.messenger.link(places[-1]) if number == 0 and len(places) > 1 else ""
            text = reply.document.markdown + (
                f"\n[Open its thread]({link})" if link and reply.document.markdown else ""
            )
            document = Document(text, reply.document.buttons if place == places[-1] else ())
            await self._post(place, document, f"in:{row}:{number}", PostKind.REPLY, under)

    async def question(self, place: Place, document: Document, key: str) -> None:
        """A question of kugetsu's own, ringing; `settle_question` with its key ends it."""
        await self._post(place, document, key, PostKind.ASK, silent=False)

    async def settle_question(self, key: str, text: str) -> None:
        """Show what was decided in place of the buttons."""
        post = await self._store.post(f"{key}:0")
        if post and post.state is PostState.SENT:
            self._close(post, text)

    def mark(self, place: Place, message: str, mark: Mark) -> None:
        """Put a receipt on a person's message; never waits, and a failure costs only the receipt."""

        async def put() -> None:
            async with self._account.receipt():
                await self.messenger.react(place, message, mark)

        self._beside.start(self._call(put(), f"no receipt in {place}"))

    async def reopened(self, posts: Sequence[Post]) -> list[Post]:
        """After a crash: send what waits; returns live messages and requests that are shown and not closed."""
        shown = [post for post in posts if post.state is PostState.SENT]
        live = [post for post in posts if post.kind is PostKind.LIVE and post.state is not PostState.SENT]
        rest = [post for post in posts if post not in shown and post not in live]
        await self._outbox.recover(rest)
        found = [await self._live.take_over(post) for post in live]
        return [*shown, *(post for post in found if post is not None)]

    def close(self, post: Post, markdown: str) -> None:
        """Have a live message or request that a dead process left show its end."""
        self._close(post, markdown)

    async def moved(self, chat: str, to: str) -> None:
        """A chat goes on under another id."""
        await self._store.move_chat(self.platform, chat, to)

    async def quiet(self) -> None:
        """Wait until all that can be sent is sent."""
        await self._outbox.idle()

    async def stop(self, patience: float) -> None:
        """Send what can be sent within `patience` seconds, then nothing more."""
        await self._outbox.stop(patience)
        await self._beside.close(1.0)

    # ── inside ─────────────────────────────────────────────────────────────────────────────────

    async def _post(
        self, place: Place, document: Document, key: str, kind: PostKind, reply_to: str = "", *, silent: bool = True
    ) -> None:
        pages = self.messenger.pages(document.markdown)
        now = self._clock.now()
        posts = [
            Post(
                f"{key}:{number}",
                place,
                kind,
                page,
                now,
                buttons=view_run.rows(document.buttons) if number == len(pages) - 1 else (),
                silent=silent,
                reply_to=reply_to if number == 0 else "",
            )
            for number, page in enumerate(pages)
        ]
        await self._outbox.add(posts)

    def _close(self, post: Post, markdown: str) -> None:
        self._outbox.close(post, Outgoing(self.messenger.pages(markdown)[0], silent=True))

    async def _asked(self, place: Place, ask: Ask) -> list[Post]:
        posts = await self._store.posts_of(ask=ask.id)
        return [post for post in posts if post.place == place and post.state is not PostState.CLOSED]

    async def _intent(self, session: Session) -> Operation:
        for operation in await self._store.open_operations():
            if (operation.kind, operation.subject) == (THREAD, f"{self.platform} {session.key.key}"):
                return operation
        return await self._store.begin(THREAD, f"{self.platform} {session.key.key}", {})

    async def _rehome(self, place: Place, instead: Place | None, why: str) -> None:
        """A place is gone: its session is shown where the platform says, or no more there."""
        if instead is not None and instead.chat != place.chat:
            await self.moved(place.chat, instead.chat)
            return
        key = await self._store.session_at(place)
        if key is None:
            return
        await self._store.detach(place)
        if instead is not None and await self._store.session_at(instead) is None:
            await self._store.attach(instead, key)
        self._complain(
            f"{place} cannot be shown in any more, {key} goes on in {instead or 'its other places'}", KugetsuError(why)
        )

    async def _in_threads(self, session: Session, call: Callable[[Place], Coroutine[Any, Any, None]]) -> None:
        for place in await self._store.places(session.key):
            if place.platform == self.platform and place.thread:
                await self._call(call(place), f"thread {place} could not be changed")

    async def _call(self, call: Coroutine[Any, Any, None], what: str) -> None:
        try:
            await call
        except KugetsuError as error:
            self._complain(what, error)


def question_of(key: str) -> int:
    """Which question of its request a message shows, counted from 0; by the message's key."""
    return int(key.split(":")[2])
