"""Where the socket is, for both ends: made, found, and reached when its path is longer than the system allows."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

LONGEST = 100  # bytes; the address structure has room for 104 on macOS and 108 on Linux, terminator included


@contextlib.contextmanager
def address(path: Path) -> Iterator[str]:
    """A spelling of `path` that fits into a socket address while the block lasts."""
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="kugetsu-") as folder:
        link = Path(folder, "s")
        link.symlink_to(path.parent.absolute(), target_is_directory=True)
        yield str(link / path.name)


def bind(path: Path) -> socket.socket:
    """A bound, not yet listening socket at `path`, for its owner alone (0600).

    What a killed process left there is replaced: the caller holds the state directory's lock. Raises OSError.
    """
    if path.is_socket():
        path.unlink()
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with address(path) as spelled:
            server.bind(spelled)
        path.chmod(0o600)  # nobody can connect before `listen`, so there is no gap
    except OSError:
        server.close()
        raise
    server.setblocking(False)
    return server
