"""Runs a scenario in a world and says what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.soak import records
from tests.soak.checker import Expected, Finding, check, identified
from tests.soak.fit import fit
from tests.soak.observed import Observed, Shown
from tests.soak.records import Mark, Records
from tests.soak.scenario import Scenario, Script, Step
from tests.soak.world import World

T = TypeVar("T")

PATIENCE = 20.0  # seconds for a step, where it does not say so itself
MOST = 12  # findings that are printed of one scenario
PRESS_AGAIN = 4.0  # seconds
ON_ITS_WAY = 2.0  # seconds for what the bot has sent to be seen
GIT = 10.0  # seconds for one command
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
    """Never raises for what the bot does; the world is left with a living bot and nothing wrong.

    Raises Unsupported for a scenario that is not for the world's platform.
    """
    runner = _Runner(world, fit(scenario, world.driver))
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
        self._world.forge.forget()
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
        rule.think(*script.thinks)
        rule.say(*script.say, delay=script.every)
        if script.ends:
            rule.end(script.ends)
        if script.fails:
            rule.fail(**script.fails)
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
                message, label = await self._button(args["in"], args["message"], args["button"], within)
                told = await driver.press(args["in"], message, label, by=args.get("by", ""))
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
            case "forge":
                await self._on_forge(args, within)
            case "disk":
                bot.fill_disk(full=args["is"] == "full")

    async def _on_forge(self, args: dict[str, Any], within: float) -> None:
        forge = self._world.forge
        if "checks" in args:
            forge.verdict(args["checks"], args.get("name", "tests"), args.get("said", ""))
        if args.get("merge"):
            forge.merge()
        if "has" in args:
            await self._poll(
                lambda: any(args["has"] in request for request in forge.requests()),
                within,
                f"no request has “{args['has']}”: {forge.requests()}",
            )

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
        place = args.get("in", "")
        if "seconds" in args:
            await asyncio.sleep(float(args["seconds"]))
        if "git" in args or "worktree" in args:
            await self._wait_for_worktree(args, within)
        elif "for" in args:
            await self._wait_for_message(args, within)
        if "file" in args:
            await self._until(
                lambda: self._came(place, args["file"], args.get("content", "")), within, "no such file came"
            )
        if "gone" in args:
            await self._until(
                lambda: all(args["gone"] not in shown.text for shown in self._driver.shown(place)),
                within,
                f"“{args['gone']}” is still to be seen",
            )
        if "live" in args:
            await self._until(lambda: self._is_live(place, args["live"]), within, "no such live message")
        if "asked" in args:
            await self._poll(
                lambda: any(args["asked"] in prompt for prompt in self._asked()), within, "the model was not asked"
            )
        if "told" in args:
            await self._poll(lambda: self._was_told(args["told"]), within, "the model was not told")
        if "seen" in args:
            await self._until(lambda: self._is_seen(args["seen"]), within, "no receipt")
        if args.get("quiet"):
            await self._come_to_rest(within)

    async def _wait_for_message(self, args: dict[str, Any], within: float) -> None:
        place, text, first = args["in"], args["for"], args.get("first", "")
        if "button" in args:
            await self._button(place, text, args["button"], within, first)
        elif "lacks" in args:
            await self._until(
                lambda: (here := self._messages(place, text, first)) and not _labels(here[-1], args["lacks"]),
                within,
                f"“{text}” in {place} still has “{args['lacks']}”, or is not there",
            )
        else:
            await self._message(place, text, within, int(args.get("times", 1)), first)

    async def _wait_for_worktree(self, args: dict[str, Any], within: float) -> None:
        """Looked into again and again: nobody tells when something changes there."""
        end = time.monotonic() + within
        ref = args.get("of", self._fill("{ref}"))
        while not _as_wanted(found := await self._look_into(ref, args), args):
            self._bot.must_live()
            if time.monotonic() > end:
                raise AssertionError(f"in the worktree of {ref} there is {found!r} after {within:g} s")
            await asyncio.sleep(0.1)

    async def _look_into(self, ref: str, args: dict[str, Any]) -> str | None:
        """What git prints, or what the file has in it; None when there is no such thing."""
        folder = records.worktree(self._world.database, ref)
        if folder is None or not folder.is_dir():
            return None
        if "git" in args:
            return await _git(folder, args["git"])
        file = folder / args["worktree"]
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None

    def _was_told(self, text: str) -> bool:
        requests = self._world.model.requests[self._requests :]
        return any(text in result for request in requests for result in request.tool_results)

    def _is_live(self, place: str, text: str) -> bool:
        return any(text in each for each in self._driver.previews(place)) or any(
            text in shown.text and "▸" in shown.text for shown in self._driver.shown(place)
        )

    def _is_seen(self, text: str) -> bool:
        observed = self._driver.observed()
        return any(said.event in observed.seen for said in observed.said if text in said.text)

    def _came(self, place: str, name: str, content: str) -> bool:
        return any(
            name in shown.file and content.encode() in self._driver.content(place, shown)
            for shown in self._here(place)
            if shown.file
        )

    def _here(self, place: str) -> list[Shown]:
        try:
            return self._driver.shown(place)
        except ValueError:  # no such thread yet
            return []

    def _messages(self, place: str, text: str, first: str = "") -> list[Shown]:
        """Oldest first. With `first`, those that changed, and said that when they came."""
        found = [shown for shown in self._here(place) if text in shown.text]
        return [shown for shown in found if first in shown.first and shown.first != shown.text] if first else found

    async def _message(self, place: str, text: str, within: float, times: int = 1, first: str = "") -> Shown:
        return await self._until(
            lambda: here[-1] if len(here := self._messages(place, text, first)) >= times else None,
            within,
            f"“{text}” was not shown {times} times in {place}",
        )

    async def _button(self, place: str, text: str, part: str, within: float, first: str = "") -> tuple[Shown, str]:
        """The newest message with such a text and button, and the button's whole label."""

        def found() -> tuple[Shown, str] | None:
            pairs = ((shown, _labels(shown, part)) for shown in reversed(self._messages(place, text, first)))
            return next(((shown, labels[0]) for shown, labels in pairs if labels), None)

        def there() -> str:
            here = self._messages(place, text, first)
            return "; ".join(f"“{' '.join(each.text.split())[:60]}” {list(each.buttons)}" for each in here)

        try:
            return await self._until(found, within, "")
        except AssertionError as error:
            self._bot.must_live()
            raise AssertionError(f"no “{part}” on “{text}” in {place}; there is {there()}") from error

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
        said = identified(self._driver.observed(), known).said
        return bool(known.busy) or any(each.event not in events for each in said)

    def _fill(self, value: Any) -> Any:
        if isinstance(value, str):
            for name, word in self._words.items():
                value = value.replace(name, word)
        return value

    # ── judging ────────────────────────────────────────────────────────────────────────────────

    async def judge(self) -> None:
        """Put everything in order again, then look at what happened."""
        try:
            with contextlib.suppress(TimeoutError):
                await self._driver.wait(lambda: not self._findings(), ON_ITS_WAY)
            self.verdict.findings = self._findings()
            known = self._records()
            self._compare(identified(self._driver.observed(), known), known)
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

    def _findings(self) -> list[Finding]:
        scripts = self._scenario.scripts
        answers = {script.prompt: script.answer for script in scripts if not script.hangs}
        pressed = frozenset(
            script.prompt
            for step in self._scenario.steps
            if step.verb == "press" and "Retry" in str(step.args["button"])
            for script in scripts
        )
        expected = Expected(answers, pressed)
        found = check(self._driver.observed(), self._records(), self._asked(), expected, self._driver.traits)
        return [finding for finding in found if finding.rule not in self._scenario.expect.allow]

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
    here = [shown.at for shown in seen.shown if shown.message in pages or (run and shown.run == run.id)]
    came = min(here, default=None)
    return came - said if said is not None and came is not None else float("inf")


def _labels(shown: Shown, part: str) -> list[str]:
    """Of its buttons with `part` in them; the one that is called just so before others."""
    return sorted((label for label in shown.buttons if part in label), key=lambda label: label != part)


def _as_wanted(found: str | None, args: dict[str, Any]) -> bool:
    if "for" in args:
        return found is not None and str(args["for"]) in found
    if args["absent"] is True:
        return found is None
    return found is None or str(args["absent"]) not in found


async def _git(folder: Path, words: str) -> str:
    """What it prints, its complaints too."""
    process = await asyncio.create_subprocess_exec(
        "git", *shlex.split(words), cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(GIT):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return out.decode(errors="replace")
