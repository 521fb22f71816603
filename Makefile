# Thin: every target is one line of tutseg, pytest or ruff. `make` lists them.
PYTHON ?= python3
BIN := .venv/bin
export PYTHONHASHSEED := 0

.DEFAULT_GOAL := help
.PHONY: help setup book test test-slow lint labs lab bench gpu-first lock clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.done ## install the pinned environment into .venv (CPU=1: the CPU-only build of torch)

.venv/.done: requirements.lock pyproject.toml
	@echo "tutseg: making .venv with the pinned packages (a few minutes the first time)"
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tutseg needs Python 3.11 or newer: make setup PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
ifdef CPU
	grep -vE '^(nvidia-|triton|cuda-)' requirements.lock > .venv/cpu.lock
	$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python --torch-backend cpu --requirements .venv/cpu.lock
else
	$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python --requirements requirements.lock
endif
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

book: setup ## execute every chapter on the embedded data and render the book
	$(BIN)/tutseg book

test: setup ## the fast test suite
	$(BIN)/python -m pytest -n auto

test-slow: setup ## the tests that take minutes: killed grids, a rendered book, a browser
	$(BIN)/python -m pytest -m slow -o addopts="-q --strict-markers"

lint: setup ## style, formatting, pairs of notebooks, typed results
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -c 'import sys; from tutseg.workflow.notebooks import check_pairs; sys.exit("\n".join(check_pairs()) or 0)'
	$(BIN)/python -c 'import sys; from tutseg.workflow.prose import check_prose; sys.exit("\n".join(check_prose()) or 0)'

labs: setup ## the labs for a class: notebooks, solutions, the teacher's sheet, a bundle for a room without network
	$(BIN)/tutseg labs build
	$(BIN)/tutseg labs check
	rm -rf labs/bundle
	$(BIN)/tutseg labs bundle

lab: setup ## JupyterLab in labs/
	$(BIN)/tutseg labs build
	$(BIN)/jupyter lab --notebook-dir labs --LabApp.default_url=/lab/tree/student

bench: setup ## ratios of speed, measured in one run
	$(BIN)/python benchmarks/run.py

MINUTES ?= 12
gpu-first: setup ## what a GPU is wanted for first, until MINUTES=12 are over; the same command goes on
	$(BIN)/python tools/gpu_first.py $(MINUTES)

lock: setup ## refresh requirements.lock and environment.yml from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --all-extras --no-emit-index-url --no-annotate --no-header pyproject.toml -o requirements.lock
	$(BIN)/python tools/environment.py

clean: ## remove what was built (keeps .venv and runs/)
	rm -rf _build build dist .pytest_cache .ruff_cache
