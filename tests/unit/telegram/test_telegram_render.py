from __future__ import annotations

import pytest
from test_telegram_render_rules import check, mentions, parts

from adapters.telegram import markdown as reader
from adapters.telegram.entities import Mark, Text
from adapters.telegram.render import LIMIT, Page, plain, render
from core import view
from core.model import Person, PersonId


def shown(markdown: str) -> Page:
    (page,) = render(markdown)
    check(page, LIMIT)
    return page


@pytest.mark.parametrize(
    ("markdown", "text", "entities"),
    [
        ("plain", "plain", []),
        ("**b** *i* _i_ ~~s~~ `c`", "b i i s c", ["b b", "i i", "i i", "s s", "c c"]),
        ("**bold _both_ bold**", "bold both bold", ["b bold both bold", "i both"]),
        ("***both***", "both", ["i both", "b both"]),
        ("**a `c` b**", "a c b", ["b a", "c c", "b b"]),
        ("**a **b** c**", "a b c", ["b a b c"]),
        ("2 * 3 * 4, snake_case_name", "2 * 3 * 4, snake_case_name", []),
        (r"\*no\*", "*no*", []),
        ("__init__.py and __main__", "__init__.py and __main__", []),
        ("__two words__", "two words", ["b two words"]),
        ("a || b || c", "a || b || c", []),
        # headings
        ("# One\ntext", "One\ntext", ["b One", "u One"]),
        ("## Two `c`\n\ntext", "Two c\n\ntext", ["b Two", "c c"]),
        ("### **Three**", "Three", ["b Three"]),
        ("#14 is no heading", "#14 is no heading", []),
        ("text\n-", "text\n-", []),
        ("text\n---\nmore", "text\n──────────\nmore", []),
        # lists
        ("- a\n- b\n  - c\n    - d\n      - e", "• a\n• b\n  ◦ c\n    ▪ d\n      ▪ e", []),
        ("1. a\n2. b\n\n7) c\n9) d", "1. a\n2. b\n\n7) c\n9) d", []),
        ("3. a\n3. b\n   - c\n\n   more", "3. a\n3. b\n   ◦ c\n\n   more", []),
        ("- [ ] a\n- [x] b\n- [X] c", "☐ a\n☑ b\n☑ c", []),
        ("- a\n-\n- b", "• a\n• \n• b", []),
        ("- a\n  b", "• a\n  b", []),
        # code
        ("```python\nx = 1\n```", "x = 1", ["pre x = 1 python"]),
        ("~~~\n\n  x\n~~~", "  x", ["pre   x"]),
        ("```diff\n- a\n+ b\n```\nend", "- a\n+ b\nend", ["pre - a\n+ b diff"]),
        ("```c++ title=x\na\n```", "a", ["pre a c++"]),
        ("a\n```py\nx = [", "a\nx = [", ["pre x = [ py"]),
        ("```go\n\tx\n```", "    x", ["pre     x go"]),
        ("- a\n  ```js\n  b()\n  ```", "• a\nb()", ["pre b() js"]),
        ("**open `too", "**open `too", []),
        # quotes
        ("> a\n> **b**", "a\nb", ["q a\nb", "b b"]),
        ("> a\n>\n> > b\n> > c", "a\n\n│ b\n│ c", ["Q a\n\n│ b\n│ c"]),
        ("> a\n> ```py\n> b\n> ```", "a\nb", ["q a\nb", "pre b py"]),
        ("> 1\n> 2\n> 3\n> 4\n\nend", "1\n2\n3\n4\n\nend", ["Q 1\n2\n3\n4"]),
        ("> " + "x" * 301, "x" * 301, ["Q " + "x" * 301]),
        # links
        ("[a](https://x.org/?b=c)", "a", ["l a https://x.org/?b=c"]),
        ("[**a** `b`](https://x.org)", "a b", ["l a b https://x.org", "b a"]),
        ("[core/x.py](core/x.py) [y](core/y.py#L3)", "core/x.py y (core/y.py#L3)", []),
        ("[me](tg://user?id=1)", "me (tg://user?id=1)", []),
        ("[a](javascript:x) [b]() [](https://x.org)", "a (javascript:x) b https://x.org", []),
        ("https://x.org/_next_/$a and <https://y.org/_a_>", "https://x.org/_next_/$a and https://y.org/_a_", []),
        ("![alt](https://x.org/a.png)", "🖼 alt", ["l 🖼 alt https://x.org/a.png"]),
        ("[a][1]\n\n[1]: https://x.org", "[a][1]\n\n[1]: https://x.org", []),
        ("a[^1]\n\n[^1]: note", "a[^1]\n\n[^1]: note", []),
        # HTML
        ("List<String> & <b>x</b> &lt; <!-- c -->", "List<String> & <b>x</b> &lt; <!-- c -->", []),
        ("<div>\n<script>alert(1)</script>\n</div>", "<div>\n<script>alert(1)</script>\n</div>", []),
        ("std::map<std::string>", "std::map<std::string>", []),
        # maths
        (r"$x^2 + \alpha \le \frac{a}{b+1}$", "x² + α ≤ a/(b+1)", ["c x² + α ≤ a/(b+1)"]),
        (r"\(a_1\) and \[ \unknown{y} \]", r"a₁ and \unknown{y}", ["c a₁", r"c \unknown{y}"]),
        ("$$\na = b\n$$", "a = b", ["c a = b"]),
        ("from $5 to $10, $HOME/$USER, $6 for a 10$ thing", "from $5 to $10, $HOME/$USER, $6 for a 10$ thing", []),
        (r"\[no maths\]", "[no maths]", []),
        # characters
        ("👍 **👩‍👩‍👧 x** `𝔸`", "👍 👩‍👩‍👧 x 𝔸", ["b 👩‍👩‍👧 x", "c 𝔸"]),
        ("שלום **עולם** abc", "שלום עולם abc", ["b עולם"]),
        ("\x1b[31mred\x1b[0m\x07\u202e \ud800x\r\ny", "red x\ny", []),
    ],
)
def test_markdown(markdown: str, text: str, entities: list[str]) -> None:
    page = shown(markdown)
    short = {"bold": "b", "italic": "i", "underline": "u", "strikethrough": "s", "code": "c", "blockquote": "q"}
    short |= {"expandable_blockquote": "Q", "text_link": "l"}
    assert page.text == text
    assert [" ".join((short.get(kind, kind), *rest)) for kind, *rest in parts(page)] == entities


