"""A hundred private chats against the synthetic opencode: limits, buttons, a restart, and what it costs."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp

from adapters.telegram import outgoing
from benchmarks.machine import resident_mb
from benchmarks.processes import started
from benchmarks.report import Section, Table, Target, ms, spread
from benchmarks.repository import make_repository
from benchmarks.stats import Summary, summary
from benchmarks.telegram_stage import PATIENCE, Said, Talk, Telegram, is_message, is_shown, telegram
from core.view_run import duration
from tests.simulators.telegram import Event, Limits, Message

CHATS = 100
BEGINNING = 10  # sessions made at once
STREAMING, ASKING, STOPPED = 40, 40, 20
BUTTON_MS, RESTART_S = 200.0, 10.0  # targets
PRESS_PAUSE = 0.2  # seconds between two presses: people of many chats, not one who drums on the screen
LIVE_S, LIVE_RATE = 25, 8  # a stream's seconds, give or take 5; pieces a second, so that an answer is one message
COUNTED_S = 12.0
SHORT, LONG = "stream 120 at 10", "stream 600 at 10"  # runs that end while the bot is down, and that do not
RENDERED = 100
_STAMP = re.compile(r"\d{10,}")  # ns of the monotonic clock, as the synthetic opencode says them

HOW_BUTTONS = f"""\
{STREAMING} runs stream 20 pieces of text a second in as many chats; pressed are *Allow once* in {ASKING} other chats
and *Stop* in {STOPPED} of the streaming ones, so that 20 stream to the end. From the press until the bot answers it."""

HOW_LIVE = f"""\
{CHATS} runs in as many private chats stream {LIVE_RATE} pieces a second for {LIVE_S - 5} to {LIVE_S + 5} s, under the
limits that Telegram documents: 30 calls a second altogether, one a second in a chat. *Answer*: after the agent's last
text. Processor time of the bot's process while all of them stream."""

HOW_RESTART = f"""\
{CHATS} runs are going in as many private chats when the bot is killed by SIGKILL. It stays down until half of them have
ended. From the start of the new process until each chat has its answer, or shows text that is newer than the start."""

HOW_RENDER = f"""\
The agent's Markdown to text and entities, {RENDERED} times each, in the bench's process."""

MARKDOWN = (
    """\
### What was done

The login form now **checks both fields** before it is sent, see `app/forms/login.py`; nothing else uses it.

1. `validate()` refuses an empty name
   - with a message beside the field
   - and *keeps* what was typed
2. the tests cover [both cases](https://example.org/cases)

```python
def validate(form: Form) -> list[str]:
    return [name for name in ("user", "password") if not form.get(name)]
```

| file | lines | tests |
| ---- | ----: | ----- |
| login.py | 42 | 7 |
| test_login.py | 118 | – |

> The old behaviour is still there behind `LEGACY_LOGIN`.
"""
    * 4
)


async def measure(folder: Path) -> list[Section]:
    """All of it, in about two minutes."""
    project = make_repository(folder / "many-repository", 1)
    agent = (sys.executable, "-m", "benchmarks.telegram_agent")
    async with (
        started(*agent, ready="http://") as (_, url),
        telegram(folder / "many", project, {"url": url}, CHATS, Limits()) as phone,
    ):
        async with phone.bot() as process:
            await _begin(phone)
            buttons = await _buttons(phone)
            live = await _live(phone, process)
        return [buttons, live, await _restart(phone, url), _rendering()]


async def _begin(phone: Telegram) -> None:
    """Every session with its first answer behind it."""
    room = asyncio.Semaphore(BEGINNING)

    async def begin(talk: Talk) -> None:
        async with room:
            await (await talk.start("stream 1 at 0")).seen(_is_answer)

    await asyncio.gather(*(begin(talk) for talk in phone.talks))


def _is_answer(event: Event) -> bool:
    return is_message(event, "✓ #") and bool(_STAMP.search(event.data["text"]))


