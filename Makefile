# `make help` lists what there is. Everything runs in .venv, which each command sets up when it has to.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
P ?= B1
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help venv test test-all check bench build-index run dev-backend worker openapi clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(VENV)/ready  ## the virtual environment with all packages

$(VENV)/ready: requirements.txt searchapp/requirements.txt tests/requirements.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps tinysoundfont==0.3.7
	touch $@

run: venv  ## the server: API and workers under one process (APP_HOST=, APP_PORT=); Ctrl-C ends all of it
	exec $(BIN)/python manage.py serve

dev-backend: venv  ## the API alone, started again at each change; `make worker` beside it
	$(BIN)/python manage.py migrate --verbosity 0
	exec $(BIN)/uvicorn searchapp.asgi:application --reload --reload-dir searchapp --reload-dir melody --lifespan off \
		--no-access-log --port $${APP_PORT:-8000}

worker: venv  ## the workers alone
	$(BIN)/python manage.py migrate --verbosity 0
	exec $(BIN)/python manage.py work

openapi: venv  ## write docs/openapi.json anew
	$(BIN)/python manage.py export_openapi

test: venv  ## the Python tests, with at least 90 % of the lines of the engine and of the service
	$(BIN)/coverage erase
	$(BIN)/python -m pytest --cov --cov-report=term
	$(BIN)/coverage report --include='melody/*' --format=total --fail-under=90
	$(BIN)/coverage report --include='searchapp/*' --format=total --fail-under=90

check: venv  ## formatting, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	ENV_FILE=none $(BIN)/python manage.py makemigrations --check --dry-run --verbosity 0

test-all: check test  ## everything that CI runs

bench: venv  ## measure a protocol: make bench P=B1 (needs the bench data, see bench/README.md)
	$(BIN)/python -m bench $(P)

build-index: venv  ## index data/library (LIBRARY= and INDEX= name other folders)
	$(BIN)/python manage.py migrate --verbosity 0
	$(BIN)/python manage.py build_index $(if $(LIBRARY),--library $(LIBRARY)) $(if $(INDEX),--out $(INDEX))

clean:  ## remove what tools left behind; the library, the index and the environment stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage .coverage.*
	find melody bench tests -name __pycache__ -type d -prune -exec rm -rf {} +
