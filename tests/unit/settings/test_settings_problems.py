"""Every way a configuration can be wrong, and the exact line a person reads."""

import os
from pathlib import Path

import pytest

from bot.settings import load
from bot.settings.source import MAX_BYTES, MAX_DEPTH, MAX_VALUES
from core.errors import ConfigurationError


def problems(path: Path, text: str | bytes, env: dict[str, str] | None = None) -> list[str]:
    """What `load` finds wrong, each line without the folder."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as caught:
        load(path, env or {})
    assert caught.value.hint
    return [line.removeprefix(f"{path.parent}/") for line in caught.value.problems]


PROJECT = "projects:\n  github.com/o/r: {path: /x, "
KNOWN = (
    "access, adapters, debug, default_instance, forges, http, opencode, projects, runs, schedules, sessions, "
    "state_dir, transcription"
)

WRONG = [
    ("debug: maybe", '1: debug: must be true or false, not "maybe"'),
    ("debug: 1", "1: debug: must be true or false, not 1"),
    ('debug: "true"', '1: debug: must be true or false, not "true"'),
    ("debug: [true]", "1: debug: must be true or false, not a list"),
    ("state_dir: 3", "1: state_dir: must be text: put it in quotes"),
    ('state_dir: ""', "1: state_dir: must not be empty"),
    (
        "state_dir: ~root/x",
        '1: state_dir: must not name another user\'s home; write the whole path, not "~root/x"',
    ),
    ("default_instance: git hub", '1: default_instance: must be a host name, such as github.com, not "git hub"'),
    (
        "default_instance: LOCAL",
        '1: default_instance: must not be `local`, which stands for work without a forge, not "LOCAL"',
    ),
    ("opencode: server", "1: opencode: must be a group of keys, not text"),
    ("opencode: []", "1: opencode: must be a group of keys, not a list"),
    ("opencode: {transport: x}", '1: opencode.transport: must be server or cli, not "x"'),
    (
        "\n\nopencode:\n  # a comment\n  transport: [server]",
        "5: opencode.transport: must be server or cli, not a list",
    ),
    (
        "opencode:\n  transport: cli\n  url: http://127.0.0.1:4096",
        "3: opencode.url: is for transport: server; with cli there is no server to attach to",
    ),
    ("opencode: {allow_migration: 1}", "1: opencode.allow_migration: must be true or false, not 1"),
    ("opencode: {transprot: x}", "1: opencode.transprot: unknown key; did you mean transport?"),
    ('opencode: {command: ""}', "1: opencode.command: must not be empty"),
    ("opencode: {max_rss_mb: lots}", '1: opencode.max_rss_mb: must be a whole number, not "lots"'),
    ("opencode: {max_rss_mb: 1.5}", "1: opencode.max_rss_mb: must be a whole number, not 1.5"),
    ("opencode: {max_rss_mb: true}", "1: opencode.max_rss_mb: must be a whole number, not true"),
    ("opencode: {max_rss_mb: 0}", "1: opencode.max_rss_mb: must be at least 1, not 0"),
    ("opencode: {max_rss_mb: 1e9}", '1: opencode.max_rss_mb: must be a whole number, not "1e9"'),
    ("opencode: {max_rss_mb: 0x_}", '1: opencode.max_rss_mb: must be a whole number, not "0x_"'),
    ("opencode: {max_rss_mb: 9999999}", "1: opencode.max_rss_mb: must be at most 1000000, not 9999999"),
    ("opencode: {url: ftp://x}", "1: opencode.url: must be a URL that starts with http:// or https://"),
    ("opencode: {url: 'http://'}", "1: opencode.url: must be a URL that starts with http:// or https://"),
    ("opencode: {url: 'http://x:99999'}", "1: opencode.url: must be a URL that starts with http:// or https://"),
    ("opencode: {url: 'http://[::1'}", "1: opencode.url: must be a URL that starts with http:// or https://"),
    (
        "opencode: {url: 'http://me:hunter2@x'}",
        "1: opencode.url: must not contain a user or password; there are keys of their own for that",
    ),
    ("opencode: {password: 12345678}", "1: opencode.password: must be text: put it in quotes"),
    ("opencode: {password: [hunter2]}", "1: opencode.password: must be text, not a list"),
    ("opencode: {env: {A: 1}}", "1: opencode.env.A: must be text: put it in quotes"),
    ("opencode: {env: [A=1]}", "1: opencode.env: must be a group of keys, not a list"),
    (
        "opencode: {env: {A=B: x}}",
        "1: opencode.env.A=B: must be the name of an environment variable: letters, digits and _",
    ),
    (
        "opencode: {env: {OPENCODE_SERVER_PASSWORD: x}}",
        "1: opencode.env: OPENCODE_SERVER_PASSWORD is set by opencode.password, not here",
    ),
    (
        "opencode: {model: gpt}",
        '1: opencode.model: must be provider/model, such as anthropic/claude-sonnet-4-5, not "gpt"',
    ),
    ("projects: [github.com/o/r]", "1: projects: must be a group of keys, not a list"),
    ("projects: {github.com/o/r: ~}", "1: projects.github.com/o/r.path: is missing"),
    ("projects: {github.com/o/r: {}}", "1: projects.github.com/o/r.path: is missing"),
    ("projects: {github.com/o/r: {path: }}", "1: projects.github.com/o/r.path: is missing"),
    ("projects: {nonsense: {path: /x}}", "1: projects.nonsense: must be a project such as github.com/shoko/kugetsu"),
    (
        "projects: {o/..: {path: /x}}",
        "1: projects.o/..: must be a project such as github.com/shoko/kugetsu",
    ),
    (
        "projects:\n  github.com/o/r: {path: /x}\n  O/R: {path: /y}",
        "3: projects.O/R: is the same project as github.com/o/r in line 2",
    ),
    (PROJECT + "copy: .env}", "2: projects.github.com/o/r.copy: must be a list, not text"),
    (
        PROJECT + "copy: [a, ../b]}",
        '2: projects.github.com/o/r.copy[1]: must be a path inside the checkout, such as .env, not "../b"',
    ),
    (
        PROJECT + "copy: [/etc/passwd]}",
        '2: projects.github.com/o/r.copy[0]: must be a path inside the checkout, such as .env, not "/etc/passwd"',
    ),
    (PROJECT + "setup: [npm, ci]}", "2: projects.github.com/o/r.setup: must be text, not a list"),
    (PROJECT + "permissions: {}}", "2: projects.github.com/o/r.permissions: must be a list, not a group of keys"),
    (
        PROJECT + "permissions: [{permission: bash, action: perhaps}]}",
        '2: projects.github.com/o/r.permissions[0].action: must be allow, deny or ask, not "perhaps"',
    ),
    (
        "projects:\n  github.com/o/r:\n    path: /x\n    permissions:\n    - permission: bash",
        "5: projects.github.com/o/r.permissions[0].action: is missing",
    ),
    (
        "access: {admins: [telegram:me]}",
        "1: access.admins[0]: must be a person id, such as telegram:12345, discord:2000 or matrix:@user:example.org, "
        'not "telegram:me"',
    ),
    ("access:\n  admins:\n    - telegram: 5", "3: access.admins[0]: must be text, not a group of keys"),
    ("access: {admins: telegram:5}", "1: access.admins: must be a list, not text"),
    ("access: {admin: []}", "1: access.admin: unknown key; did you mean admins?"),
    ("adapters: {console: {x: 1}}", "1: adapters.console.x: unknown key; there is nothing to set here"),
    ("adapters: {slack: {}}", "1: adapters.slack: unknown key; known here: console, discord, matrix, telegram"),
    (
        "adapters: {telegram: {token: hunter2}}",
        "1: adapters.telegram.token: must be what @BotFather gave you, such as 123456:ABC-DEF; this is something else",
    ),
    (
        "adapters: {telegram: {token: '1:x', webhook: {url: 'https://x.example/hook'}}}",
        "1: adapters.telegram.webhook: url and listen go together: where Telegram calls, and where that arrives",
    ),
    ("adapters: {discord: }", "1: adapters.discord: not built yet in this version; remove it or comment it out"),
    ("transcription: hunter2", "1: transcription: must be a group of keys, not text"),
    (
        "forges: {github.com: {kind: svn}}",
        '1: forges.github.com.kind: must be github, gitlab, gitea or forgejo, not "svn"',
    ),
    ("forges: {github.com: {token: x}}", "1: forges.github.com.kind: is missing"),
    (
        "forges: {'git hub': {kind: github}}",
        "1: forges.git hub: must be a host name, such as github.com",
    ),
    (
        "runs: {stall_after: soon}",
        '1: runs.stall_after: must be a duration such as 90s, 10m, 24h or 30d, not "soon"',
    ),
    ("runs: {stall_after: 0}", "1: runs.stall_after: must be a duration such as 90s, 10m, 24h or 30d, not 0"),
    ("runs: {stall_after: .nan}", "1: runs.stall_after: must be a duration such as 90s, 10m, 24h or 30d, not nan"),
    (
        "runs: {stall_after: 999999d}",
        '1: runs.stall_after: must be a duration such as 90s, 10m, 24h or 30d, not "999999d"',
    ),
    ("runs: {max_concurrent: 0}", "1: runs.max_concurrent: must be at least 1, not 0"),
    ("runs: {queue_depth: -1}", "1: runs.queue_depth: must be at least 0, not -1"),
    ("runs: {backlog: 4}", "1: runs.backlog: must be a group of keys, not a number"),
    ("runs: {backlog: {ask: 4}}", "1: runs.backlog.ask: unknown key; known here: ask_above, ask_after, drop_after"),
    (
        "schedules: {timezone: Mars/Base}",
        '1: schedules.timezone: must be a time zone such as Europe/Berlin or UTC, not "Mars/Base"',
    ),
    (
        "schedules: {timezone: ../../etc/passwd}",
        '1: schedules.timezone: must be a time zone such as Europe/Berlin or UTC, not "../../etc/passwd"',
    ),
    ("schedules: {timezone: ''}", '1: schedules.timezone: must be a time zone such as Europe/Berlin or UTC, not ""'),
    ("schedules: {missed: never}", '1: schedules.missed: must be run_once, skip or ask, not "never"'),
    ("http: {listen: '127.0.0.1:8421'}", "1: http.listen: not built yet in this version; leave it empty"),
    ("wibble: 1", f"1: wibble: unknown key; known here: {KNOWN}"),
    ("Debug: true", "1: Debug: unknown key; did you mean debug?"),
    ("wibble:", f"1: wibble: unknown key; known here: {KNOWN}"),
    ('"a\\e[31mb": 1', f"1: a\N{REPLACEMENT CHARACTER}[31mb: unknown key; known here: {KNOWN}"),
    # the text itself
    ("- debug", "1: must be keys with values, like `debug: false`, not a list"),
    ("debug", "1: must be keys with values, like `debug: false`, not a single value"),
    ("debug: true\nstate_dir: /x\ndebug: false", "3: debug: given twice, first in line 1"),
    ("[a]: b", "1: a key must be plain text, not a list or a group"),
    ("forges: &a {}\n<<: *a", "2: `<<` is not understood here; write the keys out"),
    (
        "debug: !!python/object:os.system x",
        "1: debug: a `!tag` is not understood here; put text that starts with `!` in quotes",
    ),
    (
        "opencode:\n  password: !hunter2",
        "2: opencode.password: a `!tag` is not understood here; put text that starts with `!` in quotes",
    ),
    ('state_dir: "a\\0b"', "1: state_dir: the value contains a character that is no text"),
    ('state_dir: "a\\ud800b"', "1: state_dir: the value contains a character that is no text"),
    ('"a\\ud800b": 1', "1: a key contains a character that is no text"),
    ("debug: true\n  opencode: {", "2: is not valid YAML: mapping values are not allowed here"),
    ("opencode: {debug", "1: is not valid YAML: expected ',' or '}', but got '<stream end>'"),
    ("opencode:\n\ttransport: server", "2: is not valid YAML: a tab; YAML indents with spaces"),
    ("opencode: {password: *hunter2}", "1: is not valid YAML: text that starts with `*` must be in quotes"),
    ("debug: true\n---\ndebug: true", "2: is not valid YAML: but found another document"),
    ("debug: true\n\x07: 1", "2: is not valid YAML: it contains a control character"),
    ('state_dir: "\\UFFFFFFFF"', ": is not valid YAML"),
    (b"debug: true\nstate_dir: \xff\xfe", "2: is not UTF-8 text; save the file as UTF-8"),
    ("debug: " + "[" * 500, f"1: nested more than {MAX_DEPTH} levels deep"),
    ("debug: " + "{a: " * 5000, f"1: nested more than {MAX_DEPTH} levels deep"),
    (
        "a: &a [*a]",
        f"1: has more than {MAX_VALUES} values or runs in circles; look at its aliases (`*name`)",
    ),
    (
        "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
        f"1: has more than {MAX_VALUES} values or runs in circles; look at its aliases (`*name`)",
    ),
    ("#" * (MAX_BYTES + 1), ": is larger than 512 KB; is it the right file?"),
    # the environment
    (
        'opencode: {password: "${NOWHERE}"}',
        "1: opencode.password: environment variable NOWHERE is not set, and no default is given",
    ),
    (
        "state_dir: ${HOME",
        "1: state_dir: `${` begins no ${NAME} or ${NAME:-default}; write `$${` for the characters themselves",
    ),
    (
        "state_dir: ${1A}",
        "1: state_dir: `${` begins no ${NAME} or ${NAME:-default}; write `$${` for the characters themselves",
    ),
    ("debug: ${TEXT}", "1: debug: must be true or false; look at the environment variable it comes from"),
    (
        "opencode: {transport: '${TEXT}'}",
        "1: opencode.transport: must be server or cli; look at the environment variable it comes from",
    ),
    ("state_dir: ${BYTES}", "1: state_dir: environment variable BYTES does not hold UTF-8 text"),
    (
        'opencode: {env: {GH_TOKEN: "${TEXT}"}}\nforges: {github.com: {kind: github, token: "${TEXT}"}}',
        "1: opencode.env.GH_TOKEN: TEXT is a secret of the bot's own (forges.github.com.token); give the agent one of "
        "its own",
    ),
]


@pytest.mark.parametrize(("text", "expected"), WRONG, ids=[str(line)[:60] for _, line in WRONG])
def test_one_problem(text: str | bytes, expected: str, tmp_path: Path) -> None:
    found = problems(tmp_path / "config.yaml", text, {"TEXT": "hunter2", "BYTES": "\udcff"})
    assert found == [f"config.yaml{expected}" if expected.startswith(":") else f"config.yaml:{expected}"]
    assert "hunter2" not in "".join(found)


def test_all_problems_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
debug: maybe
opencode:
  transport: x
  comand: opencode
runs: {stall_after: soon, backlog: {ask_above: many}}
adapters:
  telegram: {token: "${TELEGRAM_TOKEN}"}
projects:
  github.com/o/r: {base_branch: 5}
access:
  viewers: [nobody]
"""
    keys = [line.split(": ")[0:2] for line in problems(tmp_path / "config.yaml", text)]
    assert keys == [
        ["config.yaml:1", "debug"],
        ["config.yaml:3", "opencode.transport"],
        ["config.yaml:4", "opencode.comand"],
        ["config.yaml:5", "runs.backlog.ask_above"],
        ["config.yaml:5", "runs.stall_after"],
        ["config.yaml:7", "adapters.telegram.token"],
        ["config.yaml:9", "projects.github.com/o/r.base_branch"],
        ["config.yaml:9", "projects.github.com/o/r.path"],
        ["config.yaml:11", "access.viewers[0]"],
    ]


