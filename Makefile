# Two commands on a fresh machine: `make search` and `make test`. Each installs what it needs into .venv.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
FIRE := tests/nas/fire tests/nas/durability tests/nas/executors tests/nas/test_disk_room.py tests/nas/test_journal.py \
	tests/nas/test_search_loop.py tests/nas/test_tune_searcher.py tests/nas/test_tune_tuner.py \
	tests/controllers/test_optuna_sampler.py tests/test_security.py tests/test_security_ray.py
# Benchmarks are checked for calls that no longer exist, not for the last word on types: nothing runs them every day.
LOOSE := arg-type assignment attr-defined method-assign no-untyped-call return-value unused-ignore

.PHONY: search test test-slow fire check lint types bench clean

search: .venv/.installed ## search the NASNet space on the embedded digits; ends with where the result page lies
	$(BIN)/nas search --space nasnet --data digits --trials 24 --executor ray

test: .venv/.installed-dev ## the test suite but its slow part
	$(BIN)/pytest -n 2 --dist loadfile

test-slow: .venv/.installed-dev ## the tests that take minutes: kills and resumes, statistics over many seeds
	$(BIN)/pytest -n 2 --dist loadfile -m slow --timeout 1800

fire: .venv/.installed-dev ## kills, lost nodes, failures, damaged files and hostile input, with the figures they found
	$(BIN)/pytest -m "slow or not slow" -rP --timeout 1800 $(FIRE)
	$(BIN)/python tests/benchmarks/bench_executor.py

check: lint types test ## what CI runs

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed-dev
	$(BIN)/mypy
	$(BIN)/mypy tests/benchmarks $(foreach code,$(LOOSE),--disable-error-code $(code))

bench: .venv/.installed-dev ## timings; printed, never asserted
	for file in tests/benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache

.venv/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@echo "installing into .venv (several GB with torch; a few minutes the first time)"
	$(PIP) --editable .
	touch $@

.venv/.installed-dev: .venv/.installed
	$(PIP) --editable '.[dev]'
	touch $@
