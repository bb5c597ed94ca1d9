"""Every key of `config.yaml`, its type and its default. `config.example.yaml` shows and explains the same keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)

from bot.settings import values as v
from bot.settings.source import KeyPath
from core import refs
from core.model import PermissionRule, PersonId, Project

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)


class Section(BaseModel):
    """A group of keys. A key without a value keeps its default."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True, populate_by_name=True
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, data: Any) -> Any:
        if data is None:
            return {}
        if not isinstance(data, dict):
            return data
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return {key: value for key, value in data.items() if value is not None or key not in known}


class Opencode(Section):
    """How the agent is reached."""

    transport: Literal["server", "cli"] = "server"
    command: v.Command = "opencode"
    max_rss_mb: v.Count = 2000
    allow_migration: v.YesNo = False
    url: v.Url = ""
    password: SecretStr = v.NO_SECRET
    env: dict[v.EnvName, SecretStr] = Field(default_factory=dict)
    model: v.ModelName = ""
    agent: str = ""

    @field_validator("env")
    @classmethod
    def _password_has_its_own_key(cls, env: dict[str, SecretStr]) -> dict[str, SecretStr]:
        if "OPENCODE_SERVER_PASSWORD" in env:
            raise v.unshown("OPENCODE_SERVER_PASSWORD is set by opencode.password, not here")
        return env


class Rule(Section):
    """A permission answered by kugetsu itself."""

    permission: v.Text
    pattern: v.Text = "*"
    action: Literal["allow", "deny", "ask"]


class ProjectSettings(Section):
    """A repository and its checkout on disk."""

    path: v.FilePath
    base_branch: str = ""
    worktrees: v.YesNo = True
    copied: tuple[v.InsidePath, ...] = Field(default=(), alias="copy")
    setup: str = ""
    base_prompt: str = ""
    permissions: tuple[Rule, ...] = ()


class Access(Section):
    """Who is answered at all."""

    admins: tuple[v.PersonText, ...] = ()
    drivers: tuple[v.PersonText, ...] = ()
    viewers: tuple[v.PersonText, ...] = ()


class Console(Section):
    """The terminal; nothing to set."""


class Webhook(Section):
    """Telegram's alternative to long polling."""

    url: v.Url = ""
    listen: v.Listen = ""
    secret: SecretStr = v.NO_SECRET


class Telegram(Section):
    """A Telegram bot."""

    token: v.NeededSecret
    api_base: v.NeededUrl = "https://api.telegram.org"
    webhook: Webhook = Webhook()

    @field_validator("token")
    @classmethod
    def _from_botfather(cls, token: SecretStr) -> SecretStr:
        if not re.fullmatch(r"\d{1,20}:[A-Za-z0-9_-]{1,100}", token.get_secret_value()):
            raise v.unshown("must be what @BotFather gave you, such as 123456:ABC-DEF; this is something else")
        return token


class Discord(Section):
    """A Discord application."""

    token: v.NeededSecret
    api_base: v.NeededUrl = "https://discord.com/api/v10"
    gateway: str = ""


class Matrix(Section):
    """A Matrix account."""

    homeserver: v.NeededUrl
    user: Annotated[str, Field(pattern=r"^@[^\s:]+:\S+$")]
    password: v.NeededSecret
    encryption: Annotated[Literal["optional", "required", "off"], BeforeValidator(v.off_is_a_word)] = "optional"
    trust: Literal["first_use", "verified"] = "first_use"


class Adapters(Section):
    """The chats that are on."""

    console: Console = Console()
    telegram: Telegram | None = None
    discord: Discord | None = None
    matrix: Matrix | None = None


class Transcription(Section):
    """Voice notes to text."""

    url: v.Url = ""
    key: SecretStr = v.NO_SECRET
    model: str = ""


class Forge(Section):
    """Where issue texts come from. Without `api_base`, the kind's usual address below the instance."""

    kind: Literal["github", "gitlab", "gitea", "forgejo"]
    token: SecretStr = v.NO_SECRET
    api_base: v.Url = ""


