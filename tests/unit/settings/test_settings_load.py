"""What a good configuration becomes."""

from datetime import timedelta
from pathlib import Path

import pydantic
import pytest

from bot.settings import Settings, load
from core.model import PermissionRule, PersonId, Project, ProjectRef


def loaded(folder: Path, text: str | bytes, env: dict[str, str] | None = None) -> Settings:
    path = folder / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, env or {"HOME": "/home/me"})


def test_no_file_gives_the_defaults() -> None:
    settings = load(None, {"HOME": "/home/me"})
    assert settings.state_dir == Path("/home/me/.kugetsu")
    assert settings.default_instance == "github.com"
    assert settings.opencode.transport == "server"
    assert settings.opencode.command == "opencode"
    assert settings.opencode.max_rss_mb == 2000
    assert not settings.opencode.allow_migration
    assert settings.runs.max_concurrent == 16
    assert settings.runs.queue_depth == 10
    assert settings.runs.question_timeout == timedelta(hours=24)
    assert settings.runs.stall_after == timedelta(minutes=10)
    assert settings.runs.auto_resume
    assert settings.sessions.archive_after == timedelta(days=30)
    assert settings.known_projects() == ()
    assert settings.secrets() == ()
    assert settings.secret_env_names() == ()


def test_the_cli_transport_with_an_empty_url(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "opencode: {transport: cli, url: , allow_migration: true}")
    assert (settings.opencode.transport, settings.opencode.url, settings.opencode.allow_migration) == ("cli", "", True)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n", "\ufeff", "projects:\nopencode:\naccess:\n"])
def test_nothing_in_the_file_gives_the_defaults(text: str, tmp_path: Path) -> None:
    assert loaded(tmp_path, text) == load(None, {"HOME": "/home/me"})


def test_project(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        """
default_instance: Git.Example.org
projects:
  shoko/Kugetsu:
    path: ~/src/kugetsu
    base_branch: main
    worktrees: false
    copy: [.env, conf/dev.ini]
    setup: |
      npm ci
      echo "$${PATH}"
    base_prompt: Read AGENTS.md.
    permissions:
      - {permission: external_directory, pattern: "/tmp/*", action: allow}
      - {permission: bash, action: ask}
  gitlab.com/group/sub/repo: {path: checkouts/repo}
  local/notes: {path: /srv/notes}
""",
    )
    first, second, third = settings.known_projects()
    assert first == Project(
        ref=ProjectRef("git.example.org", "shoko", "Kugetsu"),
        path=Path("/home/me/src/kugetsu"),
        base_branch="main",
        worktrees=False,
        copy=(".env", "conf/dev.ini"),
        setup='npm ci\necho "${PATH}"\n',
        base_prompt="Read AGENTS.md.",
        permissions=(PermissionRule("external_directory", "/tmp/*", "allow"), PermissionRule("bash", "*", "ask")),
    )
    assert second == Project(ProjectRef("gitlab.com", "group/sub", "repo"), tmp_path / "checkouts/repo")
    assert third.ref == ProjectRef("local", "", "notes")


def test_paths_start_at_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.yaml").write_text("state_dir: state\n")
    monkeypatch.chdir(tmp_path)
    assert load(Path("config.yaml"), {"HOME": "/home/me"}).state_dir == tmp_path / "state"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *[("90s", 90), ("10m", 600), ("24h", 86400), ("30d", 2592000), ("1w", 604800), ("1h30m", 5400)],
        *[("1h 30m", 5400), ("90", 90), ("0.5", 0.5), ("1.5h", 5400), ("'10m'", 600)],
    ],
)
def test_durations(text: str, seconds: float, tmp_path: Path) -> None:
    assert loaded(tmp_path, f"runs: {{stall_after: {text}}}").runs.stall_after == timedelta(seconds=seconds)


def test_environment(tmp_path: Path) -> None:
    text = """
debug: ${DEBUG}
state_dir: ${WHERE:-~/elsewhere}
opencode:
  command: ${BIN:-~/bin/opencode}
  max_rss_mb: ${MB:-1500}
  password: ${PASSWORD:-}
  agent: ${A}-${B:-b}-$${C}
runs: {stall_after: "${STALL}", auto_resume: "${RESUME:-no}"}
access: {admins: ["telegram:${ME}"]}
"""
    env = {"HOME": "/home/me", "DEBUG": "true", "PASSWORD": "12345678", "A": "${B}", "STALL": "90", "ME": "5", "MB": ""}
    settings = loaded(tmp_path, text, env)
    assert settings.debug is True
    assert settings.state_dir == Path("/home/me/elsewhere")
    assert settings.opencode.command == "/home/me/bin/opencode"
    assert settings.opencode.max_rss_mb == 1500
    assert settings.opencode.password.get_secret_value() == "12345678"
    assert settings.opencode.agent == "${B}-b-${C}"
    assert settings.runs.stall_after == timedelta(seconds=90)
    assert settings.runs.auto_resume is False
    assert settings.people("admins") == frozenset({PersonId("telegram:5")})


SECRETS = """
opencode:
  password: ${OPENCODE_PASSWORD}
  env: {ANTHROPIC_API_KEY: plain-key, NODE_ENV: production, MODE: "${MODE}"}
forges:
  github.com: {kind: github, token: "${FORGE_TOKEN}"}
  git.example.org:8443: {kind: forgejo, token: typed-token}
transcription: {key: voice-key}
state_dir: ${STATE:-/x}
"""
SECRET_ENV = {"HOME": "/home/me", "OPENCODE_PASSWORD": "oc-password", "FORGE_TOKEN": "forge-token", "MODE": "mode-key"}


def test_secrets(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SECRETS, SECRET_ENV)
    hidden = {"oc-password", "plain-key", "mode-key", "forge-token", "typed-token", "voice-key"}
    assert set(settings.secrets()) == hidden
    assert settings.agent_env() == {"ANTHROPIC_API_KEY": "plain-key", "NODE_ENV": "production", "MODE": "mode-key"}
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert [secret for secret in hidden if secret in shown] == []


def test_variables_kept_from_the_agent(tmp_path: Path) -> None:
    assert loaded(tmp_path, SECRETS, SECRET_ENV).secret_env_names() == ("FORGE_TOKEN", "OPENCODE_PASSWORD")


def test_aliases_are_plain_yaml(tmp_path: Path) -> None:
    text = """
projects:
  o/a: {path: /a, permissions: &rules [{permission: bash, action: allow}]}
  o/b: {path: /b, permissions: *rules}
"""
    first, second = loaded(tmp_path, text).known_projects()
    assert first.permissions == second.permissions == (PermissionRule("bash", "*", "allow"),)


@pytest.mark.parametrize("text", ["2026-12-01", "10:30", "on-call", "1_x"])
def test_text_that_yaml_takes_for_something_else(text: str, tmp_path: Path) -> None:
    assert loaded(tmp_path, f"opencode: {{agent: {text}}}").opencode.agent == text


def test_settings_cannot_be_changed() -> None:
    settings = load(None, {})
    with pytest.raises(pydantic.ValidationError):
        settings.debug = True
