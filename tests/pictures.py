"""The README's pictures of Telegram: `python -m tests.pictures` (`make pictures`) plays two stories and draws them.

Nothing is painted by hand: a bot process of its own, real opencode and real git work on a small repository, the model
follows a script, and what the Telegram simulator has in its chats at the end becomes docs/img/*.svg.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path
from typing import Any

from tests.e2e.harness import PROJECT, Machine, make_machine
from tests.simulators.model import ScriptedModel
from tests.simulators.telegram import Chat, Message, TelegramSimulator, User
from tests.simulators.telegram.picture import render_svg
from tests.simulators.telegram.picture_text import shorten
from tests.soak.forge import PushedForge, add_remote

TARGET = Path(__file__).parents[1] / "docs" / "img"
PATIENCE = 90.0  # seconds for one step of a story
WORD = 0.02  # seconds

FILES = {
    "app.py": 'ROUTES = {"/": "home"}\n',
    "clock.py": "import time\n\n\ndef now() -> float:\n    return time.time()\n",
    "test_app.py": (
        "import unittest\n\nfrom app import ROUTES\n\n\nclass AppTest(unittest.TestCase):\n"
        '    def test_home(self) -> None:\n        self.assertIn("/", ROUTES)\n'
    ),
    ".gitignore": "__pycache__/\n",
}
WRITE_FORM = """printf 'ROUTES = {"/": "home", "/login": "login"}\\n' > app.py
printf '<form><input name="name"><input name="password" type="password"></form>\\n' > login.html"""
FORM_DONE = """The **login form** is there, and the tests pass.

- `app.py` has the route `/login`
- `login.html` is the form, sent above

```python
ROUTES["/login"] = "login"
```"""
CLOCK_DONE = "Fixed: `clock.py` reads the **monotonic** clock, which no time server turns back. The tests pass."
CHOICES = frozenset({"Allow once", "Always", "Reject"})
HOW = {
    "question": "When is it dark?",
    "header": "When",
    "options": [{"label": "By the system", "description": ""}, {"label": "By a switch", "description": ""}],
}
WHERE = {
    "question": "On which pages?",
    "header": "Pages",
    "multiple": True,
    "options": [{"label": "Home", "description": ""}, {"label": "Login", "description": ""}],
}
WRITE_THEME = (
    """printf '@media (prefers-color-scheme: dark) {\\n  body { background: #111; color: #eee }\\n}\\n' > dark.css"""
)
THEME_DONE = "The pages are dark where the system is: `dark.css`, by `prefers-color-scheme`. Nothing else changed."


def todo(content: str, status: str = "pending") -> dict[str, str]:
    """A line of the agent's plan."""
    return {"content": content, "status": status, "priority": "medium", "id": content}


def words(text: str) -> list[str]:
    """As a model streams it."""
    return re.findall(r"\S+\s*|\s+", text)


def scripted() -> ScriptedModel:
    """What the model says and does in both stories; the tools do it for real."""
    model = ScriptedModel()
    form = model.on("add a login form")
    form.say(*words("There is no `/login` yet. I add the route and the form. "), delay=WORD)
    form.call("bash", {"command": WRITE_FORM, "description": "Add the form"})
    form.then().call("bash", {"command": "python3 -m unittest -q", "description": "Run the tests"})
    form.then().call("bash", {"command": "kugetsu send login.html", "description": "Show the form"})
    form.then_say(*words(FORM_DONE), delay=WORD)
    push = model.on("Commit it")
    push.say(*words("I commit both files and push the branch."), delay=WORD)
    push.call("bash", {"command": 'git commit -qam "Add a login form" && git push', "description": "Commit and push"})
    push.then_say("Pushed.")
    clock = model.on("fix the clock test")
    clock.say(*words("The test compares two readings of the wall clock. "), delay=WORD)
    clock.call("bash", {"command": "sed -i 's/time.time/time.monotonic/' clock.py", "description": "Another clock"})
    clock.then().call("bash", {"command": "python3 -m unittest -q", "description": "Run the tests"})
    clock.then_say(*words(CLOCK_DONE), delay=WORD)
    often = model.on("run it twenty times")
    often.say(*words("I run it in a loop."), delay=WORD)
    often.call("bash", {"command": "for i in $(seq 20); do python3 test_app.py; done", "description": "Twenty times"})
    often.then().say(*words("Twenty runs, none failed. I look whether anything else reads the wall clock:"), delay=WORD)
    often.call("bash", {"command": "grep -rn time.time .", "description": "Look for others"})
    often.then().hang()
    theme = model.on("a dark theme")
    theme.say(*words("Before I begin, two things are yours to decide."), delay=WORD)
    theme.call("question", {"questions": [HOW, WHERE]})
    theme.then().say(*words("Dark by the system's setting, on both pages. "), delay=WORD)
    theme.call("todowrite", {"todos": [todo("Add the style sheet", "in_progress"), todo("Link it"), todo("Test it")]})
    theme.call("bash", {"command": WRITE_THEME, "description": "Write the style sheet"})
    theme.then().call("bash", {"command": "python3 -c 'import app'", "description": "Load the application"})
    theme.then().hang().call("bash", {"command": "git status --short", "description": "Look"})
    theme.then_say(*words(THEME_DONE), delay=WORD)
    model.on("which colours").say(*words("`#111` behind `#eee`: a contrast of 16 to 1."), delay=WORD)
    model.on("Name the colours").say(*words("They have names now: `--ink` and `--paper`."), delay=WORD)
    model.on("tidy the docs").say(*words("The docs are tidy: one dead link, removed."), delay=WORD)
    return model


