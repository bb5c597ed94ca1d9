"""The tokens agents send files with."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.send_tokens import FILE, SendTokens
from core.errors import StoreError
from core.model import Session
from tests.fakes.world import World, key

FOURTEEN, FIFTEEN = Path("/w/14"), Path("/w/15")


@pytest.fixture
async def tokens(world: World, tmp_path: Path) -> SendTokens:
    sessions: dict[Path | None, Session] = {}
    for directory, number in ((FOURTEEN, 14), (FIFTEEN, 15)):
        await world.say(f"/start shoko/kugetsu#{number} do it")
        await world.quiet()
        sessions[directory] = await world.session(key(number))

    async def session_at(directory: Path | None) -> Session | None:
        return sessions.get(directory)

    return SendTokens(tmp_path, session_at)


async def test_a_token_fits_its_own_session_alone(tokens: SendTokens) -> None:
    fourteen, fifteen = tokens.of(key(14)), tokens.of(key(15))
    assert fourteen != fifteen
    assert await tokens.fits(fourteen, FOURTEEN)
    assert not await tokens.fits(fifteen, FOURTEEN)
    assert not await tokens.fits(fourteen, FIFTEEN)
    assert not await tokens.fits(fourteen, Path("/elsewhere"))
    assert not await tokens.fits(fourteen, None)
    for wrong in ("", "x", fourteen[:-1], fourteen + "0", fourteen.upper(), "ü" * 64):
        assert not await tokens.fits(wrong, FOURTEEN)


async def test_it_outlives_a_restart_and_differs_between_state_directories(tokens: SendTokens, tmp_path: Path) -> None:
    token = tokens.of(key(14))
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600

    async def nobody(_: Path | None) -> None:
        return None

    assert SendTokens(tmp_path, nobody).of(key(14)) == token
    other = tmp_path / "other"
    other.mkdir()
    assert SendTokens(other, nobody).of(key(14)) != token
    (tmp_path / FILE).write_bytes(b"cut off")
    assert SendTokens(tmp_path, nobody).of(key(14)) != token  # marks are renewed with the next prompts


async def test_a_secret_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    async def nobody(_: Path | None) -> None:
        return None

    with pytest.raises(StoreError, match="cannot be used"):
        SendTokens(tmp_path / "missing", nobody).of(key(14))
