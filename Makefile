# Every target sets up what it needs and caches it outside the checkout. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CACHE := $(if $(MODELWARD_CACHE),$(MODELWARD_CACHE),$(HOME)/.cache/modelward)
export MODELWARD_CACHE := $(CACHE)
# One environment for each state of pyproject.toml and for each checkout, so that two checkouts do not disturb each other.
KEY := $(shell { pwd; cat pyproject.toml constraints.txt; python3 --version; } | sha256sum | cut -c1-16)
VENV := $(CACHE)/venv-$(KEY)
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
PYTEST := $(PYTHON) -m pytest -q --durations=8
# A file stays on one processor, with the servers that its tests share.
SIDE_BY_SIDE := -n 2 --dist loadfile
export PATH := $(VENV)/bin:$(CACHE)/tools:$(PATH)

.PHONY: help demo test beginning quick unit api e2e tutorial lint docs generate env cluster-up cluster-down bench-%

help: ## List the targets
	@grep -hE '^[a-z0-9%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-15s %s\n", $$1, $$2}'

demo: $(READY) ## Set everything up and show rollouts of a real model, narrated as they happen
	@$(PYTHON) -m examples.tumor_screening.demo

test: beginning lint unit api e2e tutorial ## Everything: lint, unit, api and e2e layers, and the tutorial

beginning: $(READY)
	@$(PYTHON) -m tests.tutorial

quick: lint unit ## Lint and unit tests: no cluster, under 3 minutes

unit: $(READY) ## Rules, statistics and sources, without a cluster
	$(PYTEST) $(SIDE_BY_SIDE) tests/unit

api: $(READY) ## Schemas, conflicts and kills, on a real kube-apiserver; metrics from a real Prometheus; real storages of the audit
	$(PYTEST) $(SIDE_BY_SIDE) tests/api tests/sources tests/archive tests/health

e2e: $(READY) ## The whole product on a whole cluster, which is started and stopped
	@$(PYTHON) -m tests.e2e

tutorial: $(READY) ## Every command of docs/tutorial.md, on a cluster that they start and stop
	$(PYTEST) tests/tutorial

lint: $(READY) ## Format, style, types, layers, generated files
	@ruff format --check .
	@ruff check .
	@mypy
	@lint-imports --no-cache 2>&1 | tail -n 12
	@$(PYTHON) -m modelward.api.schema --check crds charts/modelward-crds/templates
	@$(PYTHON) -m modelward.governance.admission --check charts/modelward/templates/admission.yaml
	@$(PYTHON) -m deploy.health_checks --check
	@$(PYTHON) docs/generate.py --check
	@zensical build --strict --clean

docs: $(READY) ## The documentation as a site, in build/site; a broken link fails
	@zensical build --strict --clean

generate: $(READY) ## Write the generated files anew
	@ruff format . && $(PYTHON) -m modelward.api.schema crds charts/modelward-crds/templates && $(PYTHON) docs/generate.py
	@$(PYTHON) -m modelward.governance.admission charts/modelward/templates/admission.yaml
	@$(PYTHON) -m deploy.health_checks
	@$(PYTHON) -m deploy.generate && $(PYTHON) -m deploy.rights

env: $(READY) ## Print what puts modelward, kubectl and helm on a shell's PATH: eval "$(make env)"
	@echo 'export PATH=$(VENV)/bin:$(CACHE)/tools:$$PATH KUBECONFIG='$$($(PYTHON) -m cluster kubeconfig)

cluster-up: $(READY) ## Start the local Kubernetes, or say that it is up
	@$(PYTHON) -m cluster up

cluster-down: $(READY) ## Stop it and leave nothing behind
	@$(PYTHON) -m cluster down

bench-%: $(READY) ## Run a benchmark of benchmarks/, such as bench-instrument
	@$(PYTHON) -m benchmarks.bench_$(subst -,_,$*)

$(READY): pyproject.toml constraints.txt
	@echo "setting up the Python environment (about a minute the first time) ..." >&2
	@python3 -m venv --clear $(VENV) || { echo "python3 cannot make an environment: apt-get install python3-venv" >&2; exit 1; }
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' --constraint constraints.txt
	@touch $@
