"""Runs a scenario in a world and says what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.soak import records
from tests.soak.checker import Expected, Finding, check
from tests.soak.observed import Observed
from tests.soak.records import Mark, Records
from tests.soak.scenario import Scenario, Script, Step
from tests.soak.world import World

T = TypeVar("T")

PATIENCE = 20.0  # seconds for a step, where it does not say so itself
MOST = 12  # findings that are printed of one scenario
PRESS_AGAIN = 4.0  # seconds
SLICE = 0.5  # seconds between looks at whether the bot still lives


@dataclass(slots=True)
class Verdict:
    """What came of a scenario."""

    title: str
    findings: list[Finding] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # expectations that were not met, steps that failed
    kills: list[str] = field(default_factory=list)  # what had just been done each time
    seconds: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    report: str = ""  # what was seen, for people

    @property
    def good(self) -> bool:
        return not self.findings and not self.problems

    def __str__(self) -> str:
        lines = [*map(str, self.findings[:MOST]), *self.problems]
        lines += [f"… and {len(self.findings) - MOST} more"] if len(self.findings) > MOST else []
        killed = f", killed after {', '.join(self.kills)}" if self.kills else ""
        return f"{self.title}: {'good' if self.good else 'BAD'}, {self.seconds:.1f} s{killed}" + "".join(
            f"\n  {line}" for line in lines
        )


class Failed(AssertionError):
    """A step did not come to pass."""


async def run(world: World, scenario: Scenario) -> Verdict:
    """Never raises for what the bot does; the world is left with a living bot and nothing wrong."""
    runner = _Runner(world, scenario)
    began, kills = time.monotonic(), len(world.bot.kills)
    try:
        await runner.play()
    except (AssertionError, TimeoutError, ValueError) as error:
        runner.verdict.problems.append(f"{type(error).__name__}: {error}")
    await runner.judge()
    verdict = runner.verdict
    verdict.seconds = time.monotonic() - began
    verdict.kills = world.bot.kills[kills:]
    if not verdict.good:
        world.healthy = False
        verdict.report = runner.report()
    return verdict


class _Runner:
    def __init__(self, world: World, scenario: Scenario) -> None:
        self.verdict = Verdict(scenario.title)
        self._world = world
        self._driver = world.driver
        self._bot = world.bot
        self._scenario = scenario
        self._words: dict[str, str] = {}
        for number in ("", "2", "3"):
            ref = world.new_issue()
            self._words |= {f"{{ref{number}}}": ref, f"{{tag{number}}}": f"#{ref.partition('#')[2]}"}
        self._since = Mark()
        self._requests = 0
        self._began = time.monotonic()
        self._beside: list[asyncio.Task[None]] = []

    # ── playing ────────────────────────────────────────────────────────────────────────────────

    async def play(self) -> None:
        """All steps, then wait for everything to come to its end."""
        self._since = records.mark(self._world.database)
        self._requests = len(self._world.model.requests)
        self._driver.begin()
        for name, (kind, people) in self._scenario.places.items():
            self._driver.add_place(name, kind, list(people))
        self._world.model._rules.clear()
        for script in self._scenario.scripts:
            self._teach(script)
        if not self._bot.alive:
            await self._bot.start()
        for number, step in enumerate(self._scenario.steps, start=1):
            try:
                await self._do(step)
            except (AssertionError, TimeoutError, ValueError) as error:
                raise Failed(f"step {number}, {step}: {error or type(error).__name__}") from error
            self._bot.must_live()
        await asyncio.gather(*(task for task in self._beside if task.get_name() == "meanwhile"))
        await self._come_to_rest(self._scenario.patience)

    def _teach(self, script: Script) -> None:
        rule = self._world.model.on(script.prompt)
        rule.say(*script.say, delay=script.every)
        if script.hangs:
            rule.hang()
        if script.call:
            rule.call(script.call, dict(script.arguments))
        if script.then:
            rule.then_say(script.then)

    async def _do(self, step: Step) -> None:
        args = {name: self._fill(value) for name, value in step.args.items()}
        driver, bot = self._driver, self._bot
        within = float(args.get("within", PATIENCE))
        match step.verb:
            case "say":
                reply = await self._message(args["in"], args["reply"], within) if "reply" in args else None
                await driver.say(args["in"], args["text"], by=args.get("by", ""), reply=reply)
            case "send":
                content = str(args["content"]).encode()
                await driver.send(args["in"], args["file"], content, args.get("text", ""), by=args.get("by", ""))
            case "edit":
                await driver.edit(args["said"], args["to"])
            case "press":
                message = await self._message(args["in"], args["message"], within)
                told = await driver.press(args["in"], message, args["button"], by=args.get("by", ""))
                if args.get("tells", "") not in told:
                    raise AssertionError(f"the one who pressed was told “{told}”")
            case "wait":
                await self._wait(args, within)
            case "outage":
                driver.outage(float(args["seconds"]))
            case "fault":
                times = args.get("times", 1)
                driver.fault(
                    args["what"],
                    args.get("call", "any"),
                    args.get("in", ""),
                    times or None,
                    float(args.get("seconds", 1)),
                )
            case "calm":
                driver.calm()
            case "happen":
                await driver.happen(args["what"], args.get("in", ""), args.get("text", ""))
            case "kill" if args["at"] == "now":
                await bot.kill()
            case "kill":
                bot.arm(f"{args['at']}:{args.get('times', 1)}")
            case "died":
                await self._died(within, or_rest=args.get("or") == "rest")
            case "agree":
                self._beside.append(asyncio.create_task(self._agree(), name="agree"))
            case "meanwhile":
                self._beside.append(asyncio.create_task(self._meanwhile(args["steps"]), name="meanwhile"))
            case "stop":
                await bot.stop(twice=bool(args.get("twice")))
            case "start":
                await bot.start(args.get("kill", ""))
            case "crash":
                await bot.kill_opencode()
            case "release":
                for rule in self._world.model._rules:
                    if rule.matches(args["prompt"]):
                        rule.release()
            case "console":
                await self._console([self._fill(word) for word in args["command"]], args["until"], within)
            case "disk":
                bot.fill_disk(full=args["is"] == "full")

    async def _console(self, words: Sequence[str], wanted: str, within: float) -> None:
        end = time.monotonic() + within
        while wanted not in (result := await self._world.machine.run(*words)).out:
            if time.monotonic() > end:
                raise AssertionError(f"`kugetsu {' '.join(words)}` says {result.out!r} {result.err!r}")

    async def _died(self, within: float, *, or_rest: bool) -> None:
        if not or_rest:
            if not await self._bot.dead(within):
                raise AssertionError("the fault point was not passed")
            return
        end = time.monotonic() + self._scenario.patience
        while not await self._bot.dead(SLICE):
            steps = [task for task in self._beside if task.get_name() == "meanwhile" and not task.done()]
            if (not steps and not self._busy()) or time.monotonic() > end:
                await self._bot.kill()
                self.verdict.figures["at rest"] = self.verdict.figures.get("at rest", 0) + 1
                return

    async def _agree(self) -> None:
        """Somebody allows whatever is asked, and once more when nothing comes of it for a while."""
        pressed: dict[str, float] = {}
        while True:
            await asyncio.sleep(0.1)
            for place in self._scenario.places:
                for shown in self._driver.shown(place):
                    late = time.monotonic() - pressed.get(f"{shown.chat} {shown.message}", 0.0) > PRESS_AGAIN
                    if "Allow once" in shown.buttons and self._bot.alive and late:
                        pressed[f"{shown.chat} {shown.message}"] = time.monotonic()
                        with contextlib.suppress(AssertionError):
                            await self._driver.press(place, shown, "Allow once", wait=1.0)

    async def _meanwhile(self, steps: Sequence[Step]) -> None:
        for step in steps:
            place = self._fill(step.args["in"])
            end = time.monotonic() + self._scenario.patience
            while not self._driver.has(place):
                if time.monotonic() > end:
                    raise AssertionError(f"{place} was never there")
                await asyncio.sleep(0.1)
            await self._do(step)
            await asyncio.sleep(0.3)

    async def _wait(self, args: dict[str, Any], within: float) -> None:
        if "seconds" in args:
            await asyncio.sleep(float(args["seconds"]))
        if "for" in args:
            await self._message(args["in"], args["for"], within, int(args.get("times", 1)))
        if "gone" in args:
            await self._until(
                lambda: all(args["gone"] not in shown.text for shown in self._driver.shown(args["in"])),
                within,
                f"“{args['gone']}” is still to be seen",
            )
        if "live" in args:
            await self._until(lambda: self._is_live(args["in"], args["live"]), within, "no such live message")
        if "asked" in args:
            await self._poll(
                lambda: any(args["asked"] in prompt for prompt in self._asked()), within, "the model was not asked"
            )
        if "seen" in args:
            await self._until(lambda: self._is_seen(args["seen"]), within, "no receipt")
        if args.get("quiet"):
            await self._come_to_rest(within)

    def _is_live(self, place: str, text: str) -> bool:
        return any(
            text in each and "▸" in each
            for each in (*self._driver.previews(place), *(shown.text for shown in self._driver.shown(place)))
        )

    def _is_seen(self, text: str) -> bool:
        observed = self._driver.observed()
        return any(said.event in observed.seen for said in observed.said if text in said.text)

    async def _message(self, place: str, text: str, within: float, times: int = 1) -> Any:
        def found() -> Any:
            try:
                shown = [shown for shown in self._driver.shown(place) if text in shown.text]
            except ValueError:  # no such thread yet
                return None
            return shown[-1] if len(shown) >= times else None

        return await self._until(found, within, f"“{text}” was not shown {times} times in {place}")

    async def _until(self, happened: Callable[[], T], within: float, what: str) -> T:
        """Woken by the platform; a bot that dies meanwhile is noticed."""
        end = time.monotonic() + within
        while True:
            self._bot.must_live()
            left = end - time.monotonic()
            try:
                return await self._driver.wait(happened, max(min(left, SLICE), 0.01))
            except TimeoutError:
                if left <= 0:
                    raise AssertionError(f"{what} within {within:g} s") from None

    async def _poll(self, happened: Callable[[], T], within: float, what: str) -> T:
        """For what nobody tells: the database of another process, the model."""
        end = time.monotonic() + within
        while not (value := happened()):
            self._bot.must_live()
            if time.monotonic() > end:
                raise AssertionError(f"{what} within {within:g} s")
            await asyncio.sleep(0.05)
        return value

    async def _come_to_rest(self, within: float) -> None:
        """Everything that was said is decided, everything that is to be done is done. The checker says what is not."""
        end = time.monotonic() + within
        while time.monotonic() < end and self._busy():
            self._bot.must_live()
            await asyncio.sleep(0.05)

    def _busy(self) -> bool:
        known = self._records()
        events = {row.event for row in known.inbox}
        return bool(known.busy) or any(said.event not in events for said in self._driver.observed().said)

    def _fill(self, value: Any) -> Any:
        if isinstance(value, str):
            for name, word in self._words.items():
                value = value.replace(name, word)
        return value

    # ── judging ────────────────────────────────────────────────────────────────────────────────

    async def judge(self) -> None:
        """Put everything in order again, then look at what happened."""
        try:
            seen, known = self._driver.observed(), self._records()
            asked = self._asked()
            expect = self._scenario.expect
            answers = {script.prompt: script.answer for script in self._scenario.scripts if not script.hangs}
            pressed = frozenset(
                str(step.args["button"]) and script.prompt
                for step in self._scenario.steps
                if step.verb == "press" and "Retry" in str(step.args["button"])
                for script in self._scenario.scripts
            )
            found = check(seen, known, asked, Expected(answers, pressed))
            self.verdict.findings = [finding for finding in found if finding.rule not in expect.allow]
            self._compare(seen, known)
            self.verdict.figures |= {
                "cut": sum(run.state == "cut" for run in known.runs),
                "found": sum("found after" in post.note for post in known.posts),
                "marked": sum(post.repeat for post in known.posts),
            }
        finally:
            for task in self._beside:
                task.cancel()
            await asyncio.gather(*self._beside, return_exceptions=True)
            self._driver.calm()
            for rule in self._world.model._rules:
                rule.release()
            if self._bot.alive:
                self._bot.fill_disk(full=False)
                self._bot.disarm()

    def _records(self) -> Records:
        return records.read(self._world.database, self._driver.platform, self._since)

    def _asked(self) -> list[str]:
        found = self._world.model.requests[self._requests :]
        return [request.user_text for request in found if request.body.get("tools") and request.turn == 0]

    def _compare(self, seen: Observed, known: Records) -> None:
        expect, wrong = self._scenario.expect, self.verdict.problems.append
        for post in known.posts:
            if post.state == "dropped" and not post.note:
                wrong(f"{post.key} was given up, and nobody can say why")
        for prompt, answer in expect.answered.items():
            runs = [run for run in known.runs if prompt in run.prompt and run.state == "done"]
            if not runs:
                wrong(f"no run with “{prompt}” was answered")
            for run in runs:
                if answer not in run.text:
                    wrong(f"“{prompt}” was answered with “{run.text[:100]}”")
        for prompt, seconds in expect.within.items():
            took = _took(seen, known, prompt)
            self.verdict.figures[f"answer to {prompt}"] = took
            if took > seconds:
                wrong(f"the answer to “{prompt}” took {took:.2f} s, more than {seconds:g}")
        if expect.seen_within:
            for said in seen.said:
                took = seen.seen.get(said.event, float("inf")) - said.at
                self.verdict.figures["receipt"] = max(took, self.verdict.figures.get("receipt", 0.0))
                if took > expect.seen_within:
                    wrong(f"the receipt of “{said.text}” took {took:.2f} s, more than {expect.seen_within:g}")
        for place, texts in expect.shown.items():
            here = [shown.text for shown in self._driver.shown(self._fill(place))]
            for text in texts:
                if not any(self._fill(text) in each for each in here):
                    wrong(f"“{text}” is not to be seen in {place}")
        for place, texts in expect.absent.items():
            here = [shown.text for shown in self._driver.shown(self._fill(place))]
            for text in texts:
                if any(self._fill(text) in each for each in here):
                    wrong(f"“{text}” is to be seen in {place}")
        for place, times in expect.rings.items():
            rang = sum(shown.rang for shown in self._driver.shown(self._fill(place)))
            if rang != times:
                wrong(f"{place} rang {rang} times, not {times}")
        for text, outcome in expect.outcomes.items():
            rows = [row for row in known.inbox if self._fill(text) in row.text]
            if not rows or any(row.outcome != outcome for row in rows):
                wrong(f"“{text}” is {[(row.outcome, row.reason) for row in rows]}, not {outcome}")
        for prompt, state in expect.states.items():
            runs = [run for run in known.runs if prompt in run.prompt]
            if not runs or runs[-1].state != state:
                wrong(f"the last run with “{prompt}” is {runs[-1].state if runs else 'not there'}, not {state}")

    def report(self) -> str:
        """Everything there is to know, for whoever looks for the cause."""
        seen, known = self._driver.observed(), self._records()
        points = self._bot.points.read_text().splitlines()[-60:] if self._bot.points.exists() else []
        sections = {
            "said": seen.said,
            "shown": [
                f"{s.at - (seen.said[0].at if seen.said else 0):8.2f} {s.chat}/{s.thread} {s.message}"
                f" {'RANG' if s.rang else ''}{' GONE' if s.gone else ''} {s.text[:160]!r} {s.buttons}"
                for s in seen.shown
            ],
            "inbox": known.inbox,
            "runs": known.runs,
            "posts": known.posts,
            "deliveries": known.deliveries,
            "operations": known.operations,
            "asked": self._asked(),
            "points": [" · ".join(points)],
            "log": list(self._bot.log)[-80:],
        }
        return "\n".join(
            f"── {name}\n" + "\n".join(f"  {each}" for each in rows) for name, rows in sections.items() if rows
        )


def _took(seen: Observed, known: Records, prompt: str) -> float:
    """Seconds from a message to the first page of its answer."""
    said = next((said.at for said in seen.said if prompt in said.text), None)
    run = next((run for run in known.runs if prompt in run.prompt), None)
    pages = {page.message for page in known.pages(run.id)} if run else set()
    came = min((shown.at for shown in seen.shown if shown.message in pages), default=None)
    return came - said if said is not None and came is not None else float("inf")