async def play(root: Path) -> dict[str, str]:
    """Both stories; SVG by file name."""
    model = scripted()
    await model.start()
    machine = await make_machine(root, model)
    furnish(machine)
    forge = PushedForge("shoko/kugetsu", root / "remote.git")
    add_remote(machine.project, forge.remote)
    await forge.start()
    try:
        async with TelegramSimulator(name="kugetsu") as sim:
            alice, bob, eve = sim.user("Alice"), sim.user("Bob"), sim.user("Eve")
            machine.write(
                adapters={"console": {}, "telegram": {"token": sim.token, "api_base": sim.url}},
                access={"admins": [f"telegram:{alice.id}"], "drivers": [f"telegram:{each.id}" for each in (bob, eve)]},
                forges={"github.com": forge.settings()},
            )
            async with machine.bot():
                private = await private_story(sim, alice, sim.private(alice))
                team = sim.forum("Web team", [alice, bob])
                forum = await forum_story(sim, alice, bob, team)
                asking, steering, finishing = await steering_story(sim, eve, sim.private(eve), forge, model)
    finally:
        await forge.stop()
        await model.stop()
    return {
        "telegram-private.svg": private,
        "telegram-forum.svg": forum,
        "telegram-asking.svg": asking,
        "telegram-steering.svg": steering,
        "telegram-finishing.svg": finishing,
    }


def furnish(machine: Machine) -> None:
    """The repository, and what opencode asks before it does."""
    for name, text in FILES.items():
        (machine.project / name).write_text(text, encoding="utf-8")
    identity = ("-c", "user.name=Demo", "-c", "user.email=demo@localhost")
    for command in (("add", "."), (*identity, "commit", "-qm", "An application")):
        subprocess.run(["git", *command], cwd=machine.project, check=True, capture_output=True, timeout=20)
    config = machine.home.config
    config["permission"] = {"bash": {"*": "allow", "python3 -m*": "ask", "git commit*": "ask"}}
    options = {"baseURL": machine.model.url, "apiKey": "none"}
    limit = {"context": 100_000, "output": 4_000}
    scripted = {"name": "scripted", "tool_call": True, "limit": limit}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Demo",
        "options": options,
        "models": {"scripted": scripted},
    }
    config |= {"model": "demo/scripted", "small_model": "demo/scripted", "provider": {"demo": provider}}
    machine.home.write()


async def private_story(sim: TelegramSimulator, alice: User, chat: Chat) -> str:
    """An issue from the phone: a permission decided, a file, the answer, the next permission waiting."""
    await sim.say(alice, chat, f"/start {PROJECT}#14 add a login form")
    await decided(sim, alice, chat, "unittest", "Allow once")
    await seen(sim, lambda: sim.find("The login form is there", chat))
    await seen(sim, lambda: sim.find("✓ #14 · run 1", chat))
    await sim.say(alice, chat, "Nice! Commit it and push")
    await seen(sim, lambda: sim.find("git push", chat))
    await seen(sim, lambda: "waits for an answer" in str(sim.chat_state(chat)["drafts"]))
    return render_svg(sim.chat_state(chat), viewer=alice.id)


