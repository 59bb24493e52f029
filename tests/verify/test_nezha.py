"""NeZha: a family whose classes transformers no longer has, and whose table of positions is in no file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.errors import ConfigurationError, WithdrawnError
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.faults.runs import run_faults
from paddle2torch.verify.gate import run_gate
from paddle2torch.verify.job import CHECKS
from paddle2torch.verify.runners.forward import Runners

from ..checkpoint_files import document, state
from ..cli.outcomes import refused
from ..conftest import OLDER_TORCH_PYTHON, TORCH_PYTHON, Run, fitting

Seeded = Callable[..., Path]

FORWARD = ("float64", "float32", "layers")

NAME, PYTHON = "nezha-base-chinese", "--torch-python"


@pytest.fixture(scope="session")
def older(both: Runners) -> Runners:
    """The runners with the transformers that has the classes."""
    return fitting(both, FAMILIES["nezha"])


@pytest.fixture
def pair(seeded: Seeded, tmp_path: Path) -> tuple[Path, Path]:
    """A small checkpoint and what it converts to, which may be changed."""
    convert_checkpoint(seeded("NeZhaForPretraining"), tmp_path / "converted")
    return seeded("NeZhaForPretraining"), tmp_path / "converted"


def red(pair: tuple[Path, Path], runners: Runners, *checks: str) -> dict[str, tuple[str, ...]]:
    """The problems of the checks that do not hold."""
    report = verify_checkpoint(*pair, checks=checks, runners=runners)
    return {check.name: check.problems for check in report.checks if not check.passed}


def test_without_the_classes_nothing_is_verified(pair: tuple[Path, Path], paddle2torch: Run, tmp_path: Path) -> None:
    """Neither passed nor different: one line that says which environment it takes and which option names it."""
    line = refused(paddle2torch, tmp_path, "verify", *map(str, pair), PYTHON, TORCH_PYTHON)
    assert line.startswith(f"Error: nothing was verified: {TORCH_PYTHON} has transformers 5.")
    assert "transformers 5 cannot load nezha: its classes are gone" in line
    assert (
        "the last version that can is 4.57.6; name the Python of an environment that has it with --torch-python" in line
    )
    assert "transformers==4.57.6" in line
    several = (PYTHON, TORCH_PYTHON, PYTHON, OLDER_TORCH_PYTHON)
    line = refused(paddle2torch, tmp_path, "verify", *map(str, pair), *several)
    assert line.endswith(f"; name {OLDER_TORCH_PYTHON} alone with --torch-python or in PADDLE2TORCH_TORCH_PYTHON")
    assert not (pair[1] / "parity.json").exists()


def test_what_needs_no_framework_needs_no_classes(pair: tuple[Path, Path], runners: Runners) -> None:
    assert red(pair, runners, "weights", "files") == {}


def test_faults_are_not_injected_without_the_classes(pair: tuple[Path, Path], runners: Runners) -> None:
    with pytest.raises(WithdrawnError, match=r"^nothing was verified"):
        run_faults(*pair, runners=runners)


def test_a_gate_says_it_before_it_makes_weights(paddle2torch: Run, tmp_path: Path) -> None:
    """Other names go on."""
    stages: list[tuple[str, str]] = []
    result = run_gate(
        [NAME, "albert-chinese-tiny"],
        seeded=True,
        checks=("weights", "embeddings"),
        torch_python=TORCH_PYTHON,
        on_stage=lambda name, stage: stages.append((name, stage)),
    )
    first, second = result.models
    assert (first.verdict, second.passed) == ("not run", True)
    assert first.error is not None
    assert first.error.startswith(f"nothing was verified: {TORCH_PYTHON} has transformers 5.")
    assert {name for name, _ in stages} == {"albert-chinese-tiny"}
    done = paddle2torch("gate", NAME, "--seeded", PYTHON, TORCH_PYTHON)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"Error: 1 of 1 did not pass: {NAME} (not run)"


def test_a_conversion_says_who_cannot_load_it(seeded: Seeded, paddle2torch: Run, tmp_path: Path) -> None:
    done = paddle2torch("convert", str(seeded("NeZhaModel")), "out", "--json")
    assert done.returncode == 0
    caution = "transformers 5 cannot load it: its classes are gone"
    assert [line.startswith(f"caution: {caution}") for line in done.stderr.splitlines()] == [True]
    assert json.loads(done.stdout)["cautions"][0].startswith(caution)
    back = convert_checkpoint(tmp_path / "out", tmp_path / "back", to="paddle")
    assert back.cautions == ()
    assert convert_checkpoint(seeded("BertModel"), tmp_path / "bert").cautions == ()


@pytest.mark.parametrize("length", [20, 30])
def test_declared_differences(length: int, seeded: Seeded, older: Runners, tmp_path: Path) -> None:
    """The table is aligned in float64 alone, and what that hides is measured; PaddleNLP's length is written, whatever
    its configuration says."""
    source = seeded("NeZhaModel", max_position_embeddings=length, max_relative_position=64)
    convert_checkpoint(source, tmp_path / "out")
    assert document(tmp_path / "out")["max_position_embeddings"] == 512
    report = verify_checkpoint(source, tmp_path / "out", runners=older).assert_passed()
    seen = {one.name: one.measured for one in report.declared_differences}
    assert seen.keys() >= {"relative_table", "attention_scores"}
    check, measured = report.check("float64"), seen["relative_table"]
    assert check is not None
    assert check.worst is not None
    assert measured is not None
    assert check.worst < 1e-12 < 1e-10 < measured < 1e-6


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"max_relative_position": 4},
            r"positions_encoding is \S+ away from what PaddleNLP computes, 1e-05 is",
        ),
        (
            {"max_relative_position": 6},
            r"positions_encoding is \S+ away from what PaddleNLP computes, 1e-05 is",
        ),
        (
            {"max_position_embeddings": 511},
            r"positions_encoding has shape \[511, 511, 6\], PaddleNLP computes \[512",
        ),
    ],
)
def test_another_table_is_not_aligned_away(
    fields: dict[str, int], expected: str, pair: tuple[Path, Path], older: Runners
) -> None:
    state(pair[1], **fields)
    problems = red(pair, older, *FORWARD)
    assert problems.keys() == {*FORWARD}
    assert all(any(re.search(expected, one) for one in found) for found in problems.values())


def test_digits_beyond_single_precision_count(pair: tuple[Path, Path], older: Runners) -> None:
    """The model is widened after it was loaded; what a file holds in double precision is not rounded by that."""
    path = pair[1] / "model.safetensors"
    tensors = {name: values.astype(np.float64) for name, values in load_file(path).items()}
    save_file(tensors, path, {"format": "pt"})
    assert red(pair, older, "float64") == {}
    name = "nezha.embeddings.word_embeddings.weight"
    # Less than half a step of single precision.
    save_file({**tensors, name: tensors[name] * (1 + 2.0**-26)}, path, {"format": "pt"})
    assert red(pair, older, "float64").keys() == {"float64"}


def exchanged(tensors: dict[str, Any], one: str, other: str) -> None:
    for leaf in ("weight", "bias"):
        a, b = (f"nezha.encoder.layer.1.{name}.{leaf}" for name in (one, other))
        tensors[a], tensors[b] = tensors[b], tensors[a]


def turned(tensors: dict[str, Any]) -> None:
    name = "nezha.encoder.layer.0.attention.self.value.weight"
    tensors[name] = np.ascontiguousarray(tensors[name].T)


WRONG: dict[str, Callable[[dict[str, Any]], None]] = {
    "query and key": lambda tensors: exchanged(tensors, "attention.self.query", "attention.self.key"),
    "the norms of a layer": lambda tensors: exchanged(tensors, "attention.output.LayerNorm", "output.LayerNorm"),
    "not transposed": turned,
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_mapping_is_seen_by_what_runs(name: str, pair: tuple[Path, Path], older: Runners) -> None:
    path = pair[1] / "model.safetensors"
    tensors = load_file(path)
    WRONG[name](tensors)
    save_file(tensors, path, {"format": "pt", "paddle2torch": "1"})
    assert red(pair, older, *CHECKS).keys() >= {"weights", *FORWARD}


def test_another_epsilon_is_seen(pair: tuple[Path, Path], older: Runners, paddle2torch: Run) -> None:
    state(pair[1], layer_norm_eps=1e-5)
    assert red(pair, older, *CHECKS).keys() >= {"files", "config", *FORWARD}
    done = paddle2torch("verify", *map(str, pair), PYTHON, OLDER_TORCH_PYTHON, "--check", "config")
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"use_relative_position": False}, "use_relative_position is False: PaddleNLP then adds a table of absolute"),
        ({"use_relative_position": None}, "use_relative_position is missing: PaddleNLP has no default for it"),
        ({"max_relative_position": 65}, "max_relative_position is 65; a whole number from 1 to 64 is needed"),
        ({"max_relative_position": 0}, "max_relative_position is 0; a whole number from 1 to 64 is needed"),
        ({"max_relative_position": 5.5}, "max_relative_position is 5.5; a whole number from 1 to 64 is needed"),
        ({"num_attention_heads": 8}, "hidden_size / num_attention_heads is odd"),
        ({"hidden_act": "silu"}, "hidden_act 'silu' is not known to be equal"),
    ],
)
def test_what_has_no_twin_is_refused(fields: dict[str, Any], expected: str, seeded: Seeded, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in seeded("NeZhaModel").iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    state(source, **fields)
    with pytest.raises(ConfigurationError, match=expected):
        convert_checkpoint(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
