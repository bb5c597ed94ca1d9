"""The bot itself: getMe, its command lists, descriptions and menu button."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.simulators.telegram import views
from tests.simulators.telegram.core import Core
from tests.simulators.telegram.errors import bad
from tests.simulators.telegram.params import Params

from . import access
from .table import method

_PLAIN_SCOPES = {"default", "all_private_chats", "all_group_chats", "all_chat_administrators"}
_CHAT_SCOPES = {"chat", "chat_administrators", "chat_member"}


@method("getMe")
def get_me(core: Core, params: Params) -> Any:
    return views.me(core.world)


def _scope(core: Core, params: Params) -> str:
    """The scope and language a command list is for, as one key."""
    what = "Can't parse BotCommandScope: "
    raw = params.json("scope", "BotCommandScope JSON object") or {"type": "default"}
    if not isinstance(raw, dict):
        raise bad(f"{what}BotCommandScope must be an Object")
    if "type" not in raw:
        raise bad(f'{what}Can\'t find field "type"')
    kind = raw["type"]
    if kind not in _PLAIN_SCOPES | _CHAT_SCOPES:
        raise bad(f"{what}Unsupported type specified")
    key: dict[str, Any] = {"type": kind}
    if kind in _CHAT_SCOPES:
        if "chat_id" not in raw:
            raise bad(f'{what}Can\'t find field "chat_id"')
        chat = access.find_chat(core, Params({"chat_id": str(raw["chat_id"])}), access.READ)
        if chat.type == "channel":
            raise bad("BOT_COMMAND_SCOPE_INVALID")
        key["chat_id"] = chat.id
    if kind == "chat_member":
        if "user_id" not in raw:
            raise bad(f'{what}Can\'t find field "user_id"')
        key["user_id"] = int(raw["user_id"])
    language = params.text("language_code")
    if language and not re.fullmatch(r"[a-z]{2}", language):
        raise bad("Invalid language code specified")
    return json.dumps([key, language])


@method("setMyCommands")
def set_my_commands(core: Core, params: Params) -> bool:
    raw = params.json("commands", "commands JSON object")
    if raw is not None and not isinstance(raw, list):
        raise bad("Expected an Array of BotCommand")
    commands = [_command(item) for item in raw or []]
    key = _scope(core, params)
    if len(commands) > 100:
        raise bad("BOT_COMMANDS_TOO_MUCH")
    for command in commands:
        if not re.fullmatch(r"[a-z0-9_]{1,32}", command["command"]):
            raise bad("BOT_COMMAND_INVALID")
    core.world.commands[key] = commands
    return True


def _command(raw: Any) -> dict[str, str]:
    what = "Can't parse BotCommand: "
    if not isinstance(raw, dict):
        raise bad(f"{what}expected an Object")
    for name in ("command", "description"):
        if name not in raw:
            raise bad(f'{what}Can\'t find field "{name}"')
    command, description = str(raw["command"]).removeprefix("/"), str(raw["description"]).strip()
    if not command:
        raise bad("Command must be non-empty")
    if len(command) > 32:
        raise bad("Command length must not exceed 32")
    if not description:
        raise bad("Command description must be non-empty")
    if len(description) > 256:
        raise bad("Command description length must not exceed 256")
    return {"command": command, "description": description}


@method("getMyCommands")
def get_my_commands(core: Core, params: Params) -> Any:
    return core.world.commands.get(_scope(core, params), [])


@method("deleteMyCommands")
def delete_my_commands(core: Core, params: Params) -> bool:
    core.world.commands.pop(_scope(core, params), None)
    return True


def _profile(name: str, field: str, longest: int) -> None:
    def write(core: Core, params: Params) -> bool:
        if len(params.text(field)) > longest:
            raise bad(f"{field.upper()}_TOO_LONG" if field == "name" else "BOT_INFO_TOO_LONG")
        core.world.profile[f"{field}/{params.text('language_code')}"] = params.text(field)
        return True

    def read(core: Core, params: Params) -> Any:
        default = core.bot.first_name if field == "name" else ""
        return {field: core.world.profile.get(f"{field}/{params.text('language_code')}", default)}

    method(f"set{name}")(write)
    method(f"get{name}")(read)


_profile("MyName", "name", 64)
_profile("MyDescription", "description", 512)
_profile("MyShortDescription", "short_description", 120)


@method("setChatMenuButton")
def set_chat_menu_button(core: Core, params: Params) -> bool:
    raw = params.json("menu_button", "menu button JSON object") or {"type": "default"}
    what = "Can't parse menu button: "
    if not isinstance(raw, dict):
        raise bad(f"{what}MenuButton must be an Object")
    match raw.get("type"):
        case None:
            raise bad(f'{what}Can\'t find field "type"')
        case "default" | "commands":
            button = {"type": raw["type"]}
        case "web_app":
            if "text" not in raw or "web_app" not in raw:
                raise bad(f'{what}Can\'t find field "{"web_app" if "text" in raw else "text"}"')
            button = raw
        case _:
            raise bad(f"{what}MenuButton has unsupported type")
    chat = _menu_chat(core, params)
    if chat:
        chat.menu = button
    else:
        core.world.menu = button
    return True


def _menu_chat(core: Core, params: Params) -> Any:
    if not params.text("chat_id"):
        return None
    chat = access.find_chat(core, params, access.READ)
    if not chat.private:
        raise bad("chat_id must be a private chat")
    return chat


@method("getChatMenuButton")
def get_chat_menu_button(core: Core, params: Params) -> Any:
    chat = _menu_chat(core, params)
    return chat.menu if chat else core.world.menu
