"""A server somebody else runs: used, never started, never ended."""

from __future__ import annotations

from adapters.opencode.binary import check_version
from adapters.opencode.http import Http
from adapters.opencode.supervisor import Endpoint, probe
from core.errors import AgentUnavailable


class Attached:
    """Stands where a Supervisor would."""

    def __init__(self, url: str, password: str, within: float) -> None:
        """`within`: seconds it has to answer the first call."""
        self._http = Http(url, password)
        self._within = within
        self._endpoint: Endpoint | None = None

    async def running(self) -> Endpoint:
        """Looked at once. Raises AgentUnavailable, AgentDenied, AgentUnsupported."""
        if self._endpoint is None:
            try:
                health = await probe(self._http, self._within)
            except AgentUnavailable as error:
                hint = "Start that server, or leave opencode.url empty and kugetsu starts its own"
                raise AgentUnavailable(str(error), hint) from error
            check_version(health.version, f"at {self._http.url}")
            self._endpoint = Endpoint(self._http, health.version, generation=1)
        return self._endpoint

    async def close(self) -> None:
        """Leave it as it is."""
        self._endpoint = None
        await self._http.close()
