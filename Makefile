# Every target sets up what it needs. Run `make` for the list.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OUT ?= pumice-demo
DIST ?= dist
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
# Every worker computes on one core, and takes over tests of another one when it has none left.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal
# Options of a make that does several things at once; what each says stays together where make can do that.
SIDE_BY_SIDE := --no-print-directory --jobs=$(JOBS) --keep-going $(if $(filter output-sync,$(.FEATURES)),--output-sync)

.PHONY: help
help: ## print this list
	@grep -E '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{ printf "  make %-10s %s\n", $$1, $$2 }'

.PHONY: setup
setup: $(READY) ## create .venv with everything, the command included

$(READY): pyproject.toml constraints.txt Makefile scripts/find-python
	@python="$$(scripts/find-python)"; \
	echo "setting up $(VENV) with $$python ($$($$python --version))"; \
	if [ -x $(BIN)/python ] && ! $(BIN)/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then rm -rf $(VENV); fi; \
	[ -x $(BIN)/python ] || "$$python" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps --ignore-requires-python lava-nc==0.10.0
	@touch $(READY)

.PHONY: demo
demo: $(READY) ## train, prune, compile, run on Lava and compare, on real digits (OUT=folder)
	$(BIN)/pumice demo -o $(OUT)

.PHONY: test
test: $(READY) ## run the quick tests, on JOBS cores (minutes)
	$(PYTEST) -m "not slow and not long and not bench and not frameworks"

.PHONY: slow
slow: $(READY) ## the slow tests: demo, examples, pages and tutorials, small disks, random graphs on Lava (minutes)
	$(PYTEST) -m "slow and not long"

.PHONY: nightly
nightly: $(READY) ## what takes long: sweeps that are killed, random graphs on every target by the hundred (long)
	$(PYTEST) -m "long"

.PHONY: frameworks
frameworks: peers ## networks of other frameworks, in and out, with their own exporters and importers
	$(PYTEST) -m frameworks tests/frameworks

.PHONY: fuzz
MUTANTS ?= 6000
fuzz: $(READY) ## damaged files of every format are read or refused (MUTANTS=100000 for a long run)
	PUMICE_MUTANTS=$(MUTANTS) $(PYTEST) -p no:randomly --dist load tests/fuzz

.PHONY: attack
ATTACKS ?= 1
attack: $(READY) ## every promise of docs/promises.md attacked: files, signals, limits (half an hour; ATTACKS=4 for more)
	$(BIN)/python -m tests.attack --size $(ATTACKS)

.PHONY: check
check: $(READY) ## format, lint, types, import arrows, architecture tests
	@$(MAKE) $(SIDE_BY_SIDE) check-types check-test-types check-form check-arrows check-architecture

.PHONY: check-form check-types check-test-types check-arrows check-architecture
check-form: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

check-types: $(READY)
	$(BIN)/pyright

check-test-types: $(READY)
	$(BIN)/pyright -p tests

check-arrows: $(READY)
	$(BIN)/lint-imports --no-cache

check-architecture: $(READY)
	$(BIN)/python -m pytest -q tests/architecture

.PHONY: parity
parity: $(READY) ## hundreds of random graphs: reference == emulator == Lava (long)
	$(BIN)/python -m pytest -m long tests/parity

.PHONY: neurons
neurons: $(READY) ## random graphs of every neuron, 504 on Lava and 2,000 on ONNX: == reference (an hour)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.parity.neuron_sweep lava 504
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.parity.neuron_sweep onnx 2000

.PHONY: hashseeds
SEEDS ?= 0 1 2
hashseeds: $(READY) ## the tests under three seeds of Python's hashes, in one order: no message or result may change (long)
	for seed in $(SEEDS); do PYTHONHASHSEED=$$seed $(BIN)/python -m pytest -q -p no:randomly -m "not long and not bench and not frameworks"; done

.PHONY: pythons
PYTHONS ?= 3.11 3.12 3.13
pythons: ## check and test with each Python of 3.11, 3.12 and 3.13, in an environment of its own (long)
	@for version in $(PYTHONS); do \
	  scripts/find-python $$version >/dev/null || { echo "PYTHONS=\"3.11 3.13\" asks for those alone" >&2; exit 1; }; \
	done
	for version in $(PYTHONS); do \
	  $(MAKE) --no-print-directory VENV=.venv-$$version PYTHON="$$(scripts/find-python $$version)" check test slow; \
	done

