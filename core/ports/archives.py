"""The file a session travels in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Parcel:
    """A session on its way to another machine."""

    manifest: Mapping[str, Any]  # kugetsu's record, JSON types
    session: bytes  # opencode's own export
    bundle: Path  # a git bundle of the branch and of uncommitted changes


class Archives(Protocol):
    """The file a session travels in. Blocking calls."""

    def pack(self, target: Path, parcel: Parcel) -> None:
        """Whole, or not at all. Raises StoreError."""

    def unpack(self, file: Path, folder: Path) -> Parcel:
        """Its bundle is put into `folder`. Raises UsageError for what is no archive, is damaged, or is too new."""
