"""Updates become core's events; nothing that comes from outside raises."""

from __future__ import annotations

import copy
import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.telegram import parse as parsing
from adapters.telegram.parse import Broken, Ignored, Lost, Moved, number, parse
from core.model import Inbound, Place
from core.ports import Press
from tests.unit.telegram.telegram_updates import (
    ALICE,
    BOT,
    DATE,
    FORUM,
    GROUP,
    ME,
    PRIVATE,
    in_topic,
    membership,
    mention,
    message,
    press,
)

CHANNEL = {"id": -9, "type": "channel"}


def inbound(raw: dict[str, Any]) -> Inbound:
    event = parse(raw, ME)
    assert isinstance(event, Inbound), event
    return event


def ignored(raw: dict[str, Any]) -> Ignored:
    event = parse(raw, ME)
    assert isinstance(event, Ignored), event
    return event


def test_a_private_message() -> None:
    got = inbound(message("fix the login"))
    assert got.event_id == "m:1001:42"
    assert got.place == Place("telegram", "1001")
    assert (got.person.id, got.person.name) == ("telegram:1001", "Alice Arndt")
    assert (got.text, got.message, got.reply_to) == ("fix the login", "42", "")
    assert got.at == datetime.fromtimestamp(DATE, UTC)
    assert got.direct
    assert got.addressed
    assert not got.edited
    assert got.joins == 0


@pytest.mark.parametrize(
    ("text", "said", "addressed"),
    [
        ("/status", "/status", True),
        ("/status@kugetsu_bot", "/status", True),
        ("/status@KuGetsu_Bot  now", "/status  now", True),
        ("/nonsense", "/nonsense", True),
        ("!status", "!status", True),
        ("!nonsense", "!nonsense", False),
        ("!nonsense@kugetsu_bot", "!nonsense", True),
        ("@kugetsu_bot fix it", "fix it", True),
        ("@kugetsu_bot, fix it", "fix it", True),
        ("@kugetsu_bot: /stop", "/stop", True),
        ("@kugetsu_bot", "", True),
        ("@somebody fix it", "@somebody fix it", False),
        ("plain words", "plain words", False),
        ("/etc/hosts is wrong", "/etc/hosts is wrong", False),
    ],
)
def test_what_a_group_says_to_the_bot(text: str, said: str, addressed: bool) -> None:
    got = inbound(message(text, GROUP))
    assert (got.text, got.addressed, got.direct) == (said, addressed, False)


def test_a_mention_within_the_text_counts_in_utf_16() -> None:
    text = "👩‍💻 ask @kugetsu_bot 🙂"
    got = inbound(message(text, GROUP, entities=mention(text)))
    assert (got.text, got.addressed) == (text, True)
    assert not inbound(message("mail a@kugetsu_bot.org", GROUP)).addressed
    by_id = [{"type": "text_mention", "offset": 0, "length": 3, "user": BOT}]
    assert inbound(message("Bot fix it", GROUP, entities=by_id)).addressed


def test_commands_for_other_bots_are_theirs() -> None:
    assert ignored(message("/start@other_bot", GROUP)).why == "a command for another bot"
    assert ignored(message("/start@other_bot")).why == "a command for another bot"


@pytest.mark.parametrize("text", ["/start", "/start issue-14"])
def test_start_is_handed_over_as_it_is(text: str) -> None:
    assert inbound(message(text)).text == text


def test_a_reply_to_the_bot_is_meant_for_it() -> None:
    answered = {"message_id": 40, "from": BOT, "chat": GROUP, "date": DATE, "text": "Done"}
    got = inbound(message("and now?", GROUP, reply_to_message=answered))
    assert (got.addressed, got.reply_to, got.place.thread) == (True, "40", "")
    other = answered | {"from": ALICE}
    assert not inbound(message("and now?", GROUP, reply_to_message=other)).addressed


def test_topics_are_threads_and_their_root_is_no_reply() -> None:
    got = inbound(message("go on", FORUM, **in_topic(7)))
    assert (got.place, got.reply_to, got.addressed) == (Place("telegram", "-1001234567890", "7"), "", False)
    answered = {"message_id": 9, "from": BOT, "chat": FORUM, "date": DATE, "text": "Done"}
    got = inbound(message("go on", FORUM, **in_topic(7, reply_to_message=answered)))
    assert (got.place.thread, got.reply_to, got.addressed) == ("7", "9", True)


def test_the_general_topic_is_the_chat_itself() -> None:
    got = inbound(message("hello", FORUM, message_thread_id=1, is_topic_message=True))
    assert got.place == Place("telegram", "-1001234567890")


def test_a_thread_number_in_a_group_without_topics_is_none() -> None:
    got = inbound(message("hello", {**FORUM, "is_forum": False}, message_thread_id=30))
    assert got.place.thread == ""


def test_a_topic_in_a_private_chat() -> None:
    got = inbound(message("hello", message_thread_id=12, is_topic_message=True))
    assert (got.place.thread, got.direct) == ("12", True)


