"""A head that lies beside the backbone: each thing that can be wrong with its file, its tensors, the lines that compute
what it puts out or the text that shows them is a difference, and transformers passes over it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.inspection import inspect_checkpoint
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.converters.outputs.card import is_own_card
from paddle2torch.errors import DifferentOutputError, UnreadableFileError
from paddle2torch.hub.model_card import front_matter, make_card
from paddle2torch.hub.proof import examine
from paddle2torch.mappings.language.beside import HEAD_FILE, Tensor
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.certificate import check_certificate
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.runners.forward import Runners

from ..conftest import TORCH_PYTHONS, small_of
from ..replaced_families import replace_family

Tensors = dict[str, Any]

FORWARD = {"float64", "float32", "layers"}


@pytest.fixture
def source(seeded: Callable[..., Path]) -> Path:
    return seeded("UTC", **small_of("UTC"))


@pytest.fixture
def converted(source: Path, tmp_path: Path) -> Path:
    return convert_checkpoint(source, tmp_path / "converted").output


def red(report: Report) -> set[str]:
    return {check.name for check in report.checks if not check.passed}


def edited(folder: Path, change: Callable[[Tensors], object]) -> None:
    """Write the head's tensors anew, with the record that they had."""
    path = folder / HEAD_FILE
    with safe_open(str(path), framework="np") as opened:
        metadata = opened.metadata()
    tensors = {name: values.copy() for name, values in load_file(path).items()}
    change(tensors)
    save_file(tensors, path, metadata)


def one_bit(tensors: Tensors) -> None:
    tensors["linear_k.weight"].view(np.uint32)[0, 0] ^= 1


def swapped(tensors: Tensors) -> None:
    for leaf in ("weight", "bias"):
        one, other = f"linear_q.{leaf}", f"linear_k.{leaf}"
        tensors[one], tensors[other] = tensors[other], tensors[one]


def turned(tensors: Tensors) -> None:
    tensors["linear_q.weight"] = np.ascontiguousarray(tensors["linear_q.weight"].T)


def doubled(tensors: Tensors) -> None:
    tensors["linear_q.weight"] *= 2
    tensors["linear_q.bias"] *= 2


