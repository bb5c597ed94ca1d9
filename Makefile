.POSIX:
.NOTPARALLEL:  # `run` needs standard input, which make gives to one job only
.PHONY: help setup run test lint bench clean

help:
	@echo "make setup   leave .venv/bin/kugetsu ready to run"
	@echo "make run     run the bot with your configuration; without one, the demo chat"
	@echo "make test    all checks and tests"
	@echo "make lint    the checks alone"
	@echo "make bench   measure sizes and speeds"
	@echo "make clean   remove what setup and the tools made; sessions and worktrees stay"

setup:
	@scripts/setup.sh
	@echo "Ready: .venv/bin/kugetsu"

run:
	@scripts/setup.sh
	@exec scripts/run.sh

lint:
	@scripts/setup.sh --dev
	@scripts/lint.sh

test: lint
	@KUGETSU_TEST_OPENCODE="$$PWD/node_modules/.bin/opencode" \
		KUGETSU_TEST_OPENCODE_13="$$PWD/tests/opencode-1.3/node_modules/.bin/opencode" .venv/bin/pytest

bench:
	@scripts/setup.sh --dev
	@KUGETSU_TEST_OPENCODE="$$PWD/node_modules/.bin/opencode" .venv/bin/python -m benchmarks

clean:
	rm -rf .venv node_modules tests/node_modules tests/opencode-1.3/node_modules build ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
