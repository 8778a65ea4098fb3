# MIaaS. Every target sets up what it needs by itself; `make` alone lists them.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
FAST := tests/unit tests/contract tests/fuzz tests/sim tests/golden
export PYTHON

.PHONY: help setup setup-test demo demo-down test check lint fix golden sim sim-one sim-mutants soak fuzz bench bench-placement screenshots clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup:
	@.ci/setup demo

setup-test:
	@.ci/setup test

demo: setup ## a small fleet on this machine, from commit to running container, left running
	@$(BIN)/python -m examples.tour up

demo-down: ## stop the demo and remove all of it
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m examples.tour down; fi

test: setup-test lint ## everything that must hold: lint, types, rooms, fast tests, real engines
	$(PYTEST) -q -n 2 -m "not e2e and not soak" $(FAST)
	$(PYTEST) -q -m "e2e and not soak" tests

check: setup lint ## two minutes, no network: lint, types, rooms, unit and contract tests
	$(PYTEST) -q -n 2 -m "not e2e and not soak" tests/unit tests/contract

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: setup ## let ruff mend and lay out what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: setup ## write the golden files anew; read the diff before you commit it
	$(PYTEST) -q -m "not e2e and not soak" --update-golden $(FAST)

bench: setup-test ## measure, and write docs/performance.md and build/bench.json
	$(BIN)/python -m tests.bench

bench-placement: setup ## packing of a production GPU trace: ARGS="--nodes F --pods F ..."
	$(BIN)/python -m tests.bench.openb $(ARGS)

sim: setup-test ## real reconcilers and agents among faults, in virtual time; JSON last
	$(BIN)/python -m tests.sim.fleet --seeds $(or $(SEEDS),48)

sim-one: setup-test ## one life of the simulator, step by step: SEED=17
	$(BIN)/python -m tests.sim.fleet --seed $(or $(SEED),0)

sim-mutants: setup-test ## take each safety rule away in turn; the simulator must miss it; JSON last
	$(BIN)/python -m tests.sim.fleet.mutants --seeds $(or $(SEEDS),200)

soak: setup-test ## many lives of the simulator: SEEDS=1000 FIRST=0
	$(BIN)/python -m tests.sim.fleet --seeds $(or $(SEEDS),1000) --first $(or $(FIRST),0)

fuzz: setup ## what reads input, with twenty times the examples; some minutes
	$(PYTEST) -q -n 2 --hypothesis-profile=fuzz tests/fuzz

screenshots: setup-test ## the status page in a real browser, as pictures in build/screenshots
	@mkdir -p build/screenshots
	MIAAS_PICTURES=$(CURDIR)/build/screenshots $(PYTEST) -q -m e2e tests/e2e/web/test_browser.py

clean: demo-down ## remove what the targets above made, the venv too
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis
