"""What `inspect` says of a network: its tensors, what it becomes and what is lost; where it does not convert, why, and
the status is 0 all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.inspection import inspect_checkpoint
from paddle2torch.errors import UnmatchedTensorsError, UnreadableFileError

from ...conftest import Run
from ...networks import SMALL, arrays_of, write_weights
from ..conftest import Trained
from .conftest import Write

TABLE, LINE = "small slanet", "small pp_ocrv5_mobile_rec"


def test_a_network(write: Write) -> None:
    source = write(TABLE)
    found = inspect_checkpoint(source, converting=True)
    shapes = SMALL[TABLE].shapes
    assert {tensor["name"]: tuple(tensor["shape"]) for tensor in found.tensors} == shapes
    assert found.refusal is None
    lines = found.lines()
    assert lines[0].startswith(f"{len(shapes)} tensors, ")
    assert "slanet: SLANet and SLANet_plus, the structure of tables, converts to transformers' " in lines[1]
    assert any(line.startswith("dropped, THE BOXES") and line.endswith(": 2 tensors") for line in lines)
    assert any(line.startswith("caution: THE BOXES") for line in lines)
    document = json.loads(json.dumps(found.to_json()))["recognised"]
    assert (document["family"], document["becomes"]) == ("slanet", "SLANetForTableRecognition")
    assert sum(map(len, document["dropped"].values())) == 2


def test_a_recogniser_says_its_characters(write: Write) -> None:
    lines = inspect_checkpoint(write(LINE), converting=True).lines()
    assert "characters: 38 classes: the blank, 36 characters of dict.txt and the space" in lines


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"Global": {"character_dict_path": "gone.txt"}}, "names the dictionary gone.txt"),
        ({"Architecture": {"Backbone": {"name": "SVTRNet"}}}, "the backbone SVTRNet is refused"),
        ({"Architecture": 3}, "Architecture is 3; a section is expected"),
        ({"Eval": {"dataset": {"transforms": [{"SVTRRecResizeImg": {}}]}}}, "resized by SVTRRecResizeImg"),
    ],
)
def test_what_does_not_convert(changed: dict[str, Any], why: str, write: Write, paddle2torch: Run) -> None:
    source = write(LINE, changed=changed)
    finished = paddle2torch("inspect", source)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    assert "backbone.conv1.conv.weight" in finished.stdout
    (line,) = (line for line in finished.stdout.splitlines() if line.startswith("does not convert as it is: "))
    assert why in line


def test_a_malicious_configuration_is_shown_safely(write: Write, tmp_path: Path, paddle2torch: Run) -> None:
    source = write(LINE)
    canary = tmp_path / "canary"
    (source / "config.yml").write_text(f"Architecture: !!python/object/apply:os.mkdir ['{canary}']\n")
    finished = paddle2torch("inspect", source)
    assert finished.returncode == 0
    assert "does not convert as it is: " in finished.stdout
    assert "could not determine a constructor for the tag" in finished.stdout
    assert not canary.exists()
    (source / "config.yml").write_text('Architecture: {Backbone: "\\e[2J\\ud800"}\n')
    finished = paddle2torch("inspect", source)
    assert finished.returncode == 0, finished.stderr
    assert "\x1b" not in finished.stdout
    converted = paddle2torch("convert", source, tmp_path / "out")
    assert converted.returncode == 2
    assert "Traceback" not in converted.stderr
    assert "\x1b" not in converted.stderr


@pytest.mark.parametrize(
    ("prefixes", "why"), [(("A.", "B."), "have the prefixes 'A.', 'B.'"), (("Student.", "Teacher."), None)]
)
def test_tensors_of_several_networks_are_listed(prefixes: tuple[str, ...], why: str | None, write: Write) -> None:
    arrays = arrays_of(SMALL[TABLE].shapes)
    together = {f"{prefix}{name}": array for prefix in prefixes for name, array in arrays.items()}
    found = inspect_checkpoint(write(TABLE, together, training=False), converting=True)
    assert len(found.tensors) == 2 * len(arrays)
    assert (found.refusal is None) is (why is None)
    if why is not None:
        assert why in str(found.refusal)


def test_what_is_said_to_be_another_network(write: Write) -> None:
    with pytest.raises(UnmatchedTensorsError, match="the tensors are not those of slanext"):
        inspect_checkpoint(write(TABLE), family="slanext")


def test_hashes(write: Write) -> None:
    tensors = inspect_checkpoint(write(TABLE), with_hash=True).tensors
    assert all(len(tensor["sha256"]) == 64 for tensor in tensors)


def test_exports(trained: Trained) -> None:
    """The trained networks that convert, and one of a kind for which there is no class."""
    lines = {name: inspect_checkpoint(path, converting=True).lines() for name, path in trained.weights.items()}
    assert any("pp_ocrv5_mobile_det: " in line for line in lines["detection"])
    assert any("the blocks are fused, as exports have them" in line for line in lines["detection"])
    assert "no training configuration lies beside the weights" in lines["recognition"][-1]
    assert "the tensors are those of no known network" in lines["classification"][-1]


def test_a_folder_without_weights(tmp_path: Path) -> None:
    write_weights(tmp_path / "in" / "best_accuracy.pdopt", arrays_of({"a": (1,)}))
    for family in (None, "slanet"):
        with pytest.raises(UnreadableFileError, match="holds no weights"):
            inspect_checkpoint(tmp_path / "in", family=family)
