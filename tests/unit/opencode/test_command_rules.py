"""Permissions settled in advance: nothing is left to ask, and opencode's own rules keep the last word."""

from __future__ import annotations

from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from adapters.opencode.command_rules import configuration, plainly, refusal, without_asking
from adapters.opencode.wire import AgentInfo, Part, Rule, ToolState
from core import rules
from core.model import PermissionRequest, PermissionRule, SessionId

DIRECTORY = Path("/repo")
DEFAULTS = [Rule("*", "*", "allow"), Rule("question", "*", "allow")]


def settled(effective: list[Rule], given_rules: list[PermissionRule]) -> list[PermissionRule]:
    """All of an agent's rules as opencode then has them."""
    added = configuration([AgentInfo("build", "primary", permission=effective)], given_rules)
    permission = added["agent"]["build"]["permission"]
    ours = [
        PermissionRule(name, pattern, action)
        for name, patterns in permission.items()
        for pattern, action in patterns.items()
    ]
    return [*(PermissionRule(rule.permission, rule.pattern, rule.action) for rule in effective), *ours]


def verdict(permission: str, pattern: str, all_rules: list[PermissionRule]) -> str:
    return rules.verdict(PermissionRequest("", SessionId(""), permission, (pattern,)), all_rules)


def allow(pattern: str, permission: str = "bash") -> PermissionRule:
    return PermissionRule(permission, pattern, "allow")


def test_what_is_asked_is_denied_unless_it_was_granted():
    asking = [*DEFAULTS, Rule("bash", "touch *", "ask"), Rule("bash", "touch never*", "deny")]
    found = settled(asking, [allow("touch a*"), allow("touch never*"), allow("rm *")])
    answers = {line: verdict("bash", line, found) for line in ("ls", "touch a1", "touch b", "touch never", "rm x")}
    assert answers == {"ls": "allow", "touch a1": "allow", "touch b": "deny", "touch never": "deny", "rm x": "allow"}


def test_a_grant_wider_than_the_question_answers_just_that():
    asking = [*DEFAULTS, Rule("bash", "git push *", "ask"), Rule("bash", "git push --force*", "deny")]
    found = settled(asking, [allow("git *")])
    assert verdict("bash", "git push origin", found) == "allow"
    assert verdict("bash", "git push --force", found) == "deny"


@given(st.lists(st.builds(Rule, st.sampled_from(["*", "bash", "b*", "edit"]), st.just("*"), st.just("allow"))))
def test_a_closed_tool_stays_closed_whatever_is_said(more):
    found = configuration([AgentInfo("a", permission=[*DEFAULTS, *more])], [allow("*")], ["bash", "my_server_*"])
    own = found["agent"]["a"]["permission"]
    assert list(own.items())[-2:] == [("bas?", {"*": "deny"}), ("my_server_**", {"*": "deny"})]


def test_the_last_grant_wins():
    asking = [*DEFAULTS, Rule("bash", "*", "ask")]
    found = settled(asking, [allow("*"), PermissionRule("bash", "rm *", "deny"), allow("rm x")])
    assert [verdict("bash", line, found) for line in ("ls", "rm y", "rm x")] == ["allow", "deny", "allow"]


def test_a_tool_that_is_denied_altogether_is_still_shown():
    """opencode hides a tool whose last rule denies `*`."""
    permission = configuration([AgentInfo("build", permission=[Rule("bash", "*", "ask")])], [])
    assert permission["agent"]["build"]["permission"]["bas?"] == {"**": "deny"}


def test_questions_are_hidden():
    found = settled([Rule("question", "*", "allow"), Rule("plan_exit", "*", "ask")], [allow("*", "question")])
    assert [verdict(name, "*", found) for name in ("question", "plan_enter", "plan_exit")] == ["deny"] * 3
    assert "question" not in {rule.permission for rule in found[2:]}  # a key of our own, behind the user's


def test_asking_for_everything_nobody_named():
    asking = [Rule("*", "*", "ask"), Rule("bash", "ls *", "allow"), Rule("edit", "*", "allow")]
    found = settled(asking, [allow("*", "server_tool")])
    assert verdict("bash", "ls x", found) == "allow"
    assert verdict("bash", "rm x", found) == "deny"
    assert verdict("edit", "a", found) == "allow"
    assert verdict("server_tool", "*", found) == "allow"
    assert verdict("other_tool", "*", found) == "deny"


PERMISSIONS = st.sampled_from(["bash", "edit", "other", "*", "o*"])
PATTERNS = st.sampled_from(["*", "a", "a*", "ab", "ab*", "*b", "git", "git *", "git push*", "??"])
ACTIONS = st.sampled_from(["allow", "deny", "ask"])
LINES = st.sampled_from(["a", "ab", "abc", "b", "git", "git push", "git pull", "gitk", "xb"])


