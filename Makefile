# make run: set up and run the main experiment. make test: set up and check. Needs Python 3.11 or later with venv, and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-slow lint .venv clean

run: .venv
	$(BIN)/capital-loop

# Fixtures of a module are made once: loadscope keeps its tests in one process.
test: lint
	$(BIN)/pytest -q -n auto --dist loadscope

test-slow: .venv
	$(BIN)/pytest -q -m slow -n auto --dist loadscope

lint: .venv
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv: .venv/installed

# An old pip can't resolve this set, so it goes first. The stamp is renewed when dependencies change.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("capital-loop needs Python 3.11 or later, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
