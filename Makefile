# make demo, make test, make lint; `make help` lists all. Everything runs in .venv, which the first call makes.
#
# Paths here are relative, so that the checkout may lie in a folder with spaces in its name.

PYTHON ?= python3
BIN := .venv/bin
export NO_ALBUMENTATIONS_UPDATE := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow parity lint format clean

help:  ## This list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo "Another Python: make test PYTHON=python3.12. On Linux without a GPU, torch is far smaller to download with"
	@echo "  export PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu"

demo: .venv/installed  ## Trains a small model on drawn people, minutes on two cores; nothing to download
	$(BIN)/python -m rtmo.train experiment=demo

test: .venv/installed-dev  ## The tests, but for the slow ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: .venv/installed-dev  ## The slow tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m slow

parity: .venv/installed .venv-parity/installed  ## Compares with the reference implementation; writes docs/numerics.md
	$(BIN)/python scripts/parity/numerics.py --reference .venv-parity/bin/python

lint: .venv/installed-dev  ## Style, types, layers of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed-dev  ## Formats the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean:  ## Removes environments and caches; runs stay
	rm -rf .venv .venv-parity build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# The stamps are newer than what they were made from: a second call installs nothing and needs no network.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "rtmo needs Python 3.11 or newer, and $(PYTHON) is older or missing: make ... PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt -e .
	@touch $@

# A client that others wrote, by itself: it asks for another build of the OpenCV that rtmo has.
.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev]"
	$(BIN)/python -m pip install --no-deps rtmlib==0.0.16
	@touch $@

# Two calls: what mmpose says it depends on does not install.
.venv-parity/installed: scripts/parity/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
		{ echo "the reference needs Python 3.11 or 3.12: make parity PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv-parity
	.venv-parity/bin/python -m pip install -r scripts/parity/requirements.txt
	.venv-parity/bin/python -m pip install --no-deps mmpose==1.3.2 xtcocotools==1.14.3
	@touch $@
