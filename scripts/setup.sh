#!/bin/sh
# Leave .venv/bin/kugetsu ready to run, and do nothing when it is. With --dev also what the checks and tests need:
# their tools, and the pinned opencode in node_modules/ whatever else is installed.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

extra=
[ "${1-}" != --dev ] || extra='[dev]'

need_git

# The packages.
wanted="$(fingerprint pyproject.toml constraints.txt) $PWD"
mark=.venv/.kugetsu
made=$(cat "$mark" 2>/dev/null || :)
if [ "$made" != "$wanted [dev]" ] && [ "$made" != "$wanted $extra" ] || ! .venv/bin/python -c '' 2>/dev/null; then
    # A virtual environment does not survive a move of its folder, nor its Python being removed.
    if ! .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        ! grep -qF "$PWD/.venv/bin/" .venv/bin/pip 2>/dev/null; then
        find_python
        say "Python: making .venv with $("$python" --version) …"
        "$python" -m venv --clear .venv
    fi
    case $made in *'[dev]') extra='[dev]' ;; esac
    say "Packages: installing what constraints.txt pins …"
    rm -f "$mark"
    .venv/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".$extra"
    say "$wanted $extra" >"$mark"
fi

if [ "${1-}" = --dev ]; then
    install_opencode .
    install_test_servers
fi

# The agent: a supported opencode on PATH is the user's choice, else the pinned one. bin/opencode of the virtual
# environment is there when the pinned one is to be used.
on_path=$(command -v opencode || :)
wanted="none"
[ -z "$on_path" ] || wanted=$(ls -lniL "$on_path")
mark=.venv/.opencode
if [ "$(cat "$mark" 2>/dev/null)" != "$wanted" ] || { [ -L .venv/bin/opencode ] && [ ! -x .venv/bin/opencode ]; }; then
    rm -f "$mark"
    version=
    [ -z "$on_path" ] || version=$(opencode_version "$on_path")
    if opencode_supported "$version"; then
        say "opencode: using $on_path ($version)"
        rm -f .venv/bin/opencode
    else
        [ -z "$on_path" ] || say "opencode: $on_path is ${version:-unusable}; kugetsu needs 1.3.0 or newer, below 2"
        install_opencode .
        ln -sf ../../node_modules/.bin/opencode .venv/bin/opencode
    fi
    printf '%s\n' "$wanted" >"$mark"
fi
