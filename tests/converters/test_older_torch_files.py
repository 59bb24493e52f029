"""A Hugging Face folder whose pytorch_model.bin is of an older or an odd form is the model of its safetensors."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import UnreadableFileError

from ..conftest import TORCH_PYTHON, run_child, small_of


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("older")
    configuration = {**small_of("BertModel"), "num_labels": 3}
    request = {
        "folder": str(folder),
        "architecture": "BertForSequenceClassification",
        "configuration": configuration,
    }
    run_child(Path(__file__).with_name("write_legacy_forms.py"), request, python=TORCH_PYTHON)
    return folder


@pytest.mark.parametrize("form", ["legacy", "views"])
def test_the_way_to_paddle_writes_the_same(form: str, written: Path, tmp_path: Path) -> None:
    for name in ("safetensors", form):
        convert_checkpoint(written / name, tmp_path / name, to="paddle")
    expected = (tmp_path / "safetensors" / "model_state.pdparams").read_bytes()
    assert (tmp_path / form / "model_state.pdparams").read_bytes() == expected


def test_damage_leaves_no_output(written: Path, tmp_path: Path) -> None:
    """The archive is whole and its pickle is sound; only a number in a tensor is another one."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_bytes((written / "views" / "config.json").read_bytes())
    data = bytearray((written / "views" / "pytorch_model.bin").read_bytes())
    data[len(data) // 2] ^= 0x10
    (source / "pytorch_model.bin").write_bytes(bytes(data))
    with pytest.raises(UnreadableFileError, match=r"its member .*/data/\d+ is damaged: the CRC-32 of its bytes"):
        convert_checkpoint(source, tmp_path / "out", to="paddle")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