def test_an_edit_is_another_event_of_the_same_message() -> None:
    first = inbound(message("a", kind="edited_message", edit_date=DATE + 5))
    second = inbound(message("b", kind="edited_message", edit_date=DATE + 5))
    assert first.edited
    assert first.message == "42"
    assert first.at.timestamp() == DATE + 5
    assert len({first.event_id, second.event_id, "m:1001:42"}) == 3
    assert (
        first.event_id == inbound({**message("a", kind="edited_message", edit_date=DATE + 5), "update_id": 9}).event_id
    )


def test_a_message_that_comes_again_under_another_number_is_the_same() -> None:
    assert inbound(message("a")).event_id == inbound({**message("a"), "update_id": 99}).event_id


@pytest.mark.parametrize(
    ("media", "name", "mime", "voice"),
    [
        ({"photo": [{"file_id": "s", "width": 90, "height": 60}, {"file_id": "f", "width": 900, "height": 600}]},
         "photo-42.jpg", "image/jpeg", False),
        ({"voice": {"file_id": "f", "duration": 3, "mime_type": "audio/ogg"}}, "voice-42.ogg", "audio/ogg", True),
        ({"video_note": {"file_id": "f", "length": 240, "duration": 3}}, "video-note-42.mp4", "video/mp4", False),
        ({"audio": {"file_id": "f", "file_name": "song.mp3"}}, "song.mp3", "audio/mpeg", False),
        ({"video": {"file_id": "f"}}, "video-42.mp4", "video/mp4", False),
        ({"document": {"file_id": "f", "file_name": "a/../b.txt", "mime_type": "TEXT/Plain"}},
         "a/../b.txt", "text/plain", False),
        ({"document": {"file_id": "f"}}, "file-42", "application/octet-stream", False),
        ({"animation": {"file_id": "f"}, "document": {"file_id": "d"}}, "animation-42.mp4", "video/mp4", False),
        ({"sticker": {"file_id": "f"}}, "sticker-42.webp", "image/webp", False),
        ({"sticker": {"file_id": "f", "is_video": True}}, "sticker-42.webm", "video/webm", False),
    ],
)  # fmt: skip
def test_files(media: dict[str, Any], name: str, mime: str, voice: bool) -> None:
    got = inbound(message(caption="look", **media))
    assert got.text == "look"
    (file,) = got.files
    assert (file.id, file.name, file.mime, file.voice) == ("f", name, mime, voice)
    assert inbound(message(**media)).text == ""


def test_a_caption_is_for_the_bot_like_a_text() -> None:
    caption = "for you @kugetsu_bot"
    photo = [{"file_id": "f", "file_size": 10}]
    got = inbound(message(chat=GROUP, photo=photo, caption=caption, caption_entities=mention(caption)))
    assert (got.text, got.addressed, got.files[0].size) == (caption, True, 10)


@pytest.mark.parametrize(
    ("raw", "joins"),
    [
        (message("x" * 3999), 0.0),
        (message("x" * 4000), 1.5),
        (message("🙂" * 2000), 1.5),
        (message(photo=[{"file_id": "f"}], media_group_id="1"), 1.5),
        (message("x", forward_origin={"type": "hidden_user", "sender_user_name": "Bob", "date": 1}), 1.5),
        (message("x" * 4000, kind="edited_message", edit_date=DATE), 0.0),
    ],
)
def test_what_another_message_may_belong_to(raw: dict[str, Any], joins: float) -> None:
    assert inbound(raw).joins == joins


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ({"type": "user", "sender_user": ALICE}, "Alice Arndt"),
        ({"type": "hidden_user", "sender_user_name": "Bob\nBobson"}, "Bob Bobson"),
        ({"type": "channel", "chat": {"id": -1, "type": "channel", "title": "News"}}, "News"),
        ({"type": "chat", "sender_chat": GROUP}, "Team"),
        ({"type": "new"}, "somebody"),
    ],
)
def test_forwards_say_whose_words_they_are(origin: dict[str, Any], name: str) -> None:
    assert inbound(message("/stop", forward_origin={**origin, "date": 1})).text == f"> Forwarded from {name}:\n\n/stop"


def test_a_quoted_part_stands_before_the_text_but_never_before_a_command() -> None:
    quote = {"text": "line one\nline two", "position": 0, "is_manual": True}
    assert inbound(message("why?", quote=quote)).text == "> line one\n> line two\n\nwhy?"
    assert inbound(message("/stop", quote=quote)).text == "/stop"


