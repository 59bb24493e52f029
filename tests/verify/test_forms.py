"""The same model in every form that PaddleNLP and Paddle write: each converts and is proven."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import RunnerAnswerError
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.runners.forward import Runners

FORMS = (
    "plain",
    "sharded",
    "safetensors",
    "sharded_safetensors",
    "float16",
    "bfloat16",
    "protocol_2",
    "protocol_3",
    "epoch",
    "older",
)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forms")
    script = Path(__file__).with_name("write_forms.py")
    child = subprocess.run([sys.executable, str(script), str(folder)], capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stderr
    return folder


@pytest.mark.parametrize("form", [form for form in FORMS if form != "epoch"])
def test_every_form_is_the_same_model(form: str, forms: Path, tmp_path: Path, runners: Runners) -> None:
    conversion = convert_checkpoint(forms / form, tmp_path / "converted")
    assert conversion.architecture == "BertForSequenceClassification"
    report = verify_checkpoint(forms / form, tmp_path / "converted", runners=runners).assert_passed()
    assert report.not_run == ("tokenizer", "gradients")
    assert report.tensors == len(conversion_names(forms / "plain"))
    config = json.loads((tmp_path / "converted" / "config.json").read_text())
    assert config["dtype"] == (form if form in ("float16", "bfloat16") else "float32")
    assert len(config["id2label"]) == 3


@pytest.mark.parametrize("form", [form for form in FORMS if form not in ("float16", "bfloat16")])
def test_every_form_converts_to_the_same_bytes(form: str, forms: Path, tmp_path: Path) -> None:
    for name in ("plain", form):
        convert_checkpoint(forms / name, tmp_path / name, overwrite=True)
    one, other = (tmp_path / name / "model.safetensors" for name in ("plain", form))
    assert one.read_bytes() == other.read_bytes()


def test_a_form_that_paddlenlp_cannot_load_is_not_verified(forms: Path, tmp_path: Path, runners: Runners) -> None:
    """PaddleNLP's own loader fails on a value that is no tensor: that is an error, neither passed nor a difference."""
    convert_checkpoint(forms / "epoch", tmp_path / "converted")
    with pytest.raises(RunnerAnswerError, match="The Paddle runner failed"):
        verify_checkpoint(forms / "epoch", tmp_path / "converted", runners=runners)


def conversion_names(folder: Path) -> list[str]:
    with open_checkpoint(folder) as checkpoint:
        return list(checkpoint.tensors)
