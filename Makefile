# The two commands of the README; both do all the set-up on a fresh machine.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint format types clean

demo: .venv/demo
	$(BIN)/ensuite compare classify memory --models rnn,lstm,gru --budget 12s --seeds 3

test: .venv/dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2  # a thread each: two processes share two cores

lint: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/dev
	$(BIN)/mypy

format: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/demo: pyproject.toml constraints.txt
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/dev: .venv/demo
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv runs
