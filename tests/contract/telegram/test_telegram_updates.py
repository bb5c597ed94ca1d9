"""Updates in by long polling: nothing lost, nothing blocked, nothing confirmed before it is committed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.errors import ChatDenied, StoreError
from core.model import Place
from tests.contract.telegram.telegram_labs import FakeMail, Lab, place
from tests.simulators.telegram import Limits, TelegramSimulator


async def test_a_message_is_confirmed_only_after_it_was_committed(lab: Lab) -> None:
    alice = lab.sim.user("Alice Arndt")
    chat = lab.sim.private(alice)
    committed = asyncio.Event()
    lab.mail.on_take = committed.wait
    async with lab.listening():
        said = await lab.sim.say(alice, chat, "hello")
        await lab.sim.wait_for_event("delivered")
        await asyncio.sleep(0.05)
        assert not lab.sim.log.of("confirmed")
        committed.set()
        await lab.sim.wait_for_event("confirmed")
    inbound = lab.mail.taken[0]
    assert (inbound.text, inbound.person.id, inbound.person.name) == ("hello", f"telegram:{alice.id}", "Alice Arndt")
    assert (inbound.message, inbound.direct, inbound.addressed) == (str(said.id), True, True)


async def test_what_could_not_be_committed_comes_again(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    failures = iter([StoreError("the disk is full"), RuntimeError("a bug")])

    async def full() -> None:
        if failure := next(failures, None):
            raise failure

    lab.mail.on_take = full
    async with lab.listening():
        await lab.sim.say(alice, lab.sim.private(alice), "hello")
        await lab.mail.texts("hello")
        await lab.sim.wait_for_event("confirmed")


async def test_a_stop_confirms_nothing_and_loses_nothing(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    never = asyncio.Event()
    lab.mail.on_take = never.wait
    async with lab.listening():
        await lab.sim.say(alice, lab.sim.private(alice), "hello")
        await lab.sim.wait_for_event("delivered")
    assert not lab.sim.log.of("confirmed")
    lab.mail.on_take = None
    async with lab.listening():
        await lab.mail.texts("hello")


async def test_the_backlog_comes_in_order_and_says_when_it_ends(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    texts = [f"message {i}" for i in range(250)]
    for text in texts:
        await lab.sim.say(alice, chat, text)
    async with lab.listening():
        await lab.mail.texts(*texts)
        await lab.mail.until(lambda mail: not mail.batches[-1][1])
        await lab.sim.say(alice, chat, "later")
        await lab.mail.until(lambda mail: len(mail.taken) == 251)
    assert lab.mail.batches == [(100, True), (100, True), (50, False), (1, False)]


async def test_a_backlog_of_just_a_whole_batch_ends_too(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    for i in range(100):
        await lab.sim.say(alice, lab.sim.private(alice), f"message {i}")
    async with lab.listening():
        await lab.mail.until(lambda mail: mail.batches == [(100, True), (0, False)])


BROKEN: list[Any] = [
    {"message": {"message_id": "x"}},
    {"message": 7},
    {
        "message": {
            "message_id": 1,
            "chat": {"id": 1, "type": "private"},
            "date": 10**20,
            "text": "x",
            "from": {"id": 1},
        }
    },
    {"never_heard_of": {}},
    {"update_id": "x", "message": {}},
    [],
    None,
    "text",
]


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
async def test_a_malformed_update_blocks_nothing_behind_it(lab: Lab, body: Any) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    lab.sim.updates.hold()
    await lab.sim.say(alice, chat, "before")
    lab.sim.inject(body)
    await lab.sim.say(alice, chat, "after")
    lab.sim.updates.release()
    async with lab.listening():
        await lab.mail.texts("before", "after")
        await lab.sim.say(alice, chat, "later")
        await lab.mail.texts("before", "after", "later")
        await asyncio.sleep(0.1)
        assert len(lab.sim.calls("getUpdates")) < 8


async def test_a_malformed_update_alone_does_not_make_it_spin(lab: Lab) -> None:
    async with lab.listening():
        lab.sim.inject([])
        await asyncio.sleep(0.4)
        assert len(lab.sim.calls("getUpdates")) < 12
        alice = lab.sim.user("Alice")
        await lab.sim.say(alice, lab.sim.private(alice), "hello")
        await lab.mail.texts("hello")


async def test_a_duplicate_is_recognised_by_its_message(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    async with lab.listening():
        await lab.sim.say(alice, lab.sim.private(alice), "hello")
        await lab.mail.texts("hello")
        lab.sim.updates.duplicate(lab.sim.updates.all[-1].id)
        await lab.mail.texts("hello", "hello")
        await lab.sim.say(alice, lab.sim.private(alice), "more")
        await lab.mail.texts("hello", "hello", "more")
    assert lab.mail.taken[0].event_id == lab.mail.taken[1].event_id


async def test_numbers_may_begin_anew(lab: Lab) -> None:
    """As they do after a week without updates."""
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    async with lab.listening():
        await lab.sim.say(alice, chat, "one")
        await lab.mail.texts("one")
        low = {"message_id": 900, "date": 1_770_000_000, "chat": {"id": chat.id, "type": "private"}, "text": "two"}
        lab.sim.inject({"update_id": 7, "message": low | {"from": {"id": alice.id, "first_name": "Alice"}}})
        await lab.mail.texts("one", "two")
        await lab.sim.say(alice, chat, "three")
        await lab.mail.texts("one", "two", "three")
        await asyncio.sleep(0.1)
    assert len(lab.mail.taken) == 3


async def test_a_backlog_given_out_one_by_one_is_still_one(lab: Lab) -> None:
    """Telegram gives just one update to whoever asks the same again at once."""
    alice = lab.sim.user("Alice")
    lab.sim.set_limits(Limits(overall_per_second=0, poll_pace=3.0))
    for i in range(5):
        await lab.sim.say(alice, lab.sim.private(alice), f"message {i}")
    never = asyncio.Event()
    lab.mail.on_take = never.wait
    async with lab.listening():
        await lab.sim.wait_for_event("delivered")
    lab.mail.on_take = None
    async with lab.listening():
        await lab.mail.texts(*(f"message {i}" for i in range(5)))
    assert lab.mail.batches == [(1, True), (4, False)]


async def test_edits_albums_and_long_pastes(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    async with lab.listening():
        said = await lab.sim.say(alice, chat, "fix it")
        await lab.sim.edit(alice, said, "fix it well")
        await lab.sim.paste(alice, chat, "x" * 5000)
        items = [{"kind": "document", "content": b"a", "name": "a.txt"}, {"kind": "document", "content": b"b"}]
        await lab.sim.send_album(alice, chat, items)
        await lab.mail.until(lambda mail: len(mail.taken) == 6)
    first, edit, long, short, one, two = lab.mail.taken
    assert (edit.text, edit.edited, edit.message) == ("fix it well", True, first.message)
    assert [len(long.text), long.joins, len(short.text), short.joins] == [4096, 1.5, 904, 0.0]
    assert [one.joins, two.joins, one.files[0].name] == [1.5, 1.5, "a.txt"]


@pytest.mark.parametrize("fault", ["drop", "garbage", "error"])
async def test_storms_of_getupdates_are_survived(lab: Lab, fault: str) -> None:
    alice = lab.sim.user("Alice")
    lab.sim.faults.add(fault, method="getUpdates", times=5)
    async with lab.listening():
        await lab.sim.say(alice, lab.sim.private(alice), "hello")
        await lab.mail.texts("hello")
        assert lab.sim.faults.played == 5


async def test_a_hanging_getupdates_is_abandoned_and_blocks_no_send(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    lab.sim.faults.add("hang", method="getUpdates", times=1)
    async with lab.listening() as messenger:
        await lab.sim.wait_for(lambda sim: sim.calls("getUpdates"))
        await lab.sim.say(alice, chat, "hello")
        await messenger.send(place(chat), lab.saying("still here"), "k")
        await lab.mail.texts("hello")


async def test_429_is_honoured(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    lab.sim.faults.add("too_many", method="getUpdates", times=1, retry_after=1)
    async with lab.listening():
        await lab.sim.say(alice, lab.sim.private(alice), "hello")
        await asyncio.sleep(0.6)
        assert not lab.mail.taken
        await lab.mail.texts("hello")


async def test_an_outage_of_everything_is_outlived(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    async with lab.listening():
        await lab.sim.wait_for(lambda sim: sim.updates.poll)
        lab.sim.outage(0.5)
        await lab.sim.say(alice, lab.sim.private(alice), "hello")
        await lab.mail.texts("hello")


async def test_a_second_poller_is_said_once_and_outlived(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    lab.sim.faults.add("error", method="getUpdates", times=6, code=409, description="Conflict: terminated by other")
    async with lab.listening():
        await lab.sim.say(alice, lab.sim.private(alice), "hello")
        await lab.mail.texts("hello")
    assert len(lab.notices) == 1
    assert "Another program" in lab.notices[0]


async def test_two_bots_with_one_token_notice_each_other(lab: Lab) -> None:
    other = Lab(lab.sim, FakeMail())
    async with lab.listening():
        await lab.sim.wait_for(lambda sim: sim.updates.poll)
        async with other.listening():
            await asyncio.sleep(0.3)
    assert [len(lab.notices), len(other.notices)] in ([1, 1], [1, 0])


async def test_a_revoked_token_ends_it_with_what_to_do(lab: Lab) -> None:
    async with lab.connected() as messenger:
        task = asyncio.create_task(messenger.listen(lab.mail))
        await lab.sim.wait_for(lambda sim: sim.updates.poll)
        lab.sim.revoke_token()
        with pytest.raises(ChatDenied) as caught:
            await asyncio.wait_for(task, 3)
    assert "@BotFather" in caught.value.hint
    assert lab.sim.token not in f"{caught.value!r}{caught.value.hint}"


async def test_a_webhook_of_somebody_else_is_removed_and_its_updates_stay(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    lab.sim.core.webhook.url = "http://127.0.0.1:1/elsewhere"
    await lab.sim.say(alice, lab.sim.private(alice), "hello")
    async with lab.listening():
        await lab.mail.texts("hello")
        lab.sim.core.webhook.url = "http://127.0.0.1:1/again"
        lab.sim.updates.abort_poll("can't use getUpdates method while webhook is active")
        await lab.sim.wait_for(lambda sim: not sim.core.webhook.url)
    assert not lab.notices


async def test_migration_and_loss(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    group = lab.sim.group("Team", [alice])
    async with lab.listening():
        new = await lab.sim.migrate(group, alice)
        await lab.mail.until(lambda mail: mail.moves)
        await lab.sim.kick_bot(new, alice)
        await lab.sim.say(alice, lab.sim.private(alice), "hi")
        await lab.sim.block(alice)
        await lab.mail.until(lambda mail: len(mail.losses) == 2)
    assert set(lab.mail.moves) == {("telegram", str(group.id), str(new.id))}
    assert lab.mail.losses == [
        (Place("telegram", str(new.id)), "Alice removed the bot from the chat"),
        (Place("telegram", str(alice.id)), "Alice blocked the bot"),
    ]


async def test_anonymous_administrators_are_told_once(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    group = lab.sim.supergroup("Team", [alice], bot="administrator")
    async with lab.listening():
        for _ in range(3):
            await lab.sim.say(alice, group, "/status", anonymous=True)
        await lab.sim.wait_for(lambda sim: sim.find("Remain anonymous", group))
        await lab.sim.say(alice, group, "/status")
        await lab.mail.texts("/status")
    assert len([message for message in lab.sim.messages(group) if message.outgoing]) == 1


async def test_topics_and_privacy(lab: Lab) -> None:
    alice = lab.sim.user("Alice")
    forum = lab.sim.forum("Forum", [alice])
    async with lab.listening() as messenger:
        thread = await messenger.open_thread(place(forum), "#14 login", "")
        await lab.sim.say(alice, forum, "go on", thread=int(thread.thread))
        await lab.sim.say(alice, forum, "in general")
        await lab.mail.texts("go on", "in general")
    assert [inbound.place for inbound in lab.mail.taken] == [thread, place(forum)]
    assert [inbound.reply_to for inbound in lab.mail.taken] == ["", ""]


async def test_connect_names_what_is_wrong(lab: Lab) -> None:
    for token in ("12345:WRONG", "nonsense"):
        with pytest.raises(ChatDenied, match="does not know this token"):
            await lab.messenger(token=token).connect()
    async with TelegramSimulator() as other:
        address = other.url
    with pytest.raises(Exception, match="cannot be reached") as caught:
        await lab.messenger(api_base=address).connect()
    assert lab.sim.token not in str(caught.value)