@pytest.mark.parametrize(
    ("raw", "why", "tells"),
    [
        (message("hi", GROUP, sender_chat=GROUP), "an anonymous administrator", False),
        (message("/status", GROUP, sender_chat=GROUP), "an anonymous administrator", True),
        (message("/status", GROUP, sender_chat=CHANNEL), "somebody who writes as a channel", True),
        (message("hi", GROUP, sender_chat=CHANNEL, is_automatic_forward=True), "a post of the linked channel", False),
        (message("hi", CHANNEL), "a post in a channel", False),
        (message("/status", GROUP, **{"from": {**BOT, "id": 5}}), "a message of another bot", False),
        (message(poll={"id": "1"}), "a poll, which cannot be read", True),
        (message(chat=GROUP, poll={"id": "1"}), "a poll, which cannot be read", False),
        (message(new_chat_members=[ALICE], chat=GROUP), "a service message", False),
        (message(forum_topic_closed={}, chat=FORUM, **in_topic(7)), "a service message", False),
        ({"update_id": 1, "inline_query": {}}, "an update of a kind nobody asked for: inline_query", False),
        (membership("administrator"), "the bot is administrator of a chat now", False),
        (press(""), "a button that is none of ours", False),
    ],
)  # fmt: skip
def test_what_is_ignored_and_who_is_told(raw: dict[str, Any], why: str, tells: bool) -> None:
    got = ignored(raw)
    assert (got.why, bool(got.tell)) == (why, tells)


def test_a_migration_is_told_from_both_sides() -> None:
    moved = Moved("-5001", "-1001234567890")
    assert parse(message(chat=GROUP, migrate_to_chat_id=-1001234567890), ME) == moved
    assert parse(message(chat=FORUM, migrate_from_chat_id=-5001), ME) == moved


def test_being_put_out() -> None:
    assert parse(membership("kicked"), ME) == Lost(
        Place("telegram", "-5001"), "Alice Arndt removed the bot from the chat"
    )
    assert parse(membership("left"), ME) == Lost(
        Place("telegram", "-5001"), "Alice Arndt removed the bot from the chat"
    )
    assert parse(membership("kicked", PRIVATE), ME) == Lost(Place("telegram", "1001"), "Alice Arndt blocked the bot")


def test_a_press_knows_its_message() -> None:
    got = parse(press("b1", FORUM, **in_topic(7)), ME)
    assert isinstance(got, Press)
    assert (got.id, got.button, got.message) == ("cb:9", "b1", "43")
    assert got.place == Place("telegram", "-1001234567890", "7")
    assert got.person.id == "telegram:1001"
    old = parse({"callback_query": {"id": "9", "from": ALICE, "data": "x", "message": {
        "chat": GROUP, "message_id": 3, "date": 0}}}, ME)  # fmt: skip
    assert isinstance(old, Press)
    assert old.place == Place("telegram", "-5001")


@pytest.mark.parametrize(
    "raw",
    [None, 5, "text", [], {}, {"update_id": 1}, {"message": 5}, {"message": {}}, {"message": {"message_id": "x"}},
     message("x", date=10**30), message(text=7), message("x", {"id": "a", "type": "private"})],  # type: ignore[arg-type]
)  # fmt: skip
def test_what_is_malformed_is_said(raw: Any) -> None:
    assert isinstance(parse(raw, ME), Broken | Ignored)


def test_half_characters_do_not_get_any_further() -> None:
    got = inbound(message("a \ud83d b", **{"from": {**ALICE, "first_name": "A\udc00\u202e\nB"}}))
    assert got.text == "a \ufffd b"
    assert got.person.name == "A\ufffd B Arndt"
    json.dumps(got.text, ensure_ascii=False).encode()


def test_numbers_of_updates() -> None:
    assert number({"update_id": 5}) == 5
    wrong: list[object] = [
        None,
        [],
        {"update_id": "5"},
        {"update_id": True},
        {"update_id": -1},
        {"update_id": 2**40},
        {},
    ]
    assert [number(raw) for raw in wrong] == [None] * 7


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
REAL = [
    message("@kugetsu_bot hello 🙂", GROUP, entities=mention("@kugetsu_bot hello 🙂")),
    message("hi", FORUM, **in_topic(7, quote={"text": "q"}, forward_origin={"type": "user", "sender_user": ALICE})),
    message(photo=[{"file_id": "f", "width": 1, "height": 2}], media_group_id="1", caption="c", caption_entities=[]),
    message("b", kind="edited_message", edit_date=DATE),
    message(chat=GROUP, sender_chat=GROUP, text="/stop"),
    message(chat=GROUP, migrate_to_chat_id=-100),
    press("b1", FORUM, **in_topic(7)),
    membership("kicked"),
]


@settings(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries({}, optional={"update_id": JSON, "message": JSON, "callback_query": JSON, "x": JSON}) | JSON
)
def test_any_json_is_survived(raw: Any) -> None:
    number(raw)
    assert isinstance(parse(raw, ME), parsing.Event)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(REAL), st.integers(0, 2**32), JSON, st.integers(1, 3))
def test_any_spoiled_update_is_survived(update: dict[str, Any], seed: int, spoil: Any, times: int) -> None:
    chance = random.Random(seed)
    update = copy.deepcopy(update)
    for _ in range(times):
        node: Any = update
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = chance.choice(keys)
            if isinstance(node[key], dict | list) and chance.random() < 0.8:
                node = node[key]
                continue
            if chance.random() < 0.3 and isinstance(node, dict):
                del node[key]
            else:
                node[key] = spoil
            break
    event = parse(update, ME)
    assert isinstance(event, parsing.Event)
    if isinstance(event, Inbound):
        event.text.encode()
        event.person.name.encode()
