"""bfloat16 that PaddleNLP writes into safetensors under the element type U16."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint
from paddle2torch.converters.checkpoints.torch_checkpoint import open_torch_checkpoint
from paddle2torch.converters.inspection import inspect_checkpoint
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import UnreadableFileError
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.runners.forward import Runners

from ...conftest import Run, run_child, small_of

SAFE_FORMS = ("safetensors", "shards")
NOTE = "tensors of element type U16 read as bfloat16, as PaddleNLP writes it"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FOLDER/FORM: one model that PaddleNLP saved as bfloat16."""
    folder = tmp_path_factory.mktemp("bfloat16")
    request = {"folder": str(folder), "configuration": small_of("BertModel")}
    loaded = run_child(Path(__file__).with_name("write_bfloat16.py"), request)
    assert loaded == {"pdparams": True, **dict.fromkeys(SAFE_FORMS, True)}
    for form in SAFE_FORMS:
        for path in (folder / form).glob("*.safetensors"):
            with safe_open(path, "np") as file:
                assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"U16"}  # noqa: SIM118 - no mapping
    return folder


@pytest.mark.parametrize("form", SAFE_FORMS)
def test_it_is_the_model_of_the_pdparams(form: str, written: Path, tmp_path: Path) -> None:
    plain = convert_checkpoint(written / "pdparams", tmp_path / "plain")
    done = convert_checkpoint(written / form, tmp_path / form)
    assert plain.notes == ()
    assert (tmp_path / form / "model.safetensors").read_bytes() == (tmp_path / "plain/model.safetensors").read_bytes()
    assert done.dtype == "bfloat16"
    assert [line for line in done.lines() if "U16" in line] == [f"{done.tensors} {NOTE}"]


def test_inspect_says_it_once(written: Path, paddle2torch: Run) -> None:
    expected = {tensor["name"]: tensor for tensor in inspect_checkpoint(written / "pdparams", with_hash=True).tensors}
    for form in SAFE_FORMS:
        found = inspect_checkpoint(written / form, with_hash=True)
        assert {tensor["name"]: tensor for tensor in found.tensors} == expected
        assert found.notes == (f"{len(expected)} {NOTE}",)
    done = paddle2torch("inspect", written / "shards")
    assert done.stdout.count("U16") == 1
    done = paddle2torch("inspect", written / "shards", "--json")
    assert json.loads(done.stdout)["notes"] == [f"{len(expected)} {NOTE}"]


@pytest.mark.parametrize("form", SAFE_FORMS)
def test_verify_reads_it_as_paddlenlp_does(form: str, written: Path, tmp_path: Path) -> None:
    convert_checkpoint(written / form, tmp_path / "out")
    with Runners() as runners:
        report = verify_checkpoint(
            written / form,
            tmp_path / "out",
            checks=("weights", "files", "config", "float32"),
            runners=runners,
        )
    assert report.passed, report.checks
    assert [text for text in report.notes if "U16" in text] == [f"{report.tensors} {NOTE}"]


@pytest.mark.parametrize("metadata", [{"format": "pt"}, {"format": "np"}, None])
def test_on_the_side_of_torch_it_is_none(metadata: dict[str, str] | None, written: Path, tmp_path: Path) -> None:
    """transformers holds 16-bit whole numbers under this type; whose folder it is decides, and a file of PyTorch stays
    one wherever it lies."""
    (tmp_path / "config.json").write_bytes((written / "safetensors/config.json").read_bytes())
    save_file({"w": np.zeros(3, "u2")}, tmp_path / "model.safetensors", metadata)
    with pytest.raises(UnreadableFileError, match="tensor w has the element type U16, which is not known"):
        open_torch_checkpoint(tmp_path)
    if metadata == {"format": "pt"}:
        with pytest.raises(UnreadableFileError, match="tensor w has the element type U16, which is not known"):
            open_checkpoint(tmp_path)
    else:
        with open_checkpoint(tmp_path) as checkpoint:
            assert checkpoint.tensors["w"].dtype.name == "bfloat16"


def test_a_way_back_does_not_take_it(written: Path, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="the element type U16, which is not known"):
        convert_checkpoint(written / "safetensors", tmp_path / "out", to="paddle")
    assert not (tmp_path / "out").exists()
