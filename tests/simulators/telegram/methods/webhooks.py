"""setWebhook and its kin. Delivery itself is in `..webhook`."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from tests.simulators.telegram.core import Core, WebhookState
from tests.simulators.telegram.errors import Refused, bad
from tests.simulators.telegram.params import Params
from tests.simulators.telegram.updates import DEFAULT_KINDS

from .polling import remember_allowed
from .table import method

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def _check_url(url: str) -> None:
    """Telegram wants HTTPS on four ports; the simulator also delivers to this machine, by HTTP on any port."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in {"http", "https"} or not parts.hostname or " " in url:
        raise bad("invalid webhook URL specified")
    if parts.hostname in _LOOPBACK:
        return
    if parts.scheme == "http":
        raise bad("bad webhook: An HTTPS URL must be provided for webhook")
    if parts.port not in {None, 80, 88, 443, 8443}:
        raise bad("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
    raise bad("bad webhook: Failed to resolve host: Name or service not known")  # nothing else can be reached here


@method("setWebhook")
def set_webhook(core: Core, params: Params) -> Any:
    url = params.text("url")
    if not url:
        return delete_webhook(core, params)
    _check_url(url)
    secret = params.text("secret_token")
    if len(secret) > 256:
        raise bad("secret token is too long")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", secret):
        raise bad("secret token contains unallowed characters")
    remember_allowed(core, params)
    if params.flag("drop_pending_updates"):
        core.queue.clear()
    core.queue.abort_poll("terminated by setWebhook request")
    connections = params.integer("max_connections", 40, 1, 100)
    core.webhook = WebhookState(url, secret, connections, params.text("ip_address"))
    core.queue.on_change()
    return True


@method("deleteWebhook")
def delete_webhook(core: Core, params: Params) -> Any:
    if params.flag("drop_pending_updates"):
        core.queue.clear()
    core.webhook = WebhookState()
    return True


@method("getWebhookInfo")
def get_webhook_info(core: Core, params: Params) -> Any:
    state = core.webhook
    info: dict[str, Any] = {
        "url": state.url,
        "has_custom_certificate": False,
        "pending_update_count": len(core.queue.pending),
    }
    if state.url:
        info |= {"max_connections": state.max_connections, "ip_address": state.ip or "127.0.0.1"}
    if state.error:
        info |= {"last_error_date": state.error_date, "last_error_message": state.error}
    return info | ({"allowed_updates": sorted(core.queue.allowed)} if core.queue.allowed != DEFAULT_KINDS else {})


@method("logOut")
def log_out(core: Core, params: Params) -> bool:
    core.logged_out = True
    return True


@method("close")
def close(core: Core, params: Params) -> bool:
    raise Refused(429, "Too Many Requests: retry after 600", {"retry_after": 600})
