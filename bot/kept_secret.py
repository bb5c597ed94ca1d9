"""Secrets of the state directory: made once, kept in files that only their owner reads."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from core.errors import StoreError

BYTES = 32


def kept_secret(file: Path) -> bytes:
    """What `file` holds; made where there is none yet, or it was cut off in the making. Raises StoreError."""
    try:
        found = file.read_bytes() if file.exists() else b""
        if len(found) == BYTES:
            return found
        secret = secrets.token_bytes(BYTES)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as made:
            made.write(secret)
    except OSError as error:
        raise StoreError(f"{file} cannot be used: {error.strerror}", f"Check {file.parent}.") from error
    return secret
