"""What T5 alone has: casts to float32 in both libraries, a head of the words that is tied or not as the configuration
says, distances in buckets, and a class that is the encoder alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.errors import ConfigurationError, RunnerAnswerError, UnmatchedTensorsError
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.inputs import inputs_for
from paddle2torch.verify.job import CHECKS
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.sides.pair import Pair

from ..checkpoint_files import Arrays, arrays_of, change, document, enlarge, rewrite
from ..conftest import SMALL, TESTS, TORCH_PYTHONS, run_child
from .conftest import Seed

FAMILY = FAMILIES["t5"]

CASTING = ["T5LayerNorm", "T5Attention"]

UNTIED = {"tie_word_embeddings": False, "hidden_act": "gated-gelu"}


def write(folder: Path, tensors: Arrays) -> None:
    """Write converted weights anew, as ones that this package wrote."""
    path = folder / "model.safetensors"
    with safe_open(path, "np") as opened:
        metadata = opened.metadata()
    save_file(tensors, path, metadata)


def failed(source: Path, converted: Path, runners: Runners, *checks: str) -> set[str]:
    report = verify_checkpoint(source, converted, runners=runners, checks=checks or CHECKS)
    return {check.name for side in report.sides for check in side.checks if not check.passed}


@pytest.mark.parametrize("side", ["paddle", "torch"])
def test_casts_are_lifted_and_put_back(side: str, seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    """What is lifted is the precision, and nothing else."""
    source, converted = seed_small("T5Model"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    inputs_for(FAMILY, "T5Model", FAMILY.samples()[0]).save(tmp_path / "inputs", FAMILY, side)
    folder = source if side == "paddle" else converted
    runner64 = runners.paddle64 if side == "paddle" else runners.torch
    runner32 = runners.paddle32 if side == "paddle" else runners.torch

    def states(dtype: str = "float64", **options: Any) -> Any:
        request = {"operation": "forward", "folder": str(folder), "architecture": "T5Model", "dtype": dtype}
        request |= {"session": "one", "decodes": True, "options": options, "inputs": str(tmp_path / "inputs")}  # type: ignore[dict-item]
        (runner64 if dtype == "float64" else runner32).request({**request, "outputs": str(tmp_path / "outputs")})
        return load_file(tmp_path / "outputs")["decoder.last_hidden_state"]

    cast, double, again, single = states(), states(lifted=CASTING), states(), states("float32")
    scale = np.abs(double).max()
    assert 1e-10 * scale < np.abs(cast - double).max() < 1e-6 * scale
    assert np.abs(single - double).max() < 1e-5 * scale
    assert np.array_equal(cast, again)
    # Float32 is run as it is, whatever is asked.
    assert np.array_equal(single, states("float32", lifted=CASTING))
    with pytest.raises(RunnerAnswerError, match="no module is a Nothing"):
        states(lifted=["Nothing"])


@pytest.mark.parametrize("lifted", [(), ("lifted",), ("lifted_in_paddle",)])
def test_without_both_lifted_float64_is_red(
    lifted: tuple[str, ...], seed_small: Seed, tmp_path: Path, both: Runners, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, converted = seed_small("T5ForConditionalGeneration"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    checks = ("float64", "float32", "layers")
    assert failed(source, converted, both, *checks) == set()
    for name in {"lifted", "lifted_in_paddle"} - {*lifted}:
        monkeypatch.setattr(Pair, name, ())
    report = verify_checkpoint(source, converted, runners=both, checks=checks)
    for side in report.sides:
        assert "float64" in {check.name for check in side.checks if not check.passed}
        assert "float32" not in {check.name for check in side.checks if not check.passed}


def test_the_lifted_casts_are_said_and_measured(seed_small: Seed, tmp_path: Path, both: Runners) -> None:
    source, converted = seed_small("T5Model"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    report = verify_checkpoint(source, converted, certificate=True, runners=both).assert_passed()
    for side in report.sides:
        (seen,) = (one for one in side.declared_differences if one.name == "single_precision")
        assert "with these casts lifted in both" in seen.text
        assert seen.measured is not None
        assert 1e-10 < seen.measured < 1e-5
    assert "with these casts lifted in both" in (converted / "parity.json").read_text("utf-8")


def test_a_norm_that_differs_is_red_with_the_casts_lifted(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source, converted = seed_small("T5Model"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    tensors = load_file(converted / "model.safetensors")
    tensors["decoder.block.1.layer.1.layer_norm.weight"][0] *= np.float32(1 + 1e-6)
    write(converted, tensors)
    assert {"weights", "float64", "layers"} <= failed(source, converted, runners)


def test_a_head_of_its_own_stays_one(seed_small: Seed, tmp_path: Path, both: Runners) -> None:
    """Even one that is the table of words by chance: without a tie, states are not scaled for it."""
    source, converted = seed_small("T5ForConditionalGeneration", **UNTIED), tmp_path / "converted"
    assert not convert_checkpoint(source, converted).tie_word_embeddings
    assert document(converted)["tie_word_embeddings"] is False
    assert load_file(converted / "model.safetensors")["lm_head.weight"].shape == (50, 24)
    verify_checkpoint(source, converted, runners=both).assert_passed()
    foreign = shutil.copytree(converted, tmp_path / "foreign")
    save_file(load_file(converted / "model.safetensors"), foreign / "model.safetensors", {"format": "pt"})
    verify_checkpoint(source, foreign, runners=both).assert_passed()
    convert_checkpoint(foreign, tmp_path / "back", to="paddle")
    assert document(tmp_path / "back")["tie_word_embeddings"] is False
    verify_checkpoint(foreign, tmp_path / "back", runners=both).assert_passed()
    rewrite(source, lambda arrays: arrays.update({"lm_head.weight": arrays["t5.shared.weight"].T.copy()}))
    convert_checkpoint(source, tmp_path / "equal")
    verify_checkpoint(source, tmp_path / "equal", runners=both).assert_passed()
    change(tmp_path / "equal", tie_word_embeddings=True)
    assert {"files", "float64", "as_loaded"} <= failed(source, tmp_path / "equal", both)


def test_a_tied_head_that_gets_weights_of_its_own_is_red(seed_small: Seed, tmp_path: Path, both: Runners) -> None:
    source, converted = seed_small("T5ForConditionalGeneration"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    tensors = load_file(converted / "model.safetensors")
    assert "lm_head.weight" not in tensors
    tensors["lm_head.weight"] = np.roll(tensors["shared.weight"], 1, axis=0)
    write(converted, tensors)
    report = verify_checkpoint(source, converted, runners=both, checks=("weights", "files", "as_loaded"))
    for side in report.sides:
        assert "weights" in {check.name for check in side.checks if not check.passed}


def test_foreign_files_hold_the_tables_again(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    """As older files of Hugging Face's do; one that differs from the table is refused."""
    source, converted = seed_small("T5ForConditionalGeneration"), tmp_path / "foreign"
    convert_checkpoint(source, converted)
    path = converted / "model.safetensors"
    tensors, again = load_file(path), ("lm_head", "encoder.embed_tokens", "decoder.embed_tokens")
    words = tensors["shared.weight"]
    repeated = {f"{name}.weight": words.copy() for name in again}
    save_file({**tensors, **repeated}, path, {"format": "pt"})
    verify_checkpoint(source, converted, runners=runners).assert_passed()
    convert_checkpoint(converted, tmp_path / "back", to="paddle")
    verify_checkpoint(converted, tmp_path / "back", runners=runners).assert_passed()
    for name in repeated:
        save_file({**tensors, **repeated, name: words + 1}, path, {"format": "pt"})
        with pytest.raises(UnmatchedTensorsError, match=name):
            convert_checkpoint(converted, tmp_path / "other", to="paddle")


