#!/bin/sh
# Install kugetsu and the pinned opencode into a folder of their own, independent of this checkout:
#     scripts/install.sh --prefix DIR      →  DIR/bin/kugetsu and DIR/bin/opencode
# The container image is made with it. The folder must not be moved afterwards. Safe to repeat: it upgrades.
set -eu

[ $# -eq 2 ] && [ "$1" = --prefix ] && [ -n "$2" ] || {
    echo "usage: scripts/install.sh --prefix DIR" >&2
    exit 2
}
mkdir -p "$2"
prefix=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
. scripts/lib.sh

need_git
find_python
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT

say "Python: making $prefix/venv with $("$python" --version) …"
"$python" -m venv --clear "$prefix/venv"
say "Packages: installing what constraints.txt pins …"
# From a copy: setuptools leaves its build folders in the source, and would take stale files from them.
cp -R pyproject.toml README.md core adapters bot "$source"
"$prefix/venv/bin/python" -m pip install -qq --disable-pip-version-check --no-cache-dir -c constraints.txt "$source"

mkdir -p "$prefix/opencode" "$prefix/bin"
cp package.json package-lock.json "$prefix/opencode"
install_opencode "$prefix/opencode"

ln -sf ../../opencode/node_modules/.bin/opencode "$prefix/venv/bin/opencode"
ln -sf ../opencode/node_modules/.bin/opencode "$prefix/bin/opencode"
ln -sf ../venv/bin/kugetsu "$prefix/bin/kugetsu"
say "Ready: $prefix/bin/kugetsu"
