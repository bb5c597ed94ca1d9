"""Issue refs: what people type → IssueRef, and IssueRef → file, branch and title names. Pure.

Only ASCII letters, digits, `.`, `_` and `-` are let through, so no part of a ref can be an option, a path out of its
folder, or a look-alike of another name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from core.errors import RefError
from core.model import LOCAL_INSTANCE, IssueRef, ProjectRef, SessionKey

EXAMPLE = "github.com/shoko/kugetsu#14"
MAX_REF_LENGTH = 300  # longer than any forge allows; keeps error messages and file names short
MAX_NUMBER = 2**31 - 1  # forges store issue numbers in 32 bits or count far below that
MAX_SLUG_LENGTH = 180  # of the 255 bytes a file name may have, the rest is for suffixes

_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.][A-Za-z0-9_.-]{0,99}")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[1-9][0-9]{0,4})?")
_NUMBER = re.compile(r"[1-9][0-9]*", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_LINK = re.compile(r"https?://\S+")
_WEB = re.compile(
    r"^(?P<project>.+?)(?:/-)?/(?P<kind>issues|pulls?|merge_requests|work_items)/(?P<number>[0-9][^/]*)(?:/.*)?$"
)
_REF_LIKE = re.compile(r"^[#!]\d+(?:~|$)|^[^/]+/.*[#!]|/(?:issues|pulls?|merge_requests|work_items)/\d", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RefContext:
    """What completes a short ref: `owner/repo#14` takes the instance, `#14` the project."""

    default_instance: str = "github.com"
    project: ProjectRef | None = None


def looks_like_ref(word: str) -> bool:
    """Whether a word was probably meant as a ref, right or wrong: decides between a hint and plain text."""
    return len(word) <= MAX_REF_LENGTH and bool(_REF_LIKE.search(word))


def parse_issue(text: str, context: RefContext | None = None) -> IssueRef:
    """Understand any form of SPEC 3. Raises RefError with a correct example."""
    context = context or RefContext()
    text = _checked(text)
    if text.lower().startswith(("http://", "https://")):
        return _from_url(text)
    web = _WEB.match(text.partition("#")[0])
    if web and _host_like(text.partition("/")[0]):
        return _from_url(f"https://{text}")
    project_text, separator, number = _split_number(text)
    if not separator:
        raise _error(text, "the number is missing")
    if project_text:
        project = parse_project(project_text, context.default_instance)
    elif context.project:
        project = context.project
    else:
        raise _error(text, "a number alone is understood only where the project is known")
    return IssueRef(project, _number(number, text), merge_request=separator == "!")


def parse_session(text: str, context: RefContext | None = None) -> SessionKey:
    """`<ref>` or `<ref>~name`. Raises RefError."""
    ref, tilde, name = text.partition("~")
    if tilde and not _NAME.fullmatch(name):
        raise _error(text, "a fork's name has letters, digits, `-` and `_`, at most 40")
    return SessionKey(parse_issue(ref, context), name)


def parse_name(text: str) -> str:
    """The name of a fork. Raises RefError."""
    if not _NAME.fullmatch(text):
        raise _error(text, "a fork's name has letters, digits, `-` and `_`, at most 40")
    return text


def free_name(ref: IssueRef, taken: Iterable[SessionKey]) -> str:
    """For a fork that nobody has named."""
    keys, number = {key.key for key in taken}, 1
    while SessionKey(ref, f"fork-{number}").key in keys:
        number += 1
    return f"fork-{number}"


def parse_project(text: str, default_instance: str = "github.com") -> ProjectRef:
    """`instance/owner/repo`, `owner/repo`, or `local/<folder>`. Raises RefError."""
    text = _checked(text)
    parts = text.split("/")
    first, default = parts[0].lower(), default_instance.lower()
    if first == LOCAL_INSTANCE:
        if len(parts) != 2:
            raise _error(text, f"`{LOCAL_INSTANCE}` is followed by one folder name")
        return ProjectRef(LOCAL_INSTANCE, "", _segment(parts[1], text))
    # Two parts are owner and repository, even where the owner has a dot, unless the first can only be an instance.
    if first == default or ":" in first or (len(parts) >= 3 and _host_like(first)):
        instance, rest = first, parts[1:]
    else:
        instance, rest = default, parts
    if len(rest) < 2:
        raise _error(text, "the owner or the repository is missing")
    if not _HOST.fullmatch(instance) or ".." in instance:
        raise _error(text, f"`{_shown(instance)}` is no host name")
    segments = [_segment(part, text) for part in rest]
    return ProjectRef(instance, "/".join(segments[:-1]), segments[-1])


def parse_remote(url: str, folder: str) -> ProjectRef:
    """The project of a git remote's URL; `local/<folder>` where it names no forge we could tell."""
    scp = re.match(r"^(?:[\w.-]+@)?([\w.-]+):(?!//)(.+)$", url)
    try:
        if scp:
            host, path = scp[1], scp[2]
        else:
            parts = urlsplit(url)
            # A port of ssh says nothing about the forge's address.
            host, path = _host(parts) if parts.scheme in {"http", "https"} else parts.hostname or "", parts.path
        path = path.strip("/").removesuffix(".git")
        if "/" in path and _host_like(host):
            return parse_project(f"{host}/{path}")
    except (ValueError, RefError):
        return local_project(folder)  # git takes more for a URL than names a forge's project
    return local_project(folder)


