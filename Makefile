# The only list of commands; `make help` prints it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
# Processes that share the tests of `make test`; each has servers of its own.
PROCESSES ?= 2
# Programs that the acceptance tests run, in virtual environments of their own.
FRAMEWORKS := $(VENV)-frameworks
USUAL_FRAMEWORKS := $(FRAMEWORKS)/usual/.installed
ALL_FRAMEWORKS := $(USUAL_FRAMEWORKS) $(FRAMEWORKS)/others/.installed $(FRAMEWORKS)/arq/.installed

.DEFAULT_GOAL := help
.PHONY: help serve test test-acceptance test-long check format bench docs clean

help:  ## print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

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

$(FRAMEWORKS)/%/.installed: tests/acceptance/frameworks/requirements/%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

serve: $(VENV)/.installed  ## install Rowdis into .venv and run it (ARGS="--port 6380 --database URL")
	@exec $(BIN)/rowdis $(ARGS)

test: $(VENV)/.test $(USUAL_FRAMEWORKS)  ## install what the tests need and run them (ARGS="-k expression")
	sh tests/install-servers.sh
	$(BIN)/python -m tests.services.redis_7_4
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

test-acceptance: $(VENV)/.test $(ALL_FRAMEWORKS)  ## real programs from PyPI and npm against Rowdis, all of them
	sh tests/install-servers.sh
	$(BIN)/python -m tests.services.redis_7_4
	ROWDIS_TEST_ACCEPTANCE=1 $(BIN)/python -m pytest tests/acceptance/frameworks tests/acceptance/node $(ARGS)

test-long: $(VENV)/.test $(ALL_FRAMEWORKS)  ## everything: all combinations, large sizes, long Hypothesis and fault runs
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

clean:  ## remove the virtual environments and all that was installed for tests
	rm -rf $(VENV) $(FRAMEWORKS) tests/acceptance/node/node_modules *.egg-info
