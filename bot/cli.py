"""The command line. Commands about sessions are made from core's table; this adds the ones only a shell has."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from core import commands
from core.commands import Need, Spec
from core.errors import ConfigurationError, KugetsuError, UsageError

FAILED, USAGE = 1, 2


@dataclass(frozen=True, slots=True)
class Flags:
    """Options that every command takes, before or after its name."""

    config: Path | None = None
    debug: bool = False
    json: bool = False


def common(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the flags; what it gets as its first argument is a `Flags`."""

    @click.pass_context
    def flagged(context: click.Context, /, config: Path | None, debug: bool, json: bool, **rest: Any) -> None:  # noqa: FBT001
        outer = context.find_object(Flags) or Flags()
        flags = Flags(config or outer.config, debug or outer.debug, json or outer.json)
        context.obj = flags
        command(flags, **rest)

    options = [
        click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Configuration to use."),
        click.option("--debug", is_flag=True, help="Write the session's debug log for this run."),
        click.option("--json", is_flag=True, help="Print JSON, one object a line where things happen over time."),
    ]
    decorated: Callable[..., None] = flagged
    for option in reversed(options):
        decorated = option(decorated)
    decorated.__doc__ = command.__doc__
    return decorated


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="In a chat the same words begin with / or !.",
)
@click.version_option(package_name="kugetsu", prog_name="kugetsu")
@common
def main(flags: Flags) -> None:
    """Hand an issue to the coding agent opencode, watch it work live, steer it, lose nothing."""
    del flags  # kept in the context for the commands


@main.command("run")
@common
def run_bot(flags: Flags) -> None:
    """Run the bot: all configured chats, and the socket the command line talks to."""
    from bot.program import Program  # noqa: PLC0415  --help and --version must not load everything

    _run(flags, lambda: Program.load(flags.config, debug=flags.debug).serve())


@main.command("chat")
@click.option("--demo", is_flag=True, help="A ready project and a built-in model that needs no key.")
@click.option("--yes", is_flag=True, help="Take the checkout you stand in as a project without asking.")
@common
def chat(flags: Flags, demo: bool, yes: bool) -> None:  # noqa: FBT001
    """Chat with the agent in this terminal; in a git checkout, about that project."""
    from bot.program import Program  # noqa: PLC0415

    _run(flags, lambda: Program.load(flags.config, debug=flags.debug, demo=demo).chat(yes=yes))


@main.group("config")
def config_group() -> None:
    """Look at the configuration."""


@config_group.command("check")
@common
def config_check(flags: Flags) -> None:
    """Load the configuration and name every problem in it, with line and key."""
    from bot.program import config_report  # noqa: PLC0415

    try:
        report = config_report(flags.config)
    except KugetsuError as error:
        sys.exit(complain(error, json=flags.json))
    click.echo(report.json if flags.json else report.text)


@main.command("doctor")
@common
def doctor(flags: Flags) -> None:
    """Check everything and say what to do."""
    from bot.program import examine  # noqa: PLC0415

    _run(flags, lambda: examine(flags.config, json=flags.json))


def session_command(spec: Spec) -> click.Command:
    """The shell's form of a chat command."""

    def say(flags: Flags, words: tuple[str, ...] = (), **options: Any) -> None:
        from bot.program import Program  # noqa: PLC0415

        line = chat_line(spec, options, words)
        _run(flags, lambda: Program.load(flags.config, debug=flags.debug).say(line, json=flags.json))

    params: list[click.Parameter] = [
        click.Option(list(option.spellings), help=option.help, metavar=option.value or None, is_flag=not option.value)
        for option in spec.options
    ]
    if spec.ref is not Need.NO or spec.message is not Need.NO:
        needed = spec.ref is Need.MUST or spec.message is Need.MUST
        metavar = spec.usage.removeprefix(spec.name).strip()
        params.append(click.Argument(["words"], nargs=-1, required=needed, metavar=metavar))
    examples = "\n".join(f"  kugetsu {example}" for example in spec.examples)
    say.__doc__ = spec.summary
    command = click.command(
        spec.name,
        help=f"{spec.summary[0].upper()}{spec.summary[1:]}.",
        epilog=f"\b\nFor example:\n{examples}"
        + ("\n  … -    reads the message from standard input" if spec.runs else ""),
    )(common(say))
    command.params = [*params, *command.params]
    return command


for _spec in commands.TABLE:
    if _spec.name not in main.commands:
        main.add_command(session_command(_spec))


def chat_line(spec: Spec, options: dict[str, Any], words: tuple[str, ...]) -> str:
    """What one would type in a chat. A last word `-` stands for standard input."""
    if spec.runs and words and words[-1] == "-":
        words = (*words[:-1], sys.stdin.read())
    given = [f"--{name} {value}" if value is not True else f"--{name}" for name, value in options.items() if value]
    # The shell has told options from words already; a word that only looks like one must stay a word.
    dashed = next((index for index, word in enumerate(words) if spec.options and word.startswith("--")), len(words))
    guard = ["--"] if dashed < len(words) else []
    return " ".join([f"/{spec.name}", *given, *words[:dashed], *guard, *words[dashed:]])


def complain(error: KugetsuError, *, json: bool) -> int:
    """Print what failed and what to do next; the exit code."""
    problems = error.problems if isinstance(error, ConfigurationError) else ()
    if json:
        from bot.program import error_json  # noqa: PLC0415

        click.echo(error_json(error, problems))
    for line in filter(None, (f"kugetsu: {error}", *problems, error.hint)):
        click.echo(line, err=True)
    return USAGE if isinstance(error, ConfigurationError | UsageError) else FAILED


def _run(flags: Flags, work: Callable[[], Coroutine[Any, Any, int]]) -> None:
    try:
        code = asyncio.run(work())
    except KugetsuError as error:
        code = complain(error, json=flags.json)
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 130
    sys.exit(code)
