"""Looking for a message that may or may not have been sent.

Telegram gives bots no history. But the numbers of messages grow, a bot can edit its own messages only, and an edit
that changes nothing is refused as such. So the numbers behind the last message known are given the wanted content,
one after the other: refused as unchanged, it is there; done, a message of ours was there that nobody had written
down, and now it is the wanted one; refused in any other way, the number belongs to somebody else or to nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from telegram import Message

from adapters.telegram import chats, outgoing
from adapters.telegram.calls import Calls
from adapters.telegram.refusals import NoSuchMessage, NoTextThere, Unchanged
from adapters.telegram.traffic import Traffic
from core.errors import ChatError, ChatFormat, MessageGone
from core.messages import Outgoing, Turn
from core.model import Place

PROBES = 8  # calls at most: each counts against the chat's limit
WINDOW = 40  # numbers looked at; those known already cost nothing
# Numbers in a row that no message has: nothing was sent behind them. Only in supergroups, which have a row of their
# own; to look further would take more than a third of what a group gets in a minute.
NOTHING = 3

Known = Callable[[str, str], Awaitable[bool]]  # chat, message: written down as sent or received


@dataclass(frozen=True, slots=True)
class Finder:
    """`known` asks core, `traffic` this process."""

    calls: Calls
    traffic: Traffic
    known: Known

    async def find(self, place: Place, message: Outgoing, key: str, after: str, turn: Turn) -> str | None:
        """See core.messages.Messenger."""
        if sent := self.traffic.sent_as(place.chat, key):
            return sent
        if not after.isdecimal() or message.file or message.content:
            return None  # what a file contains cannot be compared
        own_row = chats.is_supergroup(place.chat)
        probes = nothing = 0
        for candidate in map(str, range(int(after) + 1, int(after) + 1 + WINDOW)):
            if self.traffic.knows(place.chat, candidate) or await self.known(place.chat, candidate):
                nothing = 0
                continue
            probes += 1
            if probes > PROBES:
                break
            async with turn(), self.traffic.probing(place.chat):
                if self.traffic.knows(place.chat, candidate):  # since we waited
                    continue
                found = await _probe(self.calls, place, int(candidate), message)
            if isinstance(found, Message) and not _belongs(found, place, message):
                async with turn():
                    await _take_back(self.calls, place, int(candidate))
            elif found:
                self.traffic.sent(place.chat, candidate, key)
                return candidate
            nothing = nothing + 1 if found is None else 0
            if own_row and nothing == NOTHING:
                break
        return None


async def _probe(calls: Calls, place: Place, number: int, message: Outgoing) -> Message | bool | None:
    """The message as it is now; True when it was that already, False when it is another, None when there is none."""
    try:
        async with calls.translate(place):
            return await calls.bot.edit_message_text(
                chat_id=int(place.chat),
                message_id=number,
                reply_markup=outgoing.keyboard(message.buttons),
                **outgoing.content(message),
            )
    except Unchanged:
        return True
    except NoSuchMessage:
        return None
    except (MessageGone, NoTextThere, ChatFormat):
        return False


def _belongs(found: Message, place: Place, message: Outgoing) -> bool:
    """Whether it is in the right topic and answers the right message.

    After an outage several places may miss a message, and what was hit may be meant for another.
    """
    thread = found.message_thread_id if found.is_topic_message else None
    if thread != outgoing.topic(place) and not outgoing.chain_root(place):  # a chain may be inside of a topic
        return False
    replied = found.reply_to_message.message_id if found.reply_to_message else None
    root = outgoing.chain_root(place)
    return replied in {None, thread, outgoing.reply_target(place, message), int(root) if root.isdecimal() else None}


async def _take_back(calls: Calls, place: Place, number: int) -> None:
    """Better missing, and sent again in its own place, than there with words that belong elsewhere."""
    try:
        async with calls.translate(place):
            await calls.bot.delete_message(int(place.chat), number)
    except ChatError as error:
        if error.retryable:
            raise
