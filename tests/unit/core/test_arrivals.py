"""Files that come with messages: under safe names, spoken ones in words, and said when they cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.arrivals import MAX_BYTES, MAX_FILES, MAX_NAME, Arrivals, safe_name
from core.errors import ChatError, KugetsuError, UsageError
from core.messages import Messenger
from core.model import Inbound, IncomingFile, Person, PersonId, Place
from tests.fakes.clock import ManualClock
from tests.fakes.messenger import FakeMessenger

HOSTILE = st.text() | st.sampled_from(
    [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "..\\..\\x",
        "/",
        "a/b",
        "\0",
        "C:\\x.txt",
        "x" * 300 + ".pdf",
        ".bashrc",
        "﹒﹒/x",
    ]
)


@given(HOSTILE | st.text("𝔘漢é.\u202e/\\-_ \n", max_size=120))
def test_a_name_is_one_component_fit_for_any_file_system(name: str) -> None:
    safe = safe_name(name, "file-1")
    assert safe
    assert safe == Path(safe).name
    assert "/" not in safe
    assert "\\" not in safe
    assert safe not in {".", ".."}
    assert not safe.startswith((".", " "))
    assert len(safe) <= MAX_NAME
    assert len(safe.encode()) <= MAX_BYTES
    assert safe.isprintable()
    assert safe_name(safe, "file-1") == safe


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("my report (final).pdf", "my_report_(final).pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\notes.txt", "notes.txt"),
        ("…", "file-1"),
        ("Übersicht – März.xlsx", "Übersicht_März.xlsx"),
        ("x" * 100 + ".tar", "x" * 76 + ".tar"),
        (".env", "env"),
    ],
)
def test_names_keep_what_can_be_kept(name: str, safe: str) -> None:
    assert safe_name(name, "file-1") == safe


def message(*files: IncomingFile, text: str = "look") -> Inbound:
    return Inbound(
        "fake", "e", Place("fake", "1"), Person(PersonId("fake:ann"), "Ann"), text, ManualClock().now(), files=files
    )


class Scribe:
    def __init__(self, said: str | KugetsuError) -> None:
        self.said = said

    async def text(self, file: Path, mime: str) -> str:
        assert file.exists()
        if isinstance(self.said, KugetsuError):
            raise self.said
        return self.said


@pytest.fixture
def messenger() -> FakeMessenger:
    messenger = FakeMessenger()
    messenger.files.update({"1": b"one", "2": b"two"})
    return messenger


async def test_files_are_fetched_below_their_message(messenger: FakeMessenger, tmp_path: Path) -> None:
    same = [IncomingFile("1", "../x.txt", "text/plain", 3), IncomingFile("2", "x.txt", "", 3)]
    text, attachments, notes = await Arrivals(tmp_path, None).of(messenger, message(*same), 7)
    assert (text, list(notes)) == ("look", [])
    assert [file.path.read_bytes() for file in attachments] == [b"one", b"two"]
    assert {file.path.parent for file in attachments} == {tmp_path / "7"}
    assert [(file.name, file.mime) for file in attachments] == [
        ("x.txt", "text/plain"),
        ("x.txt", "application/octet-stream"),
    ]


async def test_too_many_are_refused_before_any_is_fetched(messenger: FakeMessenger, tmp_path: Path) -> None:
    files = [IncomingFile("1", "x", "", 3)] * (MAX_FILES + 1)
    with pytest.raises(UsageError, match="21 files"):
        await Arrivals(tmp_path, None).of(messenger, message(*files), 7)
    assert not list(tmp_path.iterdir())


async def test_what_cannot_be_had_refuses_the_message_with_the_reason(messenger: FakeMessenger, tmp_path: Path) -> None:
    with pytest.raises(ChatError, match=r"big\.zip cannot be had"):
        await Arrivals(tmp_path, None).of(messenger, message(IncomingFile("9", "big.zip", "", 3)), 7)


VOICE = IncomingFile("1", "voice.ogg", "audio/ogg", 3, voice=True)


async def test_what_is_spoken_becomes_the_text(messenger: FakeMessenger, tmp_path: Path) -> None:
    text, attachments, notes = await Arrivals(tmp_path, Scribe(" do it ")).of(messenger, message(VOICE), 7)
    assert (text, attachments) == ("look\ndo it", ())
    assert [note.markdown for note in notes] == ["Heard: do it"]


@pytest.mark.parametrize(
    ("scribe", "why"),
    [
        (None, "not set up"),
        (Scribe(KugetsuError("the service is down")), "the service is down"),
        (Scribe("  "), "no words"),
    ],
)
async def test_what_cannot_be_put_into_words_is_passed_on_and_said(
    messenger: FakeMessenger, tmp_path: Path, scribe: Scribe | None, why: str
) -> None:
    text, [attachment], [note] = await Arrivals(tmp_path, scribe).of(messenger, message(VOICE, text=""), 7)
    assert (text, attachment.name) == ("", "voice.ogg")
    assert why in note.markdown


def test_the_fake_is_a_messenger() -> None:
    messenger: Messenger = FakeMessenger()
    assert messenger.platform == "fake"
