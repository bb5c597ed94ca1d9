"""Updates by webhook: a small server that says yes only to what is committed."""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import NoReturn
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from adapters.telegram import wire
from adapters.telegram.calls import Calls
from adapters.telegram.settings import TelegramSettings
from adapters.telegram.updates import Take
from core.errors import ChatDenied, ChatError, ChatLimited, KugetsuError
from core.ports import Clock

HEADER = "X-Telegram-Bot-Api-Secret-Token"
MAX_BODY = 1_000_000  # bytes; Telegram's updates are a few kB
CONNECTIONS = 1  # of Telegram to us: with more, messages overtake each other
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")


def check(settings: TelegramSettings) -> None:
    """Raises ChatDenied for what cannot work."""
    if settings.webhook_url and not settings.webhook_listen:
        raise ChatDenied(
            "The webhook has an address but nothing that listens",
            "Set adapters.telegram.webhook.listen to host:port, where your proxy hands Telegram's calls on",
        )
    if settings.webhook_secret and not _SECRET.fullmatch(settings.webhook_secret):
        raise ChatDenied(
            "The webhook's secret has characters that Telegram does not send",
            "Use letters, digits, _ and - in adapters.telegram.webhook.secret (at most 256), or leave it out",
        )


class Webhook:
    """Serves until cancelled, and sees to it that Telegram keeps sending here."""

    def __init__(self, calls: Calls, clock: Clock, notice: Callable[[str], None]) -> None:
        self._calls = calls
        self._times = calls.times
        self._clock = clock
        self._notice = notice
        self._log = structlog.get_logger("telegram")
        self._url = calls.settings.webhook_url
        self._secret = calls.settings.webhook_secret or secrets.token_urlsafe(32)
        self._runner: web.AppRunner | None = None
        self._secret_known = False  # by Telegram
        self._failures = 0

    async def run(self, take: Take) -> NoReturn:
        """Raises ChatDenied."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post(urlsplit(self._url).path or "/", self._handler(take))
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await self._listen(self._runner)
            while True:
                try:
                    await self._register()
                    self._failures = 0
                    await self._clock.sleep(self._times.check_webhook)
                except ChatDenied:
                    raise
                except ChatLimited as error:
                    await self._clock.sleep(error.retry_after)
                except ChatError as error:
                    await self._clock.sleep(self._delay(str(error)))
        finally:
            await self.close()

    async def close(self) -> None:
        """Take no more; what is being taken may end."""
        runner, self._runner = self._runner, None
        if runner:
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> None:
        host, _, port = self._calls.settings.webhook_listen.rpartition(":")
        while True:
            try:
                await web.TCPSite(runner, host.strip("[]"), int(port)).start()
                return
            except OSError as error:  # somebody may just be about to leave it
                why = f"the webhook cannot listen on {host}:{port}: {error.strerror or error}"
                if not self._failures:
                    self._notice(f"Telegram: {why}. Change adapters.telegram.webhook.listen or free the port.")
                await self._clock.sleep(self._delay(why))

    async def _register(self) -> None:
        """At every start with the secret of this start; later only when somebody has changed it."""
        if self._failures or not self._secret_known:
            async with self._calls.translate():
                await self._calls.bot.set_webhook(
                    self._url,
                    secret_token=self._secret,
                    allowed_updates=wire.KINDS,
                    max_connections=CONNECTIONS,
                    drop_pending_updates=False,
                )
            self._secret_known = True
            return
        async with self._calls.translate():
            info = await self._calls.bot.get_webhook_info()
        if info.url != self._url:
            self._secret_known = False
            self._notice("Telegram: somebody has changed the bot's webhook; it is set to this bot again.")
            await self._register()
        elif info.last_error_message and info.pending_update_count:
            self._log.warning(
                "telegram cannot deliver to the webhook",
                reason=info.last_error_message,
                waiting=info.pending_update_count,
            )

    def _handler(self, take: Take) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            if not hmac.compare_digest(request.headers.get(HEADER, "").encode(), self._secret.encode()):
                return web.Response(status=403)
            content = await request.read()  # 413 beyond the limit
            try:
                raw = json.loads(content.decode(errors="replace"))
            except (ValueError, RecursionError):
                # Would come again and again, with everything behind it waiting.
                self._log.warning("telegram sent something that is no JSON to the webhook")
                return web.Response()
            try:
                await take([raw], more=False)
            except KugetsuError as error:
                self._log.warning("an update could not be taken", reason=str(error))
                return web.Response(status=503)  # Telegram tries again
            return web.Response()

        return handle

    def _delay(self, why: str) -> float:
        delay = self._times.back_off(self._failures)
        if not self._failures:
            self._log.warning("the webhook could not be set", reason=why, again_in=delay)
        self._failures += 1
        return delay
