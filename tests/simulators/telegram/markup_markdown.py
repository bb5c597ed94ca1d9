"""`parse_mode` MarkdownV2 and the old Markdown, read and refused as by Telegram's own parser."""

from __future__ import annotations

import re
from typing import Any

from .entities import utf16_len
from .errors import Refused
from .markup_common import Entities, byte_at, cannot, link

_V2 = {"*": "Bold", "~": "Strikethrough", "_": "Italic", "__": "Underline", "||": "Spoiler", "`": "Code", "```": "Pre"}
_KINDS = {
    "Bold": "bold",
    "Italic": "italic",
    "Underline": "underline",
    "Strikethrough": "strikethrough",
    "Spoiler": "spoiler",
    "Code": "code",
    "Pre": "pre",
    "PreCode": "pre",
    "TextUrl": "text_link",
    "CustomEmoji": "custom_emoji",
    "BlockQuote": "blockquote",
    "ExpandableBlockQuote": "expandable_blockquote",
}


class MarkdownV2:
    def __init__(self, text: str) -> None:
        self._text = text
        self._plain: list[str] = []
        self._size = 0
        self._open: list[tuple[str, str, int, int]] = []  # type, argument, UTF-16 offset, index in the source
        self._entities: Entities = []
        self._quoted = False
        self._line_begins = True

    def read(self) -> tuple[str, Entities]:
        position = 0
        while position < len(self._text):
            position = self._step(position) + 1
        if self._quoted:
            if self._open[-1][0] == "Spoiler" and self._open[-1][3] == len(self._text) - 2:
                self._open.pop()
                self._end_quote("ExpandableBlockQuote")
            elif self._open[-1][0] == "BlockQuote":
                self._end_quote("BlockQuote")
        if self._open:
            raise self._no_end()
        self._entities.sort(key=lambda e: (e["offset"], -e["length"]))
        return "".join(self._plain), self._entities

    def _add(self, char: str) -> None:
        self._plain.append(char)
        self._size += utf16_len(char)

    def _at(self, position: int, count: int = 1) -> str:
        return self._text[position : position + count]

    def _step(self, i: int) -> int:
        char, after = self._text[i], self._at(i + 1)
        if char == "\\" and after and 0 < ord(after) <= 126:
            self._add(after)
            if after != "\r":
                self._line_begins = after == "\n"
            return i + 1
        inside = self._open[-1][0] if self._open else ""
        reserved = "`" if inside in {"Code", "Pre", "PreCode"} else "_*[]()~`>#+-=|{}.!\n"
        if char not in reserved:
            self._add(char)
            if char != "\r":
                self._line_begins = False
            return i
        return self._end(i) if self._ends(i, inside) else self._begin(i)

    def _ends(self, i: int, inside: str) -> bool:
        if not inside:
            return False
        char, after = self._text[i], self._at(i + 1)
        if self._quoted and char == "\n" and after != ">":
            return True
        match inside:
            case "Bold":
                return char == "*"
            case "Italic":
                return char == "_" and after != "_"
            case "Underline":
                return char == "_" and after == "_"
            case "Strikethrough":
                return char == "~"
            case "Spoiler":
                return char == "|" and after == "|"
            case "Code":
                return char == "`"
            case "Pre" | "PreCode":
                return self._at(i, 3) == "```"
            case "TextUrl" | "CustomEmoji":
                return char == "]"
        return False

    def _begin(self, i: int) -> int:
        char, start = self._text[i], i
        argument = ""
        if char == "\n":
            self._add("\n")
            self._line_begins = True
            return i
        if char == ">" and self._line_begins:
            if self._quoted:
                return i
            self._quoted, kind = True, "BlockQuote"
        elif self._at(i, 3) == "```":
            kind, argument, i = self._begin_pre(i + 3)
        elif self._at(i, 2) in {"__", "||"}:
            kind, i = _V2[self._at(i, 2)], i + 1
        elif char == "[":
            kind = "TextUrl"
        elif self._at(i, 2) == "![":
            kind, i = "CustomEmoji", i + 1
        elif char in _V2:
            kind = _V2[char]
        else:
            raise cannot(f"Character '{char}' is reserved and must be escaped with the preceding '\\'")
        self._open.append((kind, argument, self._size, start))
        return i

    def _begin_pre(self, i: int) -> tuple[str, str, int]:
        kind, argument = "Pre", ""
        language = re.compile(r"[^\s`]*").match(self._text, i)
        if language and language[0] and self._at(language.end()) not in {"`", ""}:
            kind, argument, i = "PreCode", language[0], language.end()
        if self._at(i) in {"\n", "\r"} and self._at(i):
            i += 2 if self._at(i, 2) in {"\r\n", "\n\r"} else 1
        return kind, argument, i - 1

    def _end(self, i: int) -> int:
        kind, argument, offset, _ = self._open[-1]
        if self._text[i] == "\n" and kind != "BlockQuote":
            if kind != "Spoiler" or self._open[-1][3] != i - 2:
                raise self._no_end()
            self._open.pop()
            if not self._open or self._open[-1][0] != "BlockQuote":
                raise self._no_end()
            kind, argument, offset, _ = self._open[-1]
            kind = "ExpandableBlockQuote"
        where: dict[str, Any] = {"offset": offset, "length": self._size - offset}
        extra: dict[str, Any] = {}
        keep = self._size != offset
        match kind:
            case "Underline" | "Spoiler":
                i += 1
            case "Pre" | "PreCode":
                i += 2
                extra = {"language": argument} if argument else {}
            case "TextUrl":
                i, url = self._url(i + 1) if self._at(i + 1) == "(" else (i, "")
                extra = link(url or "".join(self._plain)[-where["length"] :] if keep else url)
                keep = keep and bool(extra)
            case "CustomEmoji":
                if self._at(i + 1) != "(":
                    raise cannot("The entity must contain a tg://emoji or tg://time URL")
                i, url = self._url(i + 1)
                emoji = re.fullmatch(r"tg://emoji\?id=(\d+)", url)
                if not emoji:
                    raise cannot("Invalid tg://emoji or tg://time URL specified")
                extra = {"custom_emoji_id": emoji[1]}
            case "BlockQuote" | "ExpandableBlockQuote":
                self._quoted = False
                self._add("\n")
                self._line_begins = True
                where["length"], keep = self._size - offset, True
        if keep:
            self._entities.append(where | {"type": "text_mention" if "user" in extra else _KINDS[kind]} | extra)
        self._open.pop()
        return i

    def _url(self, i: int) -> tuple[int, str]:
        """The link in parentheses that begins at `i`, and where it ends."""
        match = re.compile(r"\(((?:\\.|[^)\\])*)\)", re.DOTALL).match(self._text, i)
        if not match:
            raise cannot(f"Can't find end of a URL at byte offset {byte_at(self._text, i + 1)}")
        return match.end() - 1, re.sub(r"\\(.)", r"\1", match[1])

    def _end_quote(self, kind: str) -> None:
        offset = self._open.pop()[2]
        if self._size > offset:
            self._entities.append({"type": _KINDS[kind], "offset": offset, "length": self._size - offset})

    def _no_end(self) -> Refused:
        kind, _, _, index = self._open[-1]
        return cannot(f"Can't find end of {kind} entity at byte offset {byte_at(self._text, index)}")


