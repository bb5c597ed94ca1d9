"""`parse_mode` HTML, read and refused as by Telegram's own parser."""

from __future__ import annotations

import html
import re
from typing import Any

from .entities import utf16_len
from .markup_common import Entities, byte_at, cannot, link

_TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "code": "code",
    "pre": "pre",
    "a": "text_link",
    "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
    "tg-time": "date_time",
}
_NAMED = re.compile(r"&(?:lt|gt|amp|quot|#\d{1,7}|#x[0-9a-fA-F]{1,6});?")
_ATTRIBUTE = re.compile(r"\s*([^\s=>/\"']+)(?:\s*=\s*(\"[^\"]*\"|'[^']*'|[A-Za-z0-9.\-]*))?")


class Html:
    def __init__(self, text: str) -> None:
        self._text = text
        self._plain: list[str] = []
        self._size = 0
        self._open: list[tuple[str, str, int]] = []  # tag, argument, offset
        self._entities: Entities = []

    def read(self) -> tuple[str, Entities]:
        text, position = self._text, 0
        while position < len(text):
            if text[position] == "<":
                position = self._close(position) if text[position + 1 : position + 2] == "/" else self._start(position)
            elif named := _NAMED.match(text, position):
                self._add(html.unescape(named[0]))
                position = named.end()
            else:
                self._add(text[position])
                position += 1
        if self._open:
            raise cannot(f'Can\'t find end tag corresponding to start tag "{self._open[-1][0]}"')
        return "".join(self._plain), self._entities

    def _add(self, text: str) -> None:
        self._plain.append(text)
        self._size += utf16_len(text)

    def _start(self, begin: int) -> int:
        at = byte_at(self._text, begin)
        end = self._text.find(">", begin)
        match = re.compile(r"[^\s>]*").match(self._text, begin + 1)
        tag = (match[0] if match else "").lower()
        if end < 0 and not re.search(r"\s", self._text[begin:]):
            raise cannot(f"Unclosed start tag at byte offset {at}")
        if tag not in _TAGS:
            raise cannot(f'Unsupported start tag "{tag}" at byte offset {at}')
        argument, position = "", begin + 1 + len(tag)
        while True:
            rest = self._text[position:]
            if re.match(r"\s*>", rest):
                position += rest.index(">") + 1
                break
            attribute = _ATTRIBUTE.match(rest)
            if not rest.strip() or ("<" in (rest.partition(">")[0] if ">" in rest else rest) and not attribute):
                raise cannot(f'Unclosed start tag "{tag}" at byte offset {at}')
            if not attribute:
                raise cannot(f'Empty attribute name in the tag "{tag}" at byte offset {at}')
            argument = self._argument(tag, attribute[1], html.unescape((attribute[2] or "").strip("\"'"))) or argument
            position += attribute.end()
            if position >= len(self._text):
                raise cannot(f"Unclosed start tag at byte offset {at}")
        if tag == "span" and argument != "spoiler":
            raise cannot(f'Tag "span" must have class "tg-spoiler" at byte offset {at}')
        self._open.append((tag, argument, self._size))
        return position

    @staticmethod
    def _argument(tag: str, name: str, value: str) -> str:
        match tag, name:
            case ("a", "href") | ("tg-emoji", "emoji-id") | ("tg-time", "unix"):
                return value
            case ("code", "class"):
                return value.removeprefix("language-") if value.startswith("language-") else ""
            case ("span", "class"):
                return value.removeprefix("tg-") if value.startswith("tg-") else ""
            case ("blockquote", "expandable"):
                return "1"
        return ""

    def _close(self, begin: int) -> int:
        at = byte_at(self._text, begin)
        if not self._open:
            raise cannot(f"Unexpected end tag at byte offset {at}")
        match = re.compile(r"</([^\s>]*)\s*>").match(self._text, begin)
        if not match:
            raise cannot(f"Unclosed end tag at byte offset {at}")
        tag, argument, offset = self._open.pop()
        if match[1] and match[1].lower() != tag:
            found = match[1].lower()
            raise cannot(f'Unmatched end tag at byte offset {at}, expected "</{tag}>", found "</{found}>"')
        if self._size > offset:
            self._emit(tag, argument, {"offset": offset, "length": self._size - offset})
        return match.end()

    def _emit(self, tag: str, argument: str, where: dict[str, Any]) -> None:
        kind, last = _TAGS[tag], self._entities[-1] if self._entities else {}
        same = (last.get("offset"), last.get("length")) == (where["offset"], where["length"])
        extra: dict[str, Any] = {}
        if tag == "pre" and same and last.get("type") == "code" and last.get("language"):
            last["type"] = "pre"
            return
        if tag == "code" and argument and same and last.get("type") == "pre":
            last["language"] = argument
            return
        if tag == "code" and argument:
            extra = {"language": argument}
        elif tag == "a":
            extra = link(argument or "".join(self._plain)[-where["length"] :])
            kind = "text_mention" if "user" in extra else kind
            if not extra:
                return
        elif tag == "blockquote" and argument:
            kind = "expandable_blockquote"
        elif tag == "tg-emoji":
            if not argument.isdigit():
                raise cannot("Invalid custom emoji identifier specified")
            extra = {"custom_emoji_id": argument}
        elif tag == "tg-time":
            extra = {"unix_time": int(argument or 0)}
        self._entities.append(where | {"type": kind} | extra)
