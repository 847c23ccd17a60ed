# The two commands of a first visit are `make bench` and `make test`; both set up .venv themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Kept through every install, so that no other package's requirement replaces torch by another build.
TORCH ?= torch==2.13.0
STAMP := $(VENV)/.installed

.PHONY: setup bench test contract contract-all lint types check benchmarks simulations verdicts pairing mutants gpu gpu-wheels clean help

help:            ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/'

$(STAMP): pyproject.toml hatch_build.py $(wildcard backends/*/requirements.txt)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	printf '%s\n' "$(TORCH)" > $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet --constraint $(VENV)/constraints.txt --editable '.[cpu,dev]'
	touch $(STAMP)

setup: $(STAMP)  ## .venv with everything the CPU suites and the tests need

bench: setup     ## the quick suite on this machine's CPU, and results/report.html
	$(BIN)/bakeoff run quick --report results/report.html

test: setup      ## all tests
	$(BIN)/python -m pytest -q --numprocesses 2 --dist loadfile tests/unit tests/contract
	$(BIN)/python -m pytest -q tests/e2e

contract: setup  ## the contract of runtimes in environments of their own, which it makes (4 GB)
	$(BIN)/python -m tests.contract.environments
	$(BIN)/python -m pytest -q tests/contract/test_environments.py

RESULTS := results/contract
contract-all: setup  ## the contract over every backend and variant, each in its environment; writes docs/contract.md
	$(BIN)/python -m tests.contract.environments --all
	rm -rf $(RESULTS)
	CONTRACT_RESULTS=$(RESULTS) $(BIN)/python -m pytest -q -m "heavy or not heavy" \
		--junitxml=$(RESULTS)/here.xml tests/contract
	$(BIN)/python -m tests.contract.table $(RESULTS) > $(RESULTS)/contract.md
	mv $(RESULTS)/contract.md docs/contract.md

lint: setup      ## ruff, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup     ## mypy, strict
	$(BIN)/mypy

check: lint types test  ## all that CI checks but the wheel

benchmarks: setup  ## bakeoff's own speed; prints figures, asserts nothing
	$(BIN)/python -m benchmarks

simulations: setup  ## the rules of statistics at work, as docs/method.md shows them
	$(BIN)/python -m benchmarks.simulations

verdicts: setup  ## how often `bakeoff ab` is wrong here: about two hours; what is there is not measured again
	$(BIN)/python -m benchmarks.verdicts results/verdicts

pairing: setup   ## what taking turns is worth here: about a quarter of an hour
	$(BIN)/python -m benchmarks pairing

mutants: setup   ## changes each line of what makes a verdict, and lists the changes that no test notices
	$(BIN)/python -m pip install --quiet --constraint $(VENV)/constraints.txt mutmut==3.8.1
	$(BIN)/mutmut run --max-children 2
	$(BIN)/mutmut results

# On the machine with the GPU: its own Python, which has PyTorch; nothing is installed, nothing is fetched.
GPU_PYTHON ?= python3
gpu:             ## what only runs where a GPU is, from a bare checkout; PART=k/n for a part of eight minutes
	$(GPU_PYTHON) -m benchmarks.gpu $(if $(PART),--part $(PART))

GPU_VERSION ?= 3.12
gpu-wheels:      ## wheels/ for a GPU machine without a network: what bakeoff imports and a PyTorch image lacks
	$(PYTHON) -m pip download --quiet --only-binary=:all: --python-version $(GPU_VERSION) \
		--platform manylinux2014_x86_64 --dest wheels pydantic platformdirs nvidia-ml-py
	$(PYTHON) -m pip download --quiet --no-deps --dest wheels flatbuffers \
		$$(grep -h ^torchax backends/formats/to-stablehlo.txt)

clean:           ## .venv and caches of the tools; results stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache mutants dist