async def forum_story(sim: TelegramSimulator, alice: User, bob: User, team: Chat) -> str:
    """Two issues, two topics; a teammate decides and goes on."""
    await sim.say(alice, team, f"/start {PROJECT}#22 tidy the docs")
    await seen(sim, lambda: sim.find("The docs are tidy", team))
    await sim.say(alice, team, f"/start {PROJECT}#21 fix the clock test")
    await decided(sim, bob, team, "unittest", "Allow once")
    await seen(sim, lambda: sim.find("Fixed: clock.py", team))
    topic = next(topic for topic in team.topics.values() if topic.name.startswith("#21"))
    await asyncio.sleep(45.0)  # a group takes 20 messages a minute: for the live message to be quick, some must be left
    await sim.say(bob, team, "Thanks! Please run it twenty times", thread=topic)
    await seen(sim, lambda: "grep" in (sim.find("run 2", team) or Nothing).text)
    inside = render_svg(sim.chat_state(team, topic), width=430, viewer=alice.id)
    return beside(topics(sim.chat_state(team), topic.id), inside)


async def steering_story(
    sim: TelegramSimulator, eve: User, chat: Chat, forge: PushedForge, model: ScriptedModel
) -> tuple[str, str, str]:
    """A form filled in, a question on the side, a queue; then a look at the work, and a pull request."""
    await sim.say(eve, chat, f"/start {PROJECT}#31 a dark theme")
    form = await seen(sim, lambda: sim.find("On which pages?", chat))
    for button in ("1 ○ By the system", "2 ☐ Home"):
        await asyncio.sleep(1.2)
        await sim.press(eve, form, button)
    await asyncio.sleep(1.2)
    asking = render_svg(sim.chat_state(chat), viewer=eve.id)
    await sim.press(eve, form, "2 ☐ Login")
    await asyncio.sleep(1.2)
    await sim.press(eve, form, "Send")
    await seen(sim, lambda: "import app" in str(sim.chat_state(chat)["drafts"]))
    await sim.say(eve, chat, "/btw which colours will it be?")
    await seen(sim, lambda: sim.find("16 to 1", chat))
    await sim.say(eve, chat, "Name the colours")
    await seen(sim, lambda: sim.find("Queued at 1", chat))
    await asyncio.sleep(4.0)
    steering = render_svg(sim.chat_state(chat), viewer=eve.id)
    for rule in model._rules:
        rule.release()
    await seen(sim, lambda: sim.find("They have names now", chat))
    await sim.say(eve, chat, "/diff")
    await seen(sim, lambda: sim.find("since it left its base", chat))
    await sim.say(eve, chat, "/commit")
    await pressed(sim, eve, chat, "would commit", "Commit")
    await sim.say(eve, chat, "/pr")
    forge.verdict("failed", "lint", "dark.css: missing newline")
    await pressed(sim, eve, chat, "would ask to merge", "Open it")
    await seen(sim, lambda: sim.find("checks failed", chat))
    await asyncio.sleep(2.0)
    state = sim.chat_state(chat)
    state["messages"] = state["messages"][-8:]
    return asking, steering, render_svg(state, viewer=eve.id)


async def pressed(sim: TelegramSimulator, by: User, chat: Chat, what: str, button: str) -> None:
    """Wait for a message, look at it for a moment, press its button."""
    message = await seen(sim, lambda: sim.find(what, chat))
    await asyncio.sleep(1.0)
    await sim.press(by, message, button)


class Nothing:
    """No message yet."""

    text = ""


async def decided(sim: TelegramSimulator, by: User, chat: Chat, what: str, choice: str) -> None:
    """Wait for a permission request that names `what`, look at it for a moment, press."""
    request: Message = await seen(sim, lambda: asked(sim, chat, what))
    await asyncio.sleep(1.0)
    await sim.press(by, request, choice)


def asked(sim: TelegramSimulator, chat: Chat, what: str) -> Message | None:
    """The open request."""
    shown = (message for message in sim.messages(chat) if message.outgoing and what in message.text)
    return next((message for message in shown if {button["text"] for button in message.buttons} >= CHOICES), None)


