"""The one table of commands: chats, the command line, menus, help and near-miss hints are all made from it. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from core import refs
from core.access import Role


class Need(enum.Enum):
    """Whether a command takes something."""

    NO = "no"
    MAY = "may"
    MUST = "must"


class Group(enum.Enum):
    """What `help` lists together, in its order."""

    BEGIN = "Begin"
    STEER = "While it works"
    LOOK = "Look"
    CHOOSE = "Choose"
    FINISH = "Finish"
    SHOW = "Where it shows"
    PEOPLE = "You and others"
    UPKEEP = "Upkeep"


@dataclass(frozen=True, slots=True)
class Option:
    """`--name VALUE`, or a flag when it has no `value`."""

    name: str
    help: str
    value: str = ""
    short: str = ""  # one letter

    @property
    def spellings(self) -> tuple[str, ...]:
        """`--yes`, `-y`."""
        return (f"--{self.name}", f"-{self.short}") if self.short else (f"--{self.name}",)


@dataclass(frozen=True, slots=True)
class Spec:
    """One command: its words, who may use it, what it takes."""

    name: str
    summary: str
    group: Group
    role: Role
    ref: Need = Need.NO
    message: Need = Need.NO
    message_name: str = "message"
    options: tuple[Option, ...] = ()
    examples: tuple[str, ...] = ()
    leads: bool = False  # what follows the command is a ref or nothing: a message comes after it
    runs: bool = False  # ends in a run: `--json` streams its events
    in_order: bool = False  # makes a prompt, or says where prompts go: waits for what its chat said before
    anywhere: bool = False  # without a ref it is not about the session of its place

    @property
    def usage(self) -> str:
        """`start <ref> [message]`."""
        words = [self.name]
        brackets = {Need.MAY: "[{}]", Need.MUST: "<{}>"}
        if self.ref is not Need.NO:
            words.append(brackets[self.ref].format("ref"))
        words.extend(f"[--{option.name}{' ' + option.value if option.value else ''}]" for option in self.options)
        if self.message is not Need.NO:
            words.append(brackets[self.message].format(self.message_name))
        return " ".join(words)


REF = refs.EXAMPLE
TABLE: tuple[Spec, ...] = (
    Spec(
        "start",
        "open a thread for an issue: worktree, fork of the base session, first prompt",
        Group.BEGIN,
        Role.DRIVER,
        ref=Need.MAY,
        message=Need.MAY,
        examples=(f"start {REF} implement the login form", f"start {REF}"),
        leads=True,
        runs=True,
        in_order=True,
        anywhere=True,
    ),
    Spec(
        "new",
        "the same for work that has no issue yet",
        Group.BEGIN,
        Role.DRIVER,
        message=Need.MUST,
        message_name="title",
        examples=("new try another colour scheme",),
        runs=True,
        in_order=True,
        anywhere=True,
    ),
    Spec(
        "continue",
        "next prompt to the issue's session, from any place",
        Group.BEGIN,
        Role.DRIVER,
        ref=Need.MAY,
        message=Need.MUST,
        examples=(f"continue {REF} now add tests",),
        runs=True,
        in_order=True,
    ),
    Spec(
        "fork",
        "branch the session into its own worktree and git branch",
        Group.BEGIN,
        Role.DRIVER,
        ref=Need.MAY,
        message=Need.MAY,
        options=(
            Option("name", "name of the fork", "NAME"),
            Option("at", "fork as it was after this run of the session", "RUN"),
        ),
        examples=(f"fork {REF} --name idea try it with a queue", "fork --at 2"),
        runs=True,
        in_order=True,
    ),
    Spec("stop", "abort the run; keeps what was done", Group.STEER, Role.DRIVER, ref=Need.MAY, examples=("stop",)),
    Spec(
        "queue",
        "what waits behind the run: `clear`, `cancel 5`, or `now 5`, which interrupts and goes on with it",
        Group.STEER,
        Role.DRIVER,
        ref=Need.MAY,
        message=Need.MAY,
        message_name="clear|cancel RUN|now RUN",
        examples=("queue", "queue now 5"),
    ),
    Spec(
        "btw",
        "ask on the side: answered from what the session knows, which is neither disturbed nor changed",
        Group.STEER,
        Role.DRIVER,
        ref=Need.MAY,
        message=Need.MUST,
        message_name="question",
        examples=("btw which files have you looked at?",),
    ),
    Spec(
        "retry",
        "run the last prompt again after a failure or stop",
        Group.STEER,
        Role.DRIVER,
        ref=Need.MAY,
        options=(
            Option("allow", "also allow what the run was refused, from now on"),
            Option("run", "that run of the session instead of the last", "RUN"),
            Option("leave", "do not: leave a run in doubt as it is"),
        ),
        examples=("retry", "retry --allow"),
        runs=True,
        in_order=True,
    ),
    Spec(
        "status",
        "this session: state, branch, runs, what waits",
        Group.LOOK,
        Role.VIEWER,
        ref=Need.MAY,
        examples=("status",),
    ),
    Spec(
        "diff",
        "what the session has changed: a summary, and the patch as a file",
        Group.LOOK,
        Role.VIEWER,
        ref=Need.MAY,
        options=(Option("run", "what one run has changed; `last` for the last", "RUN"),),
        examples=("diff", "diff --run last", f"diff {REF}"),
    ),
    Spec(
        "details",
        "what a run did: tools with their output, what the model thought",
        Group.LOOK,
        Role.VIEWER,
        ref=Need.MAY,
        options=(Option("run", "that run instead of the last", "RUN"),),
        examples=("details", "details --run 3"),
    ),
    Spec(
        "undo",
        "take the last run back: files and conversation",
        Group.LOOK,
        Role.DRIVER,
        ref=Need.MAY,
        options=(Option("run", "only if that is the last run", "RUN"),),
        examples=("undo",),
    ),
    Spec(
        "redo",
        "bring back what `undo` took",
        Group.LOOK,
        Role.DRIVER,
        ref=Need.MAY,
        options=(Option("run", "only if that is the next to come back", "RUN"),),
        examples=("redo",),
    ),
    Spec(
        "model",
        "which model the session works with, and which there are",
        Group.CHOOSE,
        Role.DRIVER,
        ref=Need.MAY,
        message=Need.MAY,
        message_name="model|default",
        options=(Option("variant", "of the model, e.g. how hard it thinks", "NAME"),),
        examples=("model", "model anthropic/claude-opus-4-5", "model opus"),
        in_order=True,
    ),
    Spec(
        "agent",
        "which of opencode's agents the session works with, and which there are",
        Group.CHOOSE,
        Role.DRIVER,
        ref=Need.MAY,
        message=Need.MAY,
        message_name="agent|default",
        examples=("agent", "agent plan"),
        in_order=True,
    ),
    Spec(
        "compact",
        "summarise the conversation to free context",
        Group.CHOOSE,
        Role.DRIVER,
        ref=Need.MAY,
        options=(Option("retry", "and run the last prompt again"),),
        examples=("compact",),
    ),
    Spec(
        "permissions",
        "standing rules of the session: list them, allow or deny something, withdraw one",
        Group.CHOOSE,
        Role.DRIVER,
        ref=Need.MAY,
        message=Need.MAY,
        message_name="allow|deny PERMISSION [PATTERN]|withdraw NUMBER",
        examples=("permissions", "permissions allow bash git *", "permissions withdraw 1"),
        in_order=True,
    ),
    Spec(
        "budget",
        "what the session may cost, or with --day what you may spend in a day",
        Group.CHOOSE,
        Role.DRIVER,
        ref=Need.MAY,
        message=Need.MAY,
        message_name="amount|off",
        options=(
            Option("day", "yours, for each day, in all sessions"),
            Option("person", "somebody's, for each day; for admins", "ID"),
        ),
        examples=("budget 2$", "budget off", "budget --day 10$"),
    ),
    Spec(
        "commit",
        "commit what the session has changed, after showing it",
        Group.FINISH,
        Role.DRIVER,
        ref=Need.MAY,
        message=Need.MAY,
        options=(
            Option("yes", "without asking", short="y"),
            Option("as", "only if the files are as in this snapshot", "SNAPSHOT"),
        ),
        examples=("commit", "commit add the login form"),
    ),
    Spec(
        "push",
        "push the session's branch, after showing what",
        Group.FINISH,
        Role.DRIVER,
        ref=Need.MAY,
        options=(
            Option("yes", "without asking", short="y"),
            Option("as", "only if the branch is at this commit", "COMMIT"),
        ),
        examples=("push",),
    ),
    Spec(
        "pr",
        "open a pull request with the agent's summary, after showing it; its checks are reported here",
        Group.FINISH,
        Role.DRIVER,
        ref=Need.MAY,
        message=Need.MAY,
        message_name="title",
        options=(
            Option("yes", "without asking", short="y"),
            Option("draft", "as a draft"),
            Option("as", "only if the branch is at this commit", "COMMIT"),
        ),
        examples=("pr", "pr --draft", "pr Add the login form"),
    ),
    Spec(
        "verbosity",
        "how much progress this place shows",
        Group.SHOW,
        Role.DRIVER,
        message=Need.MAY,
        message_name="quiet|normal|detailed",
        examples=("verbosity quiet",),
    ),
    Spec(
        "list",
        "all sessions, forks below what they were forked from",
        Group.LOOK,
        Role.VIEWER,
        examples=("list",),
        anywhere=True,
    ),
    Spec(
        "watch",
        "attach this place to an existing session",
        Group.SHOW,
        Role.VIEWER,
        ref=Need.MUST,
        examples=(f"watch {REF}",),
        in_order=True,
    ),
    Spec(
        "unwatch", "detach this place from its session", Group.SHOW, Role.VIEWER, examples=("unwatch",), in_order=True
    ),
    Spec(
        "init",
        "make a project's base session; --force makes it anew",
        Group.UPKEEP,
        Role.ADMIN,
        message=Need.MAY,
        message_name="project",
        options=(
            Option("force", "make it again although there is one"),
            Option("here", "take the checkout you stand in as a project"),
        ),
        examples=("init github.com/shoko/kugetsu",),
    ),
    Spec(
        "prune",
        "compare with opencode and git, repair, and list what belongs to nothing; --force removes that",
        Group.UPKEEP,
        Role.ADMIN,
        options=(Option("force", "remove what can be removed"),),
        examples=("prune", "prune --force"),
    ),
    Spec(
        "destroy",
        "delete a session with its worktree and branch; refuses to lose work unless forced",
        Group.UPKEEP,
        Role.ADMIN,
        ref=Need.MAY,
        message=Need.MAY,
        message_name="project",
        options=(
            Option("yes", "without asking", short="y"),
            Option("force", "even if uncommitted or unpushed work is lost"),
            Option("base", "the base session of the project; its forks stay"),
        ),
        examples=(f"destroy {REF}", "destroy --base github.com/shoko/kugetsu"),
    ),
    Spec(
        "archive",
        "remove a session's worktree, keep its branch and conversation; the next prompt brings it back",
        Group.UPKEEP,
        Role.DRIVER,
        ref=Need.MAY,
        examples=(f"archive {REF}",),
    ),
    Spec(
        "export",
        "write a session into a file: conversation, branch, uncommitted changes",
        Group.UPKEEP,
        Role.ADMIN,
        ref=Need.MUST,
        examples=(f"export {REF}",),
    ),
    Spec(
        "import",
        "take a session from such a file",
        Group.UPKEEP,
        Role.ADMIN,
        message=Need.MUST,
        message_name="file",
        examples=("import github.com-shoko-kugetsu-14.kugetsu.tar.gz",),
    ),
    Spec(
        "send",
        "put a file of the worktree into the thread; meant for the agent",
        Group.SHOW,
        Role.DRIVER,
        message=Need.MUST,
        message_name="path",
        examples=("send docs/report.pdf",),
    ),
    Spec(
        "why",
        "why your last message (or the one you reply to) was queued, refused, ignored or failed",
        Group.LOOK,
        Role.VIEWER,
        examples=("why",),
        anywhere=True,
    ),
    Spec(
        "whoami",
        "your person id, as a line for the configuration",
        Group.PEOPLE,
        Role.NONE,
        examples=("whoami",),
        anywhere=True,
    ),
    Spec(
        "pair",
        "become the first admin with the code that `kugetsu run` printed; for admins: make somebody known by theirs",
        Group.PEOPLE,
        Role.NONE,
        message=Need.MUST,
        message_name="code",
        options=(Option("role", "viewer (if nothing is said), driver or admin", "ROLE"),),
        examples=("pair 1a2b3c4d", "pair --role driver 1a2b3c4d"),
        anywhere=True,
    ),
    Spec(
        "doctor", "check everything and say what to do", Group.UPKEEP, Role.DRIVER, examples=("doctor",), anywhere=True
    ),
    Spec(
        "help",
        "all commands, or one with examples",
        Group.PEOPLE,
        Role.NONE,
        message=Need.MAY,
        message_name="command",
        examples=("help start",),
        anywhere=True,
    ),
)