def local_project(folder: str) -> ProjectRef:
    """`local/<folder>`, other characters replaced."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder).strip("-.") or "project"
    return ProjectRef(LOCAL_INSTANCE, "", name[:100])


def slug(key: SessionKey) -> str:
    """File-name stem: `github.com-shoko-kugetsu-14`, a fork's with `~name`. Not unique: see `unique`."""
    number = f"mr-{key.ref.number}" if key.ref.merge_request else str(key.ref.number)
    stem = re.sub(r"[/:]", "-", f"{key.ref.project}-{number}")
    if len(stem) > MAX_SLUG_LENGTH:
        stem = f"{stem[: MAX_SLUG_LENGTH - 7]}-{_short_hash(stem)}"
    return f"{stem}~{key.name}" if key.name else stem


def branch(key: SessionKey) -> str:
    """The session's git branch: `kugetsu/14`, a fork's `kugetsu/14-name`. Not unique: see `unique`."""
    number = f"mr-{key.ref.number}" if key.ref.merge_request else str(key.ref.number)
    return f"kugetsu/{number}-{key.name}" if key.name else f"kugetsu/{number}"


def unique(name: str, key: SessionKey, taken: Callable[[str], bool]) -> str:
    """`name`, or with a short hash of the key when another session has it (`a-b/c#1` beside `a/b-c#1`)."""
    return f"{name}-{_short_hash(key.key)}" if taken(name) else name


def _checked(text: str) -> str:
    if len(text) > MAX_REF_LENGTH:
        raise _error(text, f"it has {len(text)} characters, {MAX_REF_LENGTH} are the limit")
    if not text.isascii():
        raise _error(text, "only plain ASCII letters are allowed, look-alikes of other alphabets are not")
    if not text.isprintable() or " " in text:
        raise _error(text, "it contains a space or a control character")
    if not text:
        raise _error(text, "it is empty")
    return text


def shared_link(text: str) -> tuple[IssueRef, str] | None:
    """The issue a message has a link to, and what else it says; None without such a link."""
    for link in _LINK.finditer(text):
        try:
            ref = parse_session(link[0].rstrip(".,;:!?)"), RefContext("", None)).ref
        except RefError:
            continue
        return ref, " ".join(f"{text[: link.start()]} {text[link.end() :]}".split())
    return None


def _from_url(text: str) -> IssueRef:
    try:
        parts = urlsplit(text)
        host = _host(parts)
    except ValueError:
        raise _error(text, "the URL is malformed") from None
    match = _WEB.match(parts.path.strip("/"))
    if not match:
        raise _error(text, "the URL is not that of an issue, pull or merge request")
    project = parse_project(f"{host}/{match['project']}", host)
    return IssueRef(project, _number(match["number"], text), merge_request=match["kind"] == "merge_requests")


def _host(parts: SplitResult) -> str:
    """With its port. Raises ValueError."""
    return (parts.hostname or "") + (f":{parts.port}" if parts.port else "")


def _split_number(text: str) -> tuple[str, str, str]:
    at = max(text.rfind("#"), text.rfind("!"))
    return (text, "", "") if at < 0 else (text[:at], text[at], text[at + 1 :])


def _number(text: str, whole: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise _error(whole, f"`{_shown(text)}` is no issue number")
    if len(text) > 10 or int(text) > MAX_NUMBER:
        raise _error(whole, f"the number is above {MAX_NUMBER}")
    return int(text)


def _segment(part: str, whole: str) -> str:
    if not _SEGMENT.fullmatch(part):
        raise _error(whole, f"`{_shown(part)}` is no owner or repository name" if part else "a part is missing")
    return part


def _host_like(word: str) -> bool:
    """A first segment is an instance when it could only be one: dots and ports do not occur in owners we complete."""
    return "." in word.strip(".") or ":" in word or word.lower() == "localhost"


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _shown(text: str) -> str:
    safe = "".join(c if c.isprintable() and c.isascii() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return safe if len(safe) <= 60 else f"{safe[:60]}…"


def _error(text: str, why: str) -> RefError:
    return RefError(
        f"`{_shown(text)}` is no issue ref: {why}.", f"Write it like `{EXAMPLE}`, or paste the issue's URL."
    )
