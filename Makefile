# Everything happens in .venv, which is made from the hashed locks and made again when they change.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --require-hashes --no-deps -r

.DEFAULT_GOAL := help
.PHONY: help .venv demo up down format lint lint-template docs unit test test-slow test-docker bench clean

# What `make unit` leaves to the gate: second runs over DynamoDB, all races, real processes, cfn-lint.
NOT_QUICK := dynamodb or test_stop_races or test_agent or test_killed or test_package or cfn_lint
# The seed of `make test-slow`: another one each time, unless one is given to repeat a run.
SEED := $(shell date +%s)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv: .venv/.local ## Make the virtual environment, with the command line in .venv/bin/batchyard

.venv/.local: infra/lock/local.txt pyproject.toml
	$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("Python 3.11, 3.12 or 3.13 is needed: make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(INSTALL) infra/lock/local.txt
	$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

.venv/.dev: infra/lock/dev.txt .venv/.local
	$(INSTALL) infra/lock/dev.txt
	@touch $@

demo: .venv/.local ## Run real jobs on a local cloud of its own, show the results, remove it all
	$(BIN)/batchyard demo

up: .venv/.local ## Start the local cloud; it runs until `make down`
	$(BIN)/batchyard up --detach

down: .venv/.local ## Stop the local cloud; its data are kept for the next `make up`
	$(BIN)/batchyard down

format: .venv/.dev ## Format the code, and correct what ruff can correct
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.local ## Write what is generated from the code: tables, diagrams, event schemas
	$(BIN)/python -m batchyard.docs

lint: .venv/.dev ## Check format, style, types and the CloudFormation template
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/batchyard template | $(BIN)/cfn-lint

.venv/.lint: infra/lock/lint.txt .venv/.local
	$(PYTHON) -m venv .venv/lint
	.venv/lint/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r $<
	@touch $@

lint-template: .venv/.lint ## Check the security of the CloudFormation template (installs checkov once)
	$(BIN)/batchyard template > .venv/template.json
	.venv/lint/bin/checkov --file .venv/template.json --framework cloudformation --compact --quiet --skip-download

unit: .venv/.dev ## Fast tests only, in less than a minute: no property, crash or end-to-end tests
	$(BIN)/pytest --quiet --numprocesses 2 --dist loadfile -k "not ($(NOT_QUICK))" \
		tests/unit tests/machines tests/style

test: lint ## The whole gate: lint, then fast tests, then tests on the local cloud
	$(BIN)/pytest --quiet --numprocesses 2 --dist loadfile
	$(BIN)/pytest --quiet -m "e2e and not slow" --numprocesses 2 --dist loadfile

test-slow: .venv/.dev ## Slow tests, whole sweeps, property tests with random examples (repeat: SEED=...)
	@echo "Hypothesis seed: $(SEED)"
	HYPOTHESIS_PROFILE=random $(BIN)/pytest --quiet --hypothesis-seed=$(SEED) tests/property
	HYPOTHESIS_PROFILE=random $(BIN)/pytest --quiet --hypothesis-seed=$(SEED) -m slow
	BATCHYARD_THOROUGH=true $(BIN)/pytest --quiet --numprocesses 2 \
		tests/crash/test_crashes.py tests/unit/jobs/test_stop_races.py
	BATCHYARD_THOROUGH=true $(BIN)/pytest --quiet -m e2e tests/e2e/test_environments.py

test-docker: .venv/.dev ## The container runtime against a real engine (Debian, as root)
	tests/docker/engine.sh $(BIN)/pytest --quiet -m docker tests/docker

bench: .venv/.dev ## Latency, throughput and price of a job on the local cloud
	$(BIN)/batchyard bench

clean: ## Remove the environment and everything that was made
	rm -rf .venv .batchyard build infra/batchyard.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
