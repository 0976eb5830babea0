# bids-harmonize: the same commands for people and for continuous integration.
#
#   make demo        install, write a small phantom study, run the app on it, print where the pages are
#   make test        lint, types, layer contracts and the fast tests (10 minutes at most on 2 cores)
#   make help        all targets
#
# TORCH_INDEX is PyTorch's CPU index unless you say otherwise; empty means your own package index.
# For CUDA: make install TORCH_INDEX=https://download.pytorch.org/whl/cu130 TORCH_PIP_ARGS=

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo
# nproc obeys OMP_NUM_THREADS, which is about threads inside one process.
NPROCS ?= $(shell env -u OMP_NUM_THREADS nproc)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH_PIP_ARGS ?= --no-deps
PIP := $(BIN)/python -m pip --disable-pip-version-check
ENGINE ?= docker
IMAGE ?= bids-harmonize
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
SOURCE ?= $(shell git remote get-url origin 2>/dev/null | sed -E "s,//[^@/]*@,//," | grep . || echo unknown)
IMAGE_ARGS ?=
NO_MARKS := not slow and not gpu and not container and not slurm
export OMP_NUM_THREADS ?= 1

.PHONY: help install install-dev demo demo-full lint types layers check test test-slow test-gpu \
	image image-file test-container test-slurm package docs docs-generated tag-check \
	publish-image publish-package lock licences clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

$(VENV)/.torch: requirements/torch.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --progress-bar off --retries 1 $(TORCH_PIP_ARGS) \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -r requirements/torch.txt
	touch $@

$(VENV)/.core: $(VENV)/.torch requirements/core.txt pyproject.toml
	$(PIP) install --quiet --progress-bar off --no-deps -r requirements/core.txt
	$(PIP) install --quiet --progress-bar off --no-deps --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.core requirements/dev.txt
	$(PIP) install --quiet --progress-bar off --no-deps -r requirements/dev.txt
	touch $@

install: $(VENV)/.core ## the app, pinned, in .venv

install-dev: $(VENV)/.dev ## the app and the tools of its developers

$(DEMO)/bids/dataset_description.json: | $(VENV)/.core
	$(BIN)/bids-harmonize-phantom $(DEMO)/bids --preset default --sites 2 --per-site 12 \
		--travelling 4 --resolution 4 --seed 0

demo: $(VENV)/.core $(DEMO)/bids/dataset_description.json ## a small phantom study through both levels (15 minutes at most on 2 cores)
	$(BIN)/bids-harmonize $(DEMO)/bids $(DEMO)/out participant group --resolution 4 --no-tissue \
		--stages classify harmonize evaluate --effort quick --folds 3 --nprocs $(NPROCS)
	@echo
	@echo "Pages: $(abspath $(DEMO)/out/group.html)"
	@echo "       $(abspath $(DEMO)/out)/sub-*.html"

demo-full: $(VENV)/.core $(DEMO)/bids/dataset_description.json ## the same study with everything the app can do
	$(BIN)/bids-harmonize $(DEMO)/bids $(DEMO)/out-full participant group --resolution 4 \
		--nprocs $(NPROCS)
	@echo
	@echo "Pages: $(abspath $(DEMO)/out-full/group.html)"

