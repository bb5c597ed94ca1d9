"""The real python-telegram-bot against the simulator, over a socket."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
import telegram
from telegram import error, ext, request

from tests.simulators.telegram import Chat, Limits, TelegramSimulator, User
from tests.simulators.telegram.refusals import PNG

Keyboard, Button = telegram.InlineKeyboardMarkup, telegram.InlineKeyboardButton


def client(**timeouts: float) -> Any:
    return request.HTTPXRequest(**{"read_timeout": 5.0, "connect_timeout": 5.0, "pool_timeout": 5.0} | timeouts)


@pytest.fixture
async def bot(sim: TelegramSimulator) -> AsyncIterator[Any]:
    options = {"base_url": sim.base_url, "base_file_url": sim.base_file_url}
    async with telegram.Bot(sim.token, **options, request=client(), get_updates_request=client()) as there:
        yield there


@pytest.fixture
def alice(sim: TelegramSimulator) -> User:
    return sim.user("Alice")


@pytest.fixture
def chat(sim: TelegramSimulator, alice: User) -> Chat:
    return sim.private(alice)


async def test_an_application_talks(sim: TelegramSimulator, alice: User, chat: Chat) -> None:
    builder = ext.ApplicationBuilder().token(sim.token).base_url(sim.base_url).base_file_url(sim.base_file_url)
    app = builder.request(client()).get_updates_request(client()).build()

    async def answer(update: Any, context: Any) -> None:
        await update.message.set_reaction("👀")
        await context.bot.send_message_draft(chat.id, 7, "half")
        keyboard = Keyboard([[Button("Allow once", callback_data="allow"), Button("Reject", callback_data="reject")]])
        await update.message.reply_html(f"<b>{update.message.text}</b>", reply_markup=keyboard, do_quote=True)

    async def decide(update: Any, _: Any) -> None:
        await update.callback_query.answer(f"you chose {update.callback_query.data}", show_alert=True)
        await update.callback_query.edit_message_text("decided")

    app.add_handler(ext.MessageHandler(ext.filters.TEXT, answer))
    app.add_handler(ext.CallbackQueryHandler(decide))
    async with app:
        await app.updater.start_polling(timeout=5, bootstrap_retries=0)
        await app.start()
        said = await sim.say(alice, chat, "hello")
        reply = await sim.wait_for(lambda s: s.find("hello", chat))
        assert reply.reply_to == said.id
        assert said.reactions == {sim.bot.id: [{"type": "emoji", "emoji": "👀"}]}
        assert sim.chat_state(chat)["drafts"] == []
        press = await sim.press(alice, reply, "Allow once")
        assert press.answer == {"text": "you chose allow", "show_alert": True}
        await sim.wait_for(lambda s: s.find("decided", chat))
        assert [revision.text for revision in reply.history] == ["hello"]
        sim.outage(duration=0.3)
        await sim.say(alice, chat, "after the outage")
        await sim.wait_for(lambda s: s.find("after the outage", chat), timeout=15)
        await app.updater.stop()
        await app.stop()
    assert len(sim.rings("hello", chat)) == 1


async def test_updates_by_hand(sim: TelegramSimulator, bot: Any, alice: User, chat: Chat) -> None:
    await sim.say(alice, chat, "/start payload")
    first = await bot.get_updates()
    again = await bot.get_updates(offset=first[0].update_id)
    assert [u.update_id for u in first] == [u.update_id for u in again]
    assert first[0].message.parse_entities(["bot_command"]) == {first[0].message.entities[0]: "/start"}
    assert await bot.get_updates(offset=first[0].update_id + 1) == ()


async def test_conflict(sim: TelegramSimulator, bot: Any) -> None:
    waiting = asyncio.create_task(bot.get_updates(timeout=5))
    await sim.wait_for(lambda s: s.updates.poll)
    other = asyncio.create_task(bot.get_updates(timeout=1))
    with pytest.raises(error.Conflict):
        await waiting
    await other


async def test_refusals_become_the_librarys_errors(sim: TelegramSimulator, bot: Any, alice: User, chat: Chat) -> None:
    sent = await bot.send_message(chat.id, "same")
    with pytest.raises(error.BadRequest, match="essage is not modified"):
        await sent.edit_text("same")
    with pytest.raises(error.BadRequest, match=r"an.t parse entities"):
        await bot.send_message(chat.id, "<b>", parse_mode="HTML")
    with pytest.raises(error.BadRequest, match=r"(?i)button_data_invalid"):
        await bot.send_message(chat.id, "x", reply_markup=Keyboard([[Button("a", callback_data="x" * 65)]]))
    group = sim.group("Group", [alice])
    new = await sim.migrate(group)
    with pytest.raises(error.ChatMigrated) as migrated:
        await bot.send_message(group.id, "hi")
    assert migrated.value.new_chat_id == new.id
    await sim.block(alice)
    with pytest.raises(error.Forbidden, match="ot was blocked by the user"):
        await bot.send_message(chat.id, "hi")
    sim.set_limits(Limits(group_per_minute=1))
    await bot.send_message(new.id, "hi")
    with pytest.raises(error.RetryAfter) as later:
        await bot.send_message(new.id, "hi")
    assert 50 <= int(later.value.retry_after) <= 60
    sim.revoke_token()
    with pytest.raises(error.InvalidToken):
        await bot.get_me()


async def test_a_time_out_may_have_sent(sim: TelegramSimulator, chat: Chat) -> None:
    sim.faults.add("hang_after", method="sendMessage")
    async with telegram.Bot(sim.token, base_url=sim.base_url, request=client(read_timeout=0.3)) as bot:
        with pytest.raises(error.TimedOut):
            await bot.send_message(chat.id, "perhaps")
    assert sim.find("perhaps", chat)


async def test_broken_connections_are_network_errors(sim: TelegramSimulator, bot: Any, chat: Chat) -> None:
    for kind in ("drop", "drop_after", "error", "garbage"):
        sim.faults.add(kind, method="sendMessage")
        with pytest.raises(error.TelegramError):
            await bot.send_message(chat.id, "hi")
    assert len(sim.messages(chat)) == 1


async def test_files_both_ways(sim: TelegramSimulator, bot: Any, alice: User, chat: Chat) -> None:
    sent = await bot.send_document(
        chat.id, io.BytesIO(b"report"), filename="report.md", caption="<b>done</b>", parse_mode="HTML"
    )
    assert (sent.document.file_name, sent.caption) == ("report.md", "done")
    assert await (await bot.get_file(sent.document.file_id)).download_as_bytearray() == b"report"
    assert (await bot.send_document(chat.id, sent.document.file_id)).document.file_name == "report.md"
    assert (await bot.send_photo(chat.id, PNG)).photo[-1].width == 64
    assert (await bot.send_voice(chat.id, b"OggS....")).voice.duration == 1
    album = await bot.send_media_group(chat.id, [telegram.InputMediaPhoto(PNG), telegram.InputMediaPhoto(PNG)])
    assert len({message.media_group_id for message in album}) == 1
    await sim.send_file(alice, chat, "voice", b"OggS spoken", duration=3, caption="")
    update = (await bot.get_updates())[-1]
    file = await bot.get_file(update.message.voice.file_id)
    assert await file.download_as_bytearray() == b"OggS spoken"
    await sim.send_file(alice, chat, "document", b"x", size=30 << 20)
    with pytest.raises(error.BadRequest, match="ile is too big"):
        await bot.get_file((await bot.get_updates())[-1].message.document.file_id)


async def test_topics_chats_and_commands(sim: TelegramSimulator, bot: Any, alice: User, chat: Chat) -> None:
    forum = sim.forum("Team", [alice])
    topic = await bot.create_forum_topic(forum.id, "acme #42", icon_color=telegram.constants.ForumIconColor.BLUE)
    sent = await bot.send_message(forum.id, "hi", message_thread_id=topic.message_thread_id)
    assert sent.is_topic_message
    await bot.edit_forum_topic(forum.id, topic.message_thread_id, name="other")
    await bot.close_forum_topic(forum.id, topic.message_thread_id)
    await bot.reopen_forum_topic(forum.id, topic.message_thread_id)
    await bot.pin_chat_message(forum.id, sent.message_id)
    assert (await bot.get_chat(forum.id)).pinned_message.message_id == sent.message_id
    await bot.delete_forum_topic(forum.id, topic.message_thread_id)
    assert (await bot.get_chat(chat.id)).accepted_gift_types
    assert isinstance(await bot.get_chat_member(forum.id, bot.id), telegram.ChatMemberAdministrator)
    assert isinstance(await bot.get_chat_member(forum.id, alice.id), telegram.ChatMemberOwner)
    scope = telegram.BotCommandScopeChat(chat.id)
    await bot.set_my_commands([("start", "Begin")], scope=scope, language_code="de")
    assert (await bot.get_my_commands(scope=scope, language_code="de"))[0].command == "start"
    assert await bot.get_my_commands() == ()
    await bot.set_chat_menu_button(chat.id, telegram.MenuButtonCommands())
    assert (await bot.get_chat_menu_button(chat.id)).type == "commands"
    await bot.send_chat_action(chat.id, "typing")
    await bot.delete_messages(chat.id, [(await bot.send_message(chat.id, "gone")).message_id])
    assert [type(u.message.forum_topic_created) for u in await bot.get_updates(limit=1)] == [telegram.ForumTopicCreated]


async def test_every_update_of_people_is_understood(sim: TelegramSimulator, bot: Any, alice: User, chat: Chat) -> None:
    await bot.get_updates(allowed_updates=telegram.Update.ALL_TYPES)
    forum = sim.forum("Team", [alice])
    topic = await sim.topic(forum, "New", alice)
    message = await sim.say(alice, forum, "x @kugetsu_bot", thread=topic)
    await sim.edit(alice, message, "y")
    await sim.react(alice, message, "👍")
    await sim.forward(alice, chat, message)
    await sim.send_album(alice, chat, [{"kind": "photo", "content": PNG}, {"kind": "photo", "content": PNG}])
    await sim.block(alice)
    await sim.demote_bot(forum, alice)
    updates = await bot.get_updates()
    assert len(updates) == len(sim.updates.all) == 9
    assert updates[3].message_reaction.new_reaction[0].emoji == "👍"
    assert updates[4].message.forward_origin.sender_user.id == alice.id
    assert updates[7].my_chat_member.new_chat_member.status == "kicked"
    for update, raw in zip(updates, sim.updates.all, strict=True):
        assert not update.api_kwargs
        assert update.to_dict()["update_id"] == raw.id