def test_a_table_that_nothing_reads_is_left_out(seed_small: Seed, tmp_path: Path, both: Runners) -> None:
    """As transformers knows older files to hold it, in the names of either library."""
    source, converted = seed_small("T5ForConditionalGeneration"), tmp_path / "converted"
    name = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    unread = np.random.default_rng(0).standard_normal((32, 4)).astype(np.float32)
    before = arrays_of(source)
    rewrite(source, lambda arrays: arrays.update({f"t5.{name}": unread}))
    done = convert_checkpoint(source, converted)
    assert done.dropped == (f"t5.{name}",)
    tensors = load_file(converted / "model.safetensors")
    assert name not in tensors
    verify_checkpoint(source, converted, runners=both).assert_passed()
    save_file({**tensors, name: unread}, converted / "model.safetensors", {"format": "pt"})
    verify_checkpoint(source, converted, runners=both).assert_passed()
    back = convert_checkpoint(converted, tmp_path / "back", to="paddle")
    assert back.dropped == (name,)
    assert any(line.startswith("dropped, older files of T5 hold it") for line in back.lines())
    after = arrays_of(tmp_path / "back")
    assert {one: values.tobytes() for one, values in after.items()} == {one: before[one].tobytes() for one in before}
    verify_checkpoint(converted, tmp_path / "back", runners=both).assert_passed()
    save_file({**tensors, name: unread[1:]}, converted / "model.safetensors", {"format": "pt"})
    with pytest.raises(UnmatchedTensorsError, match=r"EncDecAttention\.relative_attention_bias\.weight has shape"):
        convert_checkpoint(converted, tmp_path / "other", to="paddle")


def test_what_transformers_5_makes_of_a_head_of_its_own_is_refused(seed_small: Seed, tmp_path: Path) -> None:
    """It saves that the head is tied, and remembers elsewhere that it is not."""
    source, converted = seed_small("T5ForConditionalGeneration", **UNTIED), tmp_path / "converted"
    convert_checkpoint(source, converted)
    assert document(converted)["scale_decoder_outputs"] is False
    change(converted, tie_word_embeddings=True)
    with pytest.raises(ConfigurationError, match="scale_decoder_outputs is False; PaddleNLP's t5 computes with True"):
        convert_checkpoint(converted, tmp_path / "back", to="paddle")


