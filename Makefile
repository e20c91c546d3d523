# GNU make 3.81 is enough, so macOS's own works. Every target sets up what it needs.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
TOOLS := .tools
# uv from the PATH, else one of our own; it uses the Python that is here and never downloads one
UV := $(shell command -v uv 2>/dev/null || echo $(TOOLS)/bin/uv)
UV_VERSION := 0.13.9
export UV_PYTHON_DOWNLOADS := never
export PATH := $(PATH):$(CURDIR)/$(TOOLS)/bin
RUN := $(UV) run --frozen --no-sync

.PHONY: help setup demo demo-stop test test-image e2e lint format bench faults fuzz clean

help: ## Print this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

$(TOOLS)/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed, and $(PYTHON) is older: run make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.synced: uv.lock pyproject.toml operator/pyproject.toml images/vllm/pyproject.toml devcluster/pyproject.toml | setup-uv
	$(UV) sync --locked --quiet --compile-bytecode --python $(PYTHON)
	@$(RUN) python -m compileall -q operator/mistral_operator images/vllm/mistral_vllm devcluster/devcluster
	@touch $@

.PHONY: setup-uv
setup-uv: $(filter $(TOOLS)/bin/uv,$(UV))

setup: .venv/.synced ## Install everything into .venv, from the lock file

# not through uv: Ctrl-C, and whoever kills it, are to reach the demo itself
demo: setup ## Show the operator at work on a real control plane
	@.venv/bin/python -m devcluster.demo

demo-stop: setup ## Stop a demo that KEEP=1 left running
	@.venv/bin/python -m devcluster.demo stop

.PHONY: binaries
binaries: setup
	@$(RUN) python -m devcluster.binaries

# the tests of a file stay together, and each process has control planes of its own: they wait more than they compute
JOBS ?= 2
test: binaries ## Run every test a machine without a GPU can run (JOBS=2 files at a time)
	$(RUN) pytest -q --numprocesses=$(JOBS) --dist=loadscope

IMAGE_VENV := .venv-image
$(IMAGE_VENV)/.synced: images/vllm/requirements-cpu.txt images/vllm/pyproject.toml | setup-uv
	@echo "Installing vLLM for the CPU into $(IMAGE_VENV): 3 GB to download the first time"
	@test -x $(IMAGE_VENV)/bin/python || $(UV) venv --quiet --clear --python $(PYTHON) $(IMAGE_VENV)
	$(UV) pip sync --quiet --python $(IMAGE_VENV) images/vllm/requirements-cpu.txt
	$(UV) pip install --quiet --python $(IMAGE_VENV) --no-deps --editable images/vllm
	@touch $@

test-image: setup $(IMAGE_VENV)/.synced ## Test the vLLM plugin in vLLM itself, on the CPU
	$(IMAGE_VENV)/bin/python -m pytest -q --numprocesses=$(JOBS) --dist=loadgroup tests/image \
	  tests/unit/test_against_transformers.py

# not captured: the first time it builds for many minutes
e2e: setup ## Test chart, images and a served model on a real node (root on Linux: docs/end-to-end.md)
	@.venv/bin/python -m pytest -q -s tests/e2e

lint: setup ## Check style, types and the arrows between packages
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports

format: setup ## Rewrite the code in the house style
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

N ?= 100 1000
OPERATORS ?=
bench: binaries ## Print how fast the command answers, and how fast N objects converge (N="100 1000")
	$(RUN) python bench/plan.py
	@.venv/bin/python -m bench.converge $(foreach count,$(N),-n $(count)) $(OPERATORS)

PLANTED ?=
FAULTS ?=
faults: binaries ## Kill the operator at every request, and more: docs/faults.md (PLANTED=1 FAULTS="--scenario scale")
	@.venv/bin/python -m bench.faults $(if $(PLANTED),--planted) $(FAULTS)

SEED ?= 1
SHARE ?= 1
fuzz: binaries ## Send drawn specs, pods, hub answers and model folders, and count what none may do (SEED=1 SHARE=0.1)
	$(RUN) python -m bench.fuzz --seed $(SEED) --share $(SHARE)

DOCKER ?= docker
OPERATOR_IMAGE ?= mistral-operator:0.1.0
VLLM_IMAGE ?= mistral-vllm:0.26.0
VLLM_CPU_IMAGE ?= mistral-vllm-cpu:0.26.0
BASE ?=
BUILD_ARGS ?=
BUILD = $(DOCKER) build $(if $(BASE),--build-arg BASE=$(BASE)) --build-arg REVISION=$(shell git describe --always --dirty) \
  $(BUILD_ARGS)
.PHONY: image image-vllm image-vllm-cpu
image: ## Build the operator's image (docs/operator-image.md; OPERATOR_IMAGE=name:tag BASE=image DOCKER=podman)
	$(BUILD) --tag $(OPERATOR_IMAGE) --file images/operator/Dockerfile .

image-vllm: ## Build the image that serves (docs/image.md; VLLM_IMAGE=name:tag BASE=image DOCKER=podman)
	$(BUILD) --tag $(VLLM_IMAGE) images/vllm

image-vllm-cpu: # for end-to-end tests
	$(BUILD) --tag $(VLLM_CPU_IMAGE) --file images/vllm/Dockerfile.cpu images/vllm

# vLLM 0.26.0 was released on 2026-07-25, and requirements are resolved as of the end of that day: its authors could not
# have run anything newer. Packages that requirements-engine.in pins to later releases have days of their own, and so have
# the tools that build the image.
AS_OF := --exclude-newer 2026-07-25T23:59:59Z \
  --exclude-newer-package mistral-common=2026-09-23T00:00:00Z --exclude-newer-package transformers=2026-08-27T00:00:00Z
TOOLS_AS_OF := --exclude-newer 2026-11-23T00:00:00Z
PIP_COMPILE = cd images/vllm && $(abspath $(UV)) pip compile --quiet --upgrade --universal --no-build
.PHONY: image-requirements test-image-requirements
image-requirements: setup-uv
	$(PIP_COMPILE) $(AS_OF) --python-version 3.12 --generate-hashes --no-header \
	  requirements.in --output-file requirements.txt
	$(PIP_COMPILE) $(TOOLS_AS_OF) --python-version 3.12 --generate-hashes --no-header \
	  build-requirements.in --output-file build-requirements.txt

# after the other's, which bounds it
test-image-requirements: image-requirements
	$(PIP_COMPILE) $(AS_OF) --python-version 3.11 --no-annotate --override overrides-cpu.txt \
	  --custom-compile-command "make test-image-requirements" requirements-cpu.in --output-file requirements-cpu.txt

clean: ## Remove what the targets above made
	rm -rf .venv .venv-image $(TOOLS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
