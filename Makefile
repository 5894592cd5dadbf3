# make help lists the targets. Options: TORCH=cpu|cuda, PYTHON=python3.12, TORCH_INDEX=<URL>, DRIVER=expert,
# DATA=<nuScenes root>.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
# Starts the set-up program, which finds the Python to build the environment with (PYTHON=).
START_PYTHON := $(shell command -v python3 || echo '$(PYTHON)')
export TORCH TORCH_INDEX PYTHON

# A sourced ROS 2 distribution brings its own rclpy and libraries, which must not be mixed with those of the wheels.
ifneq ($(AMENT_PREFIX_PATH),)
unexport LD_LIBRARY_PATH
endif
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH PYTHONPATH PYTHONHOME VIRTUAL_ENV

# ROS 2 stays on this machine, in a domain of this run's own.
ROS_LOCAL = ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=$$(( $$$$ % 100 + 1 ))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo test lint format format-check typecheck pytest pins clean clean-all

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'
	@echo "  options: TORCH=cpu|cuda  PYTHON=python3.12  TORCH_INDEX=<URL of a package index>  DATA=<nuScenes root>"
	@echo "  of the demo: DRIVER=nano (trained, the default), expert (a planner), a checkpoint's file, untrained:nano"

setup: ## environment, dependencies, messages; does nothing when all is there
	@$(START_PYTHON) scripts/setup.py

demo: setup ## drives a minute in the embedded world through ROS 2; leaves films, pictures, bag, tables in out/demo
	@$(ROS_LOCAL) $(BIN)/aln-p3 demo --out out/demo $(if $(DRIVER),--driver "$(DRIVER)") $(if $(DATA),--data "$(DATA)")

# The types are checked beside the tests: mypy keeps one core busy for a minute. Its report comes last, and its failure is
# one of the whole.
test: setup lint format-check ## everything that has to pass before a change goes in
	@types=$$(mktemp); $(BIN)/mypy >"$$types" 2>&1 & typecheck=$$!; \
	trap 'kill $$typecheck 2>/dev/null; rm -f "$$types"' EXIT; \
	status=0; $(RUN_TESTS) \
	wait $$typecheck || status=1; \
	echo "mypy:"; cat "$$types"; \
	exit $$status

lint: setup ## ruff check
	@$(BIN)/ruff check .

format: setup ## ruff format, and the fixes that ruff can do itself
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

format-check: setup
	@$(BIN)/ruff format --check .

typecheck: setup ## mypy over the public surface (the list is in pyproject.toml)
	@$(BIN)/mypy

# Without ARGS several processes share the tests (test/run_order.py says which run together, and first). Those of ROS are
# two only: nodes wait for each other's messages, and a busier machine would make them wait longer.
ifeq ($(ARGS),)
RUN_TESTS = export OMP_NUM_THREADS=1; \
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile test/core || status=1; \
	$(ROS_LOCAL) $(BIN)/pytest -n auto --maxprocesses 2 --dist loadfile test/packaging test/ros || status=1;
else
RUN_TESTS = $(ROS_LOCAL) $(BIN)/pytest $(ARGS) || status=1;
endif

pytest: setup ## the tests alone; ARGS="-k name" chooses
	@status=0; $(RUN_TESTS) exit $$status

pins: setup ## resolves all dependencies anew and writes constraints.txt
	@$(BIN)/python scripts/pin_constraints.py

clean: ## removes what builds and runs leave, keeps the environment
	rm -rf build install log out .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info $(VENV)/build
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

clean-all: clean ## removes the environment too
	rm -rf $(VENV)
