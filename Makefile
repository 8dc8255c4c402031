# From a fresh clone, with only Python 3.11+ and make: `make demo` shows the main job, `make test` checks everything.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.DEFAULT_GOAL := help
.PHONY: help install demo test lint docs format clean

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

install: $(STAMP)  ## make .venv with the tested versions

# torch for Linux comes with GPU libraries from the default index; without a GPU, point TORCH_INDEX to PyTorch's index of
# CPU wheels (see pytorch.org, "Get started") and a tenth of it is fetched: make demo TORCH_INDEX=URL
TORCH_INDEX ?=
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "upbringing needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/it"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once; a few minutes) …"
	@test -z "$(TORCH_INDEX)" || $(BIN)/python -m pip install -q --no-deps -c constraints.txt --index-url "$(TORCH_INDEX)" torch
	@$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

demo: install  ## measure the shipped organism, teach it to cheat, measure again; says where the page is
	@$(BIN)/upbringing demo --out runs/demo

test: lint  ## lint, types, and the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: install  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy

docs: install  ## build the documentation into site/, and run every block of code in it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python scripts/run_docs.py $(if $(DOCS_HOME),--home $(DOCS_HOME))

format: install  ## let ruff rewrite the code's layout
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove what make made (not ~/.cache/upbringing)
	rm -rf $(VENV) runs site build dist .mypy_cache .ruff_cache .pytest_cache
