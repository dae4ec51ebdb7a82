# Needs Python 3.11 or newer and make; everything else goes into .venv. Name an interpreter with PYTHON=.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
ARGS ?=
WORKERS ?= auto
SECONDS ?= 55
MEASURED ?= ../shared/data/measured

.PHONY: help demo test check types lint fuzz format bench accuracy accuracy-check bench-ui viewer check-plugins breadth extras lowest clean

help: ## show these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

demo: $(VENV)/runtime.stamp ## predict Llama 3.1 8B on one H100: 16 users, 8k prompts, 256 new tokens
	$(BIN)/mansard analyze llama-3.1-8b --on h100-sxm -b 16 -p 8k -n 256

test: $(VENV)/dev.stamp ## run every test and doctest (ARGS="-k word" narrows)
	$(BIN)/pytest --numprocesses $(WORKERS) $(ARGS)

check: lint types fuzz ## lint, format, types, layers and a minute of fuzzing; changes nothing

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/dev.stamp
	$(BIN)/python scripts/check_types.py

fuzz: $(VENV)/dev.stamp ## fuzz the reader of ONNX files, guided by coverage where atheris installs (SECONDS=55)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(PIP) install atheris >/dev/null 2>&1 || true
	@$(BIN)/python -m tests.fuzz.fuzz_onnx $(SECONDS) 2>&1 | grep -v ' # Uses: \|Recommended dictionary'; \
	  exit $${PIPESTATUS[0]}

format: $(VENV)/dev.stamp ## let ruff sort imports and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

accuracy: $(VENV)/dev.stamp ## make docs/accuracy.md again from MEASURED; fails where it is another
	mkdir -p build
	$(BIN)/python -m mansard.query.accuracy validate $(MEASURED) build/accuracy.md
	diff -u docs/accuracy.md build/accuracy.md

accuracy-check: $(VENV)/dev.stamp ## hold the page's lines on whole networks to the code, where MEASURED is (half a minute)
	@test -d $(MEASURED) || { echo "no $(MEASURED): nothing is checked"; exit 0; }; \
	$(BIN)/python -m mansard.query.accuracy check $(MEASURED) docs/accuracy.md

bench: $(VENV)/dev.stamp ## run every script in benchmarks/ and end with one table (ARGS="engine" one)
	@LLM_VIEWER='$(LLM_VIEWER)' GENZ='$(GENZ)' $(BIN)/python benchmarks/harness/run.py $(ARGS)

extras: $(VENV)/dev.stamp ## install every extra and run the tests that need one
	$(PIP) install --editable '.[fast,distributed,tables,plot]'
	$(BIN)/pytest tests/roof/test_sweep.py tests/roof/test_sweep_cluster.py tests/backends/engine \
	  tests/viewer/test_plots.py $(ARGS)

check-plugins: $(VENV)/dev.stamp ## try every technique and backend on every model: minutes (ARGS="--jobs 4")
	$(BIN)/python scripts/check_plugins.py $(ARGS)

breadth: $(VENV)-breadth/breadth.stamp ## compare every class of transformers that writes or sees (ARGS="llama" one)
	HF_HUB_OFFLINE=1 $(VENV)-breadth/bin/python scripts/breadth.py $(ARGS)

bench-ui: $(VENV)/dev.stamp ## measure the viewer in headless Chromium
	$(BIN)/python benchmarks/ui.py

viewer: ## build the viewer's page from its source (needs Node)
	cd plugins/viewer/page && npm ci --no-audit --no-fund && npm run build

lowest: $(VENV)-lowest/lowest.stamp ## run the tests with the oldest dependencies pyproject.toml admits
	$(VENV)-lowest/bin/pytest $(ARGS)

clean: ## remove the environments, caches and built files
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-breadth build dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache \
	  .pytest_cache .import_linter_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is younger than pyproject.toml exactly when the environment has what it asks for.
$(VENV)/runtime.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'mansard needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --editable .
	@touch $@

# pip 23 does not know --group, so pip comes first.
$(VENV)/dev.stamp: $(VENV)/runtime.stamp
	$(PIP) install --upgrade 'pip>=25.1'
	$(PIP) install --group dev
	@touch $@

$(VENV)-lowest/lowest.stamp: pyproject.toml scripts/lowest.py
	$(PYTHON) -m venv --clear $(VENV)-lowest
	$(VENV)-lowest/bin/python scripts/lowest.py > $(VENV)-lowest/lowest.txt
	$(VENV)-lowest/bin/python -m pip --quiet install --upgrade 'pip>=25.1'
	$(VENV)-lowest/bin/python -m pip --quiet install --editable . --group dev --constraint $(VENV)-lowest/lowest.txt
	@touch $@

# The versions are those docs/breadth.md states.
$(VENV)-breadth/breadth.stamp: pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)-breadth
	$(VENV)-breadth/bin/python -m pip --quiet install --editable . torch==2.13.0 transformers==5.23.0
	@touch $@
