"""A platform that carries messages as a chat of core's: runs, requests and notices become posts and edits.

What must not be lost goes through the outbox; what only shows how things stand (the live message) is edited directly,
latest state only, as the budget allows.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from core import view_ask, view_chat, view_run
from core.budget import Account, Ledger, Priority
from core.delivery import Fault
from core.errors import ChatDoubt, KugetsuError
from core.live import Complain
from core.live_message import LiveMessages
from core.messages import Mark, Messenger, Outgoing, Page, Post, PostKind, PostState, is_chain
from core.model import Document, Inbound, Place, Run, RunState, Session
from core.outbox import Outbox
from core.ports import Ask, Clock, LiveMessage, Operation, Reply, RunHeader, RunReport, Store
from core.tasks import Beside

WHOLE_ABOVE = 5  # messages of an answer, above which it comes as a file too
THREAD_PATIENCE = 15.0  # seconds for a thread to be opened before the work goes on in the chat itself
THREAD = "thread"
ASKED, WHY = "ask", "why"  # what the keys of a request's messages begin with


class Relay:
    """A `core.ports.ChatPort` on a `Messenger`."""

    def __init__(
        self,
        store: Store,
        messenger: Messenger,
        clock: Clock,
        fault: Fault,
        complain: Complain,
        ledger: Ledger | None = None,
    ) -> None:
        self.platform = messenger.platform
        self.messenger = messenger
        self._store = store
        self._clock = clock
        self._fault = fault
        self._complain = complain
        self._account = Account(messenger, ledger)
        self._outbox = Outbox(store, self._account, clock, self._rehome, fault, complain)
        self._live = LiveMessages(store, self._account, self._outbox, clock, fault, complain)
        self._beside = Beside()
        self._marking: dict[tuple[str, str], asyncio.Task[None]] = {}  # the last mark under way, by chat and message

    # ── ChatPort ───────────────────────────────────────────────────────────────────────────────

    def can_ask(self, place: Place) -> bool:
        """Always: whoever is not there now finds the request when coming back."""
        return True

    async def open_thread(self, origin: Place, session: Session, message: str) -> Place:
        """See ChatPort. A thread is noted as an intent first: a crash may leave an empty one that nobody can find."""
        intent = await self._intended(session)
        for place in await self._store.places(session.key):
            if (place.platform, place.chat) == (origin.platform, origin.chat):
                if intent:  # a process died that had just attached it
                    await self._store.end(intent)
                return place
        intent = intent or await self._store.begin(THREAD, self._thread_of(session), {})
        again = "asked" in intent.done
        if not again:
            intent = await self._store.step_done(intent, "asked")
        self._fault("thread intended")
        try:
            async with asyncio.timeout(THREAD_PATIENCE), self._account.turn(origin, Priority.ANSWER):
                place = await self.messenger.open_thread(origin, view_run.title(session), message)
        except Exception as error:
            await self._store.end(intent)  # the work goes on in the chat itself
            if isinstance(error, ChatDoubt | TimeoutError):
                await self.send(origin, Document(view_chat.thread_in_doubt(session)))
            raise
        self._fault("thread made")
        await self._store.attach(place, session.key)
        await self._store.end(intent)
        self._fault("thread recorded")
        if again and place.thread and not is_chain(place):
            await self.send(place, Document(view_chat.thread_again()))
        return place

    def link(self, place: Place, token: str) -> str:
        """See ChatPort."""
        return self.messenger.link(place) or (self.messenger.invitation(token) if token else "")

    async def renamed(self, session: Session) -> None:
        """The session has another title; its threads get it as soon as the platform's limits let them."""
        for place in await self._store.places(session.key):
            if place.platform == self.platform and place.thread and not is_chain(place):
                self._beside.start(self._rename(place, view_run.title(session)))

    async def ended(self, session: Session, places: Sequence[Place]) -> None:
        """The session is destroyed; `places` were its own. What is still to be said there is said first."""
        for place in places:
            if place.platform == self.platform and place.thread and not is_chain(place):
                self._beside.start(self._close_thread(place))

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
        asked_here = await self._asked_in(place, run)
        posts = [
            Post(
                key=f"{key}:{number}",
                place=place,
                kind=PostKind.ANSWER,
                page=page,
                created=now,
                buttons=view_run.rows(report.buttons) if number == len(pages) - 1 else (),
                silent=number > 0,  # one ring a run
                reply_to=run.message if asked_here and number == 0 else "",
                run=run.id,
            )
            for number, page in enumerate(pages)
        ]
        if len(pages) > WHOLE_ABOVE:
            name = f"{report.session.slug}-run-{run.number}.md"
            page = self.messenger.pages("The whole answer as a file.")[0]
            posts.append(Post(f"{key}:file", place, PostKind.FILE, page, now, file_name=name, run=run.id))
        if await self._store.post(posts[0].key) is None:  # else it was put there before a crash, perhaps cut elsewhere
            await self._outbox.add(posts)
        if place == run.place and run.message:
            self.mark(place, run.message, Mark.DONE if run.state is RunState.DONE else Mark.FAILED)

    async def ask(self, place: Place, ask: Ask) -> None:
        """One message, ringing; of a long one the beginning before it.

        What a process that died has shown is shown again: what was pressed meanwhile went nowhere.
        """
        shown = [post for post in await self._asked(place, ask) if post.state is PostState.SENT]
        asking, now = view_ask.asking(ask), self._clock.now()
        pages = self.messenger.pages(asking.markdown)
        before = [
            Post(f"asked:{ask.id}:0:{place}:{at}", place, PostKind.NOTICE, page, now, run=ask.run)
            for at, page in enumerate(pages[:-1])
        ]
        last = self._question(f"{ASKED}:{ask.id}:0:{place}", place, ask, pages[-1], silent=False)
        last = replace(last, buttons=asking.rows)
        again = [replace(last, key=f"{post.key}:{post.id}") for post in shown if post.key.startswith(ASKED)]
        await self._outbox.add([*before, last, *again])
        for post in shown:
            self.close(post, view_ask.asked_again(ask))

    def _question(self, key: str, place: Place, ask: Ask, page: Page, *, silent: bool) -> Post:
        return Post(key, place, PostKind.ASK, page, self._clock.now(), silent=silent, run=ask.run, ask=ask.id)

    async def revised(self, place: Place, ask: Ask) -> None:
        """In place."""
        asking = view_ask.asking(ask)
        page = self.messenger.pages(asking.markdown)[-1]
        for post in await self._asked(place, ask):
            if post.key.startswith(ASKED):
                self._outbox.revise(post, Outgoing(page, asking.rows, silent=True))

    async def ask_why(self, place: Place, ask: Ask) -> None:
        """A message to reply to; one at a time."""
        posts = await self._asked(place, ask)
        if any(post.key.startswith(WHY) for post in posts):
            return
        page = self.messenger.pages(view_ask.ask_why(ask))[0]
        await self._outbox.add([self._question(f"{WHY}:{ask.id}:0:{place}", place, ask, page, silent=True)])

    async def settle_ask(self, place: Place, ask: Ask, by: str) -> None:
        """In place, in every message of it; what is not shown yet never is."""
        self._outbox.withdraw(ask.id)
        for post in await self._asked(place, ask):
            self.close(post, view_ask.settled(ask, by))

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

    async def note(self, place: Place, document: Document, key: str) -> None:
        """A notice, once."""
        await self._post(place, document, key, PostKind.NOTICE)

    async def question(self, place: Place, document: Document, key: str) -> None:
        """A question of kugetsu's own, ringing; `settle_question` with its key ends it."""
        await self._post(place, document, key, PostKind.ASK, silent=False)

    async def settle_question(self, key: str, text: str) -> None:
        """Show what was decided in place of the buttons."""
        last, number = None, 0
        while post := await self._store.post(f"{key}:{number}"):  # the buttons are below the last of its pages
            last, number = post, number + 1
        if last:
            self.close(last, text)

    def mark(self, place: Place, message: str, mark: Mark) -> None:
        """Put a receipt on a person's message; never waits, and a failure costs only the receipt."""
        before = self._marking.get((place.chat, message))

        async def put() -> None:
            if before:
                await asyncio.wait([before])  # two marks of one message must not overtake each other
            # That it was seen is urgent; how it ended is said by the answer, which many marks must not keep waiting.
            urgent = Priority.RECEIPT if mark is Mark.SEEN else Priority.NOTICE
            async with self._account.receipt(place, urgent):
                await self.messenger.react(place, message, mark)

        task = self._marking[place.chat, message] = self._beside.start(self._call(put, f"no receipt in {place}"))
        task.add_done_callback(lambda done: self._marked((place.chat, message), done))

    def _marked(self, message: tuple[str, str], done: asyncio.Task[None]) -> None:
        if self._marking.get(message) is done:
            del self._marking[message]

    async def recover(self, posts: Sequence[Post]) -> None:
        """Go on with what a dead process left to be sent."""
        await self._outbox.recover(posts)

    def close(self, post: Post, markdown: str) -> None:
        """Have a live message or a question show its end, in place and without its buttons."""
        self._outbox.close(post, Outgoing(self.messenger.pages(markdown)[0], silent=True))

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

    async def _asked(self, place: Place, ask: Ask) -> list[Post]:
        posts = await self._store.posts_of(ask=ask.id)
        return [post for post in posts if post.place == place and post.state is not PostState.CLOSED]

    async def _asked_in(self, place: Place, run: Run) -> bool:
        """Whether the message that asked is in that thread; one that opened it was written elsewhere in the chat."""
        asked = await self._store.inbound_of(place.platform, place.chat, run.message) if run.message else None
        return asked is not None and (is_chain(place) or asked.inbound.place.thread == place.thread)

    async def _intended(self, session: Session) -> Operation | None:
        subject = self._thread_of(session)
        return next(iter(await self._store.open_operations(kind=THREAD, subject=subject)), None)

    def _thread_of(self, session: Session) -> str:
        return f"{self.platform} {session.key.key}"

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

    async def _rename(self, place: Place, title: str) -> None:
        await self._at(place, lambda: self.messenger.rename_thread(place, title))

    async def _close_thread(self, place: Place) -> None:
        await self._outbox.idle_at(place)
        await self._at(place, lambda: self.messenger.close_thread(place))

    async def _at(self, place: Place, call: Callable[[], Awaitable[None]]) -> None:
        async def in_turn() -> None:
            async with self._account.turn(place, Priority.NOTICE):
                await call()

        await self._call(in_turn, f"thread {place} could not be changed")

    async def _call(self, call: Callable[[], Awaitable[None]], what: str) -> None:
        try:
            await call()
        except KugetsuError as error:
            self._complain(what, error)
