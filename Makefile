# Each target is a thin line over the real tool. PYTHON= chooses the interpreter, PORT= the demo's port;
# PUFF_* variables pass through.
PYTHON ?= python3
PORT ?= 7777
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin

# Rust is built against the venv's Python, and finds that venv's packages when it embeds Python.
export PYO3_PYTHON := $(BIN)/python
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export PUFF_TEST_SITE_DIR ?= $(shell $(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" 2>/dev/null)

# pip says what is wrong, and nothing else.
export PIP_QUIET := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

RUST := Cargo.toml Cargo.lock pyproject.toml $(shell find crates -name '*.rs' -o -name 'Cargo.toml' -o -name '*.py' -o -name '*.in')
FRONTEND := $(shell find frontend -type f -not -path '*/node_modules/*')
CARGO_TEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo "nextest run" || echo "test --all-targets")

.PHONY: help demo build wheel test test-rust test-python test-compat test-pythons compat frameworks peers projects soak docs rustdoc lint format bench clean

help: ## what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

$(VENV)/.tools: pyproject.toml examples/demo/pyproject.toml
	@echo "Creating $(VENV) with the Python packages of the project"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --group dev
	@touch $@

python/puff/playground/dist/index.html: $(FRONTEND) | $(VENV)/.tools
	@echo "Bundling the playground"
	@$(BIN)/python frontend/build.py --venv-python $(BIN)/python
	@touch $@

# The extension module has a target folder of its own: it is linked without libpython, programs with it,
# and one folder for both would build PyO3 and all that follows anew at each turn.
$(VENV)/.package: $(RUST) python/puff/playground/dist/index.html | $(VENV)/.tools
	@echo "Building the package (the first time this compiles everything: some minutes)"
	@$(BIN)/maturin develop --quiet --release --extras embedded --target-dir target/extension
	@$(BIN)/python -m pip install --editable examples/demo
	@touch $@

demo: $(VENV)/.package ## builds, starts private PostgreSQL and Valkey, loads data, serves
	@cd examples/demo && $(BIN)/puff run puff_demo.data.load && exec $(BIN)/puff runserver --bind 127.0.0.1:$(PORT)

build: $(VENV)/.package ## the venv with the package, and the release binaries
	@cargo build --quiet --release --bins
	@scripts/sizes.sh

wheel: python/puff/playground/dist/index.html | $(VENV)/.tools ## a wheel in target/wheels/
	@$(BIN)/maturin build --quiet --release --target-dir target/extension --out target/wheels
	@ls -1 target/wheels/*.whl

docs: $(VENV)/.package ## the documentation site, in target/docs/
	@$(BIN)/sphinx-build -W --keep-going -n -q -b html docs target/docs
	@echo "target/docs/index.html"

rustdoc: $(VENV)/.tools ## the documentation of the crates, in target/doc/
	@cargo doc --quiet --workspace --no-deps
	@echo "target/doc/puff_rs/index.html"

test: test-rust test-python test-compat ## all tests: Rust, Python, whole stack, Django's own on our driver

test-rust: $(VENV)/.package
	@scripts/postgres.sh
	@scripts/pgbouncer.sh
	cargo $(CARGO_TEST) --workspace
	cargo $(CARGO_TEST) --package puff-rs --features otel --lib traces
	cargo test --quiet --workspace --doc

test-python: $(VENV)/.package
	@scripts/browser.sh
	@scripts/nginx.sh
	$(BIN)/pytest -n 2 --dist loadfile

compat: $(VENV)/.package ## Django's own tests on our driver, next to psycopg2; COMPAT=full for all of them
	@tests/compat/run $(or $(COMPAT),core)

soak: $(VENV)/.package ## half an hour of mixed traffic, then 300 stops under load; shows figures
	PUFF_SOAK=$(or $(SOAK),1800) PUFF_SIGTERMS=$(or $(SIGTERMS),150) $(BIN)/pytest -rP \
		tests/test_soak.py tests/test_workers.py::test_stops_under_load_lose_no_request_in_work

frameworks: $(VENV)/.package ## live-server tests of Flask, Werkzeug, Django, waitress on our server
	@tests/frameworks/run $(SUITES)

peers: $(VENV)/.package ## django-redis's and channels_redis's own tests with our cache and channel layer
	@tests/peers/run $(SUITES)

projects: $(VENV)/.package ## Django projects' own tests (guardian, import-export...) on our engine and cache, next to psycopg2
	@tests/projects/run $(SUITES)

# PYTHONS="3.12 debug" chooses; see the script.
test-pythons: python/puff/playground/dist/index.html | $(VENV)/.tools ## the hub's tests on every other Python found
	@$(BIN)/python scripts/pythons.py $(PYTHONS)

test-compat: $(VENV)/.package
	@tests/compat/run dbapi20
	@tests/compat/run core
	@tests/compat/run caches
	@tests/compat/run --host python --engine stock backends.postgresql transactions
	@tests/peers/run
	@tests/projects/run guardian import-export reversion
	@tests/projects/run pytest-django -k test_database

lint: $(VENV)/.package ## formatters, clippy, rustdoc, ruff, mypy, stubs, floors, the playground's scripts
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	cd benches && $(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --mypy-config-file pyproject.toml puff._puff
	$(BIN)/lint-imports
	$(BIN)/python scripts/floors.py
	$(BIN)/python frontend/build.py --venv-python $(BIN)/python --lint

format: $(VENV)/.tools ## formats Rust and Python
	cargo fmt --all
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(VENV)/.tools ## the benchmarks, as ratios against peers in one run
	@benches/run.sh

clean: ## removes what was built; private databases stay
	rm -rf target $(VENV) python/puff/playground/dist
