"""Archives as gzipped tar files with exactly three members; nothing else of a file is looked at, no path of it used."""

from __future__ import annotations

import json
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

from core.errors import StoreError, UsageError
from core.ports import Parcel

FORMAT = 1  # raised when an older kugetsu could not read an archive any more
MANIFEST, SESSION, BUNDLE = "manifest.json", "session.json", "branch.bundle"
MAX_BYTES = 2 * 1024**3  # of one member; keeps a forged archive from filling the disk


class TarArchives:
    """A `core.ports.Archives`."""

    def pack(self, target: Path, parcel: Parcel) -> None:
        """See core.ports.Archives."""
        try:
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as scratch:
                archive = Path(scratch) / target.name
                with tarfile.open(archive, "w:gz") as tar:
                    manifest = dict(parcel.manifest) | {"format": FORMAT}
                    _add(tar, MANIFEST, json.dumps(manifest, indent=2).encode())
                    _add(tar, SESSION, parcel.session)
                    tar.add(parcel.bundle, BUNDLE)
                archive.chmod(0o600)
                archive.replace(target)  # it is there whole, or not at all
        except OSError as error:
            raise StoreError(
                f"{target} cannot be written: {error.strerror}.", "Free some room, or go elsewhere."
            ) from error

    def unpack(self, file: Path, folder: Path) -> Parcel:
        """See core.ports.Archives."""
        try:
            with tarfile.open(file, "r:gz") as tar:
                manifest = _checked(json.loads(_member(tar, MANIFEST)), file)
                bundle = folder / BUNDLE
                bundle.write_bytes(_member(tar, BUNDLE))
                return Parcel(manifest, _member(tar, SESSION), bundle)
        except FileNotFoundError as error:
            raise UsageError(f"{file} does not exist.", "Name a file that `export` wrote.") from error
        except (tarfile.TarError, OSError, EOFError, KeyError, ValueError) as error:
            raise UsageError(f"{file.name} is no export of kugetsu, or damaged: {error}", "Export it again.") from error


def _checked(manifest: Any, file: Path) -> dict[str, Any]:
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise ValueError("its manifest is not one of ours")  # noqa: TRY004  of the same kind as its neighbours
    if manifest["format"] > FORMAT:
        raise UsageError(f"{file.name} was written by a newer kugetsu.", "Upgrade kugetsu here, then import it.")
    return manifest


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o600
    tar.addfile(member, BytesIO(data))


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.getmember(name)
    if not member.isfile() or member.size > MAX_BYTES:
        raise ValueError(f"{name} is no plain file of a sensible size")
    content = tar.extractfile(member)
    assert content is not None
    return content.read()
