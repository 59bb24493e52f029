"""What a model cannot be given, or asked for, is left out of the comparison and said in the report; nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import ConfigurationError, UnmatchedTensorsError
from paddle2torch.mappings.language.limits import NO_LIMITS, Limits
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.inputs import Inputs, inputs_from_rows, make_inputs
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.text import report_lines
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.seeding import seed_request
from paddle2torch.verify.states import state_difference, token_difference

from ..conftest import small_of
from .conftest import Seed

SMALL = {"vocab_size": 50, "pad_token_id": 3, "max_position_embeddings": 60, "type_vocab_size": 4}

CLASSES = {
    "SqueezeBertForQuestionAnswering": ("an attention mask", "positions", "rows with padding", "attention maps"),
    "SqueezeBertForTokenClassification": ("attention maps",),
    "MegatronBertForMultipleChoice": ("an attention mask", "attention maps"),
    "FNetForMultipleChoice": ("an attention mask", "more than one row", "attention maps"),
    "ConvBertForTokenClassification": ("positions",),
    "GPTForSequenceClassification": ("padding before a token",),
    "GPTForCausalLM": (),
    "XLNetModel": ("what mask_emb does",),
    "XLNetForQuestionAnswering": ("attention maps", "what mask_emb does"),
    "BertModel": (),
}
"""By class what is not covered, in the words that a line begins with."""

ZEROED = ("MobileBertForPreTraining", "NystromformerForMaskedLM", "FNetForMaskedLM", "ConvBertForQuestionAnswering")
"""Classes whose padding row is written as zeros."""


@pytest.mark.parametrize("architecture", CLASSES)
def test_a_report_says_what_is_not_covered(
    architecture: str, seed_small: Seed, tmp_path: Path, runners: Runners
) -> None:
    source = seed_small(architecture)
    convert_checkpoint(source, tmp_path / "converted")
    report = verify_checkpoint(source, tmp_path / "converted", certificate=True, runners=runners).assert_passed()
    starts = CLASSES[architecture]
    assert len(report.not_covered) == len(starts)
    assert all(line.startswith(start) for line, start in zip(report.not_covered, starts, strict=True))
    assert [line.strip() for line in report_lines(report) if "not covered: " in line] == [
        f"not covered: {what}" for what in report.not_covered
    ]
    assert report.to_json()["not_covered"] == list(report.not_covered)
    assert all(what in (tmp_path / "converted" / "parity.json").read_text() for what in report.not_covered)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "limits",
    [
        Limits(mask="m"),
        Limits(padding="p"),
        Limits(rows="r"),
        Limits(rows="r", padding="p"),
        Limits(positions="n"),
        Limits(gaps="g"),
        Limits(mask="m", padding="p", rows="r", positions="n"),
    ],
    ids=lambda limits: "".join(limits.lines()),
)
def test_inputs_keep_within_limits_and_reach_the_rest(limits: Limits, seed: int) -> None:
    inputs = make_inputs(SMALL, seed, limits=limits)
    inputs.check(limits, SMALL["pad_token_id"])
    ids, mask = inputs.input_ids, inputs.attention_mask
    assert len(ids) == (3 if limits.rows is None else 1)
    assert mask.all() == (limits.padding is not None)
    gaps = (mask[:, :-1] < mask[:, 1:]).any()
    assert gaps == (limits.padding is None and limits.gaps is None)
    assert np.array_equal(ids == 3, mask == 0)
    assert {0, 49} <= set(ids[mask == 1].tolist())
    assert set(inputs.token_type_ids[mask == 1].tolist()) == {0, 1, 2, 3}
    assert inputs.position_ids.min() == 0
    assert inputs.position_ids.max() == (59 if limits.positions is None else 19)


def moved(inputs: Inputs) -> Inputs:
    return replace(inputs, position_ids=inputs.position_ids + 1)


@pytest.mark.parametrize(
    ("limits", "inputs", "reason"),
    [
        (Limits(rows="they are mixed"), inputs_from_rows([[5, 6], [7, 8]], padding=0), "they are mixed"),
        (Limits(padding="it becomes NaN"), inputs_from_rows([[5, 6], [7]], padding=0), "it becomes NaN"),
        (Limits(gaps="it counts them"), inputs_from_rows([[5, 0, 6]], padding=0), "it counts them"),
        (Limits(positions="it takes none"), moved(inputs_from_rows([[5, 6]], padding=0)), "it takes none"),
        (Limits(mask="it is added"), inputs_from_rows([[5, 6], [0, 8]], padding=0), "exactly the padding id"),
        (Limits(mask="it is added"), inputs_from_rows([[5, 6], [7]], padding=9), "exactly the padding id"),
    ],
)
def test_inputs_that_a_model_cannot_take_are_refused(limits: Limits, inputs: Inputs, reason: str) -> None:
    inputs.check(NO_LIMITS, 0)
    with pytest.raises(ConfigurationError, match=reason):
        inputs.check(limits, 0)


def test_own_inputs_are_refused_before_a_framework_runs(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source = seed_small("FNetModel")
    convert_checkpoint(source, tmp_path / "converted")
    with pytest.raises(ConfigurationError, match="runs over the rows of a batch"):
        verify_checkpoint(source, tmp_path / "converted", inputs=inputs_from_rows([[5, 6], [7, 8]], 3), runners=runners)


def test_comparing_no_position_never_holds() -> None:
    state, mask = np.ones((2, 4, 6)), np.zeros((2, 4), np.int64)
    for found in (
        state_difference("hidden_state.01", state, state, mask, lambda scale: scale),
        token_difference("hidden_state.01", state, state, mask, 1.0),
    ):
        assert not found.holds
        assert found.text == "hidden state 1 (output of layer 0): no position of it was compared"


def seed_with_padding_row(architecture: str, folder: Path, runners: Runners) -> Path:
    """A checkpoint that has something else than zeros in the row of the padding id."""
    request = seed_request(architecture, small_of(architecture), folder, 3)
    runners.paddle32.request({**request, "zero_padding": False})
    return folder


@pytest.mark.parametrize("architecture", ZEROED)
def test_the_padding_row_is_written_as_zeros_and_said_to_be_lost(
    architecture: str, tmp_path: Path, runners: Runners
) -> None:
    source, converted = seed_with_padding_row(architecture, tmp_path / "source", runners), tmp_path / "converted"
    done = convert_checkpoint(source, converted)
    assert [line for line in done.alterations if "was written as zeros" in line and "is lost" in line]
    report = verify_checkpoint(source, converted, runners=runners).assert_passed()
    assert "zero_padding_row" in {seen.name for seen in report.declared_differences}
    path = converted / "model.safetensors"
    with safe_open(path, "np") as opened:
        metadata = opened.metadata()
    tensors = load_file(path)
    (words,) = (name for name in tensors if name.endswith("embeddings.word_embeddings.weight"))
    row = FAMILIES[done.family].small.get("pad_token_id", 3 if done.family == "fnet" else 0)
    assert not tensors[words][row].any()
    # As another program would have written it, it is another model.
    tensors[words] = tensors[words].copy()
    tensors[words][row] = np.linspace(-0.5, 0.5, tensors[words].shape[1], dtype="f4")
    save_file(tensors, path, metadata)
    report = verify_checkpoint(source, converted, runners=runners)
    failed = {check.name for check in report.checks if not check.passed}
    assert {"weights", "float64"} <= failed


def test_a_row_of_zeros_is_no_alteration(seed_small: Seed, tmp_path: Path) -> None:
    assert convert_checkpoint(seed_small("MobileBertModel"), tmp_path / "converted").alterations == ()


def test_a_decoder_that_is_the_table_itself_needs_a_row_of_zeros(tmp_path: Path, runners: Runners) -> None:
    source = seed_with_padding_row("ConvBertGenerator", tmp_path / "source", runners)
    with pytest.raises(ConfigurationError, match=r"does not hold zeros for the padding id, generator_lm_head\.weight"):
        convert_checkpoint(source, tmp_path / "converted")
    assert not (tmp_path / "converted").exists()


@pytest.mark.parametrize(
    ("architecture", "ending"),
    [
        ("SqueezeBertModel", "output.conv1d.bias"),
        ("MegatronBertModel", "output.dense.bias"),
        ("FNetModel", "output.dense.bias"),
        ("XLNetForQuestionAnswering", "ff.layer_2.bias"),
    ],
)
def test_states_that_layers_give_are_those_that_are_compared(
    architecture: str, ending: str, seed_small: Seed, tmp_path: Path, runners: Runners
) -> None:
    """A changed gain of the second layer shows in the state behind it, and not before."""
    source, converted = seed_small(architecture), tmp_path / "converted"
    convert_checkpoint(source, converted)
    path = converted / "model.safetensors"
    with safe_open(path, "np") as opened:
        metadata = opened.metadata()
    tensors = load_file(path)
    name = next(name for name in tensors if ".1." in name and name.endswith(ending))
    tensors[name] = tensors[name] + np.linspace(0, 1, len(tensors[name]), dtype="f4")
    save_file(tensors, path, metadata)
    report = verify_checkpoint(source, converted, checks=("layers",), runners=runners)
    (check,) = report.checks
    assert not check.passed
    assert "layer 1" in check.where
    states = [state for state in check.details["states"] if state["dtype"] == "float64"]
    beyond = {state["name"] for state in states if state["difference"] > state["limit"]}
    assert beyond == {"hidden_state.02"}


def test_limits_of_a_class_stand_in_place_of_the_familys() -> None:
    family = FAMILIES["squeezebert"]
    assert family.limits_of("SqueezeBertModel").mask is None
    assert family.limits_of("SqueezeBertForQuestionAnswering").mask is not None
    bert = replace(FAMILIES["bert"], limits=Limits(positions="x", mask="y"))
    assert bert.arguments_of("paddle", bert.limits) == ("input_ids", "token_type_ids")
    assert bert.arguments_of("torch", bert.limits) == ("input_ids", "attention_mask", "token_type_ids")


def test_a_padding_row_that_paddlenlp_would_not_read_is_refused_on_the_way_to_paddle(
    seed_small: Seed, tmp_path: Path
) -> None:
    torch = tmp_path / "torch"
    convert_checkpoint(seed_small("NystromformerModel"), torch)
    tensors = load_file(torch / "model.safetensors")
    tensors["embeddings.word_embeddings.weight"] = tensors["embeddings.word_embeddings.weight"] + np.float32(0.25)
    save_file(tensors, torch / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        UnmatchedTensorsError, match=r"word_embeddings\.weight does not hold zeros for the padding id 0"
    ):
        convert_checkpoint(torch, tmp_path / "paddle", to="paddle")
    assert not (tmp_path / "paddle").exists()
