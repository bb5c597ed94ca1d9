"""Who sees a session: fans one session's news out to all its places. A place that fails never affects the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.journal import Journal
from core.live import Complain, LiveSlot
from core.model import Document, Place, Session, SessionKey, Verbosity
from core.ports import Ask, ChatPort, Clock, Delivery, RunHeader, RunReport, Store
from core.progress import Progress


@dataclass(slots=True)
class Show:
    """A run on air: one slot a place."""

    header: RunHeader
    slots: dict[Place, LiveSlot] = field(default_factory=dict)
    newest: Progress = field(default_factory=Progress)

    def show(self, progress: Progress) -> None:
        """Overwrite what every place shows next; never waits."""
        self.newest = progress
        for slot in self.slots.values():
            slot.show(progress)


class Audience:
    """Knows the chats and which run of a session is on air."""

    def __init__(
        self, store: Store, chats: Mapping[str, ChatPort], journal: Journal, clock: Clock, complain: Complain
    ) -> None:
        self._store = store
        self._chats = chats
        self._journal = journal
        self._clock = clock
        self._complain = complain
        self._on_air: dict[str, Show] = {}

    async def open_thread(self, origin: Place, session: Session, message: str) -> Place:
        """Where a session started by `message` in `origin` is to live; `origin` where no thread can be had."""
        chat = self._chats.get(origin.platform)
        if chat is None:
            return origin
        try:
            return await chat.open_thread(origin, session, message)
        except Exception as error:  # noqa: BLE001  the work goes on; it is shown where it was asked for
            self._complain(f"no thread could be opened in {origin}", error)
            return origin

    async def open(self, header: RunHeader) -> Show:
        """Begin a live message in every place of the session."""
        show = Show(header)
        self._on_air[header.session.key.key] = show
        for place, verbosity in (await self._store.verbosities(header.session.key)).items():
            if place not in show.slots:  # somebody may attach one meanwhile
                self._begin(show, place, verbosity)
        return show

    async def attach(self, place: Place, key: SessionKey) -> None:
        """Show the session in `place` from now on, the run on air included."""
        await self._store.attach(place, key)
        show = self._on_air.get(key.key)
        if show:
            await self._add(show, place)

    async def set_verbosity(self, place: Place, verbosity: Verbosity) -> None:
        """From now on, the run on air included."""
        await self._store.set_verbosity(place, verbosity)
        key = await self._store.session_at(place)
        show = self._on_air.get(key.key) if key else None
        if show and (slot := show.slots.get(place)):
            await slot.stop()
            if show.slots.get(place) is slot and self._is_on_air(show):
                del show.slots[place]
                self._begin(show, place, verbosity)

    async def detach(self, place: Place) -> None:
        """Stop showing anything there."""
        key = await self._store.session_at(place)
        await self._store.detach(place)
        show = self._on_air.get(key.key) if key else None
        slot = show.slots.pop(place, None) if show else None
        if slot:
            slot.drop()

    async def close(self, show: Show, report: RunReport) -> None:
        """Place by place: stop the live message, deliver what was enqueued, have the live message show the end."""
        self._on_air.pop(report.session.key.key, None)
        slots, rows = dict(show.slots), await self._deliveries(report)

        async def finish(chat: ChatPort, place: Place) -> None:
            slot = slots.get(place)
            if slot:
                await slot.stop()
            try:
                if place in rows:
                    await self._answer(chat, report, rows[place])
            finally:
                if slot:
                    await slot.settle(report)

        await self._in_each(dict.fromkeys([*slots, *rows]), finish)

    async def leave(self, show: Show) -> None:
        """Stop every live message as it is: the run goes on, and the next process takes them over."""
        slots = dict(show.slots)
        await self._in_each(slots, lambda _chat, place: slots[place].stop())

    async def deliver(self, report: RunReport) -> None:
        """Bring the answer to every place it was enqueued for and has not reached."""
        rows = await self._deliveries(report)
        await self._in_each(rows, lambda chat, place: self._answer(chat, report, rows[place]))

    async def _deliveries(self, report: RunReport) -> dict[Place, Delivery]:
        return {row.place: row for row in await self._store.pending_deliveries() if row.run == report.run.id}

    async def _answer(self, chat: ChatPort, report: RunReport, row: Delivery) -> None:
        await self._store.save_delivery(row.in_state("sending"))
        await chat.answer(row.place, report, row.key)
        await self._store.save_delivery(row.in_state("sent"))

    async def tell(self, key: SessionKey, document: Document) -> None:
        """A notice in every place of the session."""
        await self._in_each(await self._store.places(key), lambda chat, place: chat.send(place, document))

    async def send_file(self, key: SessionKey, file: Path, name: str) -> None:
        """A file in every place of the session."""
        await self._in_each(await self._store.places(key), lambda chat, place: chat.send_file(place, file, name))

    async def show_file(self, place: Place, key: SessionKey, file: Path, name: str) -> None:
        """A file for who asked for it, there: the session's other places did not."""
        where = (
            place if place.thread else next((p for p in await self._store.places(key) if p.chat == place.chat), place)
        )
        await self._in_each([where], lambda chat, at: chat.send_file(at, file, name))

    async def can_ask(self, key: SessionKey) -> bool:
        """Whether somebody in one of the session's places could answer a request now."""
        return any(self._can_ask(place) for place in await self._store.places(key))

    async def ask(self, ask: Ask) -> None:
        """Show the request in every place."""
        await self._in_each(await self._store.places(ask.session), lambda chat, place: chat.ask(place, ask))

    async def revised(self, ask: Ask) -> None:
        """Show everywhere what is chosen so far."""
        await self._in_each(await self._store.places(ask.session), lambda chat, place: chat.revised(place, ask))

    async def ask_why(self, ask: Ask, place: Place) -> None:
        """Ask for the reason of a reject, where it was pressed."""
        await self._in_each([place], lambda chat, at: chat.ask_why(at, ask))

    async def settle_ask(self, ask: Ask, by: str) -> None:
        """Show everywhere who decided what."""
        await self._in_each(await self._store.places(ask.session), lambda chat, place: chat.settle_ask(place, ask, by))

    def links(self, places: Iterable[Place], token: str) -> list[str]:
        """URLs that open the places; `token` is what an invitation to a direct chat says."""
        found = [chat.link(place, token) for place in places if (chat := self._chats.get(place.platform))]
        return list(dict.fromkeys(link for link in found if link))

    async def renamed(self, session: Session) -> None:
        """The session's title has changed."""
        for chat in self._chats.values():
            try:
                await chat.renamed(session)
            except Exception as error:  # noqa: BLE001  a name is not worth more than a line in the log
                self._complain(f"{session.key} could not be renamed on {chat.platform}", error)

    async def ended(self, session: Session, places: Sequence[Place]) -> None:
        """The session is destroyed; `places` were where it was shown."""
        for chat in self._chats.values():
            try:
                await chat.ended(session, places)
            except Exception as error:  # noqa: BLE001  the session is gone, its threads may stay
                self._complain(f"threads of {session.key} on {chat.platform} could not be closed", error)

    def _can_ask(self, place: Place) -> bool:
        chat = self._chats.get(place.platform)
        try:
            return chat is not None and chat.can_ask(place)
        except Exception as error:  # noqa: BLE001  somebody elsewhere may still answer
            self._complain(f"{place} could not be reached", error)
            return False

    async def _add(self, show: Show, place: Place) -> None:
        verbosity = await self._store.verbosity(place)
        if place not in show.slots and self._is_on_air(show):
            self._begin(show, place, verbosity)

    def _is_on_air(self, show: Show) -> bool:
        """A live message begun after the run's end would never be settled."""
        return self._on_air.get(show.header.session.key.key) is show

    def _begin(self, show: Show, place: Place, verbosity: Verbosity) -> None:
        chat = self._chats.get(place.platform)
        if chat is None:
            return
        try:
            message = chat.live(place, replace(show.header, verbosity=verbosity))
        except Exception as error:  # noqa: BLE001  the run is shown in its other places
            self._complain(f"{place} could not be reached", error)
            return
        slot = show.slots[place] = LiveSlot(message, self._clock, self._journal.flush, self._complain)
        slot.show(show.newest)

    async def _in_each(self, places: Iterable[Place], call: Callable[[ChatPort, Place], Awaitable[None]]) -> None:
        async def guarded(place: Place) -> None:
            chat = self._chats.get(place.platform)
            if chat is None:
                return
            try:
                await call(chat, place)
            except Exception as error:  # noqa: BLE001  whatever one platform does, the others are served
                self._complain(f"{place} could not be reached", error)

        await asyncio.gather(*(guarded(place) for place in places))
