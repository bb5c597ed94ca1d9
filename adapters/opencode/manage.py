"""What of `AgentPort` is about sessions and not about runs: the same for both transports, always through a server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from adapters.opencode.attached import Attached
from adapters.opencode.compaction import compact
from adapters.opencode.ids import MessageIds
from adapters.opencode.offers import Kept, models_of, promptable
from adapters.opencode.replay import put_by_replay
from adapters.opencode.sessions import Sessions
from adapters.opencode.settings import OpencodeServerSettings
from adapters.opencode.supervisor import ServerSettings, Supervisor
from adapters.opencode.transfer import export_session, import_session, put_by_command
from adapters.opencode.wire import AgentInfo, Offered
from core.errors import AgentError, WrongDirectory
from core.model import MessageId, PermissionRule, SessionId
from core.ports import AgentModel, AgentProfile, AgentSession, Clock


class ManagedSessions:
    """Base of the backends. `_source` is theirs to set."""

    _source: Attached | Supervisor

    def __init__(self, settings: OpencodeServerSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._ids = MessageIds(clock)
        self._importing = asyncio.Lock()
        self._compacting: set[SessionId] = set()
        self._offered: Kept[Offered] = Kept(clock)
        self._agents: Kept[list[AgentInfo]] = Kept(clock)

    async def _sessions(self) -> Sessions:
        """The server as it is now, started if need be."""
        return Sessions((await self._source.running()).http)

    async def default_model(self, directory: Path) -> str:
        """See AgentPort."""
        http = (await self._sessions()).http
        config = await http.get("/config", _Config, directory=directory)
        if config.model:
            return config.model
        offered = await (await self._sessions()).offered(directory)
        # As opencode itself chooses: the first provider, of the configured ones if there are any.
        names = [provider.id for provider in offered.providers if not config.provider or provider.id in config.provider]
        return next((f"{name}/{offered.default[name]}" for name in names if name in offered.default), "")

    async def models(self, directory: Path) -> list[AgentModel]:
        """See AgentPort."""
        sessions, server = await self._sessions(), await self._source.running()
        return models_of(await self._offered.get(server.generation, directory, partial(sessions.offered, directory)))

    async def agents(self, directory: Path) -> list[AgentProfile]:
        """See AgentPort."""
        sessions, server = await self._sessions(), await self._source.running()
        return promptable(await self._agents.get(server.generation, directory, partial(sessions.agents, directory)))

    def new_message_id(self) -> MessageId:
        """See AgentPort."""
        return self._ids.new()

    async def create_session(self, directory: Path, title: str, rules: Sequence[PermissionRule] = ()) -> AgentSession:
        """See AgentPort. Raises WrongDirectory for one that does not exist: opencode would take it."""
        self._must_exist(directory)
        return await (await self._sessions()).create(directory, title, rules)

    async def find_session(self, session: SessionId) -> AgentSession | None:
        """See AgentPort."""
        return await (await self._sessions()).find(session)

    async def list_sessions(self, directory: Path) -> list[AgentSession]:
        """See AgentPort."""
        return await (await self._sessions()).roots(directory)

    async def fork_session(self, session: SessionId, directory: Path, before: MessageId | None = None) -> AgentSession:
        """See AgentPort."""
        return await (await self._sessions()).fork(session, directory, before)

    async def settle_directory(self, session: SessionId, directory: Path) -> None:
        """See AgentPort."""
        await (await self._sessions()).settle(session, directory)

    async def rename_session(self, session: SessionId, title: str) -> None:
        """See AgentPort."""
        await (await self._sessions()).rename(session, title)

    async def delete_session(self, session: SessionId) -> None:
        """See AgentPort."""
        await (await self._sessions()).delete(session)

    async def export_session(self, session: SessionId) -> bytes:
        """See AgentPort. With the sessions of its sub-agents."""
        return await export_session(await self._sessions(), session)

    async def import_session(self, exported: bytes, directory: Path) -> AgentSession:
        """See AgentPort. Raises WrongDirectory."""
        self._must_exist(directory)
        sessions = await self._sessions()
        put = (
            partial(put_by_command, await self._source.program())
            if isinstance(self._source, Supervisor)
            else partial(put_by_replay, sessions.http)
        )
        async with self._importing:
            return await import_session(sessions, put, exported, directory)

    async def compact(self, session: SessionId, directory: Path, model: str) -> None:
        """See AgentPort. Stopped, it raises AgentError at once; so it does after ten minutes."""
        if not any(offered.id == model for offered in await self.models(directory)):
            raise AgentError(f"opencode has no model {model}", "Name one as provider/model")
        self._compacting.add(session)
        try:
            await compact(await self._sessions(), session, directory, model)
        finally:
            self._compacting.discard(session)

    async def revert(self, session: SessionId, directory: Path, since: MessageId | None) -> None:
        """See AgentPort. opencode is through with the files when it returns, as far as it touches any."""
        sessions = await self._sessions()
        if since is None:
            await sessions.unrevert(session, directory)
        else:
            await sessions.revert(session, directory, since)

    def _must_exist(self, directory: Path) -> None:
        """Only of use where the server is our own, on this machine."""
        if isinstance(self._source, Supervisor) and not directory.is_dir():
            raise WrongDirectory(f"There is no directory {directory}", "Check the project's path in the configuration")


def server_settings(settings: OpencodeServerSettings, idle: float = 0.0) -> ServerSettings:
    """What a Supervisor needs of them; `idle` as there."""
    return ServerSettings(
        command=settings.command,
        candidates=settings.candidates,
        env=settings.env,
        hidden=settings.hidden_env,
        password=settings.password,
        max_rss_mb=settings.max_rss_mb,
        allow_migration=settings.allow_migration,
        take_over=settings.take_over,
        idle=idle,
        state_file=settings.state_file,
        pace=settings.pace,
    )


class _Config(msgspec.Struct):
    model: str = ""
    provider: dict[str, msgspec.Raw] = {}