async def seen(sim: TelegramSimulator, look: Any) -> Any:
    """Wait until `look` finds something."""
    async with asyncio.timeout(PATIENCE):
        while not (found := look()):
            await asyncio.sleep(0.05)
    return found


# ── drawing ────────────────────────────────────────────────────────────────────────────────────

_COLORS = ("#d1495b", "#2e86ab", "#7a5ccf", "#2f9e6e", "#c9772b")
_PANEL = 270.0


def topics(state: dict[str, Any], chosen: int) -> str:
    """A forum's list of topics, the newest first, as wide as a phone's is in landscape."""
    parts = [
        f'<rect width="{_PANEL:g}" height="100%" fill="#fff"/>',
        _text(16, 26, state["title"], 16, "#0f1419", 'font-weight="600"'),
        _text(16, 44, state["subtitle"], 13, "#8a9aa5"),
        f'<rect y="57" width="{_PANEL:g}" height="1" fill="#dfe6ea"/>',
    ]
    colors = {0: "#8a9aa5"} | {
        row["message_thread_id"]: color for row, color in zip(state["topics"], _COLORS, strict=False)
    }
    rows = [{"message_thread_id": 0, "name": "General"}, *state["topics"]]
    newest = {row["message_thread_id"]: last(state, row["message_thread_id"]) for row in rows}
    rows.sort(key=lambda row: -newest[row["message_thread_id"]]["date"])
    for place, row in enumerate(rows):
        y, number = 58 + place * 64, row["message_thread_id"]
        if number == chosen:
            parts.append(f'<rect y="{y}" width="{_PANEL:g}" height="64" fill="#e4f0f9"/>')
        color = colors[number]
        parts.append(f'<circle cx="34" cy="{y + 32}" r="17" fill="{color}"/>')
        parts.append(_text(34, y + 37.5, "#" if number else "G", 15, "#fff", 'font-weight="600" text-anchor="middle"'))
        name = shorten(row["name"], _PANEL - 82, size=14.5, bold=True)
        parts.append(_text(62, y + 27, name, 14.5, "#0f1419", 'font-weight="600"'))
        said = f"{newest[number]['sender']}: {' '.join(newest[number]['text'].split())}"
        parts.append(_text(62, y + 46, shorten(said, _PANEL - 82, size=13), 13, "#8a9aa5"))
    return "\n".join(parts)


def _text(x: float, y: float, text: str, size: float, color: str, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{color}" {more}>{escape(text)}</text>'


def last(state: dict[str, Any], thread: int) -> dict[str, Any]:
    """The newest message of a topic."""
    inside = (message for message in reversed(state["messages"]) if (message["thread"] or 0) == thread)
    return next((message for message in inside if message["text"]), {"date": 0, "sender": "", "text": ""})


def beside(panel: str, picture: str) -> str:
    """One picture of both."""
    opening = picture[: picture.index(">") + 1]
    found = dict(re.findall(r' ([a-z-]+)="([^"]*)"', opening))
    width, height = float(found["width"]), float(found["height"])
    all_of_it = _PANEL + 10 + width
    inner = picture.removeprefix(opening).replace("</svg>", "")
    edge = f'x=".5" y=".5" width="{_PANEL - 1:g}" height="{height - 1:g}" rx="17.5" fill="none" stroke="#bcc"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{all_of_it:g}" height="{height:g}" '
        f'viewBox="0 0 {all_of_it:g} {height:g}" font-family="{found["font-family"]}" xml:space="preserve">\n'
        f'<defs><clipPath id="panel"><rect width="{_PANEL:g}" height="{height:g}" rx="18"/></clipPath></defs>\n'
        f'<g clip-path="url(#panel)">\n{panel}\n</g>\n<rect {edge}/>\n'
        f'<g transform="translate({_PANEL + 10:g} 0)">{inner}</g>\n</svg>\n'
    )


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        pictures = await play(Path(folder) / "m")
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, svg in pictures.items():
        (TARGET / name).write_text(svg, encoding="utf-8")
        sys.stdout.write(f"{TARGET / name}: {len(svg) // 1024} kB\n")


if __name__ == "__main__":
    asyncio.run(main())