EDITS: dict[str, tuple[Callable[[Tensors], object], set[str]]] = {
    "one bit": (one_bit, {"weights"}),
    "swapped": (swapped, {"weights", *FORWARD}),
    "not transposed": (turned, {"weights", "files", *FORWARD}),
    "twice as large": (doubled, {"weights", *FORWARD}),
    "one tensor more": (lambda t: t.update(other=np.ones(2, np.float32)), {"weights", "files", *FORWARD}),
    "one tensor less": (lambda t: t.pop("linear_k.bias"), {"weights", "files", *FORWARD}),
    "a tensor of the backbone": (
        lambda t: t.update({"pooler.dense.bias": np.zeros(24, np.float32)}),
        {"weights", "files", *FORWARD},
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_what_is_changed_in_the_head_is_a_difference(
    name: str, source: Path, converted: Path, runners: Runners
) -> None:
    change, seeing = EDITS[name]
    edited(converted, change)
    assert seeing <= red(verify_checkpoint(source, converted, runners=runners))


def test_a_head_that_is_not_there_is_a_difference(source: Path, converted: Path, runners: Runners) -> None:
    (converted / HEAD_FILE).unlink()
    assert {"weights", "files", *FORWARD} <= red(verify_checkpoint(source, converted, runners=runners))


def undivided(head: dict[str, Tensor], hidden: Tensor, cls_positions: Tensor, omask_positions: Tensor) -> Tensor:
    rows = [[row] for row in range(len(hidden))]
    query = hidden[rows, cls_positions[:, None]] @ head["linear_q.weight"].T + head["linear_q.bias"]
    keys = hidden[rows, omask_positions] @ head["linear_k.weight"].T + head["linear_k.bias"]
    return (query @ keys.swapaxes(1, 2))[:, 0] - (omask_positions == 0) * 999999995904.0


def unmasked(head: dict[str, Tensor], hidden: Tensor, cls_positions: Tensor, omask_positions: Tensor) -> Tensor:
    rows = [[row] for row in range(len(hidden))]
    query = hidden[rows, cls_positions[:, None]] @ head["linear_q.weight"].T + head["linear_q.bias"]
    keys = hidden[rows, omask_positions] @ head["linear_k.weight"].T + head["linear_k.bias"]
    return (query @ keys.swapaxes(1, 2))[:, 0] / 8


def of_first(head: dict[str, Tensor], hidden: Tensor, cls_positions: Tensor, omask_positions: Tensor) -> Tensor:
    rows = [[row] for row in range(len(hidden))]
    query = hidden[:, :1] @ head["linear_q.weight"].T + head["linear_q.bias"]
    keys = hidden[rows, omask_positions] @ head["linear_k.weight"].T + head["linear_k.bias"]
    return (query @ keys.swapaxes(1, 2))[:, 0] / 8 - (omask_positions == 0) * 999999995904.0


@pytest.mark.parametrize("function", [undivided, unmasked, of_first])
def test_wrong_lines_are_a_difference(
    function: Callable[..., Tensor], source: Path, tmp_path: Path, runners: Runners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written to README.md by a conversion that has them, so that all that they show in is what they compute."""
    ernie = FAMILIES["ernie"]
    models = tuple(
        model if model.beside is None else replace(model, beside=replace(model.beside, logits=function))
        for model in ernie.models
    )
    replace_family(monkeypatch, replace(ernie, models=models))
    converted = convert_checkpoint(source, tmp_path / "converted").output
    assert red(verify_checkpoint(source, converted, runners=runners)) == FORWARD


@pytest.mark.parametrize("change", [lambda text: text.replace("/ 8", "/ 9"), lambda text: "# Mine\n", None])
def test_a_card_that_shows_other_lines_is_a_difference(
    change: Callable[[str], str] | None, source: Path, converted: Path, runners: Runners
) -> None:
    path = converted / "README.md"
    if change is None:
        path.unlink()
    else:
        path.write_text(change(path.read_text("utf-8")), "utf-8")
    report = verify_checkpoint(source, converted, checks=["files"], runners=runners)
    assert red(report) == {"files"}
    assert report.checks[0].where.startswith("README.md: does not show how the output of the head is computed")


@pytest.mark.parametrize("size", [None, "8KB"])
@pytest.mark.parametrize("python", TORCH_PYTHONS, ids=[Path(one).parts[-3] for one in TORCH_PYTHONS])
def test_transformers_passes_over_the_head(python: str, size: str | None, source: Path, tmp_path: Path) -> None:
    converted = convert_checkpoint(source, tmp_path / "converted", max_shard_size=size).output
    assert (converted / "model.safetensors.index.json").exists() == (size is not None)
    assert HEAD_FILE not in "".join(path.read_text("utf-8") for path in converted.glob("*.index.json"))
    script = (
        "import json, sys, transformers\n"
        "model, loading = transformers.AutoModel.from_pretrained(sys.argv[1], output_loading_info=True)\n"
        "names = {key: sorted(map(str, value)) for key, value in loading.items()}\n"
        "print(json.dumps([type(model).__name__, len(model.state_dict()), names]))"
    )
    done = subprocess.run([python, "-c", script, str(converted)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    name, tensors, loading = json.loads(done.stdout.splitlines()[-1])
    assert name == "ErnieModel"
    assert tensors == sum(len(load_file(path)) for path in converted.glob("model*.safetensors"))
    assert not any(loading.values()), loading


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_head_is_cast_with_the_rest(dtype: str, source: Path, tmp_path: Path, runners: Runners) -> None:
    converted = convert_checkpoint(source, tmp_path / "converted", dtype=dtype, max_shard_size="8KB").output
    assert {tensor["dtype"] for tensor in inspect_checkpoint(converted).tensors} == {dtype}
    verify_checkpoint(source, converted, runners=runners).assert_passed()


def test_the_way_back_is_proven_and_needs_the_head(
    source: Path, converted: Path, tmp_path: Path, runners: Runners
) -> None:
    back = convert_checkpoint(converted, tmp_path / "back", to="paddle")
    assert (back.target_architecture, back.random) == ("UTC", ())
    verify_checkpoint(converted, back.output, runners=runners).assert_passed()
    other = shutil.copytree(converted, tmp_path / "other")
    edited(other, doubled)
    assert {"weights", *FORWARD} <= red(verify_checkpoint(other, back.output, runners=runners))
    (converted / HEAD_FILE).unlink()
    with pytest.raises(UnreadableFileError, match=r"head\.safetensors: is missing; model\.safetensors was"):
        convert_checkpoint(converted, tmp_path / "again", to="paddle")
    assert not (tmp_path / "again").exists()


def test_a_head_whose_class_is_lost_is_not_left_behind(converted: Path, tmp_path: Path) -> None:
    """As transformers leaves a folder that it saves its backbone into."""
    path = converted / "model.safetensors"
    save_file(load_file(path), path, {"format": "pt"})
    with pytest.raises(UnreadableFileError, match=r"head\.safetensors: lies beside weights whose metadata do not say"):
        convert_checkpoint(converted, tmp_path / "back", to="paddle")
    assert not (tmp_path / "back").exists()


def test_a_folder_with_a_head_is_inspected_replaced_and_kept(source: Path, converted: Path) -> None:
    inspection = inspect_checkpoint(converted)
    assert [tensor["name"] for tensor in inspection.tensors][-4:] == [
        "linear_k.bias",
        "linear_k.weight",
        "linear_q.bias",
        "linear_q.weight",
    ]
    assert inspection.notes == ("head.safetensors: the head of PaddleNLP's UTC, which no class of transformers has",)
    assert convert_checkpoint(source, converted, resume=True).kept
    edited(converted, one_bit)
    with pytest.raises(DifferentOutputError, match=r"its head\.safetensors is not what this conversion writes"):
        convert_checkpoint(source, converted, resume=True)
    assert not convert_checkpoint(source, converted, overwrite=True).kept
    assert is_own_card(converted / "README.md")


def test_nothing_is_called_a_whole_model(source: Path, converted: Path, runners: Runners) -> None:
    """Neither by the conversion nor on the hub; the certificate covers the head."""
    verify_checkpoint(source, converted, runners=runners, certificate=True).assert_passed()
    certificate = json.loads((converted / "parity.json").read_text("utf-8"))
    assert HEAD_FILE in certificate["output"]["files"]
    assert "linear_q.weight" in certificate["output"]["tensors"]
    section = (converted / "README.md").read_text("utf-8").split("## The head")[1].split("<!--")[0]
    for unverified in (False, True):
        if unverified:
            (converted / "parity.json").unlink()
        proof = examine(converted, allow_unverified=True)
        assert proof.model.source == "UTC"
        assert proof.evidence is None or "linear_q" not in str(proof.evidence.dropped)
        card = make_card(proof, "me/utc")
        assert f"## The head{section.rstrip()}" in card
        assert card.count("no whole Hugging Face model") == 2
        assert front_matter(proof).keys().isdisjoint({"library_name", "pipeline_tag"})
        (converted / "README.md").write_text(card, "utf-8")
        assert red(verify_checkpoint(source, converted, checks=["files"], runners=runners)) == set()


def test_a_certificate_sees_another_head(source: Path, converted: Path, runners: Runners) -> None:
    verify_checkpoint(source, converted, runners=runners, certificate=True).assert_passed()
    assert check_certificate(source, converted).passed
    edited(converted, one_bit)
    assert not check_certificate(source, converted).passed
