"""The event stream's lines, and who hears what."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.opencode.stream import Hub, Signal, SseLines
from adapters.opencode.wire import SessionIdle, SessionInfo, SessionSeen


def fed(chunks: list[bytes], **more) -> list[bytes]:
    lines = SseLines(**more)
    return [payload for chunk in chunks for payload in lines.feed(chunk)]


def test_payloads():
    assert fed([b"data: one\n\ndata:two\r\n\r\n: comment\n\nid: 3\nevent: x\ndata: a\ndata: b\n\ndata: open\n"]) == [
        b"one",
        b"two",
        b"a\nb",
    ]


@given(st.lists(st.text("aü\r ", max_size=6), max_size=6), st.data())
def test_however_it_is_cut(texts, data):
    payloads = [f"{text}.".encode() for text in texts]
    stream = b"".join(b"data: " + payload + b"\n\n" for payload in payloads)
    chunks = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        chunks.append(stream[:size])
        stream = stream[size:]
    assert fed(chunks) == payloads


def test_sixteen_megabytes_in_small_pieces():
    payload = b"x" * 16_000_000
    stream = b"data: " + payload + b"\n\n"
    assert fed([stream[at : at + 65536] for at in range(0, len(stream), 65536)]) == [payload]


def test_a_line_without_an_end_is_given_up():
    with pytest.raises(ValueError, match="more than 100 bytes"):
        fed([b"data: " + b"x" * 50, b"x" * 50], limit=100)


async def heard(subscription) -> list:
    items = []
    while True:
        try:
            async with asyncio.timeout(0):
                items.append(await subscription.next())
        except TimeoutError:
            return items


def seen(session: str, parent: str = "") -> SessionSeen:
    return SessionSeen(SessionInfo(session, parent=parent))


async def test_events_go_to_the_runs_of_their_session_and_its_sub_agents():
    hub = Hub()
    one, two, other = hub.subscribe("ses_a"), hub.subscribe("ses_a"), hub.subscribe("ses_b")
    for event in (seen("ses_child", "ses_a"), seen("ses_grandchild", "ses_child"), seen("ses_x", "ses_nobody")):
        hub.dispatch(event)
        hub.dispatch(event)
    for session in ("ses_a", "ses_child", "ses_grandchild", "ses_b", "ses_x", "ses_new"):
        hub.dispatch(SessionIdle(session))
    ours = [SessionIdle("ses_a"), SessionIdle("ses_child"), SessionIdle("ses_grandchild")]
    assert await heard(one) == ours
    assert await heard(two) == ours
    assert await heard(other) == [SessionIdle("ses_b")]


async def test_signals_come_once_however_many_sub_agents():
    hub = Hub()
    subscription = hub.subscribe("ses_a")
    hub.adopt(subscription, "ses_child")
    hub.signal(Signal.RESTARTED)
    assert await heard(subscription) == [Signal.RESTARTED]


async def test_who_left_hears_nothing():
    hub = Hub()
    stays, leaves = hub.subscribe("ses_a"), hub.subscribe("ses_a")
    hub.adopt(leaves, "ses_child")
    hub.unsubscribe(leaves)
    hub.dispatch(SessionIdle("ses_a"))
    hub.dispatch(SessionIdle("ses_child"))
    assert await heard(leaves) == []
    assert await heard(stays) == [SessionIdle("ses_a")]
    hub.unsubscribe(stays)
    assert not hub.listening
