"""Runs, requests and notices as messages of a platform."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from core.budget import Priority
from core.errors import ChatDoubt, ChatUnreachable, PlaceGone
from core.events import Finished, Outcome, Said
from core.messages import Mark, PostKind, PostState
from core.model import (
    Choice,
    Decision,
    Document,
    IssueRef,
    Person,
    PersonId,
    Place,
    Question,
    QuestionRequest,
    RunState,
    SessionId,
)
from core.model import PermissionRequest as Permission
from core.ports import Issue, RunReport
from tests.fakes.agent import Ask, Script, says
from tests.fakes.messenger import limited
from tests.fakes.phone import Phone, labels, settle
from tests.fakes.world import ANN, BOB, VIEWER, World, key

pytestmark = pytest.mark.looptime

SES = SessionId("ses")
BASH = Permission("per_1", SES, "bash", ("git push",), "git push origin")
COLOUR = Question("Colour", "Which colour?", (Choice("red"), Choice("green"), Choice("blue")))
SIZES = Question("Sizes", "Which sizes?", (Choice("S"), Choice("M")), multiple=True)
START = "/start shoko/kugetsu#14 do it"


def asking(*requests: Permission | QuestionRequest) -> Script:
    return [*(Ask(request) for request in requests), Said("p", "done"), Finished(Outcome.DONE)]


async def started(bot: World, *scripts: Script, chat: str = "1") -> Phone:
    await bot.resume()
    bot.agent.scripts.extend(scripts)
    phone = Phone(bot, chat=chat)
    await phone.write(START)
    return phone


async def asked(phone: Phone, number: int = 1) -> None:
    await phone.messenger.until(
        lambda: (
            sum("Do not answer" in labels(m.now) or "Reject" in labels(m.now) for m in phone.messenger.messages)
            >= number
        ),
        100,
    )


# ── answers ────────────────────────────────────────────────────────────────────────────────────


async def test_an_answer_replies_to_who_asked_and_rings_once(bot: World) -> None:
    phone = await started(bot)
    await settle(bot)
    answers = phone.messenger.find_text("answer to do it")
    [answer] = answers
    assert answer.out.reply_to == "100"
    assert [m.out.silent for m in phone.messenger.messages] == [True, False], "the receipt is silent, the answer rings"
    assert phone.messenger.marks[0] == ("100", Mark.SEEN)
    assert phone.messenger.marks[-1] == ("100", Mark.DONE)


async def test_a_long_answer_has_one_ring_and_its_buttons_on_the_last_page(bot: World) -> None:
    phone = await started(bot, [Said("p", "word " * 100), Finished(Outcome.FAILED, "x", "broke")])
    await settle(bot)
    pages = [m for m in phone.messenger.messages if m.place.thread][1:]
    assert len(pages) > 2
    assert [m.out.silent for m in pages] == [False] + [True] * (len(pages) - 1)
    assert [bool(m.out.buttons) for m in pages] == [False] * (len(pages) - 1) + [True]
    assert labels(pages[-1].out) == ["Retry"]
    assert [bool(m.out.reply_to) for m in pages] == [True] + [False] * (len(pages) - 1)
    assert phone.messenger.marks[-1][1] is Mark.FAILED
    assert all(not m.out.file_name for m in pages)


async def test_a_very_long_answer_comes_as_a_file_too_and_nothing_is_lost(bot: World) -> None:
    text = " ".join(f"word{n}" for n in range(400))
    phone = await started(bot, says(text))
    await settle(bot)
    *pages, file = [m for m in phone.messenger.messages if m.place.thread][1:]
    assert "".join(m.text for m in pages).startswith(text)
    assert (file.out.file_name, file.out.content.decode()) == ("github.com-shoko-kugetsu-14-run-1.md", text)
    assert file.out.silent


async def test_an_answer_that_is_delivered_again_is_shown_once(bot: World) -> None:
    phone = await started(bot)
    await settle(bot)
    [row] = await bot.run_list()
    session = await bot.session()
    [place] = await bot.store.places(key())
    posts = await bot.store.posts_of(run=row.id)
    answer = next(post for post in posts if post.kind is PostKind.ANSWER)
    before = len(phone.messenger.messages)
    report = RunReport(replace(row, text=row.text + " " + "longer " * 200), session)
    await bot.relays["fake"].answer(place, report, answer.key.rpartition(":")[0])
    await settle(bot)
    assert len(phone.messenger.messages) == before, "also if it would be cut differently now"


async def test_an_answer_elsewhere_replies_to_nothing(bot: World) -> None:
    phone = await started(bot)
    await settle(bot)
    other = Phone(bot, BOB, chat="2")
    await other.say("/watch shoko/kugetsu#14")
    await phone.say("again", reply_to=phone.messenger.find_text("answer to do it")[0].id)
    copies = phone.messenger.find_text("answer to again")
    assert {m.place.chat: bool(m.out.reply_to) for m in copies} == {"1": True, "2": False}


async def test_a_place_that_hangs_keeps_no_answer_from_the_others(bot: World) -> None:
    phone = await started(bot)
    await settle(bot)
    await Phone(bot, BOB, chat="2").say("/watch shoko/kugetsu#14")
    gate, going = asyncio.Event(), asyncio.Event()
    phone.messenger.hanging["send 2"] = gate
    bot.agent.scripts.append([Said("p", "words"), going, Said("p", ", whole"), Finished(Outcome.DONE)])
    await phone.write("again", reply_to=phone.messenger.find_text("answer to do it")[0].id)
    await phone.messenger.until(lambda: phone.messenger.find_text("words"), 100)
    began = asyncio.get_running_loop().time()
    going.set()
    await phone.messenger.until(lambda: phone.messenger.find_text("words, whole"), 100)
    assert asyncio.get_running_loop().time() - began < 2
    gate.set()
    await settle(bot)
    assert {m.place.chat for m in phone.messenger.messages if m.out.page.text.startswith("words, whole")} == {"1", "2"}


# ── threads ────────────────────────────────────────────────────────────────────────────────────


async def test_a_group_gets_a_thread_with_a_link_to_it(bot: World) -> None:
    phone = await started(bot, chat="group")
    await settle(bot)
    [(thread, title)] = phone.messenger.threads
    assert title == "#14 do it"
    assert phone.messenger.find_text("answer to do it")[0].place == thread
    [pointer] = [m for m in phone.messenger.messages if m.place == phone.place]
    assert thread.thread in pointer.text
    assert pointer.out.reply_to == "100"
    assert await bot.store.open_operations() == []


@pytest.mark.parametrize("error", [ChatUnreachable("down"), limited(300.0)])
async def test_without_a_thread_the_work_goes_on_in_the_chat_itself(bot: World, error: Exception) -> None:
    await bot.resume()
    phone = Phone(bot, chat="group")
    phone.messenger.fail("open_thread", error)  # type: ignore[arg-type]
    await phone.say(START)
    assert phone.messenger.find_text("answer to do it")[0].place == phone.place
    assert await bot.store.open_operations() == [], "nobody looks for that thread later"
    assert any("no thread" in what for what, _ in bot.complaints)


async def test_a_thread_that_hangs_costs_patience_and_no_more(bot: World) -> None:
    await bot.resume()
    phone = Phone(bot, chat="group")
    phone.messenger.hanging["open_thread"] = asyncio.Event()
    await phone.say(START)
    assert phone.messenger.find_text("answer to do it")[0].place == phone.place


async def test_a_thread_in_doubt_is_said(bot: World) -> None:
    await bot.resume()
    phone = Phone(bot, chat="group")
    phone.messenger.fail("open_thread", ChatDoubt("no answer"))
    await phone.say(START)
    [said] = phone.messenger.find_text("an empty one may be left")
    assert said.place == phone.place


async def test_a_new_title_renames_the_threads_and_the_end_closes_them(bot: World) -> None:
    phone = await started(bot, chat="group")
    await settle(bot)
    [(thread, _)] = phone.messenger.threads
    session = await bot.session()
    await bot.audience.renamed(replace(session, title="the issue's own title"))
    await asyncio.sleep(1)
    assert phone.messenger.renamed == [(thread, "#14 the issue's own title")]
    places = await bot.store.places(key())
    await bot.audience.tell(key(), Document("destroyed"))
    await bot.audience.ended(session, places)
    await asyncio.sleep(1)
    assert phone.messenger.closed == [thread]
    assert phone.messenger.calls[-1][0] == "close_thread", "what is to be said there is said first"


class Titles:
    """A forge that knows one issue."""

    async def issue(self, ref: IssueRef) -> Issue:
        await asyncio.sleep(1)
        return Issue(ref, "The login form", "…", "ann", "open", "https://example.org")


async def test_a_thread_is_named_after_its_issue_and_closed_with_its_session(bot: World) -> None:
    bot.outside.forge = Titles()  # type: ignore[assignment]
    phone = await started(bot, chat="group")
    await settle(bot)
    await asyncio.sleep(2)
    [(thread, before)] = phone.messenger.threads
    assert before == "#14 do it"
    assert phone.messenger.renamed == [(thread, "#14 The login form")]
    await phone.say("/destroy --yes shoko/kugetsu#14")
    await asyncio.sleep(1)
    assert "is destroyed" in phone.messenger.texts(thread)[-1]
    assert phone.messenger.closed == [thread]
    assert await bot.store.sessions() == []


async def test_reply_chains_have_no_name_and_no_end(bot: World) -> None:
    phone = await started(bot)
    await settle(bot)
    session = await bot.session()
    await bot.audience.renamed(session)
    await bot.audience.ended(session, await bot.store.places(key()))
    await asyncio.sleep(1)
    assert (phone.messenger.renamed, phone.messenger.closed) == ([], [])


async def test_names_wait_for_their_turn_like_everything_else(bot: World) -> None:
    bot.outside.messengers["fake"].chat_limit = (1, 10.0)
    phone = await started(bot, chat="group")
    await settle(bot)
    account = bot.relays["fake"]._account
    async with account.turn(phone.place, Priority.NOTICE):
        await bot.audience.renamed(await bot.session())
        await asyncio.sleep(1)
        assert phone.messenger.renamed == []


async def test_a_deleted_thread_goes_on_in_the_chat_around_it(bot: World) -> None:
    phone = await started(bot, chat="group")
    await settle(bot)
    [(thread, _)] = phone.messenger.threads
    phone.messenger.gone[thread] = phone.place
    inside = Phone(bot, chat="group", thread=thread.thread)
    await inside.say("again")
    assert phone.messenger.find_text("answer to again")[0].place == phone.place
    assert await bot.store.places(key()) == [phone.place]


async def test_a_thread_that_is_gone_for_good_is_shown_elsewhere_only(bot: World) -> None:
    phone = await started(bot, chat="group")
    await settle(bot)
    [(thread, _)] = phone.messenger.threads
    watcher = Phone(bot, BOB, chat="2")
    await watcher.say("/watch shoko/kugetsu#14")
    phone.messenger.gone[thread] = None
    await watcher.say("again", reply_to=watcher.messenger.find_text("shows")[-1].id)
    assert [m.place.chat for m in phone.messenger.find_text("answer to again")] == ["2"]
    assert [place.chat for place in await bot.store.places(key())] == ["2"]


async def test_a_group_that_becomes_another_takes_its_sessions_along(bot: World) -> None:
    phone = await started(bot, chat="group")
    await settle(bot)
    [(thread, _)] = phone.messenger.threads
    moved = Place("fake", "group-new", thread.thread)
    await bot.inbox.moved("fake", "group", "group-new")
    assert await bot.store.places(key()) == [moved]
    inside = Phone(bot, chat="group-new", thread=thread.thread)
    await inside.say("again")
    assert phone.messenger.find_text("answer to again")[0].place == moved


async def test_a_group_that_becomes_another_while_it_is_sent_to(bot: World) -> None:
    phone = await started(bot, chat="group")
    await settle(bot)
    [(thread, _)] = phone.messenger.threads
    moved = Place("fake", "group-new", thread.thread)
    phone.messenger.gone[thread] = moved
    await bot.audience.tell(key(), Document("one"))
    await bot.audience.tell(key(), Document("two"))
    await settle(bot)
    assert phone.messenger.texts(moved) == ["one", "two"]
    assert await bot.store.places(key()) == [moved]


# ── what the agent asks ────────────────────────────────────────────────────────────────────────


async def test_a_permission_is_asked_once_ringing_and_settled_in_place(bot: World) -> None:
    phone = await started(bot, asking(BASH))
    await asked(phone)
    [request] = [m for m in phone.messenger.messages if "Reject" in labels(m.out)]
    assert not request.out.silent
    assert (await phone.press("Allow once")).ok
    await settle(bot)
    assert "Allowed once** by Ann" in request.text
    assert request.now.buttons == ()
    assert phone.messenger.find_text("done")


async def test_it_is_settled_wherever_it_was_shown(bot: World) -> None:
    phone = await started(bot, says("first"), asking(BASH))
    await settle(bot)
    other = Phone(bot, BOB, chat="2")
    await other.say("/watch shoko/kugetsu#14")
    await phone.write("again", reply_to=phone.messenger.find_text("first")[0].id)
    await asked(phone, 2)
    assert (await other.press("Reject")).ok
    await settle(bot)
    requests = [m for m in phone.messenger.messages if "May it use" in m.text]
    assert [("Rejected** by Bob" in m.text, m.now.buttons) for m in requests] == [(True, ())] * 2
    late = await phone.press("Allow once", replace_buttons(requests[0]))
    assert not late.ok


def replace_buttons(message):  # a client that has not seen the edit yet
    return replace(message, edits=[])


async def test_viewers_and_strangers_decide_nothing(bot: World) -> None:
    phone = await started(bot, asking(BASH))
    await asked(phone)
    for person in (VIEWER, Person(PersonId("fake:nobody"), "Nobody")):
        assert not (await Phone(bot, person).press("Allow once")).ok
    assert bot.agent.decisions == []


@pytest.mark.parametrize(
    ("text", "reply"), [("yes", "once"), ("always", "always"), ("No, too early", "reject"), ("reject", "reject")]
)
async def test_a_permission_is_decided_by_a_reply(bot: World, text: str, reply: str) -> None:
    phone = await started(bot, asking(BASH))
    await asked(phone)
    [request] = [m for m in phone.messenger.messages if "Reject" in labels(m.out)]
    await phone.say(text, reply_to=request.id)
    assert [decision.reply for _, decision in bot.agent.decisions] == [reply]
    if "early" in text:
        assert bot.agent.decisions[0][1].message == "too early"
        assert "too early" in request.text
    assert len(await bot.run_list()) == 1


async def test_several_questions_are_one_form_that_is_sent(bot: World) -> None:
    phone = await started(bot, asking(QuestionRequest("q", SES, (COLOUR, SIZES))))
    await asked(phone)
    [form] = [m for m in phone.messenger.messages if "Do not answer" in labels(m.out)]
    for button in ("1 ○ green", "2 ☐ S"):
        assert (await phone.press(button, form)).ok
        await asyncio.sleep(1)
    assert "◉ green" in form.text
    assert "☑ S" in form.text
    assert bot.agent.decisions == []
    assert (await phone.press("2 ☐ M", form)).ok
    await asyncio.sleep(1)
    assert (await phone.press("2 ☑ S", form)).ok
    await asyncio.sleep(1)
    assert (await phone.press("Send", form)).ok
    assert bot.agent.decisions[0][1].answers == (("green",), ("M",))
    await settle(bot)
    assert "M** – answered by Ann" in form.text
    assert form.now.buttons == ()


async def test_a_form_is_not_sent_while_something_is_open(bot: World) -> None:
    phone = await started(bot, asking(QuestionRequest("q", SES, (COLOUR, SIZES))))
    await asked(phone)
    [form] = [m for m in phone.messenger.messages if "Do not answer" in labels(m.out)]
    await phone.press("1 ○ green", form)
    await asyncio.sleep(1)
    refused = await phone.press("Send (1 open)", form)
    assert not refused.ok
    assert "Which sizes?" in refused.document.markdown
    assert bot.agent.decisions == []
    await phone.write("2: all of them", reply_to=form.id)
    await asyncio.sleep(1)
    assert "✎ all of them" in form.text
    assert (await phone.press("Send", form)).ok
    assert bot.agent.decisions[0][1].answers == (("green",), ("all of them",))


async def test_turning_a_form_down_says_so(bot: World) -> None:
    phone = await started(bot, asking(QuestionRequest("q", SES, (COLOUR, SIZES))))
    await asked(phone)
    [form] = [m for m in phone.messenger.messages if "Do not answer" in labels(m.out)]
    await phone.press("Do not answer", form)
    await settle(bot)
    assert "Rejected** by Ann" in form.text


async def test_a_reject_has_a_reason_if_somebody_gives_one(bot: World) -> None:
    phone = await started(bot, asking(BASH))
    await asked(phone)
    assert (await phone.press("Reject, because…")).ok
    await asyncio.sleep(1)
    [why] = phone.messenger.find_text("Why not?")
    assert bot.agent.decisions == []
    await phone.say("no, that is too early", reply_to=why.id)
    await settle(bot)
    assert bot.agent.decisions[0][1] == Decision("reject", message="no, that is too early")
    assert not any(m.now.buttons for m in phone.messenger.messages if "May it use" in m.text)


async def test_own_words_answer_a_question(bot: World) -> None:
    phone = await started(bot, asking(QuestionRequest("q", SES, (COLOUR,))))
    await asked(phone)
    [colour] = [m for m in phone.messenger.messages if "Do not answer" in labels(m.out)]
    await phone.say("something warmer", reply_to=colour.id)
    assert bot.agent.decisions[0][1].answers == (("something warmer",),)


async def test_a_long_question_is_shown_whole_with_its_buttons_below(bot: World) -> None:
    long = Question("x", "Why? " * 100, (Choice("because"),))
    phone = await started(bot, asking(QuestionRequest("q", SES, (long,))))
    await asked(phone)
    shown = "".join(m.text for m in phone.messenger.messages)
    assert shown.count("Why?") == 100
    assert (await phone.press("because")).ok
    await settle(bot)
    assert not any(m.now.buttons for m in phone.messenger.messages)


async def test_what_was_decided_before_it_could_be_shown_is_not_shown(bot: World) -> None:
    await bot.resume()
    phone = Phone(bot)
    await phone.say(START)
    phone.messenger.down = True
    bot.agent.scripts.append(asking(BASH))
    run = asyncio.create_task(phone.write("again", reply_to=phone.messenger.find_text("answer")[0].id))
    await run
    await asyncio.sleep(30)
    bot.agent.answer_elsewhere("per_1")
    await asyncio.sleep(30)
    phone.messenger.down = False
    await settle(bot)
    assert not phone.messenger.find_text("May it use")
    assert phone.messenger.find_text("done")


# ── small things ───────────────────────────────────────────────────────────────────────────────


async def test_a_receipt_never_overtakes_the_one_before(bot: World) -> None:
    await bot.resume()
    relay, messenger = bot.relays["fake"], bot.outside.messengers["fake"]
    messenger.hanging["react"] = gate = asyncio.Event()
    relay.mark(Place("fake", "1"), "7", Mark.SEEN)
    await asyncio.sleep(0.1)
    del messenger.hanging["react"]
    relay.mark(Place("fake", "1"), "7", Mark.DONE)
    relay.mark(Place("fake", "1"), "8", Mark.SEEN)
    await asyncio.sleep(0.1)
    assert messenger.marks == [("8", Mark.SEEN)]
    gate.set()
    await asyncio.sleep(0.1)
    assert messenger.marks[1:] == [("7", Mark.SEEN), ("7", Mark.DONE)]
    assert relay._marking == {}


async def test_a_receipt_that_fails_costs_nothing_else(bot: World) -> None:
    await bot.resume()
    phone = Phone(bot)
    phone.messenger.fail("react", PlaceGone("no reactions here"), limited(300.0))
    await phone.say(START)
    assert phone.messenger.find_text("answer to do it")


async def test_files_of_the_worktree(bot: World, tmp_path: Path) -> None:
    phone = await started(bot)
    await settle(bot)
    report = tmp_path / "report.txt"
    report.write_text("figures")
    await bot.audience.send_file(key(), report, "docs/report.txt")
    await settle(bot)
    out = phone.messenger.messages[-1].out
    assert (out.file, out.file_name, out.page.text, out.silent) == (
        report,
        "docs/report.txt",
        "`docs/report.txt`",
        True,
    )


async def test_a_stop_button_stops_the_run_it_is_below(bot: World) -> None:
    phone = await started(bot, [Said("p", "working"), asyncio.Event(), Finished(Outcome.DONE)])
    await phone.messenger.until(lambda: phone.messenger.find_text("working"), 100)
    viewer = Phone(bot, VIEWER)
    assert not (await viewer.press("Stop #14")).ok
    assert (await phone.press("Stop #14")).ok
    await settle(bot)
    [run] = await bot.run_list()
    assert run.state is RunState.STOPPED
    assert phone.messenger.find_text("Stopped. What was done is kept.")
    assert not any("Stop #14" in labels(m.now) for m in phone.messenger.messages)
    posts = await bot.store.posts_of(run=run.id)
    assert {post.state for post in posts if post.kind is PostKind.LIVE} == {PostState.CLOSED}


async def test_several_people_are_told_apart_in_one_session(bot: World) -> None:
    phone = await started(bot, chat="group")
    await settle(bot)
    [(thread, _)] = phone.messenger.threads
    await Phone(bot, BOB, "group", thread.thread).say("and this", addressed=False)
    runs = await bot.run_list()
    assert [run.person for run in runs] == [ANN.id, BOB.id]
