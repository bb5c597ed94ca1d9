"""Refs: every form people type, and nothing that could be a path, an option or a look-alike."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import refs
from core.errors import RefError
from core.model import IssueRef, ProjectRef, SessionKey
from core.refs import RefContext

KUGETSU = ProjectRef("github.com", "shoko", "kugetsu")
HERE = RefContext("github.com", KUGETSU)


def ref(instance: str, owner: str, repo: str, number: int, *, merge_request: bool = False) -> IssueRef:
    return IssueRef(ProjectRef(instance, owner, repo), number, merge_request)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("github.com/shoko/kugetsu#14", ref("github.com", "shoko", "kugetsu", 14)),
        ("GitHub.COM/Shoko/Kugetsu#14", ref("github.com", "Shoko", "Kugetsu", 14)),
        ("git.example.org:3000/shoko/kugetsu#14", ref("git.example.org:3000", "shoko", "kugetsu", 14)),
        ("localhost:3000/o/r#1", ref("localhost:3000", "o", "r", 1)),
        ("gitlab.com/group/sub/repo#3", ref("gitlab.com", "group/sub", "repo", 3)),
        ("gitlab.com/a/b/c/d/repo#3", ref("gitlab.com", "a/b/c/d", "repo", 3)),
        ("gitlab.com/o/r!3", ref("gitlab.com", "o", "r", 3, merge_request=True)),
        ("shoko/kugetsu#14", ref("github.com", "shoko", "kugetsu", 14)),
        ("group/sub/repo#3", ref("github.com", "group/sub", "repo", 3)),
        ("john.doe/repo#3", ref("github.com", "john.doe", "repo", 3)),
        ("#14", ref("github.com", "shoko", "kugetsu", 14)),
        ("!3", ref("github.com", "shoko", "kugetsu", 3, merge_request=True)),
        ("local/my-folder#2", ref("local", "", "my-folder", 2)),
        ("LOCAL/my-folder#2", ref("local", "", "my-folder", 2)),
        ("github.com/o/.github#1", ref("github.com", "o", ".github", 1)),
        ("o/r#2147483647", ref("github.com", "o", "r", 2147483647)),
        ("https://github.com/shoko/kugetsu/issues/14", ref("github.com", "shoko", "kugetsu", 14)),
        ("https://github.com/shoko/kugetsu/issues/14#issuecomment-99", ref("github.com", "shoko", "kugetsu", 14)),
        ("https://github.com/shoko/kugetsu/issues/14/?a=b", ref("github.com", "shoko", "kugetsu", 14)),
        ("https://github.com/shoko/kugetsu/pull/15", ref("github.com", "shoko", "kugetsu", 15)),
        ("https://github.com/shoko/kugetsu/pull/15/files", ref("github.com", "shoko", "kugetsu", 15)),
        ("HTTPS://GITHUB.COM/shoko/kugetsu/pull/15", ref("github.com", "shoko", "kugetsu", 15)),
        ("github.com/shoko/kugetsu/issues/14", ref("github.com", "shoko", "kugetsu", 14)),
        ("github.com/o/issues/issues/3", ref("github.com", "o", "issues", 3)),
        ("https://github.com/o/pulls/pull/3", ref("github.com", "o", "pulls", 3)),
        ("https://gitlab.com/group/sub/repo/-/issues/3", ref("gitlab.com", "group/sub", "repo", 3)),
        ("https://gitlab.com/group/sub/repo/issues/3", ref("gitlab.com", "group/sub", "repo", 3)),
        ("https://gitlab.com/group/sub/repo/-/work_items/3", ref("gitlab.com", "group/sub", "repo", 3)),
        (
            "https://gitlab.com/group/repo/-/merge_requests/7/diffs#note_1",
            ref("gitlab.com", "group", "repo", 7, merge_request=True),
        ),
        ("https://codeberg.org/o/r/issues/3", ref("codeberg.org", "o", "r", 3)),
        ("https://codeberg.org/o/r/pulls/4", ref("codeberg.org", "o", "r", 4)),
        ("http://git.example.org:3000/o/r/pulls/4/files", ref("git.example.org:3000", "o", "r", 4)),
    ],
)
def test_every_form_is_understood(text: str, meant: IssueRef) -> None:
    assert refs.parse_issue(text, HERE) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#",
        "#0",
        "#-1",
        "#01",
        "#1.5",
        "#99999999999",
        "#2147483648",
        "#" + "9" * 250,
        "#٣",
        "kugetsu#14",
        "/kugetsu#14",
        "shoko/#14",
        "/#14",
        "shoko//kugetsu#14",
        "shoko/kugetsu",
        "shoko/kugetsu#",
        "github.com/shoko/kugetsu",
        "github.com/kugetsu#14",
        "git.example.org:3000/kugetsu#14",
        "local/a/b#1",
        "local/#1",
        "local#1",
        "../..#1",
        "../../etc/passwd#1",
        "o/..#1",
        "o/.#1",
        "./r#1",
        "github.com/../r#1",
        "-o/r#1",
        "o/-r#1",
        "--upload-pack=x/r#1",
        "-rf#1",
        "o/r\0#1",
        "o/r#1\0",
        "o/r#1\n",
        "o/r #1",
        "o/r$(id)#1",
        "o/`id`#1",
        "o/r;id#1",
        "o\\r#1",
        "o/%2e%2e#1",
        "sh\u043eko/kugetsu#14",  # Cyrillic о
        "shoko/kugetsu\u202e#14",
        "\u202e41#usteguk/okohs",
        "shoko/kugetsu#1\ufe0f4",
        "ｓhoko/kugetsu#14",
        "shoko/kuge\u00adtsu#14",
        "a" * 10_240,
        "o/" + "r" * 10_240 + "#1",
        "o/" + "r" * 101 + "#1",
        "https://",
        "https://github.com",
        "https://github.com/o/r",
        "https://github.com/o/r/issues/new",
        "https://github.com/o/r/issues/0",
        "https://github.com/o/r/issues/99999999999",
        "https://github.com/issues/14",
        "https://github.com/o/../../r/issues/14",
        "https://github.com/o/%2e%2e/issues/14",
        "https://github.com:99999/o/r/issues/14",
        "https://[::1/o/r/issues/14",
        "https://example.org/wiki/page",
        "file:///etc/passwd#1",
        "~root/x#1",
    ],
)
def test_bad_input_gets_an_error_with_a_correct_example(text: str) -> None:
    with pytest.raises(RefError) as caught:
        refs.parse_issue(text, RefContext("github.com", KUGETSU))
    assert refs.EXAMPLE in caught.value.hint
    assert refs.parse_issue(refs.EXAMPLE)
    said = str(caught.value)
    assert len(said) < 300
    assert said.isprintable()
    assert "\u202e" not in said
    assert "\u043e" not in said


def test_a_number_alone_needs_a_known_project() -> None:
    with pytest.raises(RefError, match="project"):
        refs.parse_issue("#14")


def test_the_default_instance_completes_a_short_ref_and_leaves_local_alone() -> None:
    context = RefContext("gitlab.example.org")
    assert refs.parse_issue("o/r#1", context).project.instance == "gitlab.example.org"
    assert refs.parse_issue("local/x#1", context).project == ProjectRef("local", "", "x")


def test_an_instance_without_dots_is_understood_where_it_is_the_default() -> None:
    context = RefContext("forge")
    parsed = refs.parse_issue("o/r#1", context)
    assert refs.parse_issue(str(parsed), context) == parsed


def test_forks_have_a_name() -> None:
    assert refs.parse_session("o/r#14~try-2") == SessionKey(ref("github.com", "o", "r", 14), "try-2")
    assert refs.parse_session("#14~x", HERE).ref.project == KUGETSU
    for bad in ("o/r#14~", "o/r#14~-x", "o/r#14~../x", "o/r#14~a~b", "o/r#14~a b", "o/r#14~" + "a" * 41, "~x"):
        with pytest.raises(RefError):
            refs.parse_session(bad)
    for bad in ("", "-x", "a/b", "a.lock", "ü", "a" * 41):
        with pytest.raises(RefError):
            refs.parse_name(bad)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("#14", True),
        ("!3", True),
        ("o/r#14", True),
        ("o/r#fourteen", True),
        ("#14~x", True),
        ("https://github.com/o/r/issues/14", True),
        ("github.com/o/r/pull/3", True),
        ("do", False),
        ("#hashtag", False),
        ("and/or", False),
        ("src/main.py", False),
        ("https://docs.example.org/guide", False),
    ],
)
def test_what_was_probably_meant_as_a_ref(word: str, meant: bool) -> None:
    assert refs.looks_like_ref(word) is meant


@pytest.mark.timeout(5)
@pytest.mark.parametrize("word", ["a/" * 500_000, "#" * 1_000_000, "/issues" * 100_000, "http" * 200_000])
def test_huge_words_are_looked_at_in_no_time(word: str) -> None:
    refs.looks_like_ref(word)
    with pytest.raises(RefError):
        refs.parse_issue(word)


# ── properties ─────────────────────────────────────────────────────────────────────────────────

SEGMENT = st.from_regex(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,20}", fullmatch=True).filter(lambda s: s not in {".", ".."})
HOST = st.from_regex(r"[a-z0-9]{1,8}(\.[a-z0-9]{1,8}){1,2}(:[1-9][0-9]{0,3})?", fullmatch=True)
NUMBER = st.integers(1, refs.MAX_NUMBER)
PROJECTS = st.builds(
    lambda host, owner, repo: ProjectRef(host, "/".join(owner), repo),
    HOST,
    st.lists(SEGMENT, min_size=1, max_size=3),
    SEGMENT,
) | st.builds(lambda folder: ProjectRef("local", "", folder), SEGMENT)
REFS = st.builds(IssueRef, PROJECTS, NUMBER, st.booleans())
KEYS = st.builds(SessionKey, REFS, st.just("") | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", fullmatch=True))


@given(KEYS)
def test_the_canonical_form_parses_to_the_same(key: SessionKey) -> None:
    assert refs.parse_session(str(key)) == key
    assert refs.looks_like_ref(str(key))


@given(KEYS)
def test_keys_are_equal_whatever_the_case(key: SessionKey) -> None:
    assert refs.parse_session(str(key).swapcase()).key == key.key


@given(KEYS, KEYS)
def test_different_sessions_have_different_keys(one: SessionKey, other: SessionKey) -> None:
    assert (one.key == other.key) == (str(one).casefold() == str(other).casefold())


@settings(max_examples=300)
@given(
    st.text(max_size=60)
    | st.text("abc/.-_#!~:@ 012\0\u202eо", max_size=40)
    | st.builds("https://{}".format, st.text(max_size=40))
    | st.builds("github.com/{}#{}".format, st.text("ab./-~", max_size=20), st.text("019x", max_size=12))
)
def test_any_text_is_a_ref_or_a_ref_error(text: str) -> None:
    try:
        key = refs.parse_session(text, HERE)
    except RefError:
        return
    for name in (refs.slug(key), refs.branch(key)):
        assert name.isascii()
    assert refs.parse_session(str(key)) == key


@given(KEYS)
def test_names_are_single_safe_file_names(key: SessionKey) -> None:
    slug = refs.unique(refs.slug(key), key, lambda _: True)
    assert Path("/w", slug).resolve() == Path("/w") / slug
    assert Path(slug).name == slug
    assert not slug.startswith(("-", "."))
    assert len(slug.encode()) < 250
    branch = refs.unique(refs.branch(key), key, lambda _: True)
    assert branch.startswith("kugetsu/")
    assert branch.count("/") == 1


@settings(max_examples=15)
@given(KEYS)
def test_git_takes_every_branch(key: SessionKey) -> None:
    for branch in (refs.branch(key), refs.unique(refs.branch(key), key, lambda _: True)):
        subprocess.run(["git", "check-ref-format", f"refs/heads/{branch}"], check=True, timeout=10)


def test_names_that_collide_get_a_short_hash() -> None:
    one, other = refs.parse_session("a-b/c#1"), refs.parse_session("a/b-c#1")
    assert refs.slug(one) == refs.slug(other) == "github.com-a-b-c-1"
    taken = {refs.slug(one)}
    hashed = refs.unique(refs.slug(other), other, taken.__contains__)
    assert hashed != refs.slug(one)
    assert hashed.startswith("github.com-a-b-c-1-")
    assert refs.unique(refs.slug(one), one, set().__contains__) == "github.com-a-b-c-1"


def test_names_as_the_specification_has_them() -> None:
    key = refs.parse_session("github.com/shoko/kugetsu#14")
    assert refs.slug(key) == "github.com-shoko-kugetsu-14"
    assert refs.branch(key) == "kugetsu/14"
    assert refs.branch(refs.parse_session("github.com/shoko/kugetsu#14~idea")) == "kugetsu/14-idea"
    assert refs.slug(refs.parse_session("o/r!14")) != refs.slug(refs.parse_session("o/r#14"))
    assert refs.branch(refs.parse_session("o/r!14")) != refs.branch(refs.parse_session("o/r#14"))


@pytest.mark.parametrize(
    ("url", "project"),
    [
        ("git@github.com:shoko/kugetsu.git", "github.com/shoko/kugetsu"),
        ("https://github.com/shoko/kugetsu.git", "github.com/shoko/kugetsu"),
        ("https://user:secret@github.com/shoko/kugetsu", "github.com/shoko/kugetsu"),
        ("ssh://git@git.example.org:2222/o/r.git", "git.example.org/o/r"),
        ("https://git.example.org:3000/o/r.git", "git.example.org:3000/o/r"),
        ("git@gitlab.com:group/sub/repo.git", "gitlab.com/group/sub/repo"),
        ("/srv/git/kugetsu.git", "local/here"),
        ("file:///srv/git/kugetsu.git", "local/here"),
        ("../kugetsu", "local/here"),
        ("", "local/here"),
        ("https://[::1", "local/here"),
        ("https://github.com:99999999/o/r", "local/here"),
        ("https://:80/o/r", "local/here"),
        ("git@github.com:only", "local/here"),
    ],
)
def test_the_project_of_a_remote(url: str, project: str) -> None:
    assert str(refs.parse_remote(url, "here")) == project


@given(st.text(max_size=40), st.text(max_size=120))
def test_any_remote_names_a_project(url: str, folder: str) -> None:
    project = refs.parse_remote(url, folder)
    assert refs.parse_project(str(project)) == project
