"""A chat as a picture: a self-contained SVG that looks like a phone's screen, for documentation.

Pure: what `TelegramSimulator.chat_state` says goes in, text comes out. Times are shown in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import Any

from .picture_text import LINE, MONO_LINE, MONO_SIZE, SIZE, Block, Run, layout, shorten, text_width

_SANS = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', Arial, sans-serif"
_MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_INK, _FAINT, _LINK, _CODE = "#0f1419", "#8a9aa5", "#2480c4", "#b3402a"
_MINE, _THEIRS, _WALL, _HEAD = "#e3f8d3", "#ffffff", "#d5e3ec", "#ffffff"
_NAMES = ("#d1495b", "#2e86ab", "#7a5ccf", "#2f9e6e", "#c9772b", "#b0489a")
_HEADER, _MARGIN, _PAD = 58.0, 10.0, 11.0
_LINKS = {"text_link", "url", "mention", "text_mention", "hashtag", "bot_command", "email", "cashtag"}


def render_svg(chat_state: dict[str, Any], width: int = 420, *, viewer: int | None = None) -> str:
    """The whole chat, as tall as it is. `viewer` is whose phone it is (their messages are on the right)."""
    if viewer is None:
        people = [m["sender_id"] for m in chat_state["messages"] if not m["own"]]
        viewer = chat_state.get("user") or (people[0] if people else None)
    canvas = _Canvas(float(width))
    y = _HEADER + 12
    previous: dict[str, Any] = {}
    for message in chat_state["messages"]:
        y += 4 if previous.get("sender_id") == message["sender_id"] and not message["service"] else 10
        y = _message(canvas, chat_state, message, y, viewer, previous)
        previous = message
    for draft in chat_state.get("drafts", ()):
        y = _draft(canvas, draft, y + 8)
    height = max(y + 14, 220.0)
    return _page(canvas, chat_state, height)


@dataclass(slots=True)
class _Canvas:
    width: float
    parts: list[str] = field(default_factory=list)

    def rect(self, x: float, y: float, w: float, h: float, fill: str, radius: float = 0.0, more: str = "") -> None:
        size = f'x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"'
        self.parts.append(f'<rect {size} rx="{radius:g}" fill="{fill}"{more and " " + more}/>')

    def circle(self, x: float, y: float, radius: float, fill: str) -> None:
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{fill}"/>')

    def path(self, d: str, more: str) -> None:
        self.parts.append(f'<path d="{d}" {more}/>')

    def text(self, x: float, y: float, text: str, size: float, fill: str, more: str = "") -> None:
        attributes = f'x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}"{more and " " + more}'
        self.parts.append(f"<text {attributes}>{escape(text, quote=False)}</text>")

    def line(self, x: float, y: float, runs: tuple[Run, ...], *, mono: bool = False) -> None:
        if not runs:
            return
        size = MONO_SIZE if mono else SIZE
        spans = "".join(_span(run, mono=mono) for run in runs)
        family = f' font-family="{_MONO}"' if mono else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{_INK}"{family}>{spans}</text>')


def _span(run: Run, *, mono: bool) -> str:
    look = []
    if "bold" in run.kinds:
        look.append('font-weight="600"')
    if "italic" in run.kinds:
        look.append('font-style="italic"')
    lines = [n for k, n in (("underline", "underline"), ("strikethrough", "line-through")) if k in run.kinds]
    if lines:
        look.append(f'text-decoration="{" ".join(lines)}"')
    if "code" in run.kinds and not mono:
        look.append(f'font-family="{_MONO}" font-size="{MONO_SIZE:g}" fill="{_CODE}"')
    elif run.kinds & _LINKS:
        look.append(f'fill="{_LINK}"')
    elif "spoiler" in run.kinds:
        look.append('fill="#b8c2c9"')
    text = escape(run.text, quote=False)
    return f"<tspan {' '.join(look)}>{text}</tspan>" if look else text


def _page(canvas: _Canvas, state: dict[str, Any], height: float) -> str:
    width = canvas.width
    head = _Canvas(width)
    head.rect(0, 0, width, _HEADER, _HEAD)
    head.rect(0, _HEADER - 1, width, 1, "#dfe6ea")
    head.path("M22 22 L15 29 L22 36", f'fill="none" stroke="{_LINK}" stroke-width="2.4" stroke-linecap="round"')
    title = state["topic"] or state["title"]
    head.circle(54, 29, 19, _NAMES[sum(map(ord, title)) % len(_NAMES)])
    letters = "".join(word[0] for word in title.split() if word[0].isalnum())[:2].upper() or "#"
    head.text(54, 34.5, letters, 15, "#fff", 'text-anchor="middle" font-weight="600"')
    room = width - 84 - 20
    head.text(84, 26, shorten(title, room, size=16, bold=True), 16, _INK, 'font-weight="600"')
    head.text(84, 44, shorten(state["subtitle"], room, size=13), 13, _FAINT)
    drawn = "\n".join(canvas.parts + head.parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:.0f}" '
        f'viewBox="0 0 {width:g} {height:.0f}" font-family="{_SANS}" xml:space="preserve" role="img">\n'
        f"<title>{escape(title)}</title>\n"
        f'<defs><clipPath id="screen"><rect width="{width:g}" height="{height:.0f}" rx="18"/></clipPath></defs>\n'
        f'<g clip-path="url(#screen)">\n<rect width="{width:g}" height="{height:.0f}" fill="{_WALL}"/>\n'
        f"{drawn}\n</g>\n"
        f'<rect x=".5" y=".5" width="{width - 1:g}" height="{height - 1:.0f}" rx="17.5" fill="none" stroke="#bcc"/>\n'
        "</svg>\n"
    )


def _message(
    canvas: _Canvas,
    state: dict[str, Any],
    message: dict[str, Any],
    y: float,
    viewer: int | None,
    previous: dict[str, Any],
) -> float:
    if message["service"]:
        return _service(canvas, message["service"], y)
    mine = message["sender_id"] == viewer and not message["own"]
    named = state["type"] != "private" and not mine and previous.get("sender_id") != message["sender_id"]
    most = canvas.width * 0.84 - 2 * _PAD
    blocks = layout(message["text"], message["entities"], most)
    stamp = ("edited " if message["edited"] else "") + f"{datetime.fromtimestamp(message['date'], UTC):%H:%M}"
    stamp_width = text_width(stamp, size=11.5) + 6
    inner = _inner_width(message, blocks, stamp_width, most, named=named)
    x = canvas.width - _MARGIN - inner - 2 * _PAD if mine else _MARGIN
    bubble_at = len(canvas.parts)
    top, y = y, y + 8
    if named:
        color = _NAMES[message["sender_id"] % len(_NAMES)]
        canvas.text(x + _PAD, y + 12, shorten(message["sender"], inner, size=13.5, bold=True), 13.5, color, _BOLD)
        y += 19
    if message["reply"]:
        y = _reply(canvas, message["reply"], x + _PAD, y, inner)
    if message["media"]:
        y = _media(canvas, message["media"], x + _PAD, y, inner)
    for block in blocks:
        y = _block(canvas, block, x + _PAD, y, inner)
    y = _foot(canvas, message, stamp, stamp_width, (x + _PAD, y, inner), blocks)
    bubble = _Canvas(canvas.width)
    bubble.rect(x, top + 1.2, inner + 2 * _PAD, y - top, "#b4c4ce", 14, 'opacity=".55"')
    bubble.rect(x, top, inner + 2 * _PAD, y - top, _MINE if mine else _THEIRS, 14)
    canvas.parts[bubble_at:bubble_at] = bubble.parts
    return _buttons(canvas, message["buttons"], x, y, max(inner + 2 * _PAD, canvas.width * 0.62))


_BOLD = 'font-weight="600"'


def _inner_width(
    message: dict[str, Any], blocks: list[Block], stamp_width: float, most: float, *, named: bool
) -> float:
    wanted = [block.width for block in blocks] + [stamp_width + 20]
    if blocks and blocks[-1].kind == "text" and not message["reactions"]:
        wanted.append(_last_line(blocks) + stamp_width + 8)
    if message["reactions"]:
        wanted.append(sum(_pill_width(r) + 5 for r in message["reactions"]) + stamp_width + 6)
    if named:
        wanted.append(text_width(message["sender"], size=13.5, bold=True))
    if reply := message["reply"]:
        wanted.append(min(most, 16 + max(text_width(reply["sender"]), text_width(reply["text"], size=13.5))))
    if media := message["media"]:
        wanted.append(most if media["kind"] == "photo" else min(most, 56 + text_width(media["name"], bold=True)))
    return min(most, max(wanted)) + 1


def _last_line(blocks: list[Block]) -> float:
    return float(sum(run.width for run in blocks[-1].lines[-1]))


def _service(canvas: _Canvas, text: str, y: float) -> float:
    text = shorten(text, canvas.width - 60, size=13)
    width = text_width(text, size=13) + 22
    canvas.rect((canvas.width - width) / 2, y, width, 24, "#7f98a8", 12, 'opacity=".75"')
    canvas.text(canvas.width / 2, y + 16.5, text, 13, "#fff", 'text-anchor="middle"')
    return y + 24


def _reply(canvas: _Canvas, reply: dict[str, Any], x: float, y: float, width: float) -> float:
    canvas.rect(x, y, width, 38, _LINK, 6, 'opacity=".1"')
    canvas.rect(x, y, 3, 38, _LINK, 1.5)
    canvas.text(x + 10, y + 15, shorten(reply["sender"], width - 16, size=13.5, bold=True), 13.5, _LINK, _BOLD)
    canvas.text(x + 10, y + 31, shorten(reply["text"] or "Message", width - 16, size=13.5), 13.5, _INK)
    return y + 44


def _media(canvas: _Canvas, media: dict[str, Any], x: float, y: float, width: float) -> float:
    if media["kind"] == "photo":
        height: float = min(width * media["height"] / max(1, media["width"]), 240.0)
        canvas.rect(x, y, width, height, "#c9dbe6", 10)
        canvas.circle(x + width * 0.76, y + height * 0.28, min(16.0, height / 6), "#f6e3a1")
        left, bottom = x, y + height
        peak = f"M{left:.0f} {bottom - height * 0.1:.0f} L{left + width * 0.35:.0f} {bottom - height * 0.55:.0f}"
        rest = f"L{left + width * 0.6:.0f} {bottom - height * 0.2:.0f} L{left + width * 0.78:.0f}"
        end = f"{bottom - height * 0.42:.0f} L{left + width:.0f} {bottom - height * 0.12:.0f}"
        canvas.path(f"{peak} {rest} {end} V{bottom - 8:.0f} H{left:.0f} Z", 'fill="#8fb3a0"')
        return y + height + 8
    canvas.circle(x + 20, y + 21, 20, _LINK)
    if media["kind"] == "voice":
        canvas.path(f"M{x + 15:.1f} {y + 13:.1f} l12 8 l-12 8 z", 'fill="#fff"')
    else:
        arrow = f"M{x + 20:.1f} {y + 12:.1f} v14 m-6 -6 l6 6.5 l6 -6.5 M{x + 13:.1f} {y + 30:.1f} h14"
        canvas.path(arrow, 'fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round"')
    canvas.text(x + 50, y + 18, shorten(media["name"], width - 52, bold=True), SIZE, _INK, _BOLD)
    canvas.text(x + 50, y + 35, _size(media["size"]), 12.5, _FAINT)
    return y + 48


def _size(size: int) -> str:
    if size < 1024:
        return f"{size} B"
    return f"{size / 1024:.1f} KB" if size < 1 << 20 else f"{size / (1 << 20):.1f} MB"


def _block(canvas: _Canvas, block: Block, x: float, y: float, width: float) -> float:
    if block.kind == "pre":
        canvas.rect(x, y + 2, width, block.height - 4, "#eef3f6", 7)
        canvas.rect(x, y + 2, 3, block.height - 4, _LINK, 1.5)
        at = y + 8
        if block.language:
            canvas.text(x + 11, at + 10, block.language, 11.5, _LINK, _BOLD)
            at += 18
        for number, line in enumerate(block.lines):
            canvas.line(x + 11, at + 12.5 + number * MONO_LINE, line, mono=True)
        return y + block.height
    inset = 10 if block.kind == "quote" else 0
    if inset:
        canvas.rect(x, y + 1, width, block.height - 2, _LINK, 6, 'opacity=".08"')
        canvas.rect(x, y + 1, 3, block.height - 2, _LINK, 1.5)
    for number, line in enumerate(block.lines):
        canvas.line(x + inset, y + (3 if inset else 0) + 15 + number * LINE, line)
    return y + block.height


def _pill_width(reaction: dict[str, Any]) -> float:
    return 32 + (text_width(str(reaction["count"]), size=12.5) + 4 if reaction["count"] > 1 else 0)


def _foot(
    canvas: _Canvas,
    message: dict[str, Any],
    stamp: str,
    stamp_width: float,
    where: tuple[float, float, float],
    blocks: list[Block],
) -> float:
    """Reactions and the time. The time stands beside the last line when there is room."""
    x, y, width = where
    right = x + width
    if message["reactions"]:
        y += 5
        at = x
        for reaction in message["reactions"]:
            canvas.rect(at, y, _pill_width(reaction), 25, _LINK, 12.5, 'opacity=".14"')
            canvas.text(at + 8, y + 17.5, reaction["emoji"], 14, _INK)
            if reaction["count"] > 1:
                canvas.text(at + 29, y + 17, str(reaction["count"]), 12.5, _LINK, _BOLD)
            at += _pill_width(reaction) + 5
        y += 25
    elif not (blocks and blocks[-1].kind == "text" and _last_line(blocks) + stamp_width + 4 <= width):
        y += 16
    canvas.text(right, y - 2, stamp, 11.5, _FAINT, 'text-anchor="end"')
    return y + 7


def _buttons(canvas: _Canvas, rows: list[list[dict[str, Any]]], x: float, y: float, width: float) -> float:
    natural = [max(text_width(b["text"], size=14.5, bold=True) + 24 for b in row) * len(row) for row in rows]
    width = min(max([width, *natural]), canvas.width - 2 * _MARGIN)
    x = min(x, canvas.width - _MARGIN - width)
    for row in rows:
        y += 5
        each = (width - 5 * (len(row) - 1)) / len(row)
        for place, button in enumerate(row):
            left = x + place * (each + 5)
            canvas.rect(left, y, each, 36, "#7f98a8", 10, 'opacity=".62"')
            text = shorten(button["text"], each - 12, size=14.5, bold=True)
            canvas.text(left + each / 2, y + 23, text, 14.5, "#fff", f'text-anchor="middle" {_BOLD}')
            if "url" in button:
                canvas.text(left + each - 8, y + 13, "↗", 10, "#fff", 'text-anchor="end"')
        y += 36
    return y


def _draft(canvas: _Canvas, draft: dict[str, Any], y: float) -> float:
    """A streamed preview: a pale bubble that ends in three dots."""
    most = canvas.width * 0.84 - 2 * _PAD
    text = draft["text"] or "Thinking"
    blocks = layout(text, draft["entities"], most)
    width = min(most, max(block.width for block in blocks)) + 1
    height = sum(block.height for block in blocks) + 28
    canvas.rect(
        _MARGIN, y, width + 2 * _PAD, height, _THEIRS, 14, f'opacity=".8" stroke="{_LINK}" stroke-dasharray="4 3"'
    )
    at = y + 8
    for block in blocks:
        at = _block(canvas, block, _MARGIN + _PAD, at, width)
    for place in range(3):
        canvas.circle(_MARGIN + _PAD + 4 + place * 9, at + 7, 2.6, _LINK)
    return y + height
