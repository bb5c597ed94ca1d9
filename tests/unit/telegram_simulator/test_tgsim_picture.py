"""Pictures of chats."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulators.telegram import TelegramSimulator
from tests.simulators.telegram.picture import render_svg
from tests.simulators.telegram.picture_text import layout, shorten, text_width

from .conftest import Api

SVG = "{http://www.w3.org/2000/svg}"


def words(svg: str) -> str:
    return " ".join("".join(text.itertext()) for text in ET.fromstring(svg).iter(f"{SVG}text"))


async def test_everything_is_in_the_picture(sim: TelegramSimulator, api: Api) -> None:
    alice = sim.user("Alice")
    forum = sim.forum("Team", [alice])
    topic = await sim.topic(forum, "acme #42", alice)
    said = await sim.say(alice, forum, "please <fix> & test", thread=topic)
    await api("setMessageReaction", chat_id=forum.id, message_id=said.id, reaction=[{"type": "emoji", "emoji": "👀"}])
    await api(
        "sendMessage", chat_id=forum.id, parse_mode="HTML", reply_parameters={"message_id": said.id},
        text='<b>Bold</b> <code>inline</code>\n<pre><code class="language-py">print(1)</code></pre>',
        reply_markup={"inline_keyboard": [[{"text": "Allow once", "callback_data": "1"}]]},
    )  # fmt: skip
    await sim.send_file(alice, forum, "document", b"x" * 2048, name="server.log", thread=topic)
    await sim.send_file(alice, forum, "photo", b"", thread=topic)
    await sim.send_file(alice, forum, "voice", b"OggS", duration=7, thread=topic)
    svg = render_svg(sim.chat_state(forum, topic))
    text = words(svg)
    for part in ("acme #42", "Team · topic", "please <fix> & test", "👀", "Bold", "inline", "print(1)", "py"):
        assert part in text
    for part in ("Allow once", "server.log", "2.0 KB", "Voice message, 7 s", "created the topic"):
        assert part in text
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")  # nothing from outside


async def test_drafts_and_width(sim: TelegramSimulator, api: Api) -> None:
    alice = sim.user("Alice")
    chat = sim.private(alice)
    await api("sendMessageDraft", chat_id=chat.id, draft_id=1)
    svg = render_svg(sim.chat_state(chat), width=300)
    assert ET.fromstring(svg).get("width") == "300"
    assert "Thinking" in words(svg)


@settings(max_examples=60)
@given(st.text(st.sampled_from("abc WM😀界\n.,"), max_size=300), st.floats(80, 500))
def test_lines_fit_and_lose_nothing(text: str, width: float) -> None:
    blocks = layout(text, [], width)
    assert all(sum(run.width for run in line) <= width for block in blocks for line in block.lines)
    kept = "".join(run.text for block in blocks for line in block.lines for run in line)
    assert "".join(kept.split()) == "".join(text.split())


def test_shortening() -> None:
    assert shorten("short", 100) == "short"
    assert shorten("a very long line of words", 80).endswith("…")
    assert text_width(shorten("a very long line of words", 80)) <= 80
