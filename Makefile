# `make` lists the commands. VENV may name an environment that several checkouts share: make test VENV=~/envs/streammon
# (the `streammon` command in it then runs the checkout that installed last; `python -m streammon` always runs this one).

VENV ?= .venv
PYTHON ?= python3
# Flags for a new environment; `--system-site-packages` lets it use a torch that the system has.
VENV_FLAGS ?=
# Arguments for pytest: make test ARGS='-k clock -x'
ARGS ?=
# Processes that run tests side by side, each with a broker of its own: make test JOBS=2
JOBS ?=
# A file stays in one process, for its fixtures; the order is that of tests/conftest.py; a crash ends the run.
SIDE_BY_SIDE := --dist loadfile --no-loadscope-reorder --max-worker-restart 0

BIN := $(VENV)/bin
# The stamp carries the checksum of what decides the installation, so a change of either file installs again.
STAMP := $(VENV)/.streammon-$(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
COMPILED := streammon/__pycache__/.compiled

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format faults fuzz bench mutants seeds docs image clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(COMPILED) ## See drift found: a service, a broker, a worker in one process, half a minute: make demo ARGS='--seed 7'
	$(BIN)/python -m streammon demo $(ARGS)

# What numba compiles it finds on disk ever after, beside the modules; `make clean` removes both.
$(COMPILED): | $(STAMP)
	@echo "compiling the kernels, once"
	@$(BIN)/python -m streammon demo --minutes 10 --kinds none --json --out $(VENV)/.streammon-compiled > /dev/null
	@rm -rf $(VENV)/.streammon-compiled
	@mkdir -p $(@D) && touch $@

install: $(STAMP) ## Make the environment, if needed, and install the pinned packages

$(STAMP):
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV_FLAGS) $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	rm -rf $(VENV)/.streammon-*
	touch $@

test: lint ## Lint, types, walls, then all tests; a real broker if one can be had
	$(BIN)/python -m pytest -m "not faults and not gpu" $(if $(JOBS),-n $(JOBS) $(SIDE_BY_SIDE)) $(ARGS)

lint: $(STAMP) ## Style, format, types and the walls between modules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(STAMP) ## Rewrite the code in the agreed format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

faults: $(STAMP) ## Kill, pause and cut off workers and brokers, over many seeds (slow)
	$(BIN)/python -m pytest -m faults $(ARGS)

seeds: $(STAMP) ## The demo's promise on ten seeds drawn now: each kind of drift raises its own alert and nothing else
	$(BIN)/python -m tests.demo.seeds $(ARGS)

bench: $(STAMP) ## Speed and memory, as ratios of one run: make bench ARGS='--only pipeline'
	$(BIN)/python -m tests.bench $(ARGS)

fuzz: $(STAMP) ## Decode a million damaged records beside a plain reference: make fuzz ARGS='--seed 7 --count 2000000'
	$(BIN)/python -m tests.adapters.fuzz $(ARGS)

mutants: $(STAMP) ## Break the code on purpose: the named test must fail for each patch
	$(BIN)/python tests/mutants/run.py

docs: $(STAMP) ## Write the tables of the documentation that are made from the code
	$(BIN)/python -m tests.docs.generate

image: ## Build the container image with Docker: make image ARGS='--build-arg TORCH=cpu ...' (docs/containers.md)
	docker build -t streammon $(ARGS) .

clean: ## Remove caches and build outputs; the environment and downloaded jars stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	find streammon tests -name __pycache__ -type d -prune -exec rm -rf {} +
