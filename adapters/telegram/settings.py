"""What the Telegram adapter has to know."""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT_API_BASE = "https://api.telegram.org"


@dataclass(frozen=True, slots=True)
class Times:
    """In seconds. Tests shorten them."""

    poll: int = 25  # Telegram's own limit is 50; proxies often cut at 30
    poll_slack: float = 10.0  # on top of `poll`, before a getUpdates counts as hung
    connect: float = 5.0
    pool: float = 5.0
    read: float = 10.0
    write: float = 20.0
    wedged: float = 60.0  # all connections in use and none of them ends
    media: float = 60.0  # for the whole of an upload or download
    press: float = 0.8  # a pressed button is answered by then, whatever it started
    first_delay: float = 1.0  # after a failure; doubled up to `longest_delay`
    longest_delay: float = 30.0
    conflict: float = 10.0  # between tries while another program polls
    check_webhook: float = 300.0
    listen_for_others: int = 4  # how long `doctor` waits for a second poller

    def back_off(self, failures: int) -> float:
        """Until the next try, after as many failures in a row before this one."""
        return min(self.first_delay * 2.0 ** min(failures, 16), self.longest_delay)


@dataclass(frozen=True, slots=True)
class TelegramSettings:
    """Without `webhook_url`, updates are polled for."""

    token: str = field(repr=False)
    api_base: str = DEFAULT_API_BASE
    webhook_url: str = ""  # where Telegram reaches us; its path is the one we serve
    webhook_listen: str = ""  # host:port
    webhook_secret: str = field(default="", repr=False)  # empty: a new one at every start
    times: Times = Times()
