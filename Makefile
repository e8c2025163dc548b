# Each target sets up what it needs: an environment of its own in .venv, made again when setup.cfg changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FLOORS := .venv-floors
MEASURED := .venv-bench
OLDEST := $(firstword $(foreach python,python3.10 $(PYTHON),$(shell $(python) -c 'import sys; print(sys.executable)' 2>/dev/null)))

MINUTES ?= 10
EVENTS ?= 1000000
LIVES ?= 320
STREAM ?= 50000
PYTHONS ?= 3.10 3.11 3.12 3.13
.PHONY: help demo test soak soak-export kills bench bench-quick bench-live peers floors man dist lint format clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV)/.kwatch  ## kwatch's live table, watching a rollout in an API server inside the same process
	@echo 'kwatch demo: a Deployment rolls over, in an API server inside this process; on a terminal Ctrl-C ends it.'
	@if [ -t 1 ]; then $(BIN)/kwatch demo; code=$$?; [ $$code -eq 130 ] || exit $$code; \
	else $(BIN)/kwatch demo --duration 20s; fi

test: lint  ## lint, format check, types, and all tests
	@echo 'Running all tests.'
	$(BIN)/python -m pytest -n auto --dist worksteal

soak: $(VENV)/.dev  ## the model test with ever new histories, for MINUTES=10
	@echo 'Random histories against random faults, for $(MINUTES) minutes.'
	@end=$$(($$(date +%s) + $(MINUTES) * 60)); round=1; while [ $$(date +%s) -lt $$end ]; do \
	  echo "round $$round"; round=$$((round + 1)); \
	  KWATCH_TEST_HISTORIES=5000 $(BIN)/python -m pytest -q tests/model --hypothesis-seed=random || exit 1; done

soak-export: $(VENV)/.dev  ## an export of EVENTS=1000000 through rotation and restarts, equal to the server's history
	@echo 'Exporting $(EVENTS) events through rotation and restarts.'
	KWATCH_TEST_EVENTS=$(EVENTS) $(BIN)/python -m pytest -q -s -n 0 tests/export/test_soak.py

kills: $(VENV)/.dev  ## an export killed LIVES=320 times at its writes, syncs, renames and commits
	@echo 'Killing exports, $(LIVES) times in each test.'
	KWATCH_TEST_LIVES=$(LIVES) $(BIN)/python -m pytest -q -s -n 0 tests/export/test_crashes.py

bench: $(MEASURED)/.kwatch  ## what kwatch costs, beside kubectl, the Python clients and a bare loop; STREAM=50000 events
	@echo 'Measuring; a machine that does nothing else gives the best figures.'
	$(MEASURED)/bin/python tests/bench --events $(STREAM) --output tests/bench/results

bench-quick: $(MEASURED)/.kwatch  ## the same with a tenth of the events, one run each
	$(MEASURED)/bin/python tests/bench --quick

peers: $(MEASURED)/.kwatch  ## what kwatch, kubectl and the Python client do when a watch breaks, in half a minute
	$(MEASURED)/bin/python tests/bench/peers.py

bench-live: $(VENV)/.dev  ## what the live table costs, beside kubectl
	$(BIN)/python tests/bench/live.py

lint: $(VENV)/.dev  ## lint, format check and types alone
	@echo 'Checking lint, format and types.'
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

floors:  ## the tests with the oldest versions of the libraries that setup.cfg allows, on the oldest Python there is
	@echo 'Running the tests with the oldest libraries that setup.cfg allows, on $(OLDEST).'
	$(OLDEST) -m venv $(FLOORS)
	$(FLOORS)/bin/python -m pip install --quiet --constraint tests/floors.txt --editable '.[test]'
	$(FLOORS)/bin/python -m pytest -q -n auto --dist worksteal

man: $(VENV)/.dev  ## the man pages, out of the command line and tests/manual/text
	@echo 'Writing man/.'
	$(BIN)/python tests/manual/pages.py man

dist: $(VENV)/.dev  ## sdist and wheel in dist, the wheel tried in a fresh environment of each Python that there is
	@echo 'Building and trying the packages.'
	rm -rf dist build
	$(BIN)/python -m build --no-isolation > /dev/null
	$(BIN)/twine check --strict dist/*
	@for version in $(PYTHONS); do \
	  python=$$(python$$version -c 'import sys; print(sys.executable)' 2>/dev/null) || { echo "No Python $$version: not tried."; continue; }; \
	  rm -rf dist/fresh; $$python -m venv dist/fresh && dist/fresh/bin/pip install --quiet dist/*.whl && \
	  echo "Python $$version: $$(dist/fresh/bin/kwatch --version)," \
	    "$$(dist/fresh/bin/kwatch demo --duration 2s -o name | wc -l) events of a demo," \
	    "$$(find dist/fresh/share -type f | wc -l) files in share" && \
	  dist/fresh/bin/python -m kwatch demo --duration 2s -o name | grep -q ^pod/ || exit 1; \
	done; rm -rf dist/fresh build

format: $(VENV)/.dev  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove what the other targets made
	rm -rf $(VENV) $(FLOORS) $(MEASURED) build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.kwatch: setup.cfg
	@echo 'Setting up $(VENV) with kwatch.'
	@$(PYTHON) -c 'import sys; sys.exit("kwatch needs Python 3.10 or newer; name one with make PYTHON=...") if sys.version_info < (3, 10) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.kwatch
	@echo 'Adding the tools for tests and checks to $(VENV).'
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

# Not editable: the finder of an editable install would be a third of what `kwatch --version` takes.
$(MEASURED)/.kwatch: setup.cfg $(shell find kwatch -name '*.py')
	@echo 'Setting up $(MEASURED) with kwatch and its peers.'
	@test -d $(MEASURED) || $(PYTHON) -m venv $(MEASURED)
	$(MEASURED)/bin/python -m pip install --quiet '.[bench]'
	@touch $@
