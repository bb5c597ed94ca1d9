"""kugetsu, killed by SIGKILL at a fault point: `KUGETSU_TEST_KILL="fork made" python -m tests.e2e.killed start …`."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import Any

from bot import program
from bot.cli import main

POINT = os.environ["KUGETSU_TEST_KILL"]


def fault(point: str) -> None:
    if point == POINT:
        os.kill(os.getpid(), signal.SIGKILL)


class Killed(program.Program):
    """The same program with the fault hook set."""

    @classmethod
    def load(cls, *arguments: Any, **options: Any) -> program.Program:
        loaded = super().load(*arguments, **options)
        return replace(loaded, surroundings=replace(loaded.surroundings, fault=fault))


program.Program = Killed  # type: ignore[misc]  # the command line looks it up when a command runs
main(prog_name="kugetsu")
