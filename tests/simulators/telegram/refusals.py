"""`refusals.yaml`: what a bot must not send, and how each call is put right.

A broken bot is nothing but such a call. Every entry runs against a small world that `prepare` makes; its names stand
in parameters as `$name`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from . import methods
from .params import plain
from .simulator import TelegramSimulator

FILE = Path(__file__).with_name("refusals.yaml")
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000400000004008020000002555e3") + b"\0" * 40


@dataclass(frozen=True, slots=True)
class Refusal:
    """`params` is refused with `error` (status, text or its beginning); with `instead` merged in, it is taken."""

    name: str
    method: str
    error: tuple[int, str]
    instead: dict[str, Any]
    params: dict[str, Any] = field(default_factory=dict)
    setup: tuple[dict[str, dict[str, Any]], ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    token: str = ""
    body: str = ""  # sent as it is, as JSON

    @property
    def corrected(self) -> Refusal:
        """The call put right. A parameter of `~` is left out."""
        change = dict(self.instead)
        method, token = change.pop("method", self.method), change.pop("token", "")
        files = change.pop("files", self.files)
        setup = tuple(change.pop("setup", self.setup))
        params = {k: v for k, v in (self.params | change).items() if v is not None}
        return Refusal(self.name, method, (200, ""), {}, params, setup, files, token)


def load() -> list[Refusal]:
    entries = yaml.safe_load(FILE.read_text("utf-8"))
    return [Refusal(**entry | {"error": tuple(entry["error"])}) for entry in entries]


async def prepare(sim: TelegramSimulator) -> dict[str, Any]:
    """People, chats and messages that the entries speak of."""
    names: dict[str, Any] = {"bot": sim.bot.id}
    alice, bob, carol, dan, robot = (sim.user(n) for n in ("Alice", "Bob", "Carol", "Dan", "Robot"))
    robot.is_bot = True
    people = {"alice": alice, "bob": bob, "carol": carol, "dan": dan, "robot": robot}
    for name, person in people.items():
        names[name] = person.id
    for person in (alice, carol, dan, robot):
        sim.private(person)
    await sim.block(carol)
    dan.deactivated = True
    chats = {
        "group": sim.group("Group", [alice, bob]),  # Bob has never written to the bot
        "supergroup": sim.supergroup("Supergroup", [alice]),
        "forum": sim.forum("Forum", [alice, bob]),
        "powerless": sim.forum("Powerless", [alice], bot="member"),
        "channel": sim.channel("Channel", [alice]),
        "mute_channel": sim.channel("Mute", [alice], bot="member"),
        "foreign": sim.supergroup("Foreign", [alice], bot=""),
    }
    names |= {name: chat.id for name, chat in chats.items()}
    names["topic"] = (await sim.topic(chats["forum"], "Topic", alice)).id
    names["other_topic"] = (await sim.topic(chats["powerless"], "Topic", alice)).id
    gone = await sim.topic(chats["forum"], "Gone", alice)
    await sim.delete_topic(gone, alice)
    names["gone_topic"] = gone.id
    for name in ("alice", "group", "supergroup", "forum", "powerless"):
        chat = sim.world.chats[names[name]]
        names[f"{name}_theirs"] = (await sim.say(alice, chat, "from Alice")).id
        names[f"{name}_own"] = sim.core.post(chat, sim.bot, text="from the bot").id
    message = await sim.say(alice, names["alice"], "gone")
    await sim.delete(alice, message)
    names["deleted"] = message.id
    shown = await _called(sim, "sendMessage", chat_id=names["alice"], text="?", reply_markup=_KEYBOARD)
    names["with_button"] = shown["message_id"]
    names["press"] = (await sim.press(alice, shown["message_id"], "Yes", chat=names["alice"], wait=0)).id
    for kind, content in (("document", b"text"), ("photo", PNG), ("voice", b"OggS")):
        sent = await sim.send_file(alice, names["alice"], kind, content)
        media = (sent.media or {})[kind]
        names[kind] = (media[-1] if kind == "photo" else media)["file_id"]
        names[f"{kind}_message"] = sent.id
    big = await sim.send_file(alice, names["alice"], "document", b"big", size=21 << 20)
    names["big"] = (big.media or {})["document"]["file_id"]
    return names


_KEYBOARD = {"inline_keyboard": [[{"text": "Yes", "callback_data": "yes"}]]}


async def _called(sim: TelegramSimulator, method: str, **params: Any) -> Any:
    result = methods.METHODS[method.lower()][1](sim.core, plain(params))
    return await result if hasattr(result, "__await__") else result


def resolve(value: Any, names: dict[str, Any]) -> Any:
    """Put names in: `$alice` becomes the number, `{repeat: [a, 3]}` becomes `aaa`, `{json: …}` its JSON."""
    if isinstance(value, str) and value.startswith("$"):
        return names[value[1:]]
    if isinstance(value, list):
        return [resolve(item, names) for item in value]
    if isinstance(value, dict):
        if "repeat" in value:
            return value["repeat"][0] * value["repeat"][1]
        if "raw" in value:
            return value["raw"]
        return {key: resolve(item, names) for key, item in value.items()}
    return value


async def set_up(sim: TelegramSimulator, steps: tuple[dict[str, dict[str, Any]], ...], names: dict[str, Any]) -> None:
    """Actions of the simulator (`kick_bot`, `outage`…) or, as `call`, methods of the Bot API."""
    for step in steps:
        for action, raw in step.items():
            arguments = resolve(raw, names)
            if action == "call":
                await _called(sim, arguments.pop("method"), **arguments)
            elif action == "push_clock":
                sim.clock.push(arguments["seconds"])
            else:
                result = getattr(sim, action)(**arguments)
                if hasattr(result, "__await__"):
                    result = await result
                if action == "migrate":
                    names["migrated"] = result.id


def as_form(params: dict[str, Any]) -> dict[str, str]:
    """Parameters as a form sends them."""
    return {k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in params.items()}