def test_nothing_to_see() -> None:
    assert render("") == render(" \n\u200b\n```\n```\n#") == ()


def test_quotes_side_by_side() -> None:
    assert parts(shown("> a\n\n> b")) == [("blockquote", "a"), ("blockquote", "b")]


def test_overlapping_marks_are_nested() -> None:
    bold, italic = Mark("bold"), Mark("italic")
    page = Text([("a ", (italic,)), ("b", (italic, bold)), ("c", (bold,))]).page()
    assert page
    assert parts(page) == [("italic", "a b"), ("bold", "b"), ("bold", "c")]


def test_tables_are_aligned() -> None:
    page = shown("text\n\n|Name|n|说明|\n|:--|--:|:-:|\n|**a**|1|中文|\n|[b](https://x.org)|200|`x|y`|\n|c|")
    table = [
        "Name                 n   说明",
        "─────────────────  ───  ───────",
        "a                    1   中文",
        "b (https://x.org)  200  `x | y`",
        "c",
    ]
    assert parts(page) == [("pre", "\n".join(table))]


def test_a_wide_character_takes_two_columns() -> None:
    first, _, second, third = shown("| a | b |\n|---|---|\n| 中文 | x |\n| 👍 | y |").text.split("\n")
    assert (first, second, third) == ("a     b", "中文  x", "👍    y")


def test_a_table_does_not_explode() -> None:
    row = "|" + "|" * 200
    markdown = f"|{'a' * 30}" * 200 + "|\n" + "|-" * 200 + "|\n" + f"{row}b|\n" * 200
    assert len(reader.parse(markdown).text) < 5 * len(markdown)


@pytest.mark.parametrize("mark", [">", "- ", "> - ", "1. "])
def test_what_is_nested_beyond_reason_is_shown_as_it_is(mark: str) -> None:
    assert "end" in "".join(page.text for page in render(mark * 2000 + "end"))


@pytest.mark.parametrize(
    "text",
    [
        "@bob",
        "hi @bob_x, (@bob)",
        "**@**bob",
        "@**bob**",
        "@`bob`",
        "`@`bob",
        "`-`@bob",
        "[@bob](https://x.org)",
        "# @bob",
        "- @bob",
        "> @bob",
        "| @bob |\n|---|\n| x |",
        "https://foo/@bob",
        'https://x.org/"@bob',
        "https://1.2/@bob",
        "a\n@bob",
        "\\@bob",
        "é@bob",
    ],
)
def test_agents_ping_nobody(text: str) -> None:
    page = shown(text)
    assert not mentions(page)
    assert not mentions(Page(plain(page)))
    assert page.text.replace("\u2060", "").count("@") == 1 or "hi" in text


@pytest.mark.parametrize("text", ["`@types/node`", "a@b.org", "https://x.org/@bob/a", "a @ b", "```\n@app.route\n```"])
def test_other_at_signs_stay(text: str) -> None:
    assert "\u2060" not in shown(text).text


def test_plain() -> None:
    page = shown("**b** [a](https://x.org) `@bob` 👍 [c](https://y.org)")
    assert plain(page) == "b a (https://x.org) ＠bob 👍 c (https://y.org)"
    assert plain(page, 40) == "b a (https://x.org) ＠bob 👍 c"


def test_too_many_entities_cost_the_least_important() -> None:
    page = shown("*i* " * 120 + "\n```py\nx\n```\n[l](https://x.org)")
    assert len(page.entities) == 100
    assert [entity.type for entity in page.entities[-2:]] == ["pre", "text_link"]


def test_our_own_sentences() -> None:
    tree = "github/o/r#14 · running\n  └ github/o/r#14~x · idle\n    └ github/o/r#14~y"
    assert shown(tree).text == tree
    page = shown(view.whoami(Person(PersonId("telegram:1"), "Ann"), view.Role.ADMIN).markdown)
    assert ("code", "telegram:1") in parts(page)
