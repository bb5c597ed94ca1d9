"""What `kugetsu doctor` says about Telegram: the mistakes that everybody makes once."""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime

import aiohttp
from telegram import User, WebhookInfo

from adapters.telegram.calls import Calls, Conflict
from adapters.telegram.updates import peek
from core.errors import ChatError
from core.messages import Finding
from core.ports import Clock

MAX_SKEW = 60.0  # seconds
RECENT = 3600.0  # a webhook's error that counts


async def diagnose(calls: Calls, clock: Clock, *, polling: bool) -> list[Finding]:
    """`polling`: this process fetches the updates itself, so a second poller need not be looked for."""
    try:
        async with calls.translate(first=True):
            me = await calls.bot.get_me()
        async with calls.translate():
            hook = await calls.bot.get_webhook_info()
    except ChatError as error:
        return [Finding(ok=False, what=str(error), hint=error.hint)]
    found = [Finding(ok=True, what=f"Telegram knows the bot as @{me.username}"), *_account(me)]
    found += [*_webhook(calls, hook, clock.now()), *await _clock(calls, clock)]
    if not calls.settings.webhook_url and not hook.url and not polling:
        found.append(await _second_poller(calls))
    return found


def _account(me: User) -> list[Finding]:
    found = []
    if me.can_read_all_group_messages:
        found.append(Finding(ok=True, what="It sees all messages of its groups"))
    else:
        found.append(
            Finding(
                ok=True,
                what="In groups it sees only commands, mentions and replies (privacy mode)",
                hint="To write to it without these: @BotFather → /setprivacy → Disable, then add it to the group "
                "again; or make it an administrator of the group",
            )
        )
    if not me.can_join_groups:
        found.append(
            Finding(ok=False, what="It cannot be added to groups", hint="@BotFather → /setjoingroups → Enable")
        )
    topics = "a topic of its own" if me.has_topics_enabled else "a chain of replies"
    hint = "" if me.has_topics_enabled else "For topics: @BotFather → the bot → Bot Settings → Threads Settings"
    found.append(Finding(ok=True, what=f"In private chats each issue is {topics}", hint=hint))
    return found


def _webhook(calls: Calls, hook: WebhookInfo, now: datetime) -> list[Finding]:
    found = []
    wanted = calls.settings.webhook_url
    if not wanted and hook.url:
        found.append(
            Finding(ok=False, what="Another program has set a webhook for this bot", hint="kugetsu removes it on start")
        )
    elif wanted and hook.url != wanted:
        found.append(
            Finding(ok=False, what=f"The webhook is not set to {wanted}", hint="kugetsu sets it when it starts")
        )
    elif wanted:
        found.append(Finding(ok=True, what=f"The webhook is set to {wanted}"))
    when = hook.last_error_date
    if wanted and when and hook.last_error_message and (now - when.astimezone(UTC)).total_seconds() < RECENT:
        found.append(
            Finding(
                ok=False,
                what=f"Telegram cannot deliver to the webhook: {hook.last_error_message}",
                hint=f"{hook.pending_update_count} updates wait; check the certificate, the port and the proxy before "
                f"{calls.settings.webhook_listen}",
            )
        )
    return found


async def _clock(calls: Calls, clock: Clock) -> list[Finding]:
    """Nothing where the server's time cannot be had."""
    base = calls.settings.api_base
    try:
        async with (
            aiohttp.ClientSession(trust_env=True, timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.head(base, ssl=calls.tls if base.startswith("https:") else True, allow_redirects=False) as answer,
        ):
            theirs = email.utils.parsedate_to_datetime(answer.headers.get("Date", ""))
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return []
    skew = (clock.now() - theirs.astimezone(UTC)).total_seconds()
    if abs(skew) <= MAX_SKEW:
        return []
    way = "ahead of" if skew > 0 else "behind"
    return [
        Finding(
            ok=False,
            what=f"This machine's clock is {abs(skew):.0f} s {way} Telegram's",
            hint="Set it by NTP: messages look late, and schedules fire at the wrong time",
        )
    ]


async def _second_poller(calls: Calls) -> Finding:
    """Whoever else polls is interrupted by us, comes back, and interrupts us."""
    try:
        await peek(calls, calls.times.listen_for_others)
    except Conflict:
        return Finding(
            ok=False,
            what="Another program fetches the messages of this bot",
            hint="End it (a second kugetsu, an old bot with the same token), or get a new token from @BotFather",
        )
    except ChatError as error:
        return Finding(ok=False, what=str(error), hint=error.hint)
    return Finding(ok=True, what="Nobody else fetches its messages")
