# Two commands do all on a machine with Python 3.11 or 3.12:
#   make demo   sets up, then trains a LoRA from the example zip through the chat's own entrance
#   make test   sets up, checks and tests everything
# and three are for in between:
#   make install   sets up alone; then .venv/bin/lorabot --help
#   make check     style, types and the rooms' walls, in a minute or two
#   make clean     removes what the others set up; lorabot-data, what people sent and got, stays

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Compiled once here: an engine imports 4,000 modules, and where Python may not keep what it compiled that is done anew at
# every start (24 s instead of 8 s).
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt
TESTS ?= tests

.PHONY: help demo test check install install-dev system clean

help:
	@sed -n 's/^#   //p' Makefile

demo: install
	$(BIN)/lorabot demo

test: check system
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --maxprocesses 2 $(TESTS)

# What needs no running: style, types, the rooms' walls.
check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "lorabot needs Python 3.11 or newer; found " + sys.version.split()[0] + ". Name one: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv

$(VENV)/.installed: $(BIN)/uv pyproject.toml constraints.txt
	$(UV) --editable '.[all]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(UV) --editable '.[all,dev]'
	@touch $@

# What the tests drive and Python's registry does not carry: a browser for the page, systemd's own check for the units.
system: install-dev
	@$(BIN)/python tests/browser.py || $(BIN)/playwright install chromium || \
	  (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium)
	@command -v systemd-analyze >/dev/null || (apt-get update -qq && apt-get install -y -qq --no-install-recommends systemd)

clean:
	rm -rf $(VENV) demo-out .mypy_cache .ruff_cache .pytest_cache