def _newest(event: Event) -> float:
    """When the newest text in it was sent, in s; 0 without any."""
    found = _STAMP.findall(event.data.get("text", ""))
    return int(found[-1]) / 1e9 if found else 0.0


# ── buttons ────────────────────────────────────────────────────────────────────────────────────


async def _buttons(phone: Telegram) -> Section:
    streaming, asking = phone.talks[:STREAMING], phone.talks[STREAMING : STREAMING + ASKING]
    streams = [await talk.say("stream 2000 at 20") for talk in streaming]
    asked = [await talk.say("ask") for talk in asking]
    allow = [await _pressed(talk, said, "May it use") for talk, said in zip(asking, asked, strict=True)]
    stop = [await _pressed(talk, said, "is working") for talk, said in zip(streaming, streams, strict=True)]
    for said in asked:
        await said.seen(_is_answer)
    for said in streams:
        await said.seen(lambda event: is_message(event, "■"))
    stop = stop[:STOPPED]  # the others only to end them
    both = summary([*allow, *stop])
    rows = [(name, *spread(summary(found))) for name, found in (("Allow once", allow), ("Stop", stop))]
    target = Target(
        "buttons answered while 20 runs stream, p95", f"≤ {BUTTON_MS:g} ms", f"{ms(both.p95)} ms", both.p95 <= BUTTON_MS
    )
    return Section("Telegram's buttons", HOW_BUTTONS, [Table(("", "p50 ms", "p95", "n"), rows)], [target])


async def _pressed(talk: Talk, said: Said, text: str) -> float:
    """Press the first button of the message with that text. Returns ms until it was answered."""
    event = await said.seen(lambda event: is_message(event, text))
    message: Message = talk.sim.find_message(event.data["message_id"], talk.chat)
    press = await talk.sim.press(talk.person, message, data=message.buttons[0]["callback_data"])
    await asyncio.sleep(PRESS_PAUSE)
    if press.waited is None:
        raise RuntimeError(f"{message.buttons[0]['text']} was not answered")
    return press.waited * 1000


# ── a hundred live chats ───────────────────────────────────────────────────────────────────────


