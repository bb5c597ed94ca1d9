"""Everything around a bot: the machine it runs on, real opencode, a scripted model and a simulated platform.

A world is used for many scenarios, one after the other: each has places, people and issues of its own, so that what is
old does not matter to it, and the long way from nothing to a first answer is gone only once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.e2e.harness import PROJECT, USUAL, Machine
from tests.simulators.model import ScriptedModel
from tests.simulators.opencode_home import OpencodeHome, opencode_binary, opencode_home
from tests.soak.bots import BotProcess
from tests.soak.driver import PlatformDriver
from tests.soak.forge import PushedForge, project_with_remote

FIRST_ISSUE = 101
ASKS = {"bash": {"*": "allow", "touch ask*": "ask"}}  # what opencode asks people before it does it


class World:
    """Use `world`."""

    def __init__(self, machine: Machine, model: ScriptedModel, driver: PlatformDriver, forge: PushedForge) -> None:
        self.machine = machine
        self.forge = forge
        self.model = model
        self.driver = driver
        self.bot = BotProcess(machine)
        self.healthy = True  # a scenario that failed leaves a world that nobody should use
        self._issues = FIRST_ISSUE

    @property
    def database(self) -> Path:
        return self.machine.state / "kugetsu.db"

    def new_issue(self) -> str:
        """A ref that no scenario had before."""
        self._issues += 1
        return f"{PROJECT}#{self._issues}"


@asynccontextmanager
async def open_world(root: Path, driver: PlatformDriver) -> AsyncIterator[World]:
    """A bot's surroundings, without the bot."""
    root.mkdir(parents=True, exist_ok=True)
    model = ScriptedModel()
    await model.start()
    await driver.open()
    forge = PushedForge("shoko/kugetsu", root / "remote.git")
    await forge.start()
    try:
        # Without opencode's catalogue of all models: it takes it a second to read at every start.
        home = opencode_home(root / "home", model.url, catalogue=False)
        home.config.update(permission=ASKS, provider=_providers(home))
        home.write()
        machine = Machine(root, model, home, project_with_remote(root / "project", forge.remote), USUAL)
        machine.write(
            state_dir=str(machine.state),
            opencode={"command": str(opencode_binary())},
            projects={PROJECT: {"path": str(machine.project), "base_branch": "main"}},
            adapters={"console": {}, driver.platform: driver.settings(machine.state)},
            access={"admins": driver.admins()},
            sessions={"max_per_project": 1000},
            forges={"github.com": forge.settings()},
        )
        world = World(machine, model, driver, forge)
        try:
            yield world
        finally:
            await world.bot.gone()
    finally:
        await driver.close()
        await forge.stop()
        await model.stop()


def _providers(home: OpencodeHome) -> dict[str, Any]:
    """Besides the usual model, one that knows variants, and one that costs something: 0.14 USD an answer; and a
    provider that cannot be reached.
    """
    [[name, usual]] = home.defaults()["provider"].items()
    plain = usual["models"]["m1"]
    thinker = {**plain, "name": "Thinker", "variants": {"low": {}, "high": {}}}
    paid = {**usual, "name": "Paid", "models": {"p1": {**plain, "name": "P1", "cost": {"input": 1000, "output": 2000}}}}
    nowhere = {**usual, "name": "Nowhere", "options": {**usual["options"], "baseURL": "http://127.0.0.1:9/v1"}}
    return {name: {**usual, "models": {**usual["models"], "thinker": thinker}}, "paid": paid, "nowhere": nowhere}


class Worlds:
    """One world after the other: the next scenario has the same one, unless somebody spoiled it."""

    def __init__(self, root: Path, driver: Callable[[], PlatformDriver]) -> None:
        self._root = root
        self._driver = driver
        self._open = AsyncExitStack()
        self._world: World | None = None
        self._number = 0

    async def get(self) -> World:
        """A world that nothing is wrong with."""
        if self._world is None or not self._world.healthy:
            await self.close()
            self._number += 1
            root = self._root / f"world-{self._number}"
            self._world = await self._open.enter_async_context(open_world(root, self._driver()))
        return self._world

    async def close(self) -> None:
        """The bot and everything around it."""
        self._world = None
        await self._open.aclose()