def test_the_furthest_distance_is_what_runs(seed_small: Seed, tmp_path: Path, both: Runners) -> None:
    """PaddleNLP's class reads none, and inputs reach further than it, in the decoder too."""
    source, converted = seed_small("T5Model", relative_attention_max_distance=40), tmp_path / "converted"
    assert document(source)["relative_attention_max_distance"] == 40
    convert_checkpoint(source, converted)
    assert document(converted)["relative_attention_max_distance"] == 128
    inputs = inputs_for(FAMILY, "T5Model", FAMILY.samples()[0])
    assert inputs.decoder_input_ids is not None
    assert 128 < inputs.decoder_input_ids.shape[1] < inputs.input_ids.shape[1]
    verify_checkpoint(source, converted, runners=both).assert_passed()
    for other in (40, 127, 140):
        change(converted, relative_attention_max_distance=other)
        assert {"files", "float64"} <= failed(source, converted, both, "files", "float64")


def test_the_encoder_alone_has_no_prefix(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    """In files of either library, and without a configuration that names the class."""
    source, converted = seed_small("T5EncoderModel"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    assert not [name for name in load_file(converted / "model.safetensors") if name.startswith("decoder")]
    convert_checkpoint(converted, tmp_path / "back", to="paddle")
    before, after = arrays_of(source), arrays_of(tmp_path / "back")
    assert "encoder.final_layer_norm.weight" in after
    assert {name: one.tobytes() for name, one in after.items()} == {name: one.tobytes() for name, one in before.items()}
    verify_checkpoint(converted, tmp_path / "back", runners=runners).assert_passed()
    change(source, architectures=None)
    assert convert_checkpoint(source, tmp_path / "guessed").target_architecture == "T5EncoderModel"


def test_a_decoder_with_more_layers_than_the_encoder_writes_nothing(
    seed_small: Seed, tmp_path: Path, both: Runners
) -> None:
    deeper = {"num_hidden_layers": 1, "decoder_layers": 3}
    source = seed_small("T5ForConditionalGeneration", **deeper)
    with pytest.raises(ConfigurationError, match="fails where the decoder has more; the backbone alone converts"):
        convert_checkpoint(source, tmp_path / "refused")
    source = seed_small("T5Model", folder="backbone", **deeper)
    convert_checkpoint(source, tmp_path / "converted")
    verify_checkpoint(source, tmp_path / "converted", runners=both).assert_passed()


def test_layers_of_the_decoder_need_not_be_stated(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source = seed_small("T5Model", decoder_layers=3)
    known = document(source)
    del known["num_decoder_layers"]
    (source / "config.json").write_text(json.dumps(known), "utf-8")
    convert_checkpoint(source, tmp_path / "converted")
    assert document(tmp_path / "converted")["num_decoder_layers"] == 3
    verify_checkpoint(source, tmp_path / "converted", runners=runners).assert_passed()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"decoder_start_token_id": 50}, "decoder_start_token_id 50 is not below vocab_size 50"),
        ({"feed_forward_proj": "gelu"}, "hidden_act 'gelu' is not known to be equal in both frameworks"),
        ({"feed_forward_proj": "gated-relu"}, "hidden_act 'gated-relu' is not known to be equal"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings is 'no'; true or false is expected"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], reason: str, seed_small: Seed, tmp_path: Path) -> None:
    source = seed_small("T5ForConditionalGeneration")
    change(source, **fields)
    with pytest.raises(ConfigurationError, match=reason):
        convert_checkpoint(source, tmp_path / "converted")


@pytest.mark.parametrize("fields", [{}, UNTIED, {"bos_token_id": 9}])
def test_a_few_lines_write_the_same(fields: dict[str, Any], seed_small: Seed, tmp_path: Path) -> None:
    """As users write them, in PaddleNLP and in both versions of transformers, but for the tokenizer."""
    source, converted = seed_small("T5ForConditionalGeneration", **fields), tmp_path / "converted"

    enlarge(source, ".v.weight", ".o.weight", "shared.weight", "embed_tokens.weight", "lm_head.weight")
    convert_checkpoint(source, converted)
    stated = json.loads((converted / "generation_config.json").read_text("utf-8"))
    assert stated["decoder_start_token_id"] == fields.get("bos_token_id", SMALL["t5"]["bos_token_id"])
    request = {"texts": [[5, 6, 7], [30, 31, 32, 33, 34, 1], [44, 2]], "count": 12}
    script = TESTS / "write_texts.py"
    paddle = {"folder": str(source), "auto_class": "AutoModelForConditionalGeneration"}
    written = run_child(script, {**request, **paddle})
    assert len(set(written)) > 1, written
    for python in TORCH_PYTHONS:
        torch = {"folder": str(converted), "auto_class": "AutoModelForSeq2SeqLM"}
        assert run_child(script, {**request, **torch}, python=python) == written