def test_required_keys_of_chats_that_come_later(tmp_path: Path) -> None:
    text = "adapters:\n  matrix: {user: bot}\n  discord: {token: ''}\n"
    found = problems(tmp_path / "config.yaml", text)
    assert "config.yaml:2: adapters.matrix.homeserver: is missing" in found
    assert "config.yaml:2: adapters.matrix.password: is missing" in found
    assert 'config.yaml:2: adapters.matrix.user: must look like @user:example.org, not "bot"' in found
    assert "config.yaml:3: adapters.discord.token: must not be empty" in found


def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with pytest.raises(ConfigurationError, match="does not exist") as caught:
        load(path, {})
    assert caught.value.problems == (f"{path}: does not exist",)
    assert "--config" in caught.value.hint


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, {})
    assert caught.value.problems == (f"{tmp_path}: is a folder; name the file in it",)


def test_file_that_cannot_be_opened(tmp_path: Path) -> None:
    loop = tmp_path / "config.yaml"
    loop.symlink_to(loop)
    with pytest.raises(ConfigurationError) as caught:
        load(loop, {})
    assert caught.value.problems == (f"{loop}: cannot be read: {os.strerror(40)}",)


def test_endless_file() -> None:
    with pytest.raises(ConfigurationError, match="a problem"):
        load(Path("/dev/zero"), {})


def test_no_secret_in_the_error_or_its_causes(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "adapters: {telegram: {token: {a: hunter2}, api_base: hunter2}}\n"
        "opencode: {password: [hunter2], env: hunter2}\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        load(path, {})
    error = caught.value
    assert "hunter2" not in f"{error!r} {error.problems} {error.hint}"
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
