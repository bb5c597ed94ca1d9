"""Who is told what in which kind of chat, and how messages look."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulators.telegram import Chat, TelegramSimulator

from .conftest import Api


def received(sim: TelegramSimulator, kind: str = "message") -> list[dict[str, Any]]:
    return [update.body[kind] for update in sim.updates.all if update.kind == kind]


def texts(sim: TelegramSimulator) -> list[str]:
    return [message["text"] for message in received(sim) if "text" in message]


async def test_privacy_mode(sim: TelegramSimulator, api: Api) -> None:
    alice, bob = sim.user("Alice"), sim.user("Bob")
    group = sim.group("Group", [alice, bob])
    own = await api("sendMessage", chat_id=group.id, text="mine")
    await sim.say(alice, group, "plain")
    await sim.say(alice, group, "/start here")
    await sim.say(alice, group, "/start@kugetsu_bot there")
    await sim.say(alice, group, "/start@another_bot not")
    await sim.say(alice, group, "hello @kugetsu_bot")
    await sim.say(bob, group, "to you", reply_to=own["message_id"])
    assert texts(sim) == ["/start here", "/start@kugetsu_bot there", "hello @kugetsu_bot", "to you"]


async def test_bare_commands_go_to_the_bot_that_wrote_last(sim: TelegramSimulator, api: Api) -> None:
    alice = sim.user("Alice")
    other = sim.user("Other", "other_bot", is_bot=True)
    group = sim.group("Group", [alice, other])
    await sim.say(alice, group, "/one")
    await api("sendMessage", chat_id=group.id, text="mine")
    await sim.say(alice, group, "/two")
    await sim.say(other, group, "/three")
    await sim.say(alice, group, "/four")
    assert texts(sim) == ["/two"]


@pytest.mark.parametrize("how", ["administrator", "reads_all"])
async def test_without_privacy_everything_of_people_comes(sim: TelegramSimulator, how: str) -> None:
    alice = sim.user("Alice")
    other = sim.user("Other", is_bot=True)
    group = sim.supergroup("Group", [alice, other], bot="administrator" if how == "administrator" else "member")
    sim.world.reads_all = how == "reads_all"
    await sim.say(alice, group, "plain")
    await sim.say(other, group, "of a bot")
    assert texts(sim) == ["plain"]


async def test_an_anonymous_administrator(sim: TelegramSimulator) -> None:
    alice = sim.user("Alice")
    forum = sim.forum("Team", [alice])
    await sim.say(alice, forum, "who am I", anonymous=True)
    (message,) = received(sim)
    assert message["from"]["username"] == "GroupAnonymousBot"
    assert message["sender_chat"]["id"] == forum.id


async def test_a_channel(sim: TelegramSimulator, api: Api) -> None:
    alice = sim.user("Alice")
    channel = sim.channel("News", [alice])
    post = await sim.say(alice, channel, "news")
    await sim.edit(alice, post, "newer")
    assert received(sim, "channel_post")[0]["sender_chat"]["id"] == channel.id
    assert received(sim, "edited_channel_post")[0]["text"] == "newer"
    assert "from" not in await api("sendMessage", chat_id=channel.id, text="mine")


async def test_membership(sim: TelegramSimulator, api: Api) -> None:
    alice = sim.user("Alice")
    group = sim.supergroup("Group", [alice], bot="")
    assert (await api.refused("getChat", chat_id=group.id))["description"] == "Bad Request: chat not found"
    await sim.add_bot(group, alice)
    await sim.promote_bot(group, alice, ["can_manage_topics"])
    member = await api("getChatMember", chat_id=group.id, user_id=sim.bot.id)
    assert (member["status"], member["can_manage_topics"], member["can_delete_messages"]) == (
        "administrator",
        True,
        False,
    )
    await sim.kick_bot(group, alice)
    changes = [
        (u["old_chat_member"]["status"], u["new_chat_member"]["status"]) for u in received(sim, "my_chat_member")
    ]
    assert changes == [("left", "member"), ("member", "administrator"), ("administrator", "kicked")]
    assert [next(k for k in m if k.endswith(("_members", "left_chat_member"))) for m in received(sim)] == [
        "new_chat_members",
        "left_chat_member",
    ]


async def test_block_and_unblock(sim: TelegramSimulator, api: Api) -> None:
    alice = sim.user("Alice")
    chat = sim.private(alice)
    await sim.block(alice)
    assert (await api.refused("sendMessage", chat_id=chat.id, text="hi"))["error_code"] == 403
    await sim.unblock(alice)
    await api("sendMessage", chat_id=chat.id, text="hi")
    assert [u["new_chat_member"]["status"] for u in received(sim, "my_chat_member")] == ["kicked", "member"]


async def test_leaving(sim: TelegramSimulator, api: Api) -> None:
    alice = sim.user("Alice")
    group = sim.supergroup("Group", [alice])
    await api("leaveChat", chat_id=group.id)
    await sim.say(alice, group, "/start")
    assert texts(sim) == []
    assert received(sim, "my_chat_member")[0]["from"]["id"] == sim.bot.id


async def test_migration(sim: TelegramSimulator, api: Api) -> None:
    alice = sim.user("Alice")
    group = sim.group("Group", [alice])
    new = await sim.migrate(group)
    refused = await api.refused("sendMessage", chat_id=group.id, text="hi")
    assert refused["parameters"] == {"migrate_to_chat_id": new.id}
    assert [m.get("migrate_to_chat_id", m.get("migrate_from_chat_id")) for m in received(sim)] == [new.id, group.id]
    await api("sendMessage", chat_id=new.id, text="hi")


async def test_topics(sim: TelegramSimulator, api: Api) -> None:
    alice = sim.user("Alice")
    forum = sim.forum("Team", [alice])
    topic = await api("createForumTopic", chat_id=forum.id, name="  acme   #42 ", icon_color=0x6FB9F0)
    thread = topic["message_thread_id"]
    assert topic == {"message_thread_id": thread, "name": "acme #42", "icon_color": 0x6FB9F0}
    assert received(sim)[0]["forum_topic_created"]["name"] == "acme #42"  # a bot hears of its own topics
    said = await sim.say(alice, forum, "in it", thread=thread)
    assert received(sim)[1]["is_topic_message"]
    assert received(sim)[1]["reply_to_message"]["forum_topic_created"]
    reply = await api("sendMessage", chat_id=forum.id, text="answer", reply_parameters={"message_id": said.id})
    assert reply["message_thread_id"] == thread  # replies go where the message is
    await api("editForumTopic", chat_id=forum.id, message_thread_id=thread, name="renamed")
    await api("closeForumTopic", chat_id=forum.id, message_thread_id=thread)
    await api("sendMessage", chat_id=forum.id, message_thread_id=thread, text="administrators may")
    await api("reopenForumTopic", chat_id=forum.id, message_thread_id=thread)
    await api("deleteForumTopic", chat_id=forum.id, message_thread_id=thread)
    assert sim.messages(forum) == []
    assert (await api.refused("sendMessage", chat_id=forum.id, message_thread_id=thread, text="hi"))["description"] == (
        "Bad Request: message thread not found"
    )
    assert [e.data["change"] for e in sim.log.of("topic")] == [
        "created",
        "forum_topic_edited",
        "forum_topic_closed",
        "forum_topic_reopened",
        "deleted",
    ]


async def test_topics_in_private_chats(sim: TelegramSimulator, api: Api) -> None:
    sim.world.has_topics = True
    alice = sim.user("Alice")
    chat = sim.private(alice)
    assert (await api("getMe"))["has_topics_enabled"]
    thread = (await api("createForumTopic", chat_id=chat.id, name="New"))["message_thread_id"]
    await sim.say(alice, chat, "in it", thread=thread)
    assert received(sim)[-1]["message_thread_id"] == thread
    assert (await api("sendMessage", chat_id=chat.id, message_thread_id=thread, text="hi"))["is_topic_message"]
    refused = await api.refused("closeForumTopic", chat_id=chat.id, message_thread_id=thread)
    assert refused["description"] == "Bad Request: the chat is not a supergroup forum"


async def test_reply_threads_of_plain_supergroups_are_no_topics(sim: TelegramSimulator, api: Api) -> None:
    alice = sim.user("Alice")
    group = sim.supergroup("Group", [alice])
    first = await sim.say(alice, group, "/start")
    answer = await api("sendMessage", chat_id=group.id, text="yes", reply_parameters={"message_id": first.id})
    assert answer["message_thread_id"] == first.id
    assert "is_topic_message" not in answer
    loose = await api("sendMessage", chat_id=group.id, text="ignored", message_thread_id=first.id)
    assert "message_thread_id" not in loose


async def test_drafts_end(sim: TelegramSimulator, api: Api) -> None:
    alice = sim.user("Alice")
    chat = sim.private(alice)
    for number, text in ((1, ""), (1, "half"), (2, "other")):
        assert await api("sendMessageDraft", chat_id=chat.id, draft_id=number, text=text) is True
    assert [draft["text"] for draft in sim.chat_state(chat)["drafts"]] == ["other"]
    await api("sendMessage", chat_id=chat.id, text="whole")
    assert sim.chat_state(chat)["drafts"] == []
    await api("sendMessageDraft", chat_id=chat.id, draft_id=3, text="forgotten")
    sim.clock.push(31)
    assert sim.chat_state(chat)["drafts"] == []
    assert [e.data["change"] for e in sim.log.of("draft")][-3:] == ["sent", "shown", "expired"]


async def test_what_rings(sim: TelegramSimulator, api: Api) -> None:
    alice = sim.user("Alice")
    chat = sim.private(alice)
    live = await api("sendMessage", chat_id=chat.id, text="working", disable_notification=True)
    await api("editMessageText", chat_id=chat.id, message_id=live["message_id"], text="the answer")
    await api("sendMessage", chat_id=chat.id, text="the answer")
    assert len(sim.rings("the answer", chat)) == 1
    message = sim.messages(chat)[0]
    assert [revision.text for revision in message.history] == ["working"]
    assert message.text == "the answer"


async def test_people_edit_delete_paste_and_send_albums(sim: TelegramSimulator) -> None:
    alice = sim.user("Alice")
    chat = sim.private(alice)
    message = await sim.say(alice, chat, "first")
    await sim.edit(alice, message, "second")
    before = len(sim.updates.all)
    await sim.delete(alice, message)
    assert len(sim.updates.all) == before
    assert received(sim, "edited_message")[0]["text"] == "second"
    parts = await sim.paste(alice, chat, "😀" * 5000)
    assert [len(part.text) for part in parts] == [2048, 2048, 904]
    album = await sim.send_album(alice, chat, [{"kind": "photo", "content": b"1"}, {"kind": "photo", "content": b"2"}])
    assert len({m["media_group_id"] for m in received(sim) if "media_group_id" in m}) == 1
    forwarded = await sim.forward(alice, chat, album[0])
    assert forwarded.origin
    assert forwarded.origin["forward_origin"]["sender_user"]["id"] == alice.id


async def test_people_cannot_do_what_clients_do_not_offer(sim: TelegramSimulator) -> None:
    alice, bob = sim.user("Alice"), sim.user("Bob")
    chat: Chat = sim.private(alice)
    message = await sim.say(alice, chat, "mine")
    for impossible in (
        sim.say(alice, chat, "x" * 4097),
        sim.say(alice, chat, "  "),
        sim.say(bob, chat, "hello"),
        sim.edit(bob, message, "yours"),
        sim.press(alice, message, "No such button"),
        sim.say(alice, chat, "hi", thread=99),
    ):
        with pytest.raises(ValueError, match=r"."):
            await impossible
