"""What XLNet alone has: fields under other names, heads on an axis of their own, positions in single precision."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import ConfigurationError, RunnerAnswerError
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.inputs import inputs_for
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.runners.forward import Runners

from ..checkpoint_files import document, state
from ..conftest import SMALL, Run
from .conftest import Seed

WORDS = {"d_model": "hidden_size", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads"}
"""PaddleNLP reads these fields under either name."""


def test_fields_have_the_names_of_each_library(seed_small: Seed, tmp_path: Path) -> None:
    source = seed_small("XLNetModel", hidden_act="relu", hidden_dropout_prob=0.25)
    sizes = {"d_model": 24, "n_layer": 3, "n_head": 4, "d_inner": 36, "d_head": 6, "ff_activation": "relu"}
    sizes["dropout"] = 0.25
    assert sizes.items() <= document(source).items()
    convert_checkpoint(source, tmp_path / "torch")
    convert_checkpoint(tmp_path / "torch", tmp_path / "paddle", to="paddle")
    for folder in (tmp_path / "torch", tmp_path / "paddle"):
        written = document(folder)
        assert sizes.items() <= written.items()
        assert not {*WORDS.values(), "intermediate_size", "hidden_act", "type_vocab_size"} & written.keys()


def test_the_names_of_most_families_are_read_too(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source = seed_small("XLNetModel")
    known = document(source)
    state(source, **dict.fromkeys(WORDS), **{WORDS[name]: known[name] for name in WORDS})
    convert_checkpoint(source, tmp_path / "converted")
    verify_checkpoint(source, tmp_path / "converted", runners=runners).assert_passed()
    state(source, n_layer=2)
    with pytest.raises(ConfigurationError, match=r"n_layer is 2 and num_hidden_layers, .* the same, is 3; keep one"):
        convert_checkpoint(source, tmp_path / "other")


def test_its_dropout_is_not_that_of_a_classifier(seed_small: Seed, tmp_path: Path) -> None:
    """In other families `dropout` is an older name of `classifier_dropout`."""
    source = seed_small("XLNetForSequenceClassification")
    state(source, dropout=0.25, classifier_dropout=0.5)
    convert_checkpoint(source, tmp_path / "converted")
    assert document(tmp_path / "converted")["dropout"] == 0.25


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"d_head": 12}, r"d_head is 12; .* make it 6"),
        ({"n_head": 5, "d_head": None}, "hidden_size 24 is not a multiple of num_attention_heads 5"),
        ({"attn_type": "uni"}, "attn_type is 'uni', and only 'bi' converts"),
        ({"bi_data": True}, "bi_data is True, and only False converts"),
        ({"clamp_len": -2}, "clamp_len is -2; a number from -1 on is expected"),
        ({"layer_norm_eps": None, "mem_len": "x"}, "mem_len is 'x'"),
    ],
)
def test_configurations_that_do_not_convert(
    fields: dict[str, Any], reason: str, seed_small: Seed, tmp_path: Path
) -> None:
    source = seed_small("XLNetModel")
    state(source, **fields)
    with pytest.raises(ConfigurationError, match=reason):
        convert_checkpoint(source, tmp_path / "converted")
    assert not (tmp_path / "converted").exists()


def test_multiple_choice_is_refused_in_a_line(seed_small: Seed, paddle2torch: Run) -> None:
    source = seed_small("XLNetForSequenceClassification")
    state(source, architectures=["XLNetForMultipleChoice"])
    done = paddle2torch("convert", source, source.parent / "converted")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert re.match(r"Error: .*XLNetForMultipleChoice is refused: .*num_labels numbers.*model\.transformer\.", line)


def test_a_cast_is_lifted_and_put_back(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    convert_checkpoint(seed_small("XLNetModel"), tmp_path / "converted")
    family = FAMILIES["xlnet"]
    inputs_for(family, "XLNetModel", {**SMALL["xlnet"], "pad_token_id": 5}).save(tmp_path / "inputs", family, "torch")

    def states(**options: Any) -> Any:
        request = {"operation": "forward", "folder": str(tmp_path / "converted"), "architecture": "XLNetModel"}
        request |= {"dtype": "float64", "widened": True, "session": "one", "options": options}  # type: ignore[dict-item]
        runners.torch.request({**request, "inputs": str(tmp_path / "inputs"), "outputs": str(tmp_path / "outputs")})
        return load_file(tmp_path / "outputs")["last_hidden_state"]

    single, double, again = states(), states(lifted=["XLNetModel"]), states()
    assert 0 < np.abs(single - double).max() < 1e-6
    assert np.array_equal(single, again)
    with pytest.raises(RunnerAnswerError, match="no module is a Nothing"):
        states(lifted=["Nothing"])


def edited(name: str, edit: Callable[[Any], Any]) -> Callable[[Path], None]:
    def inject(folder: Path) -> None:
        path = folder / "model.safetensors"
        with safe_open(path, "np") as opened:
            metadata = opened.metadata()
        tensors = load_file(path)
        tensors[name] = np.ascontiguousarray(edit(tensors[name]))
        save_file(tensors, path, metadata)

    return inject


BREAKS: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    "transposed before its reshape": (
        edited("layer.1.rel_attn.o", lambda one: one.reshape(24, 24).T.reshape(one.shape)),
        {"weights", "float64", "layers"},
    ),
    "heads in another order": (edited("layer.0.rel_attn.r", lambda one: one[:, ::-1]), {"weights", "float64"}),
    "same and other text swapped": (edited("layer.2.rel_attn.seg_embed", lambda one: one[::-1]), {"weights", "layers"}),
    "what stands for a masked word": (edited("mask_emb", lambda one: one + np.float32(1)), {"weights"}),
    "epsilon": (lambda folder: state(folder, layer_norm_eps=1e-5), {"config", "files", "float64"}),
    "near positions": (lambda folder: state(folder, clamp_len=3), {"files", "float64"}),
    "memories": (lambda folder: state(folder, use_mems_eval=True), {"files"}),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_broken_is_seen(name: str, seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source, converted = seed_small("XLNetModel"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    inject, seen = BREAKS[name]
    inject(converted)
    report = verify_checkpoint(source, converted, runners=runners)
    assert seen <= {check.name for check in report.checks if not check.passed}
