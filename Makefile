# `make help` lists what there is. Everything runs in .venv, which each command sets up when it has to.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
P ?= B1
LIBRARY ?= data/library
INDEX ?= data/index
FEATURES ?= data/features
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help venv test test-all check bench build-index clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(VENV)/ready  ## the virtual environment with all packages

$(VENV)/ready: requirements.txt tests/requirements.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps tinysoundfont==0.3.7
	touch $@

test: venv  ## the Python tests, with at least 90 % of the engine's lines
	$(BIN)/coverage erase
	$(BIN)/python -m pytest --cov --cov-report=term --cov-fail-under=90

check: venv  ## formatting, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-all: check test  ## everything that CI runs

bench: venv  ## measure a protocol: make bench P=B1 (needs the bench data, see bench/README.md)
	$(BIN)/python -m bench $(P)

build-index: venv  ## index data/library (LIBRARY=, INDEX= and FEATURES= name other folders)
	$(BIN)/python -m melody build $(LIBRARY) $(INDEX) --features $(FEATURES)

clean:  ## remove what tools left behind; the library, the index and the environment stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage .coverage.*
	find melody bench tests -name __pycache__ -type d -prune -exec rm -rf {} +
