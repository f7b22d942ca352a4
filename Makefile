# The only list of commands; `make help` prints it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help serve test test-long check format bench docs clean

help:  ## print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

$(VENV)/.check: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,check]'
	touch $@

serve: $(VENV)/.installed  ## install Rowdis into .venv and run it (ARGS="--port 6380 --database URL")
	@exec $(BIN)/rowdis $(ARGS)

test: $(VENV)/.test  ## install what the tests need and run them (ARGS="-k expression")
	sh tests/install-servers.sh
	$(BIN)/python -m tests.services.redis_7_4
	$(BIN)/python -m pytest $(ARGS)

test-long: $(VENV)/.test  ## everything: all combinations, large sizes, long Hypothesis and fault runs
	sh tests/install-servers.sh
	$(BIN)/python -m tests.services.redis_7_4
	ROWDIS_TEST_LONG=1 $(BIN)/python -m pytest --everything $(ARGS)

check: $(VENV)/.check  ## format, lint, types, imports, spelling
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

format: $(VENV)/.check  ## let ruff mend what it can
	$(BIN)/ruff check --fix .

bench: $(VENV)/.test  ## measure against redis-server and write docs/performance.md (ARGS="--quick")
	sh tests/install-servers.sh
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/.installed  ## write the generated pages anew
	$(BIN)/python -m server.directives_page > docs/configuration.md
	$(BIN)/python -m server.commands_page > docs/commands.md

clean:  ## remove the virtual environment
	rm -rf $(VENV) *.egg-info
