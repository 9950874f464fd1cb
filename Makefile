# Needs Python, git and make; everything else is set up in .venv, once, and again when pyproject.toml changes.

VENV = .venv
PIP_INSTALL = $(VENV)/bin/python -m pip install -qq --disable-pip-version-check

# The Python that .venv is made with: the one that PYTHON names, else the machine's own python3, because that is
# the one its owner chose, else the newest. Each is run, not only looked up: version managers leave names on the
# path with no Python behind them. The oldest that will do is said in pyproject.toml alone.
MINOR := $(shell sed -n 's/^requires-python = ">=3\.\([0-9]*\)"/\1/p' pyproject.toml)
CANDIDATES = $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
NEW_ENOUGH = import sys; sys.exit(sys.version_info < (3, $(MINOR)))
BASE = $(shell for p in $(CANDIDATES); do "$$p" -c '$(NEW_ENOUGH)' 2>/dev/null && echo "$$p" && break; done)

# $(error) prints one line, where a failing command would have make add its own.
version = $(or $(shell $(1) -c 'import platform; print(platform.python_version())' 2>/dev/null),not there)
ANOTHER = or name another: make $(MAKECMDGOALS) PYTHON=/path/to/python3.$(MINOR)
TOO_OLD = sse-recorder needs Python 3.$(MINOR) or newer, but $(firstword $(CANDIDATES)) is $(call version,$(firstword $(CANDIDATES))). Install one, $(ANOTHER)
NO_VENV = $(BASE) ($(call version,$(BASE))) cannot make virtual environments: it has no ensurepip. On Debian and Ubuntu install its package python3-venv (python3.N-venv for a python3.N), $(ANOTHER)

# Always from nothing: an interrupted or outdated set-up leaves nothing behind. -qq is errors only.
define set_up
	$(if $(BASE),,$(error $(TOO_OLD)))
	$(if $(shell $(BASE) -c 'import ensurepip' 2>&1),$(error $(NO_VENV)))
	@echo "Setting up $(VENV) with $(BASE) ($(call version,$(BASE))) ..."
	@$(BASE) -m venv --clear $(VENV)
	@$(PIP_INSTALL) -e '$(1)'
	@touch $@
endef

# What is installed for the tests.
EXTRAS ?= dev,beside

.PHONY: help demo test lint types clean

help:
	@echo "make demo    see it work: record, analyse and replay, offline"
	@echo "make test    run the tests             (PYTEST_ARGS='-k tap -n 0' to choose some, '-m \"\"' for the slow ones, too)"
	@echo "make lint    ruff: rules and format"
	@echo "make types   pyright, strict"
	@echo "make clean   remove what these made"
	@echo "Each sets itself up. PYTHON=python3.12 chooses the Python."

demo: $(VENV)/demo
	@$(VENV)/bin/recorder demo

# Real streams to test with, where they lie beside the checkout; without them the tests that need them are skipped.
ifneq ($(wildcard ../shared/corpus/INDEX.jsonl),)
test: export RECORDER_CORPUS ?= $(CURDIR)/../shared/corpus
endif

# Two workers, as many as the smallest machine has cores: some tests measure times, and a crowd spoils them.
test: $(VENV)/test
	@$(VENV)/bin/python -m pytest -n 2 -m "not slow" $(PYTEST_ARGS)

lint: $(VENV)/test
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

types: $(VENV)/test
	@$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python

clean:
	rm -rf .venv .cache .hypothesis .pytest_cache .ruff_cache build dist

$(VENV)/demo: pyproject.toml
	$(call set_up,.)

$(VENV)/test: pyproject.toml
	$(call set_up,.[$(EXTRAS)])
	@touch $(VENV)/demo

# Made again, too, when its Python has gone or is not the one that PYTHON names.
HAS := $(shell $(VENV)/bin/python -V 2>/dev/null)
ifneq ($(HAS),$(or $(if $(PYTHON),$(shell $(PYTHON) -V 2>/dev/null),$(HAS)),none))
.PHONY: $(VENV)/demo $(VENV)/test
endif
