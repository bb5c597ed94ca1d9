"""A shell command as opencode's permissions see it: the commands in it, and the places outside it names. Pure.

opencode asks for each command of a line on its own. This is no shell parser: what is quoted stays together, the rest is
cut where a shell would start another command.
"""

from __future__ import annotations

import re

_PIECE = re.compile(
    r"""'[^']*' | "(?:\\.|[^"\\])*" | \\. | (?P<end> && | \|\|? | ; | \n | &(?!>) ) | .""", re.VERBOSE | re.DOTALL
)
_PATH = re.compile(r"""(?<![^\s'"=(])/[^\s'"|&;()<>]+""")


def commands(line: str) -> list[str]:
    """The single commands of a line, without `cd`, which opencode lets pass."""
    found = [""]
    for piece in _PIECE.finditer(line):
        if piece["end"]:
            found.append("")
        else:
            found[-1] += piece.group()
    return [command for each in found if (command := each.strip()) and command.split()[0] != "cd"] or [line.strip()]


def absolute_paths(line: str) -> list[str]:
    """What looks like one."""
    return list(dict.fromkeys(_PATH.findall(line)))
