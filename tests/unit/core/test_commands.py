"""The command table: what is typed in a chat is understood, or answered with the nearest right thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import commands, refs
from core.access import Role
from core.commands import TABLE, Command, Need, Spec
from core.errors import RefError, UsageError
from core.model import ProjectRef
from core.refs import RefContext

CONTEXT = RefContext("github.com", ProjectRef("github.com", "shoko", "kugetsu"))
REF = "github.com/shoko/kugetsu#14"


def parse(text: str) -> Command:
    assert commands.is_command(text)
    return commands.parse(text, CONTEXT)


@pytest.mark.parametrize("spec", TABLE, ids=lambda spec: spec.name)
def test_every_example_of_the_table_parses(spec: Spec) -> None:
    assert spec.examples
    for example in spec.examples:
        for mark in "/!":
            assert parse(f"{mark}{example}").spec is spec


@pytest.mark.parametrize("spec", TABLE, ids=lambda spec: spec.name)
def test_words_round_trip(spec: Spec) -> None:
    words = [f"/{spec.name.upper()}"]
    words += [] if spec.ref is Need.NO else [REF]
    words += [f"--{option.name}" + (f" v{n}" if option.value else "") for n, option in enumerate(spec.options)]
    words += [] if spec.message is Need.NO else ["say", "what", "--to do"]
    command = parse(" ".join(words))
    assert command.spec is spec
    assert str(command.ref or "") == ("" if spec.ref is Need.NO else REF)
    assert command.message == ("" if spec.message is Need.NO else "say what --to do")
    for number, option in enumerate(spec.options):
        assert command.option(option.name) == (f"v{number}" if option.value else "yes")


def test_names_and_usage_are_unambiguous() -> None:
    assert len({spec.name for spec in TABLE}) == len(TABLE)
    assert commands.find("START") is commands.find("start")
    spec = commands.find("fork")
    assert spec is not None
    assert spec.usage == "fork [ref] [--name NAME] [--at RUN] [message]"
    assert [s.name for s in TABLE if s.role is Role.NONE] == ["whoami", "pair", "help"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "!",
        "!!",
        "!! really",
        "/path/like/this",
        "/etc/passwd is wrong",
        "/ start",
        "//x",
        "/1",
        "start it",
        "!?",
    ],
)
def test_plain_text_is_no_command(text: str) -> None:
    assert not commands.is_command(text)


@pytest.mark.parametrize("text", [f"/start {REF} do", "!stop", "/help", "/start github.com/o/r#1 a/b/c"])
def test_commands_are(text: str) -> None:
    assert commands.is_command(text)


def test_line_breaks_inside_a_message_are_kept() -> None:
    command = parse(f"/start {REF} first line\n\n  second\n```\ncode\n```\n")
    assert command.message == "first line\n\n  second\n```\ncode\n```"
    assert parse(f"/start {REF}\nfirst\nsecond").message == "first\nsecond"


def test_continue_with_and_without_ref() -> None:
    assert parse(f"/continue {REF} now add tests") == Command(
        parse("/continue x").spec, refs.parse_session(REF), "now add tests"
    )
    here = parse("/continue now add tests")
    assert (here.ref, here.message) == (None, "now add tests")
    assert str(parse("/continue #3~idea go").ref) == "github.com/shoko/kugetsu#3~idea"
    with pytest.raises(UsageError, match="message"):
        parse(f"/continue {REF}")
    with pytest.raises(UsageError, match="message"):
        parse("/continue")


def test_fork_with_and_without_ref_name_and_message() -> None:
    plain = parse("/fork")
    assert (plain.ref, plain.message, plain.options) == (None, "", ())
    for text in (f"/fork {REF} --name idea try it", f"/fork --name idea {REF} try it"):
        command = parse(text)
        assert (str(command.ref), command.option("name"), command.message) == (REF, "idea", "try it")
    both = parse("/fork --at 2 --name x")
    assert (both.option("at"), both.option("name"), both.message) == ("2", "x", "")
    assert parse("/fork try src/main.py").message == "try src/main.py"


def test_a_lone_dash_dash_ends_options_and_ref() -> None:
    assert parse("/fork -- --name is taken").message == "--name is taken"
    command = parse("/fork -- #14 looks alike")
    assert (command.ref, command.message) == (None, "#14 looks alike")
    assert parse("/continue -- #5 is the same bug").message == "#5 is the same bug"
    command = parse(f"/fork {REF} --name a -- --at all")
    assert (command.option("name"), command.message) == ("a", "--at all")


def test_a_command_without_options_leaves_dashes_to_the_message() -> None:
    assert parse(f"/start {REF} --force is missing in the help").message == "--force is missing in the help"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("/strat #14 do", "/start"),
        ("/contineu do", "/continue"),
        ("/forks", "/fork"),
        ("/sttaus", "/status"),
        ("/zzzzzz", "/help"),
        ("/" + "z" * 5000, "/help"),
    ],
)
def test_near_misses_name_the_right_command(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert says in caught.value.hint
    assert len(str(caught.value)) < 200


@pytest.mark.timeout(5)
def test_a_huge_wrong_command_is_refused_in_no_time() -> None:
    with pytest.raises(UsageError):
        parse("/" + "ab" * 1_500_000)
    assert not commands.is_command("/" + "a" * 1_000_000 + "/")


@pytest.mark.parametrize(
    "text",
    ["/new", "/import", "/watch", "/stop now please", "/list all", "/fork --nmae x", "/fork --name", "/fork --at"],
)
def test_what_is_missing_or_too_much_is_said_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert "/" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["/start kugetsu do it", "/start #0 do it", "/continue o/r#x do it", "/status ../..#1"]
)
def test_a_wrong_ref_gets_the_ref_error(text: str) -> None:
    with pytest.raises(RefError):
        parse(text)


@given(
    st.sampled_from("/!"),
    st.text(max_size=80)
    | st.sampled_from(TABLE).flatmap(
        lambda spec: st.text(" -#/ab1\n~", max_size=30).map(lambda rest: f"{spec.name} {rest}")
    ),
)
def test_any_line_is_a_command_or_an_error_with_a_hint(mark: str, rest: str) -> None:
    text = mark + rest
    if not commands.is_command(text):
        return
    hint = "none was needed"
    try:
        commands.parse(text, CONTEXT)
    except UsageError as error:
        hint = error.hint
    assert hint