class Backlog(Section):
    """Messages that came while the bot was down."""

    ask_after: v.Duration = timedelta(minutes=10)
    ask_above: v.CountOrNone = 3
    drop_after: v.Duration = timedelta(hours=24)


class Runs(Section):
    """Limits of runs."""

    max_concurrent: v.Count = 16
    queue_depth: v.CountOrNone = 10
    question_timeout: v.Duration = timedelta(hours=24)
    stall_after: v.Duration = timedelta(minutes=10)
    backlog: Backlog = Backlog()
    auto_resume: v.YesNo = True


class Sessions(Section):
    """How many sessions are kept, and for how long their worktrees."""

    max_per_project: v.Count = 50
    archive_after: v.Duration = timedelta(days=30)


class Schedules(Section):
    """Defaults of scheduled follow-ups."""

    timezone: v.Zone = "UTC"
    missed: Literal["run_once", "skip", "ask"] = "run_once"


class Http(Section):
    """The bot's own endpoint for health and metrics."""

    listen: v.Listen = ""


class Settings(Section):
    """A whole configuration. Values that are secret never show in `repr` or in errors."""

    state_dir: v.FilePath = Path("~/.kugetsu")
    default_instance: v.Instance = "github.com"
    debug: v.YesNo = False
    opencode: Opencode = Opencode()
    projects: dict[str, ProjectSettings] = Field(default_factory=dict)
    access: Access = Access()
    adapters: Adapters = Adapters()
    transcription: Transcription = Transcription()
    forges: dict[v.Instance, Forge] = Field(default_factory=dict)
    runs: Runs = Runs()
    sessions: Sessions = Sessions()
    schedules: Schedules = Schedules()
    http: Http = Http()

    _references: tuple[tuple[KeyPath, str], ...] = PrivateAttr(())

    @field_validator("state_dir", mode="before")
    @classmethod
    def _default_is_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    def model_post_init(self, context: Any) -> None:
        """Keep which environment variables the file named where."""
        if isinstance(context, v.Surroundings):
            self._references = context.references

    def known_projects(self) -> tuple[Project, ...]:
        """`projects` as the core's values, in the file's order. `load` has checked their names."""
        return tuple(
            Project(
                ref=refs.parse_project(name, self.default_instance),
                path=project.path,
                base_branch=project.base_branch,
                worktrees=project.worktrees,
                copy=project.copied,
                setup=project.setup,
                base_prompt=project.base_prompt,
                permissions=tuple(PermissionRule(r.permission, r.pattern, r.action) for r in project.permissions),
            )
            for name, project in self.projects.items()
        )

    def people(self, role: Literal["admins", "drivers", "viewers"]) -> frozenset[PersonId]:
        """Who `access` lists under `role`."""
        return frozenset(PersonId(person) for person in getattr(self.access, role))

    def agent_env(self) -> dict[str, str]:
        """`opencode.env` in plain text."""
        return {name: value.get_secret_value() for name, value in self.opencode.env.items()}

    def secrets(self) -> tuple[str, ...]:
        """Every secret value, for redaction.

        Of `opencode.env` those that came from the environment or are named like secrets: `NODE_ENV: production` is
        none.
        """
        from_outside = {path[2] for path, _ in self._references if path[:2] == ("opencode", "env") and len(path) > 2}
        found = {
            secret.get_secret_value()
            for path, secret in _secrets(self, ())
            if path[:2] != ("opencode", "env") or path[2] in from_outside or _SECRET_NAME.search(str(path[2]))
        }
        return tuple(sorted(found - {""}))

    def secret_env_names(self) -> tuple[str, ...]:
        """Environment variables the file takes the bot's own secrets from: they are to be kept from the agent."""
        return tuple(sorted({name for path, name in self._references if holds_bot_secret(path)}))


def holds_bot_secret(path: KeyPath) -> bool:
    """Whether what stands at `path` is for the bot alone."""
    return path[:1] in {("adapters",), ("forges",), ("transcription",)} or path == ("opencode", "password")


def _secrets(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, SecretStr]]:
    if isinstance(value, SecretStr):
        yield path, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name), (*path, name))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _secrets(item, (*path, key))
