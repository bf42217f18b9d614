# Everything a developer or an operator types here. `make help` lists it.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
WORKERS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run install test test-fast check format bench docs revision constraints clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' \
		| while IFS='|' read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

run: .venv/run ## Start the demo on http://127.0.0.1:8000 (PORT=… moves it)
	@$(BIN)/statuspage demo --port $(PORT) || test $$? -eq 130 # Ctrl-C is how one leaves

install: .venv/test ## Install everything, the tests' tools and system packages included
	@deploy/system-packages

test: install ## Run all tests, the fast ones first (WORKERS=… at once)
	@$(BIN)/pytest --quiet --numprocesses $(WORKERS) --dist loadgroup

test-fast: .venv/test ## Run the tests that need neither PostgreSQL nor a browser
	@$(BIN)/pytest --quiet --numprocesses $(WORKERS) --dist loadgroup -m "not postgres and not browser and not slow"

check: .venv/test ## Format, lint, types and import contracts
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted; run: make format" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/test ## Format the code and put the imports in order
	@$(BIN)/ruff check --quiet --select I --fix .
	@$(BIN)/ruff format .

bench: install ## Measure; one JSON line per figure (ONLY=live runs that one)
	@$(BIN)/python -m tests.bench $(ONLY)

docs: .venv/test ## Write docs/configuration.md, docs/commands.md and the list in docs/management-api.md from the program
	@$(BIN)/python -m tests.documentation

revision: .venv/test ## Write the next migration from the tables (MESSAGE="why")
	@$(BIN)/python -m tests.revision "$(MESSAGE)"

constraints: .venv/test ## Pin the versions that are installed in .venv
	@$(BIN)/python -m pip --disable-pip-version-check list --format freeze --exclude-editable --exclude pip --exclude setuptools \
		| LC_ALL=C sort --ignore-case > constraints.txt
	@touch .venv/run .venv/test
	@echo "constraints.txt: $$(wc -l < constraints.txt) versions"

clean: ## Remove what was built; the demo's data in .demo stays
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than Python 3.11; name another one with PYTHON=…" >&2; exit 1; }
	@echo "Making a virtual environment in .venv" >&2
	@$(PYTHON) -m venv .venv \
		|| { rm -rf .venv; echo "Making it failed; on Debian install the package python3-venv" >&2; exit 1; }

# Stamps, so that nothing is installed twice. What the tests need includes what running needs.
.venv/run: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing statuspage into .venv" >&2
	@$(PIP) --editable .
	@touch $@

.venv/test: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing statuspage and the tests' tools into .venv" >&2
	@$(PIP) --editable '.[test]'
	@touch .venv/run $@
