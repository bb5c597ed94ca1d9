"""Telegram's refusals in core's terms (pure). Telegram has no list of them: they are told apart by their words."""

from __future__ import annotations

from core.errors import ChatError, ChatFormat, MessageGone, PlaceGone
from core.model import Place


class Unchanged(ChatError):
    """It was that way before."""


class NoTextThere(ChatError):
    """The message is a file: it has a caption."""


class NoSuchMessage(MessageGone):
    """No message has that number, or has it any more."""


class PhotoRefused(ChatError):
    """It can go out as a document."""


class FileTooBig(ChatError):
    """For a bot to fetch."""


class NoForum(ChatError):
    """The chat has no topics."""


class NoRight(ChatError):
    """An administrator has to allow this."""


class ReactionRefused(ChatError):
    """The chat does not allow that emoji, or none at all."""


class TopicClosed(PlaceGone):
    """Nobody but administrators may write there."""


_ADMIN = "Make the bot an administrator of the group who may manage topics"
_REMOVED = "Write to it again, or add it to the group again, to go on there"
_SILENCED = "Allow the bot to send that in the chat, or make it an administrator"

_MESSAGE_GONE = (
    "message to edit not found",
    "message can't be edited",
    "message_id_invalid",
    "message to react not found",
    "message identifier is not specified",
)
_THREAD_GONE = ("message thread not found", "topic_deleted", "topic_id_invalid", "invalid forum topic identifier")
_CHAT_GONE = (
    "chat not found",
    "group chat was deactivated",
    "group chat was deleted",
    "chat was deleted",
    "peer_id_invalid",
    "user not found",
    "user_deactivated",
    "input_user_deactivated",
    "bot was kicked",
    "chat_id is empty",
)
_MUTE = (
    "not enough rights to send text messages",
    "have no rights to send a message",
    "need administrator rights in the channel chat",
    "chat_write_forbidden",
    "chat_send_plain_forbidden",
    "chat_restricted",
    "user_banned_in_channel",
    "chat_guest_send_forbidden",
)
_FORMAT = (
    "can't parse",
    "entit",
    "button_",
    "reply_markup",
    "reply markup",
    "inline keyboard",
    "keyboard button",
    "too long",
    "too_long",
    "url_invalid",
    "wrong http url",
    "unsupported url",
)
_PHOTO = (
    "image_process_failed",
    "photo_invalid",
    "photo_ext_invalid",
    "photo_save_file_invalid",
    "too big for a photo",
    "wrong type of the web page content",
)
_NO_FORUM = ("not a forum", "not a supergroup forum", "channel_forum_missing", "method is available for supergroup")
_NO_RIGHT = ("not enough rights", "chat_admin_required", "need administrator rights", "have no rights")
_REACTION = ("reaction",)


def refused(text: str, place: Place | None) -> ChatError:
    """Of a call about `place` that was answered with 400."""
    words = text.lower()

    def has(some: tuple[str, ...]) -> bool:
        return any(one in words for one in some)

    said = f"Telegram refuses: {plain(text)}"
    if "not modified" in words or "not_modified" in words:
        return Unchanged(said)
    if has(_MESSAGE_GONE):
        kind = NoSuchMessage if "not found" in words else MessageGone
        return kind(f"The message can no longer be changed: {plain(text)}")
    if "topic_closed" in words:
        return TopicClosed("The topic is closed", "Open it again to go on there", around(place))
    if has(_THREAD_GONE):
        return PlaceGone("The topic was deleted", "The chat around it can still be used", around(place))
    if has(_MUTE):
        return PlaceGone(f"The bot may not write in this chat: {plain(text)}", _SILENCED)
    if has(_CHAT_GONE):
        return PlaceGone(f"The chat cannot be reached: {plain(text)}", _REMOVED)
    if "no text in the message" in words:
        return NoTextThere(said)
    if has(_PHOTO):
        return PhotoRefused(said)
    if "file is too big" in words:
        return FileTooBig(said)
    if has(_NO_FORUM):
        return NoForum("The chat has no topics")
    if has(_NO_RIGHT):
        return NoRight(f"The bot may not do this here: {plain(text)}", _ADMIN if "topic" in words else _SILENCED)
    if has(_REACTION):
        return ReactionRefused(said)
    if has(_FORMAT):
        return ChatFormat(said)
    return ChatError(said)


def around(place: Place | None) -> Place | None:
    """The chat a thread is in; None when `place` is that chat."""
    return Place(place.platform, place.chat) if place and place.thread else None


def plain(text: str) -> str:
    """Without the prefix all of them have, on one line."""
    return " ".join(text.removeprefix("Bad Request: ").removeprefix("Forbidden: ").split())[:200] or "no reason given"
