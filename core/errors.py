"""One tree of errors. Whether to try again and what a person is told are part of the type."""

from __future__ import annotations


class KugetsuError(Exception):
    """Something a person is told: what failed and why (`str`), and what to do next (`hint`)."""

    code = "failed"
    retryable = False

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


class UsageError(KugetsuError):
    """The command cannot be understood as it was typed."""

    code = "usage"


class RefError(UsageError):
    """Not an issue ref; the text shows a correct example."""

    code = "ref"


class ConfigurationError(KugetsuError):
    """The configuration must be changed. `problems` are all of them, each with file, line and key."""

    code = "configuration"

    def __init__(self, what: str, hint: str = "", problems: tuple[str, ...] = ()) -> None:
        super().__init__(what, hint)
        self.problems = problems


class NotAllowed(KugetsuError):
    """The person's role does not cover this."""

    code = "not_allowed"


class NotFound(KugetsuError):
    """Project, session or run that kugetsu does not have."""

    code = "not_found"


class SessionExists(KugetsuError):
    """A second `start` on a ref that has a session."""

    code = "exists"


class QueueFull(KugetsuError):
    """`runs.queue_depth` prompts wait already."""

    code = "queue_full"


class Busy(KugetsuError):
    """Another process drives the state directory, or the session is in use."""

    code = "busy"


class WorkspaceError(KugetsuError):
    """git, the worktree or the project's set-up failed; the text carries git's own words."""

    code = "workspace"


class FolderGone(WorkspaceError):
    """The worktree's folder is not there any more."""

    code = "folder_gone"


class StoreError(KugetsuError):
    """The state directory cannot be read or written."""

    code = "store"


class ForgeError(KugetsuError):
    """The forge cannot be reached, refuses, or answers what cannot be understood."""

    code = "forge"


class ForgeNotFound(ForgeError):
    """The forge has no such issue, or does not show it without a token."""

    code = "forge_not_found"


class AgentError(KugetsuError):
    """opencode refused or failed."""

    code = "agent"


class AgentUnavailable(AgentError):
    """opencode does not answer: it is not there, dead or hung. Trying again may help."""

    code = "agent_unavailable"
    retryable = True


class AgentUnsupported(AgentError):
    """opencode is missing or of a version kugetsu does not drive; the hint says what to install."""

    code = "agent_unsupported"


class WouldMigrate(AgentUnsupported):
    """Starting this opencode would change the user's data for good, and nobody has allowed that."""

    code = "would_migrate"


class AgentInDoubt(AgentError):
    """Whether a prompt reached opencode cannot be told: a person has to look, and to say whether it is sent again."""

    code = "agent_in_doubt"


class AgentDenied(AgentError):
    """opencode refused our password."""

    code = "agent_denied"


class AgentSessionGone(AgentError):
    """opencode does not have this session any more."""

    code = "session_gone"


class WrongDirectory(AgentError):
    """A session's directory is not the one it must work in; prompting it could damage another checkout."""

    code = "wrong_directory"
