"""Which place a message of a chat belongs to, and what it is a reply to. In chats without threads the reply chain is
the thread, and what replies to nothing goes to the session its author used there last.
"""

from __future__ import annotations

from dataclasses import replace

from core import commands, refs
from core.commands import Spec
from core.messages import PostKind, is_chain
from core.model import Inbound, PermissionRequest
from core.offers import Offers
from core.ports import Ask, Press, Store
from core.relay import WHY

_ALLOWS = {"yes": "once", "y": "once", "ok": "once", "allow": "once", "once": "once", "always": "always"}
_REJECTS = ("no", "reject", "deny")


class Placing:
    """Reads what was sent and delivered before; changes nothing."""

    def __init__(self, store: Store, offers: Offers) -> None:
        self._store = store
        self._offers = offers

    async def of(self, inbound: Inbound) -> Inbound:
        """The message, in its place."""
        if inbound.place.thread:
            return inbound
        platform, chat = inbound.platform, inbound.place.chat
        if inbound.reply_to:
            post = await self._store.post_at(platform, chat, inbound.reply_to)
            if post and post.place.thread:
                return replace(inbound, place=post.place)
            earlier = await self._store.inbound_of(platform, chat, inbound.reply_to)
            run = await self._store.run(earlier.run) if earlier and earlier.run is not None else None
            if run and run.place.platform == platform and run.place.chat == chat:
                return replace(inbound, place=run.place)
            return inbound
        if commands.is_command(inbound.text) and not _about_here(commands.named(inbound.text)):
            return inbound
        shared = refs.shared_link(inbound.text)
        if shared and not shared[1]:
            return inbound  # a link and nothing else begins something new
        if (inbound.direct or inbound.addressed) and await self._store.session_at(inbound.place) is None:
            run = await self._store.last_run_in(inbound.person.id, platform, chat)
            if run and is_chain(run.place) and await self._store.session_at(run.place):
                return replace(inbound, place=run.place)
        return inbound

    async def concerns_us(self, inbound: Inbound) -> bool:
        """A message in its place. In a group's other threads kugetsu stays silent."""
        return inbound.addressed or inbound.direct or await self._store.session_at(inbound.place) is not None

    async def press(self, press: Press) -> Press:
        """A button, in the place of the message it is on."""
        if press.place.thread or not press.message:
            return press
        post = await self._store.post_at(press.place.platform, press.place.chat, press.message)
        return replace(press, place=post.place) if post else press

    async def answer(self, inbound: Inbound) -> Press | None:
        """A reply to a request that is open, as the press of a button. None: it is no such reply."""
        post = await self._store.post_at(inbound.platform, inbound.place.chat, inbound.reply_to)
        if post is None or post.kind is not PostKind.ASK or post.ask is None:
            return None
        ask = next((ask for ask in await self._store.open_asks() if ask.id == post.ask), None)
        button = _button(ask, post.key, inbound.text) if ask else None
        if ask is None or button is None:
            return None
        reply, text = button
        return Press(f"reply {inbound.event_id}", f"{ask.id}:{reply}", inbound.person, inbound.place, text)

    async def has_answered(self, inbound: Inbound) -> bool:
        """Whether a message was the answer to a request, before the process died that took it for that."""
        post = await self._store.post_at(inbound.platform, inbound.place.chat, inbound.reply_to)
        ask = await self._store.ask(post.ask) if post and post.ask is not None else None
        return ask is not None and ask.decided_by == inbound.person.id

    async def deep_link(self, inbound: Inbound) -> str:
        """`/start <token>` of a link that opens kugetsu says what the link was made for; a bare `/start` greets."""
        name, _, token = inbound.text.partition(" ")
        if name.lower() != "/start" or not token.strip() or "/" in token or "#" in token:
            return inbound.text
        return await self._offers.line(token.strip()) or inbound.text


def _button(ask: Ask, replied_to: str, text: str) -> tuple[str, str] | None:
    """(reply, its text), or None for what is no answer to a permission request. `replied_to` is the message's key."""
    if not isinstance(ask.request, PermissionRequest):
        return ("text", text)
    if replied_to.startswith(WHY):
        return ("reject", text.strip())
    word, _, rest = text.strip().partition(" ")
    word = word.lower().strip(".,!:")
    if word in _ALLOWS and not rest:
        return (_ALLOWS[word], "")
    return ("reject", rest.strip()) if word in _REJECTS else None


def _about_here(spec: Spec | None) -> bool:
    """Commands without a ref are about the session of the place, so they need it."""
    return spec is not None and not spec.anywhere