.PHONY: sweep
GRAPHS ?= 20000
sweep: $(READY) ## random graphs of any geometry on the emulator, 20,000 of each kind, in child processes (long)
	for kind in wide-images images integers reals; do $(BIN)/python -m tests.parity.sweep $$kind $(GRAPHS); done

.PHONY: nir-sweep
nir-sweep: $(READY) ## 10,000 random NIR graphs against their equations in NumPy (a quarter of an hour)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.parity.nir_sweep 10000


.PHONY: netx-sweep
FILES ?= 1000
netx-sweep: peers ## random netx files against Lava-DL's reader and Lava's models (FILES=1000; a quarter of an hour)
	$(BIN)/python -m tests.frameworks.netx_sweep $(FILES)

# Options of a study, such as STUDY="--task digits --workers 4".
STUDY ?=

.PHONY: lnp-study
lnp-study: $(READY) ## pruning against its baselines, many seeds, into docs/studies/lnp.md (hours)
	$(BIN)/python experiments/lnp_study.py $(STUDY)
	$(BIN)/python experiments/lnp_tables.py

.PHONY: lnp-budget-study
lnp-budget-study: $(READY) ## the same at equal budgets, into docs/studies/lnp.md (a day of one core, resumed)
	$(BIN)/python experiments/lnp_budget_study.py $(STUDY)
	$(BIN)/python experiments/lnp_tables.py

.PHONY: sca-study
sca-study: $(READY) ## channel pruning against its controls, several seeds, into docs/studies/sca.md (2 hours)
	$(BIN)/python experiments/sca_study.py $(STUDY)
	$(BIN)/python experiments/sca_tables.py

.PHONY: demo-study
demo-study: $(READY) ## the demo over seeds, threads and splits, into docs/studies/demo.md (20 minutes of a quiet machine)
	$(BIN)/python experiments/demo_study.py --workers 1 $(STUDY)

.PHONY: chip-study
chip-study: $(READY) ## what pruning saves on a chip and what sharing profiles costs, into docs/studies/chips.md (a quarter of an hour)
	$(BIN)/python experiments/chip_study.py $(STUDY)

.PHONY: fidelity-study
fidelity-study: $(READY) ## what quantization costs and what mends it, into docs/studies/fidelity.md (an hour)
	$(BIN)/python experiments/fidelity_study.py $(STUDY)
	$(BIN)/python experiments/fidelity_tables.py

.PHONY: nir-study
nir-study: $(READY) ## the tasks of the NIR paper in float, integers and Lava, into docs/studies/nir.md (minutes; PUMICE_DATA names the files)
	$(BIN)/python experiments/nir_study.py $(STUDY)

.PHONY: neurons-study
neurons-study: $(READY) ## learnt time constants, adaptation and subtraction against the plain LIF, into docs/studies/neurons.md (20 minutes)
	$(BIN)/python experiments/neurons_study.py $(STUDY)
	$(BIN)/python experiments/neurons_tables.py

.PHONY: rates-study
rates-study: $(READY) ## classifiers of pictures as rates, float and integers, into docs/studies/rates.md (half an hour; PUMICE_DATA names the files)
	$(BIN)/python experiments/rates_study.py $(STUDY)

.PHONY: fit-study
fit-study: $(READY) ## prune to fit against that size from scratch, into docs/studies/fit.md (hours; PUMICE_DATA names the files)
	$(BIN)/python experiments/fit_study.py $(STUDY)

.PHONY: sparse-study
sparse-study: $(READY) ## sparse training against chance, into docs/studies/sparse.md (three hours; PUMICE_DATA names the files)
	$(BIN)/python experiments/sparse_study.py $(STUDY)
	$(BIN)/python experiments/sparse_tables.py

.PHONY: conv-study
conv-study: $(READY) ## sparse convolutional networks against whole ones, into docs/studies/sparse-convolutions.md (hours; PUMICE_DATA names the files)
	$(BIN)/python experiments/conv_study.py $(STUDY)

.PHONY: tasks-study
tasks-study: $(READY) ## real tasks in float, pruned, integers and Lava, into docs/studies/real-tasks.md (hours, resumed; PUMICE_DATA names the files)
	$(BIN)/python experiments/tasks_study.py $(STUDY)

.PHONY: figures
figures: $(READY) ## two points of every study measured again, into docs/studies/again.md (half an hour; PUMICE_DATA names the files)
	$(BIN)/python experiments/again.py $(STUDY)

.PHONY: endurance
endurance: $(READY) ## 2,000 simulations on Lava in one process: nothing may be left behind (40 minutes)
	$(BIN)/python -m pytest -s -m long tests/targets/lava

