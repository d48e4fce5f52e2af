# Everything happens in .venv, which is made from the hashed locks and made again when they change.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --require-hashes --no-deps -r

.DEFAULT_GOAL := help
.PHONY: help .venv demo test up down lint bench test-docker clean

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

lint: .venv/.dev ## Check format, style, types and the CloudFormation template
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/batchyard template | $(BIN)/cfn-lint

test: lint ## The whole gate: lint, then fast tests, then tests on the local cloud
	$(BIN)/pytest --quiet --numprocesses 2 --dist loadfile
	$(BIN)/pytest --quiet -m e2e --numprocesses 2 --dist loadfile

test-docker: .venv/.dev ## The container runtime against a real engine (Debian, as root)
	tests/docker/engine.sh $(BIN)/pytest --quiet -m docker tests/docker

bench: .venv/.dev ## Latency, throughput and price of a job on the local cloud
	$(BIN)/batchyard bench

clean: ## Remove the environment and everything that was made
	rm -rf .venv .batchyard build infra/batchyard.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
