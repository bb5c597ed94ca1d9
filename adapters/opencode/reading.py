"""Runs that look and change nothing: which tools they go without. Pure.

What may stay is named, not what must go: a tool of a plugin or of an MCP server may do anything. Those that stay are
not allowed once more, which would override what the user's rules say about single files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

READING = frozenset(
    {"read", "glob", "grep", "list", "lsp", "webfetch", "websearch", "codesearch", "skill", "todoread", "invalid"}
)
# opencode lists some of them only for some models. `edit` is the permission that all which write files ask for.
_NEVER = (
    "edit",
    "write",
    "patch",
    "multiedit",
    "apply_patch",
    "bash",
    "task",
    "todowrite",
    "question",  # of a run that people only wanted an answer of
    "plan_enter",
    "plan_exit",
)


def closed_tools(tools: Iterable[str], mcp_servers: Iterable[str]) -> tuple[str, ...]:
    """Of the `tools` opencode has: names, and patterns for those of `mcp_servers`, which it does not list."""
    # As opencode forms their names: the server's, `_`, the tool's.
    remote = (re.sub(r"[^a-zA-Z0-9_-]", "_", server) + "_*" for server in mcp_servers)
    return tuple(dict.fromkeys((*_NEVER, *(tool for tool in tools if tool not in READING), *remote)))
