"""A call's parameters, read as Telegram reads them: everything is text, and what is meant as JSON is JSON in text."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from . import entities, markup
from .entities import Formatted
from .errors import Refused, bad


@dataclass(frozen=True, slots=True)
class Upload:
    name: str
    content: bytes
    mime: str


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters by name, and uploaded files by the name of their part."""

    values: dict[str, str] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)
    heard: Callable[[], bool] = lambda: True  # whether somebody still waits for the answer

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str) -> str:
        return self.values.get(name, "")

    def integer(self, name: str, default: int = 0, least: int = -(1 << 62), most: int = 1 << 62) -> int:
        """Lenient, as Telegram is: digits at the beginning count, the rest does not; clamped to the bounds."""
        raw = self.values.get(name, "").strip()
        if not raw:
            return default
        digits = raw.lstrip("-")
        digits = digits[: next((i for i, char in enumerate(digits) if not char.isdigit()), len(digits))]
        value = int(digits or 0) * (-1 if raw.startswith("-") else 1)
        return min(max(value, least), most)

    def flag(self, name: str) -> bool:
        return self.values.get(name, "").strip().lower() in {"true", "yes", "1"}

    def json(self, name: str, what: str) -> Any:
        """The decoded value, None when absent. `what` names it in the refusal."""
        raw = self.values.get(name, "")
        if not raw:
            return None
        try:
            return json.loads(raw)
        except ValueError:
            raise bad(f"Can't parse {what}") from None

    def formatted(self, name: str = "text", entities_name: str = "entities") -> Formatted:
        """Text with `parse_mode` or entities, checked, trimmed; may be empty."""
        return formatted(self.text(name), self.text("parse_mode"), self._loose_json(entities_name))

    def _loose_json(self, name: str) -> Any:
        try:
            return json.loads(self.values.get(name, "") or "null")
        except ValueError:
            return None  # Telegram logs and ignores it

    def shown(self) -> dict[str, Any]:
        """For the log: JSON decoded, uploads described."""
        shown: dict[str, Any] = {}
        for name, value in self.values.items():
            try:
                shown[name] = json.loads(value) if value[:1] in {"{", "["} else value
            except ValueError:
                shown[name] = value
        for name, upload in self.files.items():
            shown[name] = {"upload": upload.name, "size": len(upload.content), "mime": upload.mime}
        return shown


def formatted(text: str, mode: str, raw_entities: Any) -> Formatted:
    if text and mode and mode.lower() != "none":
        plain, found = markup.parse(text, mode)
        return entities.finish(plain, found)
    return entities.finish(text, entities.read_entities(raw_entities))


def plain(values: dict[str, Any]) -> Params:
    """From Python values, as a JSON body would give them."""
    return Params({k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in values.items()})


async def read(request: web.Request) -> Params:
    """From a query string, a form, a multipart form or a JSON body. Raises `Refused`."""
    values: dict[str, str] = dict(request.query)
    files: dict[str, Upload] = {}
    if request.method == "POST":
        kind = request.content_type
        if kind == "application/json":
            raw = await request.read()
            try:
                body = json.loads(raw or b"{}")
            except ValueError:
                raise Refused(400, "Bad Request: can't parse JSON object") from None
            if not isinstance(body, dict):
                raise Refused(400, "Bad Request: JSON object expected")
            values |= plain(body).values
        elif kind in {"application/x-www-form-urlencoded", "multipart/form-data"}:
            for name, value in (await request.post()).items():
                if isinstance(value, web.FileField):
                    files[name] = Upload(value.filename, value.file.read(), value.content_type)
                else:
                    values[name] = value if isinstance(value, str) else bytes(value).decode("utf-8", "replace")
    return Params(values, files)
