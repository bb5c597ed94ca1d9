"""`permissions`: the standing rules of a session, which answer for people what the agent asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from core import rules, view_steer
from core.callers import Caller, Callers
from core.commands import Command
from core.errors import NotFound, UsageError
from core.model import PermissionRule, Session
from core.offers import Offers
from core.ports import Reply, Store
from core.projects import Projects


class Permissions:
    """The project's rules are the configuration's; only the session's own are changed here."""

    def __init__(self, store: Store, projects: Projects, callers: Callers, offers: Offers) -> None:
        self._store = store
        self._projects = projects
        self._callers = callers
        self._offers = offers
        self.commands: dict[str, Callable[[Command, Caller], Awaitable[Reply]]] = {"permissions": self._permissions}

    async def _permissions(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.meant(command, caller)
        word, _, rest = command.message.partition(" ")
        match word.lower():
            case "":
                return await self._list(session)
            case rules.ALLOW | rules.DENY | rules.ASK as action:
                return await self._grant(session, action, rest, caller)
            case "withdraw":
                return await self._withdraw(session, rest, caller)
        raise UsageError(
            f"`permissions` knows no `{word[:40]}`.",
            "`/permissions`, `/permissions allow bash git *`, `/permissions withdraw 1`.",
        )

    async def _list(self, session: Session) -> Reply:
        project = await self._projects.get(session.key.ref.project)
        buttons = [
            await self._offers.make(
                f"Withdraw {number}: {view_steer.rule(rule)}",
                f"/permissions {session.key} withdraw {view_steer.rule(rule)}",
            )
            for number, rule in enumerate(session.rules[: view_steer.MOST_LISTED], start=1)
        ]
        data = {
            "ref": str(session.key),
            "session": [_data(rule) for rule in session.rules],
            "project": [_data(rule) for rule in project.permissions],
        }
        return Reply(view_steer.permissions(session, project, buttons), data=data)

    async def _grant(self, session: Session, action: str, words: str, caller: Caller) -> Reply:
        permission, _, pattern = words.strip().partition(" ")
        if not permission:
            raise UsageError(f"{action.capitalize()} what?", f"For example: `/permissions {action} bash git *`.")
        rule = PermissionRule(permission, pattern.strip() or "*", action)

        await self._store.change_session(session.key, lambda now: rules.granted(now, [rule]))
        await self._callers.audit(caller, "permissions", session.key.key, f"{action} {permission} {rule.pattern}")
        return Reply(view_steer.rule_granted(session, rule), data=_data(rule))

    async def _withdraw(self, session: Session, words: str, caller: Caller) -> Reply:
        """By number, or (as buttons do, whose numbers may be old) by what it is about."""
        said = words.strip()
        rule = next((r for number, r in enumerate(session.rules, 1) if said == str(number) or said in _names(r)), None)
        if rule is None:
            raise NotFound(
                f"{session.key.tag} has no standing rule `{said[:60]}`.", f"`/permissions {session.key}` lists them."
            )
        await self._store.change_session(
            session.key, lambda now: replace(now, rules=tuple(r for r in now.rules if r != rule))
        )
        await self._callers.audit(caller, "permissions", session.key.key, f"withdraw {rule.permission} {rule.pattern}")
        return Reply(view_steer.rule_withdrawn(session, rule), data=_data(rule))


def _names(rule: PermissionRule) -> set[str]:
    return {view_steer.rule(rule).strip(), f"{rule.permission} {rule.pattern}".strip()}


def _data(rule: PermissionRule) -> dict[str, str]:
    return {"permission": rule.permission, "pattern": rule.pattern, "action": rule.action}
