"""What is asked of opencode about sessions, in its own words; one object per server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from adapters.opencode.http import SLOW, AgentRefusal, Http, at_work, gone
from adapters.opencode.reading import closed_tools
from adapters.opencode.wire import (
    AgentInfo,
    Offered,
    PermissionAsked,
    QuestionAsked,
    SessionInfo,
    Status,
    StoredMessage,
)
from core.errors import AgentError, WrongDirectory
from core.model import Decision, MessageId, PermissionRule, SessionId
from core.ports import AgentRun, AgentSession

PAGE = 100  # messages looked at before all are
ALL = 1_000_000  # opencode lists 100 sessions unless told otherwise
MOVE = "/experimental/control-plane/move-session"


@dataclass(frozen=True, slots=True)
class Sessions:
    """Raises AgentUnavailable, AgentDenied, AgentSessionGone, and AgentRefusal for what opencode refuses."""

    http: Http

    async def create(self, directory: Path, title: str, rules: Sequence[PermissionRule]) -> AgentSession:
        """A session of its own."""
        body: dict[str, Any] = {"title": title}
        if rules:
            body["permission"] = [
                {"permission": rule.permission, "pattern": rule.pattern, "action": rule.action} for rule in rules
            ]
        return _session(await self.http.post_for("/session", body, SessionInfo, directory=directory))

    async def find(self, session: SessionId) -> AgentSession | None:
        """None when it does not exist. (What is no session id at all makes opencode answer with status 500.)"""
        info = await self._info(session)
        return _session(info) if info else None

    async def _info(self, session: SessionId) -> SessionInfo | None:
        if not session.startswith("ses"):
            return None
        try:
            return await self.http.get(f"/session/{session}", SessionInfo)
        except AgentRefusal as error:
            if error.status == 404:
                return None
            raise

    async def existing(self, session: SessionId) -> AgentSession:
        """Like `find`, raising AgentSessionGone."""
        found = await self.find(session)
        if found is None:
            raise gone(session)
        return found

    async def roots(self, directory: Path) -> list[AgentSession]:
        """Of the whole project, worktrees included."""
        listed = await self.http.get_project("/session", list[SessionInfo], directory=directory, limit=ALL)
        return [_session(info) for info in listed if not info.parent]

    async def descendants(self, session: SessionId, directory: Path) -> list[SessionId]:
        """Its sub-agents' sessions, and theirs."""
        found: list[SessionId] = []
        waiting = [session]
        while waiting:
            children = await self.http.get(f"/session/{waiting.pop()}/children", list[SessionInfo], directory=directory)
            ids = [SessionId(child.id) for child in children]
            found += ids
            waiting += ids
        return found

    async def fork(self, session: SessionId, directory: Path, before: MessageId | None) -> AgentSession:
        """1.3 puts the fork into `directory`, 1.18 into the original's whatever it is told."""
        info = await self._info(session)
        if info is None:
            raise gone(session)
        if before is None and info.revert:
            before = MessageId(info.revert.message)  # what is taken back would be in the fork again
        body = {"messageID": before} if before else {}
        return _session(await self.http.post_for(f"/session/{session}/fork", body, SessionInfo, directory=directory))

    async def settle(self, session: SessionId, directory: Path) -> None:
        """Move it if it is elsewhere, and read back where it is."""
        wanted = directory.resolve()
        found = await self.existing(session)
        why = ""
        if found.directory.resolve() != wanted:
            try:
                await self.http.post(MOVE, {"sessionID": session, "destination": {"directory": str(wanted)}})
            except AgentRefusal as error:
                why = f" ({error})"
            found = await self.existing(session)
        if found.directory.resolve() != wanted:
            raise WrongDirectory(
                f"The session {session} works in {found.directory} and not in {directory}{why}",
                "Nothing was sent to it. Start the issue again; if this stays, use opencode 1.18.33",
            )

    async def rename(self, session: SessionId, title: str) -> None:
        """Set its title."""
        try:
            await self.http.patch(f"/session/{session}", {"title": title})
        except AgentRefusal as error:
            raise gone(session) if error.status == 404 else error from error

    async def delete(self, session: SessionId) -> None:
        """Gone already is fine."""
        try:
            await self.http.delete(f"/session/{session}")
        except AgentRefusal as error:
            if error.status != 404:
                raise

    async def agents(self, directory: Path) -> list[AgentInfo]:
        """All that prompts in `directory` can name, and opencode's own."""
        return await self.http.get("/agent", list[AgentInfo], directory=directory)

    async def offered(self, directory: Path) -> Offered:
        """The providers and models that prompts in `directory` can name."""
        return await self.http.get("/config/providers", Offered, directory=directory)

    async def closed_tools(self, directory: Path) -> tuple[str, ...]:
        """What a run that may change nothing goes without."""
        tools = await self.http.get("/experimental/tool/ids", list[str], directory=directory)
        servers = await self.http.get("/mcp", dict[str, msgspec.Raw], directory=directory)
        return closed_tools(tools, servers)

    # ── prompts ────────────────────────────────────────────────────────────────────────────────

    async def prompt(self, run: AgentRun, body: Mapping[str, Any]) -> None:
        """Accepted when it returns. Sent twice, its text would be there twice. `body` is `prompt_body`'s."""
        try:
            await self.http.post(f"/session/{run.session}/prompt_async", body, directory=run.directory)
        except AgentRefusal as error:
            raise gone(run.session) if error.status == 404 else error from error

    async def messages(self, session: SessionId, since: MessageId) -> list[StoredMessage]:
        """Oldest first; at least everything from `since` on, if that exists."""
        path = f"/session/{session}/message"
        try:
            page = await self.http.get(path, list[StoredMessage], within=SLOW, limit=PAGE)
            if len(page) < PAGE or any(message.info.id == since for message in page):
                return page
            return await self.http.get(path, list[StoredMessage], within=SLOW)
        except AgentRefusal as error:
            raise gone(session) if error.status == 404 else error from error

    async def latest(self, session: SessionId, count: int) -> list[StoredMessage]:
        """The last of them, oldest first."""
        return await self.http.get(f"/session/{session}/message", list[StoredMessage], within=SLOW, limit=count)

    async def delete_message(self, session: SessionId, message: str) -> None:
        """At once and for good. opencode refuses while it works in the session."""
        await self.http.delete(f"/session/{session}/message/{message}")

    async def revert(self, session: SessionId, directory: Path, since: MessageId) -> None:
        """See AgentPort. opencode answers alike when there is no such message, so both is read back."""
        await self.at_rest(session, directory)
        missing = AgentError(
            "opencode does not have this prompt in the session", "It was taken back before, or deleted"
        )
        try:
            await self.message(session, since)
        except AgentRefusal as error:
            raise missing from error
        path = f"/session/{session}/revert"
        # Files are restored before it answers, of however many steps.
        body = {"messageID": since}
        found = await self.http.post_for(path, body, SessionInfo, directory=directory, within=SLOW)
        if found.revert is None or found.revert.message != since:
            raise missing

    async def unrevert(self, session: SessionId, directory: Path) -> None:
        """No error when nothing is taken back."""
        await self.at_rest(session, directory)
        await self.http.post(f"/session/{session}/unrevert", {}, directory=directory, within=SLOW)

    async def messages_of(self, sub_agents: Iterable[str]) -> list[StoredMessage]:
        """All that those sessions of sub-agents have stored."""
        return [m for child in sub_agents for m in await self.messages(SessionId(child), MessageId(""))]

    async def message(self, session: SessionId, message: str) -> StoredMessage:
        """One of them."""
        return await self.http.get(f"/session/{session}/message/{message}", StoredMessage)

    async def busy(self, session: SessionId, directory: Path) -> bool:
        """Whether opencode works in it. Idle sessions are absent from its list."""
        states = await self.http.get("/session/status", dict[str, Status], directory=directory)
        return session in states and states[session].type != "idle"

    async def at_rest(self, session: SessionId, directory: Path) -> None:
        """Raises AgentError when opencode works in it, AgentSessionGone."""
        await self.existing(session)
        if await self.busy(session, directory):
            raise at_work()

    async def abort(self, session: SessionId, directory: Path) -> None:
        """Stop what runs; no error when nothing does."""
        await self.http.post(f"/session/{session}/abort", {}, directory=directory)

    # ── requests ───────────────────────────────────────────────────────────────────────────────

    async def requests(self, directory: Path) -> list[PermissionAsked | QuestionAsked]:
        """All that wait for an answer in `directory`. Those of aborted runs stay listed until they are rejected."""
        permissions = await self.http.get("/permission", list[PermissionAsked], directory=directory)
        questions = await self.http.get("/question", list[QuestionAsked], directory=directory)
        return [*permissions, *questions]

    async def answer(self, asked: PermissionAsked | QuestionAsked, directory: Path, decision: Decision) -> bool:
        """False when it is not open any more."""
        body: dict[str, Any] = {}
        if isinstance(asked, PermissionAsked):
            path = f"/permission/{asked.id}/reply"
            # Standing rules are kugetsu's own: an "always" of opencode's covers the whole project and cannot be seen.
            body["reply"] = "reject" if decision.reply == "reject" else "once"
            if decision.message:
                body["message"] = decision.message
        elif decision.reply == "reject":
            path = f"/question/{asked.id}/reject"
        else:
            path = f"/question/{asked.id}/reply"
            body["answers"] = [list(answers) for answers in decision.answers]
        try:
            await self.http.post(path, body, directory=directory)
        except AgentRefusal as error:
            if error.status == 404:
                return False
            raise
        return True


def prompt_body(run: AgentRun, closed: Iterable[str] = ()) -> dict[str, Any]:
    """The prompt as opencode takes it; `closed` are tools it goes without, as every later one in that session."""
    files = [
        {"type": "file", "mime": file.mime, "url": file.path.as_uri(), "filename": file.name}
        for file in run.attachments
    ]
    body: dict[str, Any] = {"messageID": run.message_id, "parts": [{"type": "text", "text": run.prompt}, *files]}
    if run.model:
        provider, _, model = run.model.partition("/")
        body["model"] = {"providerID": provider, "modelID": model}
    if run.agent:
        body["agent"] = run.agent
    if run.variant:
        body["variant"] = run.variant
    if tools := dict.fromkeys(closed, False):
        body["tools"] = tools
    if run.system:
        body["system"] = run.system
    return body


def _session(info: SessionInfo) -> AgentSession:
    return AgentSession(
        id=SessionId(info.id),
        title=info.title,
        directory=Path(info.directory),
        created=datetime.fromtimestamp(info.time.created / 1000, UTC),
        parent_id=SessionId(info.parent) if info.parent else None,
    )
