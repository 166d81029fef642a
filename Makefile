# Everything a newcomer or a CI machine runs. `make` alone lists the targets.
# Variables: PYTHON=/path/to/python3, SYSTEM_DEPS=install|print|skip, TEST_PACKAGES="chromium", PYTEST_OPTIONS="-x",
# WHEELHOUSE=dir (install from there, without network), VENV=dir (default .venv).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VENV ?= .venv
SYSTEM_DEPS ?= install
TEST_PACKAGES ?=
PYTEST_OPTIONS ?=
WHEELHOUSE ?=
STORY ?= debian-cron-miner
N ?= 1000
SEED ?= 1
FUZZ_OPTIONS ?=
export SYSTEM_DEPS TEST_PACKAGES PYTHON

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PATH := $(PATH):/usr/sbin:/sbin

python := $(VENV)/bin/python
pip_install := $(python) -m pip install -qq $(if $(WHEELHOUSE),--no-index --find-links $(WHEELHOUSE))
locked := --require-hashes --only-binary :all:
sources := volforensic images tests tools

.PHONY: help
help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' Makefile | while IFS='|' read -r target what; do printf '%-22s %s\n' "$$target" "$$what"; done

.PHONY: setup
setup: $(VENV)/.runtime ## system packages, Python environment in .venv, volforensic itself; `make setup SYSTEM_DEPS=print` only says which packages
	@echo "ready: $(VENV)/bin/volforensic --help"

.PHONY: system-packages
system-packages: ## install only the system packages that are missing
	@tools/system-packages.sh run images

# The stamps are written last: what was interrupted is done again. What was only printed or skipped gets none.
$(VENV)/.system: tools/system-packages.sh
	@tools/system-packages.sh run images
	@[[ $(SYSTEM_DEPS) != install ]] || { mkdir -p $(VENV) && touch $@; }

$(VENV)/.runtime: requirements.lock pyproject.toml tools/find-python.sh | $(VENV)/.system
	@if ! $(python) -m pip --version >/dev/null 2>&1; then \
	    interpreter=$$(tools/find-python.sh); \
	    echo "environment: $(VENV) with $$("$$interpreter" --version)"; \
	    rm -rf $(VENV)/bin; \
	    "$$interpreter" -m venv $(VENV); \
	fi
	@echo "environment: installing the packages of requirements.lock (about 200 MB with byte code)"
	@$(pip_install) $(locked) -r requirements.lock
	@$(pip_install) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.development: requirements-dev.lock $(VENV)/.runtime
	@echo "environment: installing the tools for tests and checks of requirements-dev.lock"
	@$(pip_install) $(locked) -r requirements-dev.lock
	@touch $@

.PHONY: demo
demo: $(VENV)/.runtime ## build a sample disk of a server that was broken into and triage it
	@echo "sample disk: $(STORY)"
	@$(python) -m images.build $(STORY) --output images/built
	@rm -rf demo/$(STORY) && mkdir -p demo
	@echo "running: volforensic triage images/built/$(STORY).raw --case demo/$(STORY)"
	@$(VENV)/bin/volforensic triage images/built/$(STORY).raw --case demo/$(STORY)
	@echo "report: $(CURDIR)/demo/$(STORY)/report.html"

.PHONY: doctor
doctor: $(VENV)/.runtime ## what this host has and lacks
	@$(VENV)/bin/volforensic doctor

.PHONY: test
test: $(VENV)/.development ## the tests
	@[[ -z "$$TEST_PACKAGES" ]] || tools/system-packages.sh run images
	@$(python) -m pytest --numprocesses auto $(PYTEST_OPTIONS)

.PHONY: fuzz
fuzz: $(VENV)/.development ## mutants of every filesystem and table; N=10000 of each, SEED=2, FUZZ_OPTIONS="--only xfs --keep DIR"
	@$(python) tests/fuzz.py --count '$(N)' --seed '$(SEED)' $(FUZZ_OPTIONS)

.PHONY: lint
lint: $(VENV)/.development ## style and errors that can be seen without running
	@$(python) -m ruff check $(sources)
	@$(python) -m ruff format --check $(sources)

.PHONY: typecheck
typecheck: $(VENV)/.development ## types, strictly
	@$(python) -m mypy

.PHONY: format
format: $(VENV)/.development ## format the code
	@$(python) -m ruff check --fix $(sources)
	@$(python) -m ruff format $(sources)

.PHONY: check
check: lint typecheck test ## lint, typecheck, test

.PHONY: images
images: $(VENV)/.runtime ## build every test disk into images/built
	@$(python) -m images.build --output images/built

.PHONY: images-server
images-server: $(VENV)/.runtime ## build disks with the tree of a real Debian server (root, network, mmdebstrap)
	@tools/system-packages.sh server
	@$(python) -m images.server --output images/built/server $(SERVER_OPTIONS)

.PHONY: bench
bench: $(VENV)/.development ## CPU seconds, wall time and bytes read, beside other tools; IMAGE=disk.raw, BENCH_OPTIONS=--runs=1
	@$(python) -m tests.benchmarks $(if $(IMAGE),--image '$(IMAGE)') $(BENCH_OPTIONS)

.PHONY: lock
lock: ## resolve the requirements again; LOCK_OPTIONS=--upgrade takes newer versions
	@"$$(tools/find-python.sh)" tools/lock.py $(LOCK_OPTIONS)

.PHONY: wheelhouse
wheelhouse: $(VENV)/.runtime ## every wheel for x86_64 and aarch64 in build/wheelhouse, for hosts without network
	@for machine in x86_64 aarch64; do \
	    $(python) -m pip download -qq $(locked) --no-deps --requirement requirements.lock --dest build/wheelhouse \
	        --platform manylinux_2_28_$$machine --platform manylinux_2_17_$$machine --platform manylinux2014_$$machine; \
	done
	@echo "on the other host: make setup WHEELHOUSE=build/wheelhouse (wheels for $$($(python) --version | cut -d. -f1,2))"

.PHONY: clean
clean: ## remove the environment, caches, built disks and the demo
	@rm -rf $(VENV) build dist demo images/built volforensic.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