lint: $(VENV)/.dev ## style, formatting, shell, Dockerfile and CI configuration
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/hadolint Dockerfile
	$(BIN)/shellcheck .ci/run docs/hpc/*.sh docs/hpc/*.sbatch
	$(BIN)/check-jsonschema --builtin-schema vendor.circle-ci .circleci/config.yml

types: $(VENV)/.dev ## static types
	$(BIN)/mypy

layers: $(VENV)/.dev ## who may import whom
	$(BIN)/lint-imports

check: lint types layers ## lint, types and layers

test: check ## the suite without slow, gpu, container and slurm tests
	$(BIN)/pytest -n $(NPROCS) --dist loadfile -m "$(NO_MARKS)"

test-slow: $(VENV)/.dev ## tests that train networks or run whole studies
	$(BIN)/pytest -n $(NPROCS) --dist loadfile -m "slow and not gpu and not container and not slurm"

test-gpu: $(VENV)/.dev ## tests that need a CUDA device
	$(BIN)/pytest -m gpu

image: ## the container image bids-harmonize (ENGINE=podman; IMAGE_ARGS for the build)
	$(ENGINE) build -t $(IMAGE) --build-arg REVISION="$(REVISION)" --build-arg SOURCE="$(SOURCE)" \
		$(IMAGE_ARGS) .

test-container: $(VENV)/.dev ## build the image and run it, an hour (docker or podman; docs/containers.md)
	$(BIN)/pytest -m container

test-slurm: $(VENV)/.dev ## the scripts of docs/hpc (needs a SLURM cluster, or BIDS_HARMONIZE_SLURM_UP)
	$(BIN)/pytest -m slurm

build/tools/.done: requirements/build.txt
	$(PYTHON) -m venv build/tools
	build/tools/bin/python -m pip install --quiet --progress-bar off --no-deps -r $<
	touch $@

package: build/tools/.done ## sdist and wheel in dist/, installed and run in a clean environment
	rm -rf dist build/clean build/tried
	build/tools/bin/python -m hatchling build --directory dist
	$(MAKE) VENV=build/clean build/clean/.torch
	build/clean/bin/python -m pip install --quiet --no-deps -r requirements/core.txt
	build/clean/bin/python -m pip install --quiet --no-deps --no-index dist/*.whl
	mkdir -p build/tried
	cd build/tried && ../clean/bin/bids-harmonize-phantom bids --sites 2 --per-site 1 \
		--travelling 0 --resolution 6 --seed 0
	cd build/tried && ../clean/bin/bids-harmonize bids out participant --resolution 6
	ls build/tried/out/sub-*.html

docs: $(VENV)/.dev ## the documentation as pages in build/site, every link checked
	$(BIN)/mkdocs build --strict --quiet
	@echo "Pages: $(abspath build/site/index.html)"

docs-generated: $(VENV)/.core ## docs/options.md and docs/boutiques.json, from the parser
	$(BIN)/python docs/generate.py

image-file: ## the container image as a file in build/image
	mkdir -p build/image
	$(ENGINE) save $(IMAGE) | gzip -1 > build/image/bids-harmonize.tar.gz

tag-check: ## whether TAG=v<version> is the version of the package and of CITATION.cff
	@version="$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' bids_harmonize/_version.py)"; \
	cited="$$(sed -n 's/^version: *"\{0,1\}\([^"]*\)"\{0,1\}$$/\1/p' CITATION.cff)"; \
	if [ "$(TAG)" != "v$$version" ] || [ "$$cited" != "$$version" ]; then \
		echo "tag $(TAG), package $$version, CITATION.cff $$cited: not the same"; exit 1; fi

publish-image: ## push build/image as REPOSITORY:<version> and REPOSITORY:latest (TAG=v<version>)
	gunzip -c build/image/bids-harmonize.tar.gz | $(ENGINE) load
	for tag in "$(TAG:v%=%)" latest; do \
		$(ENGINE) tag $(IMAGE) "$(REPOSITORY):$$tag" && $(ENGINE) push "$(REPOSITORY):$$tag" || exit 1; \
	done

publish-package: ## upload dist/ to PyPI (TWINE_USERNAME, TWINE_PASSWORD)
	$(PYTHON) -m venv build/publish
	build/publish/bin/python -m pip install --quiet twine==7.0.0
	build/publish/bin/twine upload --non-interactive dist/*

lock: $(VENV)/.dev ## pin anew what is installed (torch apart, see requirements/torch.txt)
	$(PIP) install --quiet pip-tools
	$(BIN)/python requirements/lock.py

licences: $(VENV)/.core ## docs/licences.md, from what the installed packages say
	$(BIN)/python requirements/licences.py

clean: ## remove the virtual environment, the demo and what was built
	rm -rf $(VENV) $(DEMO) build dist
