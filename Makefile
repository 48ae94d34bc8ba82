# Commands for people and for CI. `make demo` and `make test` do all set-up themselves.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SPARK  := $(VENV)/.spark

.PHONY: demo test check bench docs lock setup packages clean help

help:            ## list the commands
	@grep -E '^[a-z]+: .*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY)   ## simulated hospital → service → report and live dashboard
	@$(BIN)/dose demo

test: $(READY) $(SPARK) packages ## all tests
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

check: $(READY)  ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(READY)  ## ratios of DESIGN §11, measured in one run
	@$(BIN)/python -m benchmarks

docs: $(READY)   ## write the generated pages of docs/
	@$(BIN)/python -m docs.generate

lock:            ## resolve requirements.lock anew (needs uv)
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --quiet --output-file requirements.lock \
	  --custom-compile-command "make lock"
	@echo 'pyspark>=4.3,<4.4' | $(BIN)/uv pip compile - --constraint requirements.lock --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --quiet \
	  --output-file requirements-spark.lock --custom-compile-command "make lock"

setup: $(READY)

# Apache Spark, for the tests of lakes only: 400 MB that nobody else needs to fetch.
$(SPARK): requirements-spark.lock $(READY)
	@echo "Fetching Apache Spark for the tests (once, 400 MB) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-spark.lock
	@touch $(SPARK)

# Locked, hash-checked dependencies first, then this checkout without any further resolving.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("DoseLoop needs Python 3.11 or newer, this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 demo" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV) (once, about 1.5 GB; a few minutes on a slow line) ..."
	@$(PYTHON) -m venv $(VENV) || { echo "python3-venv is missing: sudo apt-get install -y python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

# System packages that only tests need; installed where the user may, else the tests say so.
packages:
	@tests/packages.sh

clean:           ## remove what make made
	rm -rf $(VENV) .demo build dist .pytest_cache .mypy_cache .ruff_cache
