# Creditgate: `make` lists what there is. Nothing but make and Python 3.11+ (or uv) has to be installed.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PORT ?= 8000
ARGS ?=
STEPS ?= 400000
LIVES ?= 2000
SEED ?= 1

# Each module is compiled once, and not by each of the many processes that a run starts.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install dev test check lint format types contracts bench torture proofs lives cluster browser screenshots hammer clean

help: ## List these targets
	@echo "Usage: make TARGET [ARGS='further arguments'] [PORT=8000] [STEPS=400000] [SEED=1] [LIVES=2000]"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(READY) ## Make .venv with Creditgate and everything its tests need

dev: $(READY) ## Run everything on http://127.0.0.1:PORT: Redis, database, receiver, worker, beat (Ctrl-C stops)
	@exec $(BIN)/credits dev --stop-with-parent --port $(PORT) $(ARGS)

test: $(READY) ## Run all tests; they start the servers they need
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

check: lint types contracts ## What to run before each commit: lint, types, import contracts, unit tests (< 30 s)
	$(BIN)/python -m pytest tests/unit $(ARGS)

lint: $(READY) ## Check style and formatting (ruff)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY) ## Repair style and formatting where that can be done by a program
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY) ## Check types (mypy, strict)
	$(BIN)/mypy

contracts: $(READY) ## Check that imports run one way (import-linter)
	$(BIN)/lint-imports

torture: $(READY) ## Simulate the gate for STEPS steps with crashes, wipes and rollbacks, checking each of them
	$(BIN)/python -m pytest -n auto -m simulator
	$(BIN)/credits torture --simulated --members 2 --disputes --steps $(STEPS) --seed $(SEED) --keep tests/gate/seeds.txt $(ARGS)

proofs: $(READY) ## Long proofs: fuzzed routes, thousands of lives, examples of every stack
	$(BIN)/python -m pytest -n auto --dist worksteal -m proof $(ARGS)

lives: $(READY) ## Tell LIVES whole lives of subscriptions in order, and again late, twice and in any order: they end the same
	CREDITGATE_TEST_LIVES=$(LIVES) $(BIN)/python -m pytest -n 2 -m proof tests/integration/test_any_order.py $(ARGS)

cluster: $(READY) ## The gate on a Redis Cluster of three nodes, which the tests start
	$(BIN)/python -m pytest -n auto -m cluster $(ARGS)
	CREDITGATE_TEST_REDIS_CLUSTER=1 $(BIN)/python -m pytest -n 2 -m "not simulator and not one_server" tests/gate tests/integration/test_library*.py $(ARGS)

browser: $(READY) ## Pages in a real browser (Chromium on PATH, or where CREDITGATE_TEST_CHROMIUM says)
	$(BIN)/python -m pytest -m browser $(ARGS)

screenshots: $(READY) ## Take the pictures in docs/images anew, of the real pages in a real browser
	$(BIN)/python -m pytest -m screenshots $(ARGS)

bench: $(READY) ## List the benchmarks; docs/benchmarks.md says what each measures
	@echo "  $(BIN)/python -m benchmarks.webhooks      webhooks and events per second beside bare Flask and an empty task"
	@echo "  $(BIN)/python -m benchmarks.reservations  reservations per second beside bare Redis, PostgreSQL by hand, and peers"
	@echo "  $(BIN)/python -m benchmarks.http          reservations over HTTP beside an empty route, by gunicorn and by granian"
	@echo "  $(BIN)/python -m benchmarks.clients       what the clients and @spends cost the one who calls"
	@echo "  $(BIN)/python -m benchmarks.portal        the hosted page at 50 a second beside an empty route, and what its first view weighs"
	@echo "  $(BIN)/python -m benchmarks.renewals      ten thousand renewals in the same minute; cost of an event as the ledger grows"
	@echo "  each with --short for a small run"

hammer: $(READY) ## 64 threads, 100,000 attempts to reserve one of 10,000 credits: exactly 10,000 must succeed
	$(BIN)/python -m tests.support.hammer

clean: ## Delete .venv and caches; the data of `credits dev` stays (that is: credits dev --reset)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp makes every later run start at once. constraints.txt holds the versions that were tested.
$(READY): pyproject.toml constraints.txt scripts/make-venv
	@scripts/make-venv $(VENV)
	@touch $@
