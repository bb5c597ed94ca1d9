"""What Telegram accepts of a message, as its own code checks it and a little stricter."""

from __future__ import annotations

import re

import pytest

from adapters.telegram.entities import MAX_ENTITIES
from adapters.telegram.render import Entity, Page

STYLES = {"bold", "italic", "underline", "strikethrough"}
CODE = {"code", "pre"}
QUOTES = {"blockquote", "expandable_blockquote"}
TYPES = STYLES | CODE | QUOTES | {"text_link"}

_URL = re.compile(r"(?<!\w)https?://([A-Za-z0-9-]+\.)+[A-Za-z]{2,}(/[A-Za-z0-9_.~/%+=&?#@-]*)?")
_MENTION = re.compile(r"(?<![A-Za-z0-9_])@[A-Za-z0-9_]{2,32}(?!\w)")


def size(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def part(page: Page, entity: Entity) -> str:
    raw = page.text.encode("utf-16-le")
    return raw[2 * entity.offset : 2 * (entity.offset + entity.length)].decode("utf-16-le")  # raises within a pair


def parts(page: Page) -> list[tuple[str, ...]]:
    """(type, text[, target or language]) of each entity."""
    return [(e.type, part(page, e), *filter(None, (e.url, e.language))) for e in page.entities]


def check(page: Page, limit: int) -> None:
    assert size(page.text) <= limit
    assert re.search(r"[^\s\u2060\u200b-\u200f]", page.text), "Message text is empty"
    assert page.text == page.text.rstrip()
    inside_code = [False] * (size(page.text) + 1)
    for entity in page.entities:
        if entity.type in CODE:
            inside_code[entity.offset : entity.offset + entity.length] = [True] * entity.length
    assert inside_code[0] or page.text == page.text.lstrip()
    assert len(page.entities) <= MAX_ENTITIES
    assert [*page.entities] == sorted(page.entities, key=lambda e: (e.offset, -e.length)), "sorted, the outer one first"
    opened: list[Entity] = []
    for entity in page.entities:
        end = entity.offset + entity.length
        assert entity.type in TYPES
        assert entity.offset >= 0
        assert entity.length > 0
        assert end <= size(page.text)
        text = part(page, entity)
        assert text.strip()
        if entity.type not in CODE:
            assert not text[0].isspace() or inside_code[entity.offset]
            assert not text[-1].isspace() or inside_code[end - 1]
        assert bool(entity.url) == (entity.type == "text_link")
        assert not entity.url or re.match(r"https?://\w", entity.url)
        assert not entity.language or entity.type == "pre"
        while opened and opened[-1].offset + opened[-1].length <= entity.offset:
            opened.pop()
        around = {outer.type for outer in opened}
        assert all(end <= outer.offset + outer.length for outer in opened), "nested or apart"
        assert not around & CODE, "nothing is in code"
        assert entity.type not in CODE or around <= QUOTES, "code is in nothing but a quote"
        assert entity.type not in QUOTES or not around, "a quote is in nothing"
        assert entity.type not in around
        opened.append(entity)
    assert not mentions(page)


def mentions(page: Page) -> list[str]:
    """Who would be pinged."""
    urls = [match.span() for match in _URL.finditer(page.text)]
    code = [(e.offset, e.offset + e.length) for e in page.entities if e.type in CODE]
    return [
        match[0]
        for match in _MENTION.finditer(page.text)
        if not any(start <= match.start() < end for start, end in urls)
        and not any(s < size(page.text[: match.end()]) and size(page.text[: match.start()]) < e for s, e in code)
    ]


def test_the_rules_find_what_is_wrong() -> None:
    wrong = [
        Page(" a"),
        Page("\u2060"),
        Page("ab", (Entity("bold", 0, 3),)),
        Page("ab", (Entity("bold", 1, 0),)),
        Page("ab c", (Entity("bold", 0, 2), Entity("italic", 1, 3))),
        Page("ab", (Entity("pre", 0, 2), Entity("bold", 0, 1))),
        Page("ab", (Entity("bold", 0, 2), Entity("code", 0, 1))),
        Page("👍", (Entity("bold", 0, 1),)),
        Page("ab", (Entity("text_link", 0, 1, "tg://user?id=1"),)),
        Page("hi @bob"),
    ]
    for page in wrong:
        with pytest.raises((AssertionError, UnicodeDecodeError)):
            check(page, 10)
