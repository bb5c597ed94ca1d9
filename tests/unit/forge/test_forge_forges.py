"""Which forge is asked, and where."""

from __future__ import annotations

import pytest

from adapters.forge import ForgeConfig, Forges, default_api_base
from core.model import IssueRef, ProjectRef
from core.ports import Forge
from tests.fakes.clock import ManualClock
from tests.unit.forge.conftest import Start
from tests.unit.forge.raw_server import as_json


@pytest.mark.parametrize(
    ("kind", "instance", "address"),
    [
        ("github", "github.com", "https://api.github.com"),
        ("github", "octo.ghe.com", "https://api.octo.ghe.com"),
        ("github", "github.example.org", "https://github.example.org/api/v3"),
        ("gitea", "git.example.org:8443", "https://git.example.org:8443/api/v1"),
        ("forgejo", "codeberg.org", "https://codeberg.org/api/v1"),
        ("gitlab", "gitlab.com", "https://gitlab.com/api/v4"),
    ],
)
def test_the_usual_addresses(kind: str, instance: str, address: str) -> None:
    assert default_api_base(kind, instance) == address


async def test_only_configured_forges_are_asked() -> None:
    forges = Forges({"git.test:3000": ForgeConfig("gitea")}, ManualClock())
    forge: Forge | None = forges.get(ProjectRef("GIT.test:3000", "a", "b"))
    assert forge is not None
    assert forges.get(ProjectRef("git.test:3000", "c", "d")) is forge
    for other in ("git.test", "github.com", "local"):
        assert forges.get(ProjectRef(other, "a", "b")) is None
    await forges.close()


async def test_it_can_be_used_again_after_it_was_closed(start: Start) -> None:
    server = await start(lambda _: as_json({"number": 1, "title": "Login", "state": "open", "comments": 0}))
    forges = Forges({"git.test": ForgeConfig("gitea", api_base=server.url)}, ManualClock())
    ref = IssueRef(ProjectRef("git.test", "a", "b"), 1)
    forge = forges.get(ref.project)
    assert forge
    for _ in range(2):
        assert (await forge.issue(ref)).title == "Login"
        await forges.close()
    await forges.close()


def test_tokens_are_not_shown() -> None:
    assert "secret" not in repr(ForgeConfig("gitea", "secret"))
