"""Text as Telegram counts it: UTF-16 units, with entities that are checked, nested and trimmed as Telegram does.

The wording of every refusal and the order of the steps follow Telegram's own library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .errors import bad

SPLITTABLE = frozenset({"bold", "italic", "underline", "strikethrough", "spoiler"})
QUOTES = frozenset({"blockquote", "expandable_blockquote"})
GIVEN = SPLITTABLE | QUOTES | {"code", "pre", "text_link", "text_mention", "custom_emoji", "date_time"}
FOUND = frozenset({"mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bank_card_number"})
_SOLID = frozenset({"code", "pre"})  # nothing may be inside these
_TEXT_BYTES = 1 << 15

_FINDERS = (
    ("bot_command", re.compile(r"(?<![\w/@.])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z][A-Za-z0-9_]{2,31})?(?![\w/])")),
    ("url", re.compile(r"https?://[^\s<>\"]*[^\s<>\".,;:!?)\]]")),
    ("email", re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*[A-Za-z]")),
    ("mention", re.compile(r"(?<![\w@./])@[A-Za-z][A-Za-z0-9_]{2,31}(?!\w)")),
    ("hashtag", re.compile(r"(?<![\w#&])#\w*[^\W\d]\w*")),
)


@dataclass(frozen=True, slots=True)
class Formatted:
    text: str = ""
    entities: tuple[dict[str, Any], ...] = ()


def utf16_len(text: str) -> int:
    return len(text) + sum(1 for char in text if ord(char) > 0xFFFF)


def utf16_slice(text: str, offset: int, length: int) -> str:
    raw = text.encode("utf-16-le")
    return raw[offset * 2 : (offset + length) * 2].decode("utf-16-le", "replace")


def read_entities(raw: Any) -> list[dict[str, Any]]:
    """The JSON of an `entities` parameter: known types with their fields; what Telegram finds itself is dropped."""
    if not isinstance(raw, list):
        return []  # Telegram ignores what is no array
    entities = []
    for item in raw:
        if not isinstance(item, dict):
            raise bad("Can't parse MessageEntity: expected an Object")
        entity = {name: _integer(item, name) for name in ("offset", "length")}
        kind = item.get("type")
        if kind is None:
            raise bad("Can't parse MessageEntity: Can't find field \"type\"")
        if kind in FOUND:
            continue
        if kind not in GIVEN:
            raise bad("Can't parse MessageEntity: Unsupported type specified")
        entity["type"] = kind
        _read_extra(kind, item, entity)
        entities.append(entity)
    return entities


def _integer(item: dict[str, Any], name: str) -> Any:
    if name not in item:
        raise bad(f"Can't parse MessageEntity: Can't find field \"{name}\"")
    try:
        return int(item[name])
    except (TypeError, ValueError):
        raise bad(f'Can\'t parse MessageEntity: Field "{name}" must be of type Number') from None


def _read_extra(kind: str, item: dict[str, Any], entity: dict[str, Any]) -> None:
    needed = {"text_link": "url", "text_mention": "user", "custom_emoji": "custom_emoji_id", "date_time": "unix_time"}
    name = needed.get(kind, "")
    if name:
        if name not in item:
            raise bad(f"Can't parse MessageEntity: Can't find field \"{name}\"")
        entity[name] = item[name]
    if kind == "pre" and item.get("language"):
        entity["language"] = item["language"]
    if kind == "text_link":
        check_url(entity["url"], "Entity ")


def check_url(url: str, what: str) -> None:
    """A link's form. Hosts without a dot (localhost) are refused, as by Telegram."""
    problem = ""
    if url.startswith(("tg://", "mailto:", "tel:", "ton://", "tonsite://")):
        return
    match = re.fullmatch(r"(?:(\w+)://)?([^/?#\s:]*)(?::(\d+))?([/?#].*)?", url)
    if not url.strip():
        problem = "URL host is empty"
    elif re.search(r"[\s<>\"]", url) or not match:
        problem = "Unallowed characters in URL"
    elif match[1] and match[1].lower() not in {"http", "https"}:
        problem = "Unsupported URL protocol"
    elif not match[2]:
        problem = "URL host is empty"
    elif "." not in match[2].strip("."):
        problem = "Wrong HTTP URL"
    if problem:
        raise bad(f"{what}URL '{url}' is invalid: {problem}")


def finish(text: str, entities: list[dict[str, Any]]) -> Formatted:
    """Check positions, nest, trim, and add what Telegram finds by itself (links, commands, mentions)."""
    if len(text.encode("utf-8", "surrogatepass")) > _TEXT_BYTES:
        raise bad("Text is too long")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise bad("Strings must be encoded in UTF-8")
    _check_positions(text, entities)
    given = _nest([e for e in entities if e["length"] > 0])
    text, given = _trim(text, given)
    found = [e for e in find(text) if not any(_meet(e, g) and g["type"] not in SPLITTABLE | QUOTES for g in given)]
    return Formatted(text, tuple(_sorted(given + found)))