def old_markdown(text: str) -> tuple[str, Entities]:
    plain, entities, size, i = "", [], 0, 0
    while i < len(text):
        char = text[i]
        if char == "\\" and text[i + 1 : i + 2] in {"_", "*", "`", "["} and i + 1 < len(text):
            plain, size, i = plain + text[i + 1], size + 1, i + 2
            continue
        if char not in "_*`[":
            plain, size, i = plain + char, size + utf16_len(char), i + 1
            continue
        begin, mark = i, "```" if text.startswith("```", i) else {"[": "]"}.get(char, char)
        i += len(mark)
        language = ""
        if mark == "```":
            match = re.compile(r"([^\s`]+)(?=\s)").match(text, i)
            language, i = (match[1], match.end()) if match else ("", i)
            i += text[i : i + 1] == "\n"
        end = text.find(mark, i)
        if end < 0:
            raise cannot(f"Can't find end of the entity starting at byte offset {byte_at(text, begin)}")
        inner, i = text[i:end], end + len(mark)
        extra: dict[str, Any] = {"language": language} if language else {}
        kind = {"_": "italic", "*": "bold", "`": "code", "```": "pre", "]": "text_link"}[mark]
        if mark == "]":
            match = re.compile(r"\(([^)]*)\)?").match(text, i)
            extra, i = link(match[1] if match else inner), match.end() if match else i
            kind = "text_mention" if "user" in extra else kind
        if inner and (mark != "]" or extra):
            entities.append({"type": kind, "offset": size, "length": utf16_len(inner)} | extra)
        plain, size = plain + inner, size + utf16_len(inner)
    return plain, entities