async def _live(phone: Telegram, process: asyncio.subprocess.Process) -> Section:
    log = phone.sim.log
    calls = len(log.calls)
    count = [(LIVE_S - 5) * LIVE_RATE + 10 * LIVE_RATE * n // CHATS for n in range(CHATS)]
    saying = zip(phone.talks, count, strict=True)
    said = [await talk.say(f"stream {pieces} at {LIVE_RATE}") for talk, pieces in saying]
    await asyncio.gather(*(each.shown(" ") for each in said))
    began, used, shown = time.monotonic(), _cpu(process.pid), len(log.calls)
    await asyncio.sleep(COUNTED_S)
    seconds, cpu, made = time.monotonic() - began, _cpu(process.pid) - used, len(log.calls) - shown
    memory = resident_mb(process.pid)
    answers = await asyncio.gather(*(each.seen(_is_answer) for each in said))
    lag = summary((event.monotonic - _newest(event)) * 1000 for event in answers)
    refused = phone.refusals(calls)
    p50, p95, _ = spread(lag)
    rows = [
        ("calls to Telegram a second", f"{made / seconds:.1f}"),
        ("calls refused with 429", str(refused)),
        ("answer p50 ms", p50),
        ("answer p95 ms", p95),
        ("processor, % of a core", f"{100 * cpu / seconds:.0f}"),
        ("processor for a live run, % of a core", f"{100 * cpu / seconds / CHATS:.2f}"),
        ("resident memory MB", f"{memory:.0f}"),
    ]
    target = Target(f"calls refused with 429, {CHATS} live chats", "0", str(refused), refused == 0)
    return Section("Telegram with a hundred live chats", HOW_LIVE, [Table(("", "found"), rows)], [target])


def _cpu(pid: int) -> float:
    """Seconds of processor a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ── a restart ──────────────────────────────────────────────────────────────────────────────────


async def _restart(phone: Telegram, agent: str) -> Section:
    calls = len(phone.sim.log.calls)
    async with phone.bot() as process:
        said = [await talk.say(LONG if talk.number % 2 else SHORT) for talk in phone.talks]
        await _busy(agent, CHATS)
        await asyncio.sleep(2.0)
        process.kill()
        await process.wait()
    await _busy(agent, CHATS // 2)
    begin, began = len(phone.sim.log.events), time.monotonic()
    async with phone.bot():
        listening = time.monotonic() - began
        again = [Said(phone.sim, each.message, begin) for each in said]
        ended = [each for each, talk in zip(again, phone.talks, strict=True) if not talk.number % 2]
        going = [each for each, talk in zip(again, phone.talks, strict=True) if talk.number % 2]
        answered = await asyncio.gather(*(each.seen(_is_answer) for each in ended))
        shown = await asyncio.gather(*(each.seen(lambda event: _is_newer(event, began)) for each in going))
        await phone.gather()
        twice = sum(_answers(each) - 1 for each in ended)
    refused = phone.refusals(calls)
    found = {
        "has its answer": summary(event.monotonic - began for event in answered),
        "shows newer text": summary(event.monotonic - began for event in shown),
    }
    rows = [(name, *_seconds(times)) for name, times in found.items()]
    rows.append(("the bot listens", f"{listening:.2f}", "", "", ""))
    last = max(times.max for times in found.values())
    targets = [
        Target(
            f"{CHATS} open runs at a restart: all up to date", f"≤ {RESTART_S:g} s", f"{last:.1f} s", last <= RESTART_S
        ),
        Target("answers shown twice after it", "0", str(twice), twice == 0),
        Target("calls refused with 429, restart", "0", str(refused), refused == 0),
    ]
    return Section("Telegram after a restart", HOW_RESTART, [Table(("", "p50 s", "p95", "max", "n"), rows)], targets)


async def _busy(agent: str, sessions: int) -> None:
    """Wait until the agent works in just so many."""
    async with asyncio.timeout(PATIENCE), aiohttp.ClientSession(agent) as client:
        while True:
            async with client.get("/session/status") as response:
                if len(await response.json()) == sessions:
                    return
            await asyncio.sleep(0.05)


def _answers(said: Said) -> int:
    """How many the chat shows to that message."""
    shown = said.sim.messages(said.message.chat_id)
    return sum(message.reply_to == said.message.id and "✓ #" in message.text for message in shown)


def _is_newer(event: Event, began: float) -> bool:
    return is_shown(event, " ") and _newest(event) >= began


def _seconds(times: Summary) -> tuple[str, str, str, str]:
    return f"{times.p50:.2f}", f"{times.p95:.2f}", f"{times.max:.2f}", str(times.count)


# ── rendering ──────────────────────────────────────────────────────────────────────────────────


def _rendering() -> Section:
    body = "\n".join(MARKDOWN.splitlines()[:40])
    head = f"**#14** the login form\n▸ run 3 · working · {duration(12)}"
    lines = ("⚙ bash `npm test` ✓", "⚙ edit `app/forms/login.py` …")
    pages = [_timed(lambda: outgoing.pages(MARKDOWN)) for _ in range(RENDERED)]
    live = [_timed(lambda: outgoing.live_page(head, lines, body)) for _ in range(RENDERED)]
    rows = [
        (f"an answer of {len(MARKDOWN):,} characters", *spread(summary(pages))),
        (f"a live message with {len(body):,} characters", *spread(summary(live))),
    ]
    return Section("Rendering for Telegram", HOW_RENDER, [Table(("", "p50 ms", "p95", "n"), rows)])


def _timed(render: Callable[[], object]) -> float:
    began = time.perf_counter()
    render()
    return (time.perf_counter() - began) * 1000