@given(
    st.lists(st.builds(Rule, PERMISSIONS, PATTERNS, ACTIONS), max_size=6),
    st.lists(st.builds(PermissionRule, PERMISSIONS, PATTERNS, ACTIONS), max_size=4),
    st.sampled_from(["bash", "edit", "other", "once"]),
    LINES,
)
def test_never_asks_never_overrules_never_grants_more(effective, grants, permission, line):
    before = [
        PermissionRule("*", "*", "allow"),
        *(PermissionRule(r.permission, r.pattern, r.action) for r in effective),
    ]
    said = verdict(permission, line, before)
    now = verdict(permission, line, settled([Rule("*", "*", "allow"), *effective], grants))
    if said != "ask":
        assert now == said
    else:
        assert now == "deny" or verdict(permission, line, grants) == "allow"


def test_a_sessions_rules_do_not_ask():
    given_rules = [PermissionRule("bash", "*", "ask"), PermissionRule("edit", "a*", "ask"), allow("x")]
    assert without_asking(given_rules) == [
        PermissionRule("bash", "**", "deny"),
        PermissionRule("edit", "a*", "deny"),
        allow("x"),
    ]


# ── what a call was denied ─────────────────────────────────────────────────────────────────────


def denied(tool: str, arguments: dict, *said: tuple[str, str, str]) -> Part:
    relevant = msgspec.json.encode([Rule(*rule) for rule in said]).decode()
    error = (
        "The user has specified a rule which prevents you from using this specific tool call. "
        f"Here are some of the relevant rules {relevant}"
    )
    state = ToolState("error", msgspec.Raw(msgspec.json.encode(arguments)), error=error)
    return Part("prt_1", "tool", "ses_1", "msg_1", tool=tool, state=state)


def test_a_refusal_names_what_would_have_to_be_allowed():
    part = denied(
        "bash",
        {"command": "cd x && touch 'a && b' | tee c", "description": "d"},
        ("*", "*", "allow"), ("bash", "*", "ask"), ("bas?", "**", "deny"),
    )  # fmt: skip
    request = refusal(part, DIRECTORY)
    assert request is not None
    assert (request.permission, request.session) == ("bash", "ses_1")
    assert request.patterns == request.always == ("touch 'a && b'", "tee c")
    assert request.detail == "cd x && touch 'a && b' | tee c"
    assert "nobody" in (plainly(part).state.error or "")


def test_files_are_known_by_their_path_in_the_worktree():
    rule = (("*", "*", "allow"), ("edit", "*", "ask"), ("edi?", "**", "deny"))
    request = refusal(denied("write", {"filePath": "/repo/src/a.py", "content": ""}, *rule), DIRECTORY)
    assert request is not None
    assert request.patterns == ("src/a.py", "/repo/src/a.py")
    assert request.detail == "src/a.py"


def test_places_outside_are_known_by_their_folder():
    rule = (("external_directory", "*", "ask"), ("external_director?", "**", "deny"))
    request = refusal(denied("read", {"filePath": "/etc/hosts"}, *rule), DIRECTORY)
    assert request is not None
    assert request.patterns == ("/etc/*",)
    request = refusal(denied("bash", {"command": "cp /etc/hosts ."}, *rule), DIRECTORY)
    assert request is not None
    assert request.patterns == ("/etc/*", "/etc/hosts/*")


def test_a_tool_known_only_by_a_wildcard():
    request = refusal(denied("server_tool", {"x": 1}, ("*", "*", "ask"), ("**", "**", "deny")), DIRECTORY)
    assert request is not None
    assert (request.permission, request.patterns) == ("server_tool", ("*",))


def test_what_the_user_denied_is_no_refusal_of_ours():
    own = (("*", "*", "allow"), ("bash", "touch *", "ask"), ("bash", "rm *", "deny"))
    assert refusal(denied("bash", {"command": "rm x"}, *own), DIRECTORY) is None
    both = (*own, ("bas?", "touch *", "deny"), ("bas?", "rm *", "deny"))
    assert refusal(denied("bash", {"command": "rm x"}, *both), DIRECTORY) is None
    assert refusal(denied("bash", {"command": "touch x"}, *both), DIRECTORY) is not None


def test_a_session_that_may_only_read():
    part = denied("bash", {"command": "touch x"}, ("bash", "*", "allow"), ("bash", "**", "deny"))
    assert refusal(part, DIRECTORY) is not None


def test_other_errors_are_left_as_they_are():
    state = ToolState("error", error="No such file")
    assert refusal(Part("prt_1", "tool", state=state), DIRECTORY) is None
    assert refusal(Part("prt_1", "tool", state=ToolState("error", error="relevant rules [broken")), DIRECTORY) is None
    assert refusal(Part("prt_1", "text", text="relevant rules []"), DIRECTORY) is None
