"""What providers could cache of forks: how far the first requests of two forks are the same, from their beginning."""

from __future__ import annotations

import json
from itertools import takewhile

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")


def beginning(lab, text: str) -> str:
    """Tools and messages of the first request with this prompt, in the order in which a provider reads them."""
    body = lab.model.asked(text)[0].body
    return json.dumps(body["tools"]) + json.dumps(body["messages"])


def shared(one: str, other: str) -> str:
    """What both begin with."""
    return "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


async def forked(lab, base, directory, text: str) -> str:
    fork = await lab.port.fork_session(base.id, directory)
    await lab.port.settle_directory(fork.id, directory)
    await lab.say(fork.id, text, directory)
    return beginning(lab, text)


@pytest.mark.needs("sessions")
async def test_forks_share_the_base_in_one_checkout_and_at_most_the_tools_in_worktrees(lab, text):
    base = await lab.session()
    lab.model.on(f"{text}-base").say("I have read all of it. " * 50)
    await lab.say(base.id, f"{text}-base")
    one, other = [await forked(lab, base, lab.project, f"{text}-{name}") for name in ("one", "two")]
    same = len(shared(one, other))
    assert same > len(one) - 200, "all but the prompt"
    assert "I have read all of it." in one[:same]

    apart = [await forked(lab, base, lab.worktree(), f"{text}-{name}") for name in ("three", "four")]
    tools = len(json.dumps(lab.model.asked(f"{text}-three")[0].body["tools"]))
    # 1.18 names the working directory in the system prompt alone, 1.3 in the description of its bash tool already.
    newest = (await lab.port.capabilities()).version.startswith("1.18")
    assert (len(shared(*apart)) > tools) is newest
    assert "I have read all of it." not in shared(*apart)
