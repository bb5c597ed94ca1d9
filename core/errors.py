"""One tree of errors. Whether to try again and what a person is told are part of the type."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.model import Place


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


class OverBudget(KugetsuError):
    """What may be spent is spent."""

    code = "over_budget"


class Busy(KugetsuError):
    """Another process drives the state directory, or the session is in use."""

    code = "busy"


class WorkspaceError(KugetsuError):
    """git, the worktree or the project's set-up failed; the text carries git's own words."""

    code = "workspace"


class FolderGone(WorkspaceError):
    """The worktree's folder is not there any more."""

    code = "folder_gone"


class NothingToCommit(WorkspaceError):
    """Every file is as it was last committed."""

    code = "nothing_to_commit"


class PushRejected(WorkspaceError):
    """The remote has what the branch lacks, or does not let it be pushed to."""

    code = "push_rejected"


class StoreError(KugetsuError):
    """The state directory cannot be read or written."""

    code = "store"


class ForgeError(KugetsuError):
    """The forge cannot be reached, refuses, or answers what cannot be understood."""

    code = "forge"


class ForgeNotFound(ForgeError):
    """The forge has no such issue, or does not show it without a token."""

    code = "forge_not_found"


class PullRequestExists(ForgeError):
    """The branch has an open pull request already."""

    code = "pull_request_exists"


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


class ChatError(KugetsuError):
    """A chat platform did not do what was asked of it; of this itself: it refused, and would again."""

    code = "chat"


class ChatUnreachable(ChatError):
    """The call has had no effect: no connection, or the platform itself is in trouble."""

    code = "chat_unreachable"
    retryable = True


class ChatDoubt(ChatError):
    """The call may have had its effect or not: the connection ended, or time was up, before the answer came."""

    code = "chat_doubt"
    retryable = True


class ChatLimited(ChatError):
    """The platform wants fewer calls. `retry_after` is in seconds."""

    code = "chat_limited"
    retryable = True

    def __init__(self, what: str, retry_after: float) -> None:
        super().__init__(what)
        self.retry_after = retry_after


class ChatFormat(ChatError):
    """The platform takes this text, but not with its formatting or its buttons as they are."""

    code = "chat_format"


class MessageGone(ChatError):
    """The message to change was deleted, or can no longer be changed."""

    code = "message_gone"


class PlaceGone(ChatError):
    """Nothing can be shown there any more; `instead` is where it can, if anywhere: the same place under a new id, or
    the chat around a deleted thread.
    """

    code = "place_gone"

    def __init__(self, what: str, hint: str = "", instead: Place | None = None) -> None:
        super().__init__(what, hint)
        self.instead = instead


class ChatDenied(ChatError):
    """The platform does not know the account any more: its token was revoked or is wrong."""

    code = "chat_denied"
