#!/bin/sh
# Run the bot when there is a configuration, else the demo chat: a ready project and a model that needs no key.
set -eu
cd "$(dirname "$0")/.."

for config in config.yaml "${KUGETSU_CONFIG:-}" "${HOME:-}/.config/kugetsu/config.yaml"; do
    [ -z "$config" ] || [ ! -f "$config" ] || exec .venv/bin/kugetsu run
done
echo "No configuration yet: this is the demo. For your own projects: cp config.example.yaml config.yaml" >&2
exec .venv/bin/kugetsu chat --demo
