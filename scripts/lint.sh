#!/bin/sh
# All checks that run nothing. Each is run, so that one look shows everything; fails when any did.
set -u
cd "$(dirname "$0")/.."

status=0
check() {
    printf '%s\n' "── $*"
    ".venv/bin/$@" || status=1
}
check ruff check
check ruff format --check
check mypy
check lint-imports
exit $status
