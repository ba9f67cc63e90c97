# The two commands of the README; both do all the set-up on a fresh machine.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test bench lint format types clean

demo: .venv/demo
	$(BIN)/ensuite compare classify memory --models rnn,lstm,gru --budget 12s --total 4m --seeds 3

test: .venv/dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2  # a thread each: two processes share two cores

bench: .venv/dev .venv-bench/ready
	$(BIN)/python -m benchmarks.layers
	$(BIN)/python -m benchmarks.train
	$(BIN)/python -m benchmarks.autoencoder
	$(BIN)/python -m benchmarks.dense
	$(BIN)/python -m benchmarks.language_model
	$(BIN)/python -m benchmarks.pretrain
	$(BIN)/python -m benchmarks.translate
	$(BIN)/python -m benchmarks.forecast
	$(BIN)/python -m benchmarks.encoder
	$(BIN)/python -m benchmarks.stream

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

.venv-bench/ready: benchmarks/constraints.txt
	test -d .venv-bench || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install -q --disable-pip-version-check -c benchmarks/constraints.txt keras tensorflow-cpu
	touch $@

clean:
	rm -rf .venv .venv-bench runs
