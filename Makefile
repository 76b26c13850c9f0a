# Every target starts from nothing and can be run again at once.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Some images forbid Python to keep what it has compiled: each start would compile all libraries anew, for seconds.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3)
OUT ?= out/demo
UV := VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --constraint requirements.txt --build-constraint requirements.txt
LOCK := uv pip compile pyproject.toml --extra all --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

.PHONY: help demo test lint types bench lock audit clean install install-all kafka kafka-jars spark-jars

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/uv.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || \
	  { echo "Project01 needs Python 3.11; found: $$($(PYTHON) --version 2>&1 || echo none). Install it, or pass PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "Could not make $(VENV). On Debian: apt-get install python3.11-venv"; exit 2; }
	@grep -A 60 -E '^uv==' requirements.txt | awk 'NR > 1 && /^[a-z]/ {exit} {print}' > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	@touch $@

$(VENV)/core.stamp: $(VENV)/uv.stamp pyproject.toml requirements.txt
	@echo "Installing the core ..."
	@$(UV) --editable .
	@touch $@

$(VENV)/all.stamp: $(VENV)/core.stamp
	@echo "Installing everything (about 11 GB) ..."
	@$(UV) --editable '.[all]'
	@touch $@

install: $(VENV)/core.stamp ## virtualenv with the core

install-all: $(VENV)/all.stamp ## virtualenv with every extra

demo: $(VENV)/core.stamp ## set up and run the main job on real sample prices
	@$(BIN)/project01 demo --out $(OUT)

# More workers than cores: many tests wait for a server, a clock or a disk.
test: lint types ## set up and run everything: lint, types, all tests
	$(BIN)/python -m pytest -n 3

lint: $(VENV)/all.stamp ## ruff and bandit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit --quiet --recursive src --configfile pyproject.toml

types: $(VENV)/all.stamp ## strict mypy
	$(BIN)/mypy

bench: $(VENV)/all.stamp ## every benchmark, printed
	@for script in $(filter-out %_peer.py %_fused.py %_libraries.py,$(wildcard benchmarks/*.py)); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

kafka: ## a real Kafka broker on 127.0.0.1:9092, from Java alone
	@$(PYTHON) -m infra.kafka.broker run

kafka-jars: ## fetch the broker's jars through Maven
	@$(PYTHON) -m infra.maven kafka

spark-jars: ## fetch Spark's Kafka and Delta jars through Maven
	@$(PYTHON) -m infra.maven spark

lock: $(VENV)/core.stamp ## renew requirements.txt from pyproject.toml, keeping pins that still fit
	$(BIN)/$(LOCK) --output-file requirements.txt >/dev/null

audit: $(VENV)/all.stamp ## known advisories against the lock
	$(BIN)/pip-audit --requirement requirements.txt --disable-pip --require-hashes

clean: ## remove the virtualenv, caches and demo output
	rm -rf $(VENV) out .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
