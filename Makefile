.POSIX:
.NOTPARALLEL:  # `run` needs standard input, which make gives to one job only
.PHONY: help setup run test lint bench soak pictures clean

help:
	@printf "make %-9s %s\n" setup "leave .venv/bin/kugetsu ready to run"
	@printf "make %-9s %s\n" run "run the bot with your configuration; without one, the demo chat"
	@printf "make %-9s %s\n" test "all checks and tests"
	@printf "make %-9s %s\n" lint "the checks alone"
	@printf "make %-9s %s\n" bench "measure sizes and speeds"
	@printf "make %-9s %s\n" soak "kill the bot 300 times at random instants, and write docs/soak.md"
	@printf "make %-9s %s\n" pictures "draw the chats in the README anew, from a run on the Telegram simulator"
	@printf "make %-9s %s\n" clean "remove what setup and the tools made; sessions and worktrees stay"

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

soak:
	@scripts/setup.sh --dev
	@KUGETSU_TEST_OPENCODE="$$PWD/node_modules/.bin/opencode" nice -n 10 .venv/bin/python -m tests.soak $(SOAK)

pictures:
	@scripts/setup.sh --dev
	@KUGETSU_TEST_OPENCODE="$$PWD/node_modules/.bin/opencode" .venv/bin/python -m tests.pictures

clean:
	rm -rf .venv node_modules tests/node_modules tests/opencode-1.3/node_modules build ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
