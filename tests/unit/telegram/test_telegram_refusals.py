"""Telegram's own words, and what core makes of them."""

from __future__ import annotations

import pytest

from adapters.telegram import refusals
from core.errors import ChatError, ChatFormat, MessageGone, PlaceGone
from core.model import Place

TOPIC = Place("telegram", "-1001", "7")

WORDS: list[tuple[str, type[ChatError]]] = [
    ("message is not modified: specified new message content and reply markup are exactly the same as a current "
     "content and reply markup of the message", refusals.Unchanged),
    ("MESSAGE_NOT_MODIFIED", refusals.Unchanged),
    ("TOPIC_NOT_MODIFIED", refusals.Unchanged),
    ("message to edit not found", refusals.NoSuchMessage),
    ("message can't be edited", MessageGone),
    ("MESSAGE_ID_INVALID", MessageGone),
    ("message to react not found", refusals.NoSuchMessage),
    ("message thread not found", PlaceGone),
    ("TOPIC_DELETED", PlaceGone),
    ("TOPIC_ID_INVALID", PlaceGone),
    ("TOPIC_CLOSED", refusals.TopicClosed),
    ("chat not found", PlaceGone),
    ("group chat was deactivated", PlaceGone),
    ("PEER_ID_INVALID", PlaceGone),
    ("CHAT_WRITE_FORBIDDEN", PlaceGone),
    ("not enough rights to send text messages to the chat", PlaceGone),
    ("have no rights to send a message", PlaceGone),
    ("need administrator rights in the channel chat", PlaceGone),
    ("not enough rights to send documents to the chat", refusals.NoRight),
    ("not enough rights to create a topic", refusals.NoRight),
    ("the chat is not a forum", refusals.NoForum),
    ("the chat is not a supergroup forum", refusals.NoForum),
    ("can't parse entities: unsupported start tag", ChatFormat),
    ("ENTITY_BOUNDS_INVALID", ChatFormat),
    ("BUTTON_DATA_INVALID", ChatFormat),
    ("BUTTON_URL_INVALID", ChatFormat),
    ("REPLY_MARKUP_TOO_LONG", ChatFormat),
    ("message is too long", ChatFormat),
    ("MESSAGE_TOO_LONG", ChatFormat),
    ("message caption is too long", ChatFormat),
    ("inline keyboard expected", ChatFormat),
    ("there is no text in the message to edit", refusals.NoTextThere),
    ("IMAGE_PROCESS_FAILED", refusals.PhotoRefused),
    ("PHOTO_INVALID_DIMENSIONS", refusals.PhotoRefused),
    ("file of size 11000000 bytes is too big for a photo; the maximum size is 10485760 bytes", refusals.PhotoRefused),
    ("file is too big", refusals.FileTooBig),
    ("REACTION_INVALID", refusals.ReactionRefused),
    ("REACTIONS_TOO_MANY", refusals.ReactionRefused),
    ("message text is empty", ChatError),
    ("query is too old and response timeout expired or query ID is invalid", ChatError),
    ("wrong file_id or the file is temporarily unavailable", ChatError),
    ("", ChatError),
]  # fmt: skip


@pytest.mark.parametrize(("words", "kind"), WORDS, ids=[words[:30] for words, _ in WORDS])
@pytest.mark.parametrize("prefix", ["Bad Request: ", ""])
def test_words(words: str, kind: type[ChatError], prefix: str) -> None:
    error = refusals.refused(prefix + words, TOPIC)
    assert type(error) is kind
    assert not error.retryable
    assert "Bad Request" not in str(error)


@pytest.mark.parametrize("words", ["TOPIC_CLOSED", "TOPIC_DELETED", "message thread not found"])
def test_around_a_thread_there_is_the_chat(words: str) -> None:
    for place, instead in ((TOPIC, Place("telegram", "-1001")), (Place("telegram", "-1001"), None), (None, None)):
        error = refusals.refused(words, place)
        assert isinstance(error, PlaceGone)
        assert error.instead == instead
