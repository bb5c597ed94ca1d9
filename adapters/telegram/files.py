"""Files both ways."""

from __future__ import annotations

import asyncio
import io
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

import aiohttp
from telegram import InputFile

from adapters.telegram import outgoing, words
from adapters.telegram.calls import Calls, too_large
from adapters.telegram.refusals import FileTooBig, NoTextThere, PhotoRefused, Unchanged
from core.errors import ChatError, ChatUnreachable
from core.messages import Outgoing, Page
from core.model import IncomingFile, Place

MAX_DOWN = 20 << 20  # bytes a bot can fetch
MAX_UP = 50 << 20
MAX_PHOTO = 10 << 20
_PHOTOS = {".jpg", ".jpeg", ".png", ".webp"}
_CHUNK = 1 << 16


async def send_text(calls: Calls, place: Place, message: Outgoing) -> str:
    """The id of the new message."""
    async with calls.translate(place, shows=True):
        sent = await calls.bot.send_message(**outgoing.addressing(place, message), **outgoing.content(message))
    return str(sent.message_id)


async def send(calls: Calls, place: Place, message: Outgoing) -> str:
    """The id of the message with the file. A text too long for a caption goes before it as a message of its own."""
    name = message.file_name or (message.file.name if message.file else "file")
    size = _size(message)
    if size > MAX_UP:
        raise ChatError(f"{name} is {size / 1e6:.0f} MB: {too_large()}", too_large().hint)
    if not size:
        raise ChatError(f"{name} is empty, and Telegram takes no empty files")
    page = message.page
    if words.units(page.text) > outgoing.CAPTION:
        await send_text(calls, place, replace(message, buttons=()))
        page = Page("")
    if Path(name).suffix.lower() in _PHOTOS and size <= MAX_PHOTO:
        try:
            return await _send(calls, place, message, page, name, photo=True)
        except PhotoRefused:
            pass  # too long, too wide or no picture at all
    return await _send(calls, place, message, page, name, photo=False)


async def _send(calls: Calls, place: Place, message: Outgoing, page: Page, name: str, *, photo: bool) -> str:
    fields: dict[str, Any] = outgoing.addressing(place, message) | {
        "caption": outgoing.text(page) or None,
        "api_kwargs": outgoing.entities(page, "caption_entities"),
    }
    times = calls.times
    with _opened(message, name) as handle:
        # The library would read all of it into memory.
        file = InputFile(handle, filename=name, read_file_handle=False)
        async with calls.translate(place, shows=True, seconds=times.media + times.read):
            if photo:
                sent = await calls.bot.send_photo(photo=file, read_timeout=times.media, **fields)
            else:
                sent = await calls.bot.send_document(document=file, read_timeout=times.media, **fields)
    return str(sent.message_id)


def _size(message: Outgoing) -> int:
    if message.content or message.file is None:
        return len(message.content)
    try:
        return message.file.stat().st_size
    except OSError as error:
        raise _unreadable(message.file.name, error) from error


def _opened(message: Outgoing, name: str) -> AbstractContextManager[IO[bytes]]:
    if message.content or message.file is None:
        return io.BytesIO(message.content)
    try:
        return message.file.open("rb")
    except OSError as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: OSError) -> ChatError:
    return ChatError(f"{name} cannot be read: {error.strerror or error}")


async def edit_caption(calls: Calls, place: Place, message_id: str, message: Outgoing) -> None:
    """Of a message that has a file. What does not fit stays away."""
    page = message.page
    if words.units(page.text) > outgoing.CAPTION:
        cut = page.text.encode("utf-16-le")[: 2 * (outgoing.CAPTION - 1)].decode("utf-16-le", "ignore")
        page = Page(f"{cut}…")
    async with calls.translate(place):
        await calls.bot.edit_message_caption(
            chat_id=int(place.chat),
            message_id=int(message_id),
            caption=outgoing.text(page),
            reply_markup=outgoing.keyboard(message.buttons),
            api_kwargs=outgoing.entities(page, "caption_entities"),
        )


async def edit(calls: Calls, place: Place, message_id: str, message: Outgoing) -> None:
    """Replace text, or caption, and buttons."""
    try:
        async with calls.translate(place):
            await calls.bot.edit_message_text(
                chat_id=int(place.chat),
                message_id=int(message_id),
                reply_markup=outgoing.keyboard(message.buttons),
                **outgoing.content(message),
            )
    except Unchanged:
        pass
    except NoTextThere:
        with suppress(Unchanged):
            await edit_caption(calls, place, message_id, message)


async def fetch(calls: Calls, file: IncomingFile, target: Path) -> None:
    """Stream a file of somebody's message to `target`. Raises ChatError with the reason when it cannot be had."""
    if file.size > MAX_DOWN:
        raise _too_big(file)
    try:
        async with calls.translate():
            found = await calls.bot.get_file(file.id)
    except FileTooBig as error:
        raise _too_big(file) from error
    if not found.file_path:
        raise ChatError(f"Telegram does not say where {file.name} is", "Send it again")
    url = found.file_path
    if not url.startswith(("https://", "http://")):
        raise ChatError(
            f"{file.name} is on the disk of the Bot API server, which runs with --local",
            "Start it without --local, so that files can be fetched from it",
        )
    # Quoted by hand: the library hands on what the server says.
    parts = urlsplit(url)
    url = parts._replace(path=quote(parts.path, safe="/:%")).geturl()
    try:
        async with asyncio.timeout(calls.times.media):
            await _download(calls, file, url, target)
    except BaseException as error:
        with suppress(OSError):
            target.unlink(missing_ok=True)
        if isinstance(error, TimeoutError):
            raise ChatUnreachable(f"{file.name} did not arrive within {calls.times.media:g} s") from error
        raise


async def _download(calls: Calls, file: IncomingFile, url: str, target: Path) -> None:
    """aiohttp, because the library holds all of a file in memory."""
    size = 0
    try:
        async with (
            aiohttp.ClientSession(trust_env=True, timeout=aiohttp.ClientTimeout(total=None)) as session,
            session.get(url, ssl=calls.tls if url.startswith("https:") else True) as response,
        ):
            if response.status == 404:
                raise ChatError(f"Telegram does not have {file.name} any more", "Send it again")
            if response.status != 200:
                raise ChatUnreachable(f"Telegram answers HTTP {response.status} instead of {file.name}")
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with target.open("wb") as out:
                async for chunk in response.content.iter_chunked(_CHUNK):
                    size += len(chunk)
                    if size > MAX_DOWN:
                        raise _too_big(file)
                    out.write(chunk)
    except aiohttp.ClientError as error:
        raise ChatUnreachable(f"{file.name} did not arrive: {calls.redacted(str(error))[:200]}") from None
    except OSError as error:
        raise ChatError(f"{file.name} cannot be written: {error.strerror or error}") from error


def _too_big(file: IncomingFile) -> ChatError:
    size = f"{file.size / (1 << 20):.0f} MB" if file.size else "more"
    return ChatError(
        f"{file.name} is {size}, and Telegram lets bots fetch only files up to 20 MB",
        "Send it in parts, or put it where the agent can get it",
    )
