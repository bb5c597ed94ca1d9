# Shared by the scripts beside it: source it with the project's root as the working directory. POSIX sh.

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# One line that changes when any of the given files does.
fingerprint() { cat "$@" | cksum; }

need_git() {
    command -v git >/dev/null 2>&1 || fail "git is missing: kugetsu works in git checkouts. Install it with your package manager."
}

# Sets `python` to the newest usable one. A name on PATH proves nothing: version managers put stubs there.
find_python() {
    without_venv=
    for python in python3.13 python3.12 python3.11 python3; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue
        "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 && return
        without_venv=$python
    done
    [ -z "$without_venv" ] || fail "$without_venv cannot make virtual environments: its venv module is missing." \
        "On Debian and Ubuntu: apt install python3-venv"
    fail "Python 3.11 or newer is missing (tried python3.13, python3.12, python3.11, python3)." \
        "Install it with your package manager, or from python.org, and try again."
}

# Print the version of an opencode, nothing when it does not run. Whatever it creates at start goes to a scratch folder:
# asking for its version must not touch the user's data.
opencode_version() (
    scratch=$(mktemp -d) || exit 1
    trap 'rm -rf "$scratch"' EXIT
    limit=
    ! command -v timeout >/dev/null 2>&1 || limit='timeout 30'
    # shellcheck disable=SC2086  # two words or none
    XDG_DATA_HOME=$scratch XDG_CONFIG_HOME=$scratch XDG_CACHE_HOME=$scratch XDG_STATE_HOME=$scratch \
        OPENCODE_DISABLE_AUTOUPDATE=1 OPENCODE_DISABLE_MODELS_FETCH=1 \
        $limit "$1" --version </dev/null 2>/dev/null | tail -n 1
)

# Whether kugetsu drives this version: from 1.3.0 up to 2, not included.
opencode_supported() {
    case $1 in
        1.[3-9].* | 1.[1-9][0-9]*.*) true ;;
        *) false ;;
    esac
}

# Install what tests run beside the pinned opencode: from tests/package.json, and the oldest opencode that is driven.
install_test_servers() {
    install_from_lock tests "tests: installing the GitHub emulator …"
    # Without its install script: the launcher finds the binary of this machine by itself.
    install_from_lock tests/opencode-1.3 "tests: installing the oldest opencode that is driven …"
}

# Install what the package-lock.json in $1 pins, saying $2, unless that was done.
install_from_lock() (
    mark=$1/node_modules/.kugetsu
    wanted=$(fingerprint "$1/package.json" "$1/package-lock.json")
    [ "$(cat "$mark" 2>/dev/null)" = "$wanted" ] && exit 0
    say "$2"
    npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error --prefix "$1" >/dev/null
    say "$wanted" >"$mark"
)

# Install the pinned opencode into $1/node_modules, from the package.json and package-lock.json in $1.
install_opencode() (
    cd "$1" || exit 1
    mark=node_modules/.kugetsu
    wanted="$(fingerprint package.json package-lock.json) $(uname -sm)"
    [ -x node_modules/.bin/opencode ] && [ "$(cat $mark 2>/dev/null)" = "$wanted" ] && exit 0
    for tool in node npm; do
        command -v $tool >/dev/null 2>&1 || fail "$tool is missing: it is needed to install opencode. Install Node.js 18 or newer," \
            "or install opencode yourself, 1.3.0 or newer and below 2 (https://opencode.ai), and try again."
    done
    say "opencode: installing the version pinned in package.json (about 400 MB) …"
    npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null
    # npm may be set to refuse install scripts. This one puts the binary of this machine in place and tries it.
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    (cd node_modules/opencode-ai && XDG_DATA_HOME=$scratch XDG_CONFIG_HOME=$scratch XDG_CACHE_HOME=$scratch \
        XDG_STATE_HOME=$scratch node postinstall.mjs >&2)
    [ -n "$(opencode_version "$PWD/node_modules/.bin/opencode")" ] || fail "The installed opencode does not run on this machine." \
        "Try it: $PWD/node_modules/.bin/opencode --version"
    say "$wanted" >$mark
)
