"""The command menu, made from core's table and published when it has changed."""

from __future__ import annotations

import re
from collections.abc import Iterable

import structlog
from telegram import BotCommand, BotCommandScopeAllGroupChats, BotCommandScopeAllPrivateChats

from adapters.telegram.calls import Calls
from core import commands
from core.access import Role
from core.errors import ChatDenied, ChatError

_NAME = re.compile(r"[a-z0-9_]{1,32}")
MAX_SUMMARY = 256
MAX_COMMANDS = 100


def entries(table: Iterable[commands.Spec], *, group: bool) -> tuple[tuple[str, str], ...]:
    """Names and descriptions. What only admins may do is not shown in groups."""
    return tuple(
        (spec.name, spec.summary[:MAX_SUMMARY])
        for spec in table
        if _NAME.fullmatch(spec.name) and not (group and spec.role is Role.ADMIN)
    )[:MAX_COMMANDS]


async def publish(calls: Calls) -> None:
    """A menu that is not up to date is no reason not to work. Raises ChatDenied."""
    for scope, group in ((BotCommandScopeAllPrivateChats(), False), (BotCommandScopeAllGroupChats(), True)):
        wanted = entries(commands.TABLE, group=group)
        try:
            async with calls.translate():
                there = await calls.bot.get_my_commands(scope=scope)
            if tuple((command.command, command.description) for command in there) != wanted:
                async with calls.translate():
                    await calls.bot.set_my_commands([BotCommand(*entry) for entry in wanted], scope=scope)
        except ChatDenied:
            raise
        except ChatError as error:
            structlog.get_logger("telegram").warning("the command menu is not up to date", reason=str(error))
            return
