"""Buttons that stand for a command line: the id is opaque, the line stays in the store and outlives a restart."""

from __future__ import annotations

import secrets

from core import rules, view, view_trouble
from core.errors import AgentInDoubt
from core.model import Button, Run, RunState, Session, SessionState
from core.ports import Store

# What the buttons below a failure say.
_REMEDIES = {
    view_trouble.RETRY: ("Retry", "{retry}"),
    view_trouble.MODEL: ("Choose a model", "/model {key}"),
    view_trouble.AGENT: ("Choose an agent", "/agent {key}"),
    view_trouble.COMPACT: ("Compact and retry", "/compact --retry {key}"),
    view_trouble.GO_ON: ("Go on", "/continue {key} -- " + view_trouble.GO_ON_PROMPT),
}


class Offers:
    """Lines people can choose by pressing; whoever presses must be allowed to say the line."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def make(self, label: str, line: str) -> Button:
        """A button that says `line` when pressed. Raises StoreError."""
        button = Button(self.token(), label)
        await self.keep(button.id, line)
        return button

    def token(self) -> str:
        """An id that says nothing yet."""
        return secrets.token_urlsafe(9)

    async def keep(self, token: str, line: str) -> None:
        """From here on, `token` says `line`. Raises StoreError."""
        await self._store.add_offer(token, line)

    async def after(self, run: Run, session: Session) -> tuple[Button, ...]:
        """What can be done about a run that is over. Raises StoreError."""
        if session.state is SessionState.GONE:
            return ()
        what = f"--run {run.number} {session.key}"
        if run.error_code == AgentInDoubt.code:
            again = await self.make("Send it again", f"/retry {what}")
            return (again, await self.make("Leave it", f"/retry --leave {what}"))
        buttons = []
        if run.state is not RunState.DONE and run.error != view.CUT_GOES_ON:
            # Of a start that had no effect there is no record to retry.
            begins = not session.agent_id and not session.key.name
            retry = f"/start {session.key} -- {run.prompt}" if begins else f"/retry {what}"
            remedy = view_trouble.remedy(run.error_code)
            for offer in remedy.offers if remedy else (view_trouble.RETRY,):
                label, line = _REMEDIES[offer]
                buttons.append(await self.make(label, line.format(retry=retry, key=session.key)))
        if rules.allowing(run.refused):
            buttons.append(await self.make(view.retry_with(run.refused), f"/retry --allow {what}"))
        return tuple(buttons)

    async def entry(self, run: Run, *, numbered: bool = False) -> tuple[Button, Button]:
        """What can be done about a run that waits; `numbered` where several are listed. Raises StoreError."""
        number = f" {run.number}" if numbered else ""
        return (
            await self.make(f"Cancel{number}", f"/queue {run.session} cancel {run.number}"),
            await self.make(f"Send{number} now", f"/queue {run.session} now {run.number}"),
        )

    async def line(self, button: str) -> str | None:
        """What pressing says; None for a button that is not an offer, or too old. Raises StoreError."""
        return await self._store.offer(button)
