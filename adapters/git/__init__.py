"""The real `git` program as a workspace: worktrees, branches and snapshots. Needs git 2.34 or later."""

from adapters.git.workspace import GitWorkspace

__all__ = ["GitWorkspace"]