def find(text: str) -> list[dict[str, Any]]:
    """Commands, links, addresses, mentions and hashtags of a plain text; of two that meet, the earlier kind wins."""
    found: list[dict[str, Any]] = []
    for kind, pattern in _FINDERS:
        for match in pattern.finditer(text):
            entity = {
                "type": kind,
                "offset": utf16_len(text[: match.start()]),
                "length": utf16_len(match[0]),
            }
            if not any(_meet(entity, other) for other in found):
                found.append(entity)
    return _sorted(found)


def _check_positions(text: str, entities: list[dict[str, Any]]) -> None:
    for entity in entities:
        if not 0 <= entity["offset"] <= 1_000_000:
            raise bad(f"Receive an entity with incorrect offset {entity['offset']}")
        if not 0 <= entity["length"] <= 1_000_000:
            raise bad(f"Receive an entity with incorrect length {entity['length']}")
    edges = {0: 0}  # UTF-16 offset of each character's begin: its byte
    units = position = 0
    for char in text:
        units += 2 if ord(char) > 0xFFFF else 1
        position += len(char.encode())
        edges[units] = position
    for entity in _sorted(entities):
        offset, end = entity["offset"], entity["offset"] + entity["length"]
        if not entity["length"]:
            continue
        if offset > units or (offset == units and text == ""):
            raise bad(f"Entity begins after the end of the text at UTF-16 offset {offset}")
        if end > units:
            raise bad(
                f"Entity beginning at UTF-16 offset {offset} ends after the end of the text at UTF-16 offset {end}"
            )
        if offset not in edges:
            raise bad(f"Entity begins in a middle of a UTF-16 symbol at byte offset {edges[offset + 1]}")
        if end not in edges:
            where = edges[end + 1]
            raise bad(
                f"Entity beginning at UTF-16 offset {offset} ends in a middle of a UTF-16 symbol at byte offset {where}"
            )


def _nest(entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entities that cross are cut (bold and its kin) or dropped; nothing stays inside code."""
    kept: list[dict[str, Any]] = []
    solid = [e for e in entities if e["type"] in _SOLID]
    for entity in _sorted(entities):
        pieces = [entity]
        if entity["type"] not in _SOLID:
            if any(_meet(entity, other) and entity["type"] not in SPLITTABLE | QUOTES for other in solid):
                continue
            for other in solid:
                pieces = [rest for piece in pieces for rest in (_without(piece, other))]
        elif any(_meet(entity, other) for other in kept if other["type"] in _SOLID):
            continue
        for piece in pieces:
            kept.extend(_cut(piece, kept))
    return _sorted(kept)


def _without(piece: dict[str, Any], solid: dict[str, Any]) -> list[dict[str, Any]]:
    if piece["type"] in QUOTES or not _meet(piece, solid):
        return [piece]
    begin, end = piece["offset"], _end(piece)
    parts = ((begin, min(end, solid["offset"])), (max(begin, _end(solid)), end))
    return [piece | {"offset": left, "length": right - left} for left, right in parts if right > left]


def _cut(piece: dict[str, Any], kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for other in kept:
        crosses = other["offset"] < piece["offset"] < _end(other) < _end(piece)
        if crosses and piece["type"] not in SPLITTABLE:
            return []
        if crosses:
            edge = _end(other)
            first = piece | {"length": edge - piece["offset"]}
            second = piece | {"offset": edge, "length": _end(piece) - edge}
            return _cut(first, kept) + _cut(second, kept)
        if other["type"] == piece["type"] and _meet(other, piece) and piece["type"] in SPLITTABLE:
            return []
    return [piece]


def _trim(text: str, entities: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """Blanks at the end go; those at the beginning too, up to the first entity."""
    cut = text.rstrip()
    size = utf16_len(cut)
    kept = [e | {"length": min(_end(e), size) - e["offset"]} for e in entities if e["offset"] < size]
    first = kept[0]["offset"] if kept else len(cut)
    blanks = 0
    while blanks < min(first, len(cut)) and cut[blanks] in " \n":
        blanks += 1
    return cut[blanks:], [entity | {"offset": entity["offset"] - blanks} for entity in kept]


def _sorted(entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(entities, key=lambda e: (e["offset"], -e["length"]))


def _end(entity: dict[str, Any]) -> int:
    return int(entity["offset"] + entity["length"])


def _meet(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["offset"] < _end(other) and other["offset"] < _end(one))
