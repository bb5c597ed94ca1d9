"""Which methods there are. Names are compared without case, as Telegram does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.simulators.telegram.core import Core
from tests.simulators.telegram.params import Params

Handler = Callable[[Core, Params], Any | Awaitable[Any]]
METHODS: dict[str, tuple[str, Handler]] = {}  # lower-case name → the name as documented, and what does it

ABSENT = frozenset(
    name.lower()
    for name in [
        "forwardMessage",
        "forwardMessages",
        "copyMessage",
        "copyMessages",
        "sendAudio",
        "sendVideo",
        "sendAnimation",
        "sendVideoNote",
        "sendSticker",
        "sendPoll",
        "stopPoll",
        "sendLocation",
        "sendVenue",
        "sendContact",
        "sendDice",
        "sendChecklist",
        "sendInvoice",
        "sendGame",
        "sendPaidMedia",
        "editMessageMedia",
        "editMessageChecklist",
        "getUserProfilePhotos",
        "banChatMember",
        "unbanChatMember",
        "restrictChatMember",
        "promoteChatMember",
        "setChatPermissions",
        "exportChatInviteLink",
        "createChatInviteLink",
        "setChatTitle",
        "setChatDescription",
        "setChatPhoto",
        "unpinAllChatMessages",
        "answerInlineQuery",
        "getStickerSet",
        "hideGeneralForumTopic",
        "unhideGeneralForumTopic",
        "editGeneralForumTopic",
        "closeGeneralForumTopic",
        "reopenGeneralForumTopic",
        "unpinAllForumTopicMessages",
        "setMyDefaultAdministratorRights",
        "getBusinessConnection",
    ]
)
"""Telegram has these, the simulator does not: answered 501, so that nobody takes them for unknown to Telegram."""


def method(name: str) -> Callable[[Handler], Handler]:
    """Enter the function in the table."""

    def enter(handler: Handler) -> Handler:
        METHODS[name.lower()] = (name, handler)
        return handler

    return enter
