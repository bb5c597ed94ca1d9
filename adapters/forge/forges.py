"""The forges of the configuration, by instance. No other host is ever asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from adapters.forge import gitea, github, gitlab
from adapters.forge.http import TIMEOUT, Connections, Health, Http
from adapters.forge.refusals import Server
from core.model import ProjectRef
from core.ports import Clock, Forge


@dataclass(frozen=True, slots=True)
class ForgeConfig:
    """One entry of `forges`; `kind` is github, gitea, forgejo or gitlab. An empty `api_base` is the kind's usual."""

    kind: str
    token: str = field(default="", repr=False)
    api_base: str = ""


class Checked(Forge, Protocol):
    """A forge that can also be asked whether it would answer."""

    async def health(self) -> Health:
        """Raises ForgeError."""


@dataclass(frozen=True, slots=True)
class _Kind:
    make: Callable[[Http], Checked]
    headers: Callable[[str], Mapping[str, str]]
    api_path: str


_GITEA = _Kind(gitea.Gitea, gitea.headers, "/api/v1")
_KINDS: Mapping[str, _Kind] = {
    "github": _Kind(github.GitHub, github.headers, "/api/v3"),  # the path of GitHub Enterprise Server
    "gitea": _GITEA,
    "forgejo": _GITEA,
    "gitlab": _Kind(gitlab.GitLab, gitlab.headers, "/api/v4"),
}


def default_api_base(kind: str, instance: str) -> str:
    """Where the interface is when nobody says otherwise."""
    if kind == "github" and (instance == "github.com" or instance.endswith(".ghe.com")):
        return f"https://api.{instance}"  # GitHub's own hosting, also with data residency
    return f"https://{instance}{_KINDS[kind].api_path}"


class Forges:
    """Makes each forge once; connections are opened when first needed. `timeout` is in seconds for one question."""

    def __init__(self, configs: Mapping[str, ForgeConfig], clock: Clock, timeout: float = TIMEOUT) -> None:
        self._connections = Connections()
        self._forges = {
            instance.casefold(): self._made(instance, config, clock.now, timeout)
            for instance, config in configs.items()
        }

    def get(self, project: ProjectRef) -> Forge | None:
        """None where the project's instance is not configured."""
        return self._forges.get(project.instance.casefold())

    @property
    def instances(self) -> tuple[str, ...]:
        """All that are configured."""
        return tuple(self._forges)

    async def health(self, instance: str) -> Health:
        """Whether that one answers, and takes the token. Raises ForgeError; bounded in time."""
        return await self._forges[instance].health()

    async def close(self) -> None:
        """Cut every connection."""
        await self._connections.close()

    def _made(self, instance: str, config: ForgeConfig, now: Callable[[], datetime], timeout: float) -> Checked:
        kind = _KINDS[config.kind]
        token = config.token.strip()  # read from a file, it often ends with a line break
        api_base = config.api_base.rstrip("/") or default_api_base(config.kind, instance)
        return kind.make(Http(Server(instance, api_base, token, kind.headers(token)), self._connections, now, timeout))