.PHONY: memory
memory: $(READY) ## the memory of comparing and recording up to 50,000 pictures (half an hour)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -s -m long tests/benchmarks/test_memory.py

.PHONY: bench
bench: $(READY) ## time everything; then Pumice, Lava and other libraries side by side, running and training (two hours)
	$(BIN)/python -m pytest -m bench tests/benchmarks --benchmark-only -p no:randomly
	$(BIN)/python -m tests.benchmarks.side_by_side
	$(BIN)/python -m tests.benchmarks.training
	$(BIN)/python -m tests.benchmarks.demo_training

.PHONY: firmware
DEMO ?= pumice-demo
firmware: $(READY) ## flash, RAM and instructions of the demo's network as C, emulated, into targets/README.md (DEMO=folder; minutes)
	[ -d $(DEMO)/run ] || OMP_NUM_THREADS=1 $(BIN)/pumice demo -o $(DEMO)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.firmware $(DEMO)

.PHONY: boards
boards: $(READY) fpga-tools ## the demo's network on boards: LUTs, highest clock, cycles, into targets/rtl/fpga/README.md (DEMO=folder; a quarter of an hour)
	[ -d $(DEMO)/run ] || OMP_NUM_THREADS=1 $(BIN)/pumice demo -o $(DEMO)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.boards "digits, pruned=$(DEMO)/build" $(BOARDS)

.PHONY: fpga-tools
fpga-tools: $(READY) ## install Yosys and nextpnr as WebAssembly, which `make boards` needs
	$(BIN)/python -m pip install --quiet --editable '.[fpga]'

.PHONY: rtl-proof
rtl-proof: $(READY) ## every decay of every value in Verilog, by two processes (20 minutes), and neurons by a solver
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -p no:randomly -m "slow or long" tests/targets/rtl/test_decay.py tests/targets/rtl/test_neuron_proof.py

.PHONY: c-sweep
c-sweep: $(READY) ## 2,000 random graphs as C with every warning and sanitizer, 200 on emulated processors, and cppcheck (hours)
	for kind in networks images; do $(BIN)/python -m tests.parity.c_sweep $$kind 1000 --sanitized; $(BIN)/python -m tests.parity.c_sweep $$kind 100 --compiler clang; \
	for machine in cortex-m4 riscv32; do $(BIN)/python -m tests.parity.c_sweep $$kind 50 --on $$machine; done; $(BIN)/python -m tests.parity.c_sweep $$kind 100 --cppcheck; done

.PHONY: rtl-sweep
rtl-sweep: $(READY) ## 1,000 random graphs on the simulated core with 1, 2 and 8 lanes, and 50 in Icarus, all streams stalling (an hour)
	for kind in networks images; do for lanes in 1 2 8; do $(BIN)/python -m tests.parity.rtl_sweep $$kind 500 --lanes $$lanes || exit 1; done; \
	$(BIN)/python -m tests.parity.rtl_sweep $$kind 25 --lanes 8 --simulator iverilog --exact || exit 1; done

.PHONY: peers
peers: $(READY) ## install the other frameworks that `make frameworks` and `make bench` compare with
	$(BIN)/python -m pip install --quiet --no-deps -r tests/peers.txt
	[ -f $(VENV)/peers/lava_dl-0.6.0-py3-none-any.whl ] || $(BIN)/python -m pip download --quiet --no-deps --ignore-requires-python --dest $(VENV)/peers lava-dl==0.6.0

.PHONY: docs docs-site docs-tutorials
docs: $(READY) ## the documentation as a site in docs/_build, warnings as errors, and its tutorials run whole
	@$(MAKE) $(SIDE_BY_SIDE) docs-site docs-tutorials

docs-site: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -b html docs docs/_build

docs-tutorials: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m long tests/docs

.PHONY: dist-check
dist-check: ## sdist and wheel, built, installed in a clean environment and used from an empty folder (minutes; DIST=folder)
	scripts/check-dist $(DIST)

.PHONY: golden
golden: $(READY) ## rewrite golden texts and the fidelity baseline; review the diff
	PUMICE_GOLDEN=1 $(BIN)/python -m pytest -q tests/golden
	$(BIN)/python -m pytest -q tests/fidelity --pumice-update

.PHONY: fmt
fmt: $(READY) ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: clean
clean: ## remove what the targets above made
	rm -rf $(VENV) $(OUT) docs/_build docs/_figures .pytest_cache .ruff_cache .hypothesis .benchmarks .coverage
	find toolchain targets tests examples -name __pycache__ -type d -prune -exec rm -rf {} +
