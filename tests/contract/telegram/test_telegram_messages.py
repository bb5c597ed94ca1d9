"""Messages out: what is shown, and what each trouble means for core."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.errors import (
    ChatDenied,
    ChatDoubt,
    ChatError,
    ChatFormat,
    ChatLimited,
    ChatUnreachable,
    MessageGone,
    PlaceGone,
)
from core.messages import Mark, Outgoing, Page
from core.model import Button
from tests.contract.telegram.telegram_labs import Lab, place, turn

saying = Lab.saying


async def test_a_page_is_shown_with_its_formatting_and_buttons(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    question = await lab.sim.say(alice, chat, "hello?")
    async with lab.connected() as messenger:
        (page,) = messenger.pages("**bold** 🙂 `code`\n\n```py\nx = 1\n```\n[docs](https://example.org/)")
        rows = ((Button("a", "Yes"), Button("b", "No")), (Button("c", "Later"),))
        number = await messenger.send(place(chat), Outgoing(page, rows, reply_to=str(question.id)), "k")
    shown = chat.messages[int(number)]
    kinds = [(entity["type"], entity.get("language") or entity.get("url", "")) for entity in shown.entities]
    assert kinds == [("bold", ""), ("code", ""), ("pre", "py"), ("text_link", "https://example.org/")]
    assert [[button["text"] for button in row] for row in shown.markup["inline_keyboard"]] == [["Yes", "No"], ["Later"]]
    assert (shown.reply_to, shown.silent, shown.preview) == (question.id, False, {"is_disabled": True})


async def test_silence_and_replies_to_what_is_gone(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    await lab.sim.say(alice, chat, "hello")
    async with lab.connected() as messenger:
        number = await messenger.send(place(chat), saying("quiet", silent=True, reply_to="99999"), "k")
    shown = chat.messages[int(number)]
    assert (shown.silent, shown.reply_to) == (True, None)


async def test_plain_text_calls_nobody(lab: Lab) -> None:
    chat = lab.sim.group("Team", [lab.sim.user("Alice"), lab.sim.user("Bob")])
    async with lab.connected() as messenger:
        await messenger.send(place(chat), saying("ask @bob or bob@example.org"), "k")
        for page in messenger.pages("ask @bob and `@bob`"):
            await messenger.send(place(chat), Outgoing(page), "k")
            await messenger.send(place(chat), Outgoing(page.plain), "k")
    for shown in lab.sim.messages(chat):
        assert not [entity for entity in shown.entities if entity["type"] == "mention"]


async def test_pages_leave_room_and_nothing_empty_is_made(lab: Lab) -> None:
    messenger = lab.messenger()
    pages = messenger.pages("word " * 3000)
    assert len(pages) == 4
    assert all(0 < len(page.text) <= 4096 - 40 for page in pages)
    assert messenger.pages("  \n") == []
    assert messenger.live_page("**head**", ["a", "b"], "body " * 2000).text.startswith("head\na\nb\n\n…")
    await messenger.close()


async def test_edits(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    said = await lab.sim.say(alice, chat, "hello")
    async with lab.connected() as messenger:
        number = await messenger.send(place(chat), saying("one", "Stop"), "k")
        await messenger.edit(place(chat), number, saying("two"))
        await messenger.edit(place(chat), number, saying("two"))  # the same is no error
        shown = chat.messages[int(number)]
        assert (shown.text, shown.buttons) == ("two", [])
        await lab.sim.delete(alice, shown)
        for gone in (number, "99999", str(said.id)):
            with pytest.raises(MessageGone):
                await messenger.edit(place(chat), gone, saying("three"))


async def test_drafts(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    await lab.sim.say(alice, chat, "hello")
    async with lab.connected() as messenger:
        (page,) = messenger.pages("**so** far")
        await messenger.draft(place(chat), 7, page)
        (draft,) = chat.drafts.values()
        assert (draft.id, draft.text, draft.entities[0]["type"]) == (7, "so far", "bold")
        await messenger.send(place(chat), saying("done"), "k")
        assert not chat.drafts


async def test_reactions(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    said = await lab.sim.say(alice, chat, "hello")
    async with lab.connected() as messenger:
        seen = []
        for mark in Mark:
            await messenger.react(place(chat), str(said.id), mark)
            seen += [reaction["emoji"] for reaction in said.reactions[lab.sim.bot.id]]
        assert seen == ["👀", "👌", "💔"]
        await messenger.react(place(chat), "99999", Mark.SEEN)
        lab.sim.faults.add("error", method="setMessageReaction", code=400, description="Bad Request: REACTION_INVALID")
        before = len(lab.sim.calls("setMessageReaction"))
        for _ in range(3):
            await messenger.react(place(chat), str(said.id), Mark.SEEN)
        assert len(lab.sim.calls("setMessageReaction")) == before + 1


FAULTS: list[tuple[dict[str, Any], type[ChatError], type[ChatError]]] = [
    ({"kind": "drop"}, ChatDoubt, ChatUnreachable),
    ({"kind": "drop_after"}, ChatDoubt, ChatUnreachable),
    ({"kind": "hang"}, ChatDoubt, ChatUnreachable),
    ({"kind": "garbage"}, ChatDoubt, ChatUnreachable),
    ({"kind": "error", "code": 502}, ChatDoubt, ChatUnreachable),
    ({"kind": "error", "code": 500, "description": "Internal Server Error"}, ChatDoubt, ChatUnreachable),
    ({"kind": "error", "code": 403}, ChatUnreachable, ChatUnreachable),
    ({"kind": "too_many", "retry_after": 300}, ChatLimited, ChatLimited),
    ({"kind": "error", "code": 401, "description": "Unauthorized"}, ChatDenied, ChatDenied),
    ({"kind": "error", "code": 403, "description": "Forbidden: bot was blocked by the user"}, PlaceGone, PlaceGone),
    ({"kind": "error", "code": 400, "description": "Bad Request: BUTTON_DATA_INVALID"}, ChatFormat, ChatFormat),
    ({"kind": "error", "code": 400, "description": "Bad Request: something new"}, ChatError, ChatError),
    ({"kind": "error", "code": 404, "description": "Not Found: method not found"}, ChatError, ChatError),
]


@pytest.mark.parametrize(("fault", "sending", "editing"), FAULTS, ids=[str(fault[0]) for fault in FAULTS])
async def test_what_a_trouble_means(
    lab: Lab, fault: dict[str, Any], sending: type[ChatError], editing: type[ChatError]
) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    await lab.sim.say(alice, chat, "hello")
    fault = dict(fault)
    kind = fault.pop("kind")
    async with lab.connected() as messenger:
        number = await messenger.send(place(chat), saying("one"), "k")
        lab.sim.faults.add(kind, method="sendMessage", **fault)
        with pytest.raises(ChatError) as caught:
            await messenger.send(place(chat), saying("two"), "k")
        assert type(caught.value) is sending
        assert lab.sim.token not in f"{caught.value}{caught.value.hint}{caught.value.__cause__!r}"
        if isinstance(caught.value, ChatLimited):
            assert caught.value.retry_after == 300
        lab.sim.faults.add(kind, method="editMessageText", **fault)
        with pytest.raises(ChatError) as caught:
            await messenger.edit(place(chat), number, saying("two"))
        assert type(caught.value) is editing
        await messenger.send(place(chat), saying("afterwards all is well"), "k")


async def test_nobody_there_is_no_doubt(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    async with lab.connected() as messenger:
        await lab.sim.stop()
        with pytest.raises(ChatUnreachable, match="cannot be reached") as caught:
            await messenger.send(place(lab.sim.private(alice)), saying("hello"), "k")
        assert type(caught.value) is ChatUnreachable


async def test_places_that_are_gone(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    chat, forum = lab.sim.private(alice), lab.sim.forum("Forum", [alice])
    group = lab.sim.group("Team", [alice])
    async with lab.connected() as messenger:
        thread = await messenger.open_thread(place(forum), "#14", "")
        with pytest.raises(PlaceGone):
            await messenger.send(place(lab.sim.private(lab.sim.user("Bob"), started=False)), saying("hi"), "k")
        await lab.sim.say(alice, chat, "hi")
        await lab.sim.block(alice)
        with pytest.raises(PlaceGone) as caught:
            await messenger.send(place(chat), saying("hi"), "k")
        assert caught.value.instead is None
        await lab.sim.delete_topic(int(thread.thread), alice, chat=forum)
        with pytest.raises(PlaceGone) as caught:
            await messenger.send(thread, saying("hi"), "k")
        assert caught.value.instead == place(forum)
        new = await lab.sim.migrate(group, alice)
        with pytest.raises(PlaceGone) as caught:
            await messenger.send(place(group, "r5"), saying("hi"), "k")
        assert caught.value.instead == place(new, "r5")
        await lab.sim.restrict_bot(new, alice)
        with pytest.raises(PlaceGone) as caught:
            await messenger.send(place(new), saying("hi"), "k")
        assert "Allow the bot" in caught.value.hint
        await lab.sim.kick_bot(new, alice)
        with pytest.raises(PlaceGone):
            await messenger.send(place(new), saying("hi"), "k")


async def test_formatting_that_is_refused(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    await lab.sim.say(alice, chat, "hello")
    async with lab.connected() as messenger:
        for wrong in (saying("x" * 4097), Outgoing(Page("x"), ((Button("b" * 65, "B"),),))):
            with pytest.raises(ChatFormat):
                await messenger.send(place(chat), wrong, "k")


async def test_a_message_in_doubt_is_found(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    await lab.sim.say(alice, chat, "hello")
    async with lab.connected() as messenger:
        last = await messenger.send(place(chat), saying("before"), "first")
        wanted = saying("the answer", "Retry")
        assert await messenger.find(place(chat), wanted, "k", "", turn) is None
        assert await messenger.find(place(chat), wanted, "k", last, turn) is None
        await lab.sim.say(alice, chat, "well?")
        lab.sim.faults.add("drop_after", method="sendMessage")
        with pytest.raises(ChatDoubt):
            await messenger.send(place(chat), wanted, "k")
        found = await messenger.find(place(chat), wanted, "k", last, turn)
        assert found is not None
        assert chat.messages[int(found)].text == "the answer"
        assert not chat.messages[int(found)].history  # it was left as it is
        lab.known.add((str(chat.id), found))
    async with lab.connected() as after_a_restart:
        assert await after_a_restart.find(place(chat), wanted, "other", last, turn) is None


async def test_what_this_process_has_sent_is_known_and_left_alone(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    await lab.sim.say(alice, chat, "hello")
    async with lab.connected() as messenger:
        last = await messenger.send(place(chat), saying("before"), "first")
        second = await messenger.send(place(chat), saying("second"), "second")
        calls = len(lab.sim.calls())
        assert await messenger.find(place(chat), saying("second"), "second", last, turn) == second
        assert len(lab.sim.calls()) == calls
        assert await messenger.find(place(chat), saying("third"), "third", last, turn) is None
    assert chat.messages[int(second)].text == "second"


async def test_a_message_on_its_way_is_not_taken_for_the_one_looked_for(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    await lab.sim.say(alice, chat, "hello")
    async with lab.connected() as messenger:
        last = await messenger.send(place(chat), saying("before"), "first")
        lab.sim.faults.add("slow_after", method="sendMessage", seconds=0.2)
        sending = asyncio.create_task(messenger.send(place(chat), saying("second"), "second"))
        await lab.sim.wait_for(lambda sim: sim.find("second"))
        assert await messenger.find(place(chat), saying("third"), "third", last, turn) is None
        assert chat.messages[int(await sending)].text == "second"


async def test_a_message_nobody_wrote_down_becomes_the_wanted_one(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    await lab.sim.say(alice, chat, "hello")
    async with lab.connected() as dead:
        last = await dead.send(place(chat), saying("before"), "first")
        lost = await dead.send(place(chat), saying("half of the ans"), "k")
    async with lab.connected() as messenger:
        assert await messenger.find(place(chat), saying("the answer"), "k", last, turn) == lost
    assert chat.messages[int(lost)].text == "the answer"


async def test_what_belongs_to_another_topic_is_taken_back(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    forum = lab.sim.forum("Forum", [alice])
    async with lab.connected() as dead:
        one = await dead.open_thread(place(forum), "#1", "")
        two = await dead.open_thread(place(forum), "#2", "")
        last = await dead.send(one, saying("before"), "k0")
        other = await dead.send(two, saying("answer of two"), "k2")
        mine = await dead.send(one, saying("answer of one"), "k1")
    async with lab.connected() as messenger:
        assert await messenger.find(one, saying("answer of one"), "k1", last, turn) == mine
        assert forum.messages[int(other)].deleted is not None
        assert await messenger.find(two, saying("answer of two"), "k2", other, turn) is None


async def test_looking_makes_few_calls_and_takes_turns(lab: Lab) -> None:
    chat = lab.sim.private(lab.sim.user("Alice"))
    turns = 0

    def counted() -> Any:
        nonlocal turns
        turns += 1
        return turn()

    async with lab.connected() as messenger:
        assert await messenger.find(place(chat), saying("x"), "k", "500", counted) is None
        lab.sim.faults.add("too_many", method="editMessageText", retry_after=3)
        with pytest.raises(ChatLimited):
            await messenger.find(place(chat), saying("x"), "k", "500", counted)
    assert turns == len(lab.sim.calls("editMessageText")) == 9


async def test_in_a_supergroup_looking_ends_where_nothing_was_sent(lab: Lab) -> None:
    forum = lab.sim.forum("Forum", [lab.sim.user("Alice")])
    async with lab.connected() as messenger:
        sent = int(await messenger.send(place(forum), saying("known"), "k0"))
        await lab.sim.say(lab.sim.user("Bob"), forum, "not for the bot")
    unknown = await lab.sim.say(lab.sim.user("Carol"), forum, "neither")
    async with lab.connected() as messenger:  # another process: it knows nothing of them
        assert await messenger.find(place(forum), saying("x"), "k", str(sent), turn) is None
    tried = [int(call.params["message_id"]) for call in lab.sim.calls("editMessageText")]
    assert tried == list(range(sent + 1, unknown.id + 4))


async def test_topics_are_opened_renamed_closed_and_opened_again(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    forum = lab.sim.forum("Forum", [alice])
    async with lab.connected() as messenger:
        thread = await messenger.open_thread(place(forum), "#14 " + "long " * 40, "5")
        topic = forum.topics[int(thread.thread)]
        assert len(topic.name) == 128
        await messenger.rename_thread(thread, "#14 short")
        await messenger.rename_thread(thread, "#14 short")
        assert topic.name == "#14 short"
        assert messenger.link(thread) == f"https://t.me/c/{str(forum.id)[4:]}/{topic.id}"
        await messenger.close_thread(thread)
        await messenger.close_thread(thread)
        assert topic.closed
        lab.sim.faults.add("error", method="sendMessage", code=400, description="Bad Request: TOPIC_CLOSED")
        await messenger.send(thread, saying("after all"), "k")
        assert not topic.closed
        await lab.sim.close_topic(topic, alice, chat=forum)
        await lab.sim.demote_bot(forum, alice)
        topic.creator_id = alice.id
        with pytest.raises(PlaceGone) as caught:
            await messenger.send(thread, saying("hello?"), "k")
        assert caught.value.instead == place(forum)
        await lab.sim.delete_topic(topic, alice, chat=forum)
        await messenger.rename_thread(thread, "#14")
        await messenger.close_thread(thread)


async def test_a_forum_where_topics_are_forbidden_has_reply_chains_and_says_so_once(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    forum = lab.sim.forum("Forum", [alice], bot="member")
    async with lab.connected() as messenger:
        for _ in range(2):
            assert await messenger.open_thread(place(forum), "#14", "5") == place(forum, "r5")
    assert len(lab.notices) == 1
    assert "administrator" in lab.notices[0]


async def test_chats_without_topics_have_reply_chains(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    async with lab.connected() as messenger:
        for chat in (lab.sim.private(alice), lab.sim.group("A", [alice]), lab.sim.supergroup("B", [alice])):
            said = await lab.sim.say(alice, chat, "/start x#1")
            thread = await messenger.open_thread(place(chat), "#1", str(said.id))
            assert thread == place(chat, f"r{said.id}")
            number = await messenger.send(thread, saying("working"), "k")
            assert chat.messages[int(number)].reply_to == said.id
            await messenger.rename_thread(thread, "x")
            await messenger.close_thread(thread)
            assert messenger.is_direct(thread) == chat.private
            assert messenger.link(thread) == messenger.link(place(chat)) == ""
    assert lab.sim.calls("closeForumTopic") == []


async def test_topics_in_private_chats_where_enabled(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    lab.sim.world.has_topics = True
    await lab.sim.say(alice, chat, "/start")
    async with lab.connected() as messenger:
        thread = await messenger.open_thread(place(chat), "#1", "5")
        assert int(thread.thread) in chat.topics
        await messenger.draft(thread, 3, Page("so far"))
        number = await messenger.send(thread, saying("done"), "k")
        await messenger.close_thread(thread)
    assert chat.messages[int(number)].thread == int(thread.thread)
    assert not chat.drafts


async def test_limits(lab: Lab) -> None:
    messenger = lab.messenger()
    private, group = place(lab.sim.private(lab.sim.user("A"))), place(lab.sim.group("B"))
    assert [(limit.calls, limit.seconds) for limit in messenger.limits(private)] == [(1, 1.0)]
    assert [(limit.calls, limit.seconds) for limit in messenger.limits(group)] == [(20, 60.0)]
    threads = {messenger.limits(place(lab.sim.group("C"), thread))[0].calls for thread in ("", "5", "r5")}
    assert threads == {20}
    assert [(limit.calls, limit.seconds) for limit in messenger.account_limits()] == [(25, 1.0)]
    await messenger.close()


async def test_many_at_once(lab: Lab) -> None:
    chats = [lab.sim.private(lab.sim.user(f"U{i}")) for i in range(80)]
    for chat in chats:
        await lab.sim.say(chat.user, chat, "hello")
    async with lab.connected() as messenger:
        await asyncio.gather(*(messenger.send(place(chat), saying("hi"), "k") for chat in chats))
    assert len([chat for chat in chats if lab.sim.find("hi", chat)]) == 80
