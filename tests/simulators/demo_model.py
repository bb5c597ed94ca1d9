"""`python -m tests.simulators.demo_model`: the demo's model on its own, to try the bot on a simulator without any key.

Writes a configuration for the bot whose opencode sees this model and nothing of the user's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from pathlib import Path

import yaml

from bot.demo import project
from bot.demo.endpoint import ModelEndpoint
from bot.demo.model import DemoModel

FOLDER = Path.home() / ".kugetsu" / "try"


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.simulators.demo_model", description=__doc__)
    parser.add_argument("--port", type=int, default=8082)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the configuration there, unless it is there")
    parser.add_argument("--telegram", default="http://127.0.0.1:8081", metavar="URL", help="the Telegram simulator")
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(arguments))


async def _serve(arguments: argparse.Namespace) -> None:
    endpoint = ModelEndpoint(DemoModel().respond, "demo")
    await endpoint.start(arguments.port)
    text = configuration(endpoint.url, arguments.telegram)
    if arguments.write and not arguments.write.exists():
        arguments.write.write_text(text, encoding="utf-8")
        print(f"The demo's model is on {endpoint.url}, {arguments.write} is written.", flush=True)
    else:
        print(f"The demo's model is on {endpoint.url}. For config.yaml:\n\n{text}", flush=True)
    done = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, done.set)
    await done.wait()
    await endpoint.stop()


def configuration(model: str, telegram: str) -> str:
    """A whole config.yaml: the demo's repository, worked on by the demo's model."""
    made = project.make_project(FOLDER)
    env = project.opencode_env(FOLDER, model, {})
    settings = {
        "state_dir": str(FOLDER),
        "opencode": {"env": env},
        "projects": {"github.com/shoko/kugetsu": {"path": str(made.path), "base_branch": "main"}},
        "adapters": {"telegram": {"token": "12345:TEST", "api_base": telegram}},
    }
    return yaml.safe_dump(settings, sort_keys=False)


if __name__ == "__main__":
    main()
