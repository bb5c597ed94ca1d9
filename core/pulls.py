"""Pull requests of sessions, followed until they are merged or closed: what the checks say is told in the thread.

Forges are asked, as kugetsu listens on no address for them. Each commit's result is told once; that is noted, so a
restart goes on with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from core import refs, view_finish
from core.audience import Audience
from core.errors import ForgeError, NotFound, StoreError, UsageError
from core.live import Complain
from core.model import Button, ProjectRef, SessionKey
from core.offers import Offers
from core.ports import Checks, Clock, Forge, Operation, PullRequest, Store
from core.tasks import Beside

FOLLOWED = "pull request"  # kind of operation; its subject is the session's key
SOON = 15.0  # seconds between questions while checks are pending, …
SHARE = 0.05  # … of how long they have been, where that is more: some never end …
LATER = 300.0  # … and while there is nothing to wait for
NO_CHECKS = timedelta(minutes=2)  # without any check after that, a commit is taken to have none
LONGEST = timedelta(days=14)  # then a request is followed no more

ForgeOf = Callable[[ProjectRef], Forge | None]


class Pulls:
    """One task for each request."""

    def __init__(
        self, store: Store, audience: Audience, offers: Offers, forge_of: ForgeOf, clock: Clock, complain: Complain
    ) -> None:
        self.forge_of = forge_of
        self._store = store
        self._audience = audience
        self._offers = offers
        self._clock = clock
        self._complain = complain
        self._beside = Beside()
        self._looks: dict[str, asyncio.Event] = {}  # by session: there is something new to ask for

    def must_have_forge(self, project: ProjectRef) -> Forge:
        """Raises UsageError."""
        forge = self.forge_of(project)
        if forge is None:
            raise UsageError(
                f"No forge is configured for {project.instance}.",
                f"Add `forges: {{{project.instance}: {{kind: github, token: …}}}}` to config.yaml.",
            )
        return forge

    async def follow(self, key: SessionKey, request: PullRequest) -> None:
        """From here on; what was followed for the session before is not any more.

        The request is open, whatever the disk says: where it cannot be noted, it is not followed.
        """
        try:
            for left in await self._store.open_operations(kind=FOLLOWED, subject=key.key):
                await self._store.end(left)
            data = {"session": str(key), "url": request.url}
            operation = await self._store.begin(FOLLOWED, key.key, data)
        except StoreError as error:
            self._complain(f"the pull request of {key} cannot be followed", error)
        else:
            self._start(key, operation)

    async def resume(self) -> None:
        """Go on with what an earlier process followed."""
        for operation in await self._store.open_operations(kind=FOLLOWED):
            self._start(refs.parse_session(str(operation.data["session"])), operation)

    def look(self, key: SessionKey) -> None:
        """There is a new commit."""
        if event := self._looks.get(key.key):
            event.set()

    async def close(self) -> None:
        """Ask no more."""
        await self._beside.close()

    def _start(self, key: SessionKey, operation: Operation) -> None:
        self._looks[key.key] = asyncio.Event()
        self._beside.start(self._follow(key, operation), name=f"pull request of {key}")

    async def _follow(self, key: SessionKey, operation: Operation) -> None:
        failing = False
        while True:
            pause = LATER
            try:
                if not await self._is_open(operation):
                    return
                asked, pause = await self._asked(key, operation)
                failing = False
                if asked is None:
                    return
                operation = asked
            except NotFound:
                return  # it was ended while the forge was asked
            except Exception as error:  # noqa: BLE001  whatever a forge tells, the request is followed
                if not failing:
                    self._complain(f"the pull request of {key} could not be looked at; it is tried again", error)
                failing = True
            await self._rest(key, pause)

    async def _is_open(self, operation: Operation) -> bool:
        """Not when another request is followed in its place, or when the session was destroyed."""
        return any(each.id == operation.id for each in await self._store.open_operations(kind=FOLLOWED))

    async def _rest(self, key: SessionKey, seconds: float) -> None:
        look = self._looks[key.key]
        timer = asyncio.create_task(self._clock.sleep(seconds))
        looking = asyncio.create_task(look.wait())
        try:
            await asyncio.wait([timer, looking], return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            looking.cancel()
        look.clear()

    async def _asked(self, key: SessionKey, operation: Operation) -> tuple[Operation | None, float]:
        """What the forge says, told if it is new. Returns seconds until it is asked again; None: there is no need."""
        session = await self._store.session(key)
        forge = self.forge_of(key.ref.project)
        if session is None or forge is None or self._clock.now() - operation.created > LONGEST:
            await self._store.end(operation)
            return None, 0.0
        request = await forge.pull_request(key.ref.project, session.branch)
        if request is None:
            raise ForgeError(f"The pull request of {key} is not there any more.")
        if request.state != "open":
            await self._audience.tell(key, view_finish.request_over(session, request))
            await self._store.end(operation)
            return None, 0.0
        if request.head == operation.data.get("told"):
            return operation, LATER
        operation = await self._noted(operation, request.head)
        checks = await forge.checks(key.ref.project, request.head)
        if checks.state == "pending" or (checks.state == "none" and self._waited(operation) <= NO_CHECKS):
            return operation, min(max(SOON, self._waited(operation).total_seconds() * SHARE), LATER)
        if checks.state != "none":
            await self._tell(key, request, checks)
        return await self._store.step_done(operation, "told", {"told": request.head}), LATER

    async def _noted(self, operation: Operation, head: str) -> Operation:
        """Since when that commit is looked at."""
        if operation.data.get("head") == head:
            return operation
        return await self._store.step_done(operation, "head", {"head": head, "since": self._clock.now().isoformat()})

    def _waited(self, operation: Operation) -> timedelta:
        return self._clock.now() - datetime.fromisoformat(str(operation.data["since"]))

    async def _tell(self, key: SessionKey, request: PullRequest, checks: Checks) -> None:
        session = await self._store.session(key)
        if session is None:
            return
        offers: tuple[Button, ...] = ()
        if checks.failed:
            line = f"/continue {key} -- {view_finish.fix_prompt(request, checks)}"
            offers = (await self._offers.make("Fix it", line),)
        await self._audience.tell(key, view_finish.checks_told(session, request, checks, offers))
