"""`why`: what became of a message, told from what is stored and from nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from core import view_chat
from core.callers import Caller
from core.commands import Command
from core.errors import NotFound
from core.messages import Post
from core.model import RunState
from core.ports import Received, Reply, Store


class Why:
    """One command."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.commands: dict[str, Callable[[Command, Caller], Awaitable[Reply]]] = {"why": self._why}

    async def _why(self, command: Command, caller: Caller) -> Reply:
        del command
        received = await self._meant(caller)
        run = await self._store.run(received.run) if received.run is not None else None
        posts: list[Post] = []
        before = 0
        if run is not None:
            posts = await self._store.posts_of(run=run.id)
            waiting = await self._store.unfinished_runs(run.session)
            before = sum(other.id < run.id for other in waiting) if run.state is RunState.QUEUED else 0
        data = {
            "message": received.inbound.text,
            "at": received.inbound.at.isoformat(),
            "outcome": received.outcome,
            "reason": received.reason,
            "run": run.number if run else None,
            "state": run.state.value if run else None,
            "error": run.error if run else "",
        }
        return Reply(view_chat.why(received, run, before, posts), data=data)

    async def _meant(self, caller: Caller) -> Received:
        inbound = caller.inbound
        if inbound.reply_to:
            chat = inbound.place.chat
            received = await self._store.inbound_of(inbound.platform, chat, inbound.reply_to)
            if received:
                return received
            post = await self._store.post_at(inbound.platform, chat, inbound.reply_to)
            run = await self._store.run(post.run) if post and post.run is not None else None
            received = await self._store.inbound_of(inbound.platform, chat, run.message) if run else None
            if received:
                return received
        received = await self._store.last_inbound(inbound.person.id, inbound.place)
        if received is None:
            raise NotFound("No message of yours is known here.", "Reply with `/why` to the message you mean.")
        return received
