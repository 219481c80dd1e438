PYTHON ?= python3
BIN := .venv/bin
PYTHON312 ?= python3.12
TORCH := 2.13.0
RESULTS ?= outputs/results
RUN = $(BIN)/python -m benchmark results_dir=$(RESULTS)
SWEEP = $(BIN)/python -m benchmark -m results_dir=$(RESULTS)
TUNED := model=smollm2_lora model.precision=bf16 recipe=tuned
ADAPTER := outputs/models/smollm2_lora/emotion/tuned-seed0-*

.PHONY: bench test test-all coverage setup smoke lint report check-exports docs speed gpu-check results constraints

bench: setup  ## four models with real weights on the synthetic data set, then tables and plots, in outputs/bench
	$(BIN)/python -m benchmark experiment=quickstart results_dir=outputs/bench

test: setup  ## the fast tests, on two cores; set EMOTION_DATA for those on the real data
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-all: setup  ## every test: adds trainings, killed processes and the browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

coverage: setup  ## the fast tests with the share of lines that they run
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow" --cov=benchmark --cov=baselines --cov-report=term

setup: .venv/installed  ## a virtual environment with pinned dependencies

.venv/installed: pyproject.toml constraints.txt
	@echo "Installing PyTorch, transformers and the other packages of constraints.txt into .venv:"
	@echo "about 2 GB and a few minutes, once."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

smoke: setup  ## imports, and every kind of model at a toy size; PYTHON=python3.13 in a checkout without .venv
	$(BIN)/python -m benchmark --help > /dev/null
	$(BIN)/python -m benchmark experiment=smoke results_dir=outputs/smoke

lint: setup  ## style, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

report: setup  ## tables, figures, the README's section and the notebook, from the records
	$(BIN)/python -m benchmark.report
	$(BIN)/python notebooks/execute.py

check-exports: setup  ## the runs in the format of Every Eval Ever pass its own validator, which needs Python 3.12
	@$(PYTHON312) --version > /dev/null 2>&1 || \
	  { echo "The validator of Every Eval Ever needs Python 3.12: install it, or name it with PYTHON312=PATH."; exit 1; }
	$(PYTHON312) -m venv .venv-exports
	.venv-exports/bin/python -m pip install --quiet "every-eval-ever==0.3.0" "huggingface-hub<2"
	rm -rf outputs/every-eval-ever
	$(BIN)/python -m benchmark.report --export every-eval-ever outputs/every-eval-ever
	cd outputs/every-eval-ever && ../../.venv-exports/bin/python -m every_eval_ever validate 'data/*/*/*/*.json*'

docs: .venv/docs-installed  ## the documentation as a site in site/; a dead link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

.venv/docs-installed: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

speed: setup  ## training and inference throughput of the two small models on this machine; about 30 minutes
	$(BIN)/python -m benchmark.speed model=smollm2_lora
	$(BIN)/python -m benchmark.speed model=minilm recipe=tuned

gpu-check: .venv-gpu/installed  ## is the fast path right and fast on this GPU? about eight minutes, with random weights
	.venv-gpu/bin/python -m benchmark.speed --check

.venv-gpu/installed: pyproject.toml constraints.txt  # beside a PyTorch that is installed already
	$(PYTHON) -m venv --system-site-packages .venv-gpu
	grep -v '^torch==' constraints.txt > .venv-gpu/constraints.txt
	.venv-gpu/bin/python -m pip install --quiet --constraint .venv-gpu/constraints.txt --editable '.[dev]'
	touch $@

results: setup  ## the runs of the published CPU table, from EMOTION_DATA; many hours, resumed after an interruption; half as long with AVX-512 or AMX
	$(SWEEP) model=majority,tfidf
	$(RUN) model=probe recipe=tuned
	$(RUN) experiment=tune_cpu dataset.row_choice=first
	$(SWEEP) model=minilm recipe=paper,tuned seed=0,1,2,3,4
	$(SWEEP) $(TUNED) seed=0,1,2 models_dir=outputs/models
	$(RUN) model=smollm2_lora
	$(RUN) experiment=readouts
	$(RUN) $(TUNED) model.readout=generate model.adapter=$$(ls -dt $(ADAPTER) | head -1)
	$(RUN) experiment=learning_curve dataset.row_choice=first

constraints:  ## pin the newest versions that pyproject.toml allows; torch as named above, its CPU build if there is one
	$(PYTHON) -m venv .venv-constraints
	.venv-constraints/bin/python -m pip install --quiet "torch==$(TORCH)"
	.venv-constraints/bin/python -m pip install --quiet --editable '.[dev,docs,tune,quantized]'
	.venv-constraints/bin/python -m pip freeze --all --exclude-editable | sed 's/+[a-z0-9]*$$//' > constraints.txt
	rm -rf .venv-constraints
