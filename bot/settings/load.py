"""File → Settings, or all its problems at once; and which file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from bot.settings import sentences, source
from bot.settings.model import Settings, holds_bot_secret
from bot.settings.source import KeyPath, Problem, Source, printable
from bot.settings.values import Surroundings
from bot.worktree_mark import read_mark
from core import refs
from core.errors import ConfigurationError, RefError

CHECK_HINT = "config.example.yaml shows every key; `kugetsu config check` looks at the file again."


def find_config(explicit: Path | None, cwd: Path, env: Mapping[str, str]) -> Path | None:
    """The file to load; None where there is none and defaults hold.

    The order: `explicit` (there or not: `load` says what is wrong with it), what the worktree around `cwd` was made
    with (None when that was no file), `./config.yaml`, `$KUGETSU_CONFIG` (there or not),
    `~/.config/kugetsu/config.yaml`. Raises ConfigurationError for a damaged worktree mark.
    """
    if explicit is not None:
        return explicit
    mark = read_mark(cwd)
    if mark is not None:
        return mark.config
    here = cwd / "config.yaml"
    if _there(here):
        return here
    if env.get("KUGETSU_CONFIG"):
        return cwd / _below_home(env["KUGETSU_CONFIG"], env)
    in_home = _home(env) / ".config" / "kugetsu" / "config.yaml"
    return in_home if _there(in_home) else None


def load(path: Path | None, env: Mapping[str, str]) -> Settings:
    """Read and check `path`; None: the defaults. Raises ConfigurationError with all problems."""
    if path is None:
        return Settings.model_validate({}, context=Surroundings(Path(), _home(env)))
    found = source.read(_bytes(path), env)
    surroundings = Surroundings(path.parent, _home(env), tuple(found.references))
    problems = [*found.problems, *_refused(found), *_contradictions(found), *_project_names(found)]
    try:
        settings = Settings.model_validate(found.tree, context=surroundings)
    except ValidationError as error:
        spoilt = {problem.path for problem in found.problems}
        problems += [p for p in sentences.problems(error, Settings, found) if not _below(p.path, spoilt)]
    else:
        problems += _given_to_agent(found, settings)
        if not problems:
            return settings
    raise _error(path, problems)


def _error(path: Path, problems: list[Problem]) -> ConfigurationError:
    lines = [p.sentence(str(path)) for p in sorted(problems, key=lambda p: (p.line, [str(step) for step in p.path]))]
    count = "a problem" if len(lines) == 1 else f"{len(lines)} problems"
    return ConfigurationError(f"The configuration {path} has {count}.", CHECK_HINT, tuple(dict.fromkeys(lines)))


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(source.MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if isinstance(error, FileNotFoundError):
            why = "does not exist"
        elif isinstance(error, IsADirectoryError):
            why = "is a folder; name the file in it"
        else:
            why = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        text = f"{printable(str(path), 300)}: {why}"
        hint = "Name another file with --config, or copy config.example.yaml to begin with."
        raise ConfigurationError(f"The configuration {text}.", hint, (text,)) from None
    if len(data) > source.MAX_BYTES:
        raise _error(path, [Problem(0, (), f"is larger than {source.MAX_BYTES // 1024} KB; is it the right file?")])
    return data


def _refused(found: Source) -> Iterator[Problem]:
    """What has its keys already and will come in later versions: better refused than silently without effect."""
    for path in (("adapters", "discord"), ("adapters", "matrix")):
        if path in found.lines:
            yield _problem(found, path, "not built yet in this version; remove it or comment it out")
    if found.value(("http", "listen")):
        yield _problem(found, ("http", "listen"), "not built yet in this version; leave it empty")


def _contradictions(found: Source) -> Iterator[Problem]:
    """Keys that are right, each by itself."""
    if found.value(("opencode", "transport")) == "cli" and found.value(("opencode", "url")):
        yield _problem(found, ("opencode", "url"), "is for transport: server; with cli there is no server to attach to")

    hook = ("adapters", "telegram", "webhook")
    if bool(found.value((*hook, "url"))) != bool(found.value((*hook, "listen"))):
        yield _problem(found, hook, "url and listen go together: where Telegram calls, and where that arrives")


def _project_names(found: Source) -> Iterator[Problem]:
    projects = found.tree.get("projects")
    instance = found.tree.get("default_instance")
    seen: dict[str, KeyPath] = {}
    for name in projects if isinstance(projects, dict) else ():
        path = ("projects", name)
        try:
            ref = refs.parse_project(name, instance if isinstance(instance, str) and instance else "github.com")
        except RefError:
            yield _problem(found, path, "must be a project such as github.com/shoko/kugetsu")
            continue
        first = seen.setdefault(ref.key, path)
        if first != path:
            yield _problem(found, path, f"is the same project as {first[1]} in line {found.line(first)}")


def _given_to_agent(found: Source, settings: Settings) -> Iterator[Problem]:
    """The bot's own secrets never reach the agent's environment, not even by the configuration's own wish."""
    own = set(settings.secret_env_names())
    for path, name in found.references:
        if path[:2] == ("opencode", "env") and name in own:
            used = next(p for p, other in found.references if other == name and holds_bot_secret(p))
            text = f"{name} is a secret of the bot's own ({source.shown_path(used)}); give the agent one of its own"
            yield _problem(found, path, text)


def _problem(found: Source, path: KeyPath, text: str) -> Problem:
    return Problem(found.line(path), path, text)


def _below(path: KeyPath, others: set[KeyPath]) -> bool:
    return any(path[: len(other)] == other for other in others if other)


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder that may not be searched: `load` says so, instead of defaults taking its place unseen
        return True


def _home(env: Mapping[str, str]) -> Path:
    return Path(env["HOME"]) if env.get("HOME") else Path.home()


def _below_home(text: str, env: Mapping[str, str]) -> Path:
    return _home(env) / text[2:] if text.startswith("~/") else Path(text)
