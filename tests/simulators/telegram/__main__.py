"""`python -m tests.simulators.telegram`: a Telegram on this machine, to try a bot without an account."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal

from . import Limits, TelegramSimulator


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.simulators.telegram", description=__doc__)
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--token", default="12345:TEST", help="the bot's token, number:letters")
    parser.add_argument("--limits", choices=("default", "none"), default="default", help="Telegram's limits, or none")
    parser.add_argument("--private-topics", action="store_true", help="forum topics in private chats")
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(arguments))


async def _serve(arguments: argparse.Namespace) -> None:
    limits = Limits.none() if arguments.limits == "none" else Limits()
    simulator = TelegramSimulator(arguments.token, limits=limits, private_topics=arguments.private_topics)
    await furnish(simulator)
    await simulator.start(arguments.port)
    people = ", ".join(f"{u.first_name} ({u.id})" for u in simulator.world.users.values() if not u.is_bot)
    print(f"Telegram simulator on {simulator.url} – open it in a browser to chat.\n")
    print(
        f"  token:    {simulator.token}\n  api_base: {simulator.url}\n  people:   {people}\n\nCtrl-C ends it.",
        flush=True,
    )
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, done.set)
    await done.wait()
    await simulator.stop()


async def furnish(simulator: TelegramSimulator) -> None:
    """Two people, a private chat and a forum group, so that there is something to click on."""
    alice, bob = simulator.user("Alice"), simulator.user("Bob")
    simulator.private(alice)
    simulator.forum("Team", [alice, bob])


if __name__ == "__main__":
    main()
