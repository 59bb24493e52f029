"""What is special in encoder-decoders: a head of the words that is tied or not, ids for the decoder, what must not be
seen, and the layers of two stacks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.errors import ConfigurationError, UnmatchedTensorsError
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.checks.unseen import exchanged, problems_of
from paddle2torch.verify.faults.known import all_faults
from paddle2torch.verify.faults.runs import run_faults
from paddle2torch.verify.inputs import inputs_for, inputs_from_rows
from paddle2torch.verify.runners.forward import Runners

from ..checkpoint_files import Arrays, arrays_of, change, enlarge, rewrite
from ..conftest import TESTS, TORCH_PYTHONS, run_child
from ..tokenizer_files import train_byte_pairs, write_config
from .conftest import Seed

NAMES = {"Bart": "bart", "MBart": "mbart"}

both_families = pytest.mark.parametrize("name", NAMES)


def tie(arrays: Arrays) -> None:
    """The decoder of the words is the table, and the logits' biases are none by chance."""
    (words,) = (values for name, values in arrays.items() if name.endswith("shared.weight"))
    arrays["lm_head_weight"] = words.copy()
    bias = np.random.default_rng(0).standard_normal(arrays["final_logits_bias"].shape)
    arrays["final_logits_bias"] = np.asarray(bias, np.float32)


@both_families
def test_a_decoder_that_is_the_table_is_left_out(name: str, seed_small: Seed, both: Runners, tmp_path: Path) -> None:
    """There and back, bit for bit, with biases of the logits that are not zero."""
    source, converted = seed_small(f"{name}ForConditionalGeneration"), tmp_path / "converted"
    rewrite(source, tie)
    done = convert_checkpoint(source, converted)
    assert done.tie_word_embeddings
    written = load_file(converted / "model.safetensors")
    assert {one for one in written if one.endswith(("lm_head.weight", "embed_tokens.weight"))} == set()
    assert written["final_logits_bias"].any()
    verify_checkpoint(source, converted, runners=both).assert_passed()
    untied = [fault for fault in all_faults() if fault.name == "decoder untied"]
    (caught,) = run_faults(source, converted, runners=both.sides()[0], faults=untied)
    assert caught.caught, caught.line()
    convert_checkpoint(converted, tmp_path / "back", to="paddle")
    before, after = arrays_of(source), arrays_of(tmp_path / "back")
    assert before.keys() == after.keys()
    assert all(before[one].tobytes() == after[one].tobytes() for one in before)
    verify_checkpoint(converted, tmp_path / "back", runners=both).assert_passed()


@both_families
def test_a_decoder_of_its_own_takes_the_tables_of_both_stacks_along(
    name: str, seed_small: Seed, both: Runners, tmp_path: Path
) -> None:
    """Without them, transformers would start those at random."""
    source, converted = seed_small(f"{name}ForConditionalGeneration"), tmp_path / "converted"
    done = convert_checkpoint(source, converted)
    assert not done.tie_word_embeddings
    path = converted / "model.safetensors"
    written = load_file(path)
    tables = [f"model.{stack}.embed_tokens.weight" for stack in ("encoder", "decoder")]
    assert all((written[one] == written["model.shared.weight"]).all() for one in tables)
    verify_checkpoint(source, converted, runners=both).assert_passed()
    kept = {one: values for one, values in written.items() if one not in tables}
    save_file(kept, path, {"format": "pt"})
    report = verify_checkpoint(source, converted, runners=both, checks=("float64", "as_loaded"))
    for side in report.sides:
        assert {check.name for check in side.checks if not check.passed} == {"float64", "as_loaded"}
        (loaded,) = (check for check in side.checks if check.name == "as_loaded")
        assert all(f"missing {', '.join(sorted(tables))}" in problem for problem in loaded.problems[:1])


def test_a_few_lines_write_the_same_text(seed_small: Seed, tmp_path: Path) -> None:
    """As users write them, in PaddleNLP and in both versions of transformers."""
    source, converted = seed_small("BartForConditionalGeneration", vocab_size=800), tmp_path / "converted"
    train_byte_pairs(source, ("<s>", "<pad>", "</s>", "<unk>", "<mask>"))
    write_config(source, tokenizer_class="BartTokenizer")

    enlarge(source, "_proj.weight", "shared.weight", "embed_tokens.weight", by=20)
    enlarge(source, "lm_head_weight", by=40)
    convert_checkpoint(source, converted)
    texts = ["a few words", "Another text, of more words", "2 and 3"]
    request = {"texts": texts, "count": 12}
    script = TESTS / "write_texts.py"
    paddle = {"folder": str(source), "auto_class": "AutoModelForConditionalGeneration"}
    written = run_child(script, {**request, **paddle})
    assert len(set(written)) > 1, written
    for python in TORCH_PYTHONS:
        torch = {"folder": str(converted), "auto_class": "AutoModelForSeq2SeqLM"}
        assert run_child(script, {**request, **torch}, python=python) == written


def test_tables_that_differ_are_refused(seed_small: Seed, tmp_path: Path) -> None:
    """PaddleNLP's model has one for both stacks."""
    source = seed_small("BartModel")

    def change(arrays: Arrays) -> None:
        arrays["decoder.embed_tokens.weight"] = arrays["decoder.embed_tokens.weight"] + np.float32(1)

    rewrite(source, change)
    with pytest.raises(UnmatchedTensorsError, match=r"decoder\.embed_tokens\.weight differs from shared\.weight, but"):
        convert_checkpoint(source, tmp_path / "converted")


def test_numbers_of_layers_have_two_names(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    source, converted = seed_small("BartModel"), tmp_path / "converted"
    path = source / "config.json"
    document = json.loads(path.read_text())
    stated = {"num_encoder_layers": document.pop("encoder_layers"), "num_decoder_layers": document["decoder_layers"]}
    path.write_text(json.dumps({**document, **stated}))
    convert_checkpoint(source, converted)
    assert json.loads((converted / "config.json").read_text())["encoder_layers"] == 3
    verify_checkpoint(source, converted, runners=runners, checks=("config", "float64")).assert_passed()
    change(source, num_decoder_layers=5)
    with pytest.raises(
        ConfigurationError, match="num_decoder_layers is 5 and decoder_layers, which means the same, is"
    ):
        convert_checkpoint(source, tmp_path / "other")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"decoder_attention_heads": 7}, "hidden_size 24 is not a multiple of decoder_attention_heads 7"),
        ({"decoder_start_token_id": 50}, "decoder_start_token_id 50 is not below vocab_size 50"),
        ({"activation_function": "swish"}, "hidden_act 'swish' is not known to be equal in both frameworks"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], reason: str, seed_small: Seed, tmp_path: Path) -> None:
    source = seed_small("MBartModel")
    change(source, **fields)
    with pytest.raises(ConfigurationError, match=reason):
        convert_checkpoint(source, tmp_path / "converted")


def test_a_layer_of_the_decoder_is_named(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """The layers of both stacks are fed, so that the other ones agree."""
    source, converted = seed_small("BartForQuestionAnswering"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    path = converted / "model.safetensors"
    clean = load_file(path)
    for target, where in (
        ("model.decoder.layers.1.encoder_attn.v_proj", "decoder's layer 1, encoder_attn.v_proj"),
        ("model.encoder.layers.2.fc2", "layer 2, fc2"),
        ("model.decoder.layernorm_embedding", "decoder's embeddings, layernorm_embedding"),
    ):
        tensors = {name: values.copy() for name, values in clean.items()}
        tensors[f"{target}.weight"].reshape(-1)[3] += np.float32(0.5)
        save_file(tensors, path, {"format": "pt"})
        (check,) = verify_checkpoint(source, converted, runners=runners, checks=("layers",)).checks
        assert not check.passed
        assert check.where.startswith(where)
        assert check.details["guilty"]["target"] == target
        assert len(check.problems) == 2, "one state, in both types"


def test_the_table_of_the_decoders_positions_is_looked_through(
    seed_small: Seed, runners: Runners, tmp_path: Path
) -> None:
    # Blocks of several rows: the vocabulary is longer than the positions of one.
    sizes = {"max_position_embeddings": 60, "vocab_size": 12000}
    source, converted = seed_small("MBartModel", **sizes), tmp_path / "converted"
    convert_checkpoint(source, converted)
    path = converted / "model.safetensors"
    tensors = load_file(path)
    tensors["decoder.embed_positions.weight"][55] += np.float32(0.5)
    save_file(tensors, path, {"format": "pt"})
    report = verify_checkpoint(source, converted, runners=runners, checks=("float64", "embeddings"))
    outcomes = {check.name: check for check in report.checks}
    assert outcomes["float64"].passed
    assert not outcomes["embeddings"].passed
    assert outcomes["embeddings"].where == "decoder's positions row 53"


def test_inputs_for_a_decoder(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    family = FAMILIES["mbart"]
    configuration = {**family.samples()[0], "decoder_start_token_id": 9}
    inputs = inputs_for(family, "MBartModel", configuration)
    assert inputs.decoder_input_ids is not None
    assert inputs.decoder_input_ids.shape[1] not in (0, inputs.input_ids.shape[1])
    assert set(inputs.decoder_input_ids[:, 0]) == {9}
    assert not (inputs.decoder_input_ids == configuration["pad_token_id"]).any()
    unstated = inputs_for(family, "MBartModel", family.samples()[0])
    assert unstated.decoder_input_ids is not None
    assert set(unstated.decoder_input_ids[:, 0]) == {configuration["eos_token_id"]}
    labelled = inputs_for(family, "MBartForSequenceClassification", configuration)
    assert labelled.decoder_input_ids is not None
    assert labelled.decoder_input_ids.shape == labelled.input_ids.shape
    ends = labelled.input_ids == configuration["eos_token_id"]
    assert ends.sum(axis=1).tolist() == [1, 1, 1]
    assert (labelled.attention_mask[ends] == 1).all()
    assert len({int(place) for place in ends.argmax(axis=1)}) > 1
    source, converted = seed_small("BartModel"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    with pytest.raises(ConfigurationError, match="decoder_input_ids are for encoder-decoders, and for those alone"):
        verify_checkpoint(source, converted, runners=runners, inputs=inputs_from_rows([[5, 6, 7]], 1))


def test_what_is_seen_that_must_not_be(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """Both libraries are asked; a state that moved, and one that shows nothing, is a finding."""
    source, converted = seed_small("BartForConditionalGeneration"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    report = verify_checkpoint(source, converted, runners=runners, checks=("unseen", "causal"))
    assert [check.name for check in report.checks if check.passed] == ["causal", "unseen"]
    family = FAMILIES["bart"]
    inputs = inputs_for(family, "BartModel", family.samples()[0])
    mask, other = inputs.attention_mask, exchanged(inputs, family.samples()[0])
    assert ((other.input_ids != inputs.input_ids) == (mask == 0)).all()
    rows, tokens = mask.shape
    before = {
        "hidden_state.00": np.zeros((rows, tokens, 4), np.float32),
        "decoder.cross_attention.00": np.zeros((rows, 2, 5, tokens), np.float32),
        "logits": np.zeros((rows, 5), np.float32),
    }
    assert problems_of("torch", before, before, mask) == [
        "torch makes the same of other ids where the mask is 0: nothing is known"
    ]
    fine = {name: values.copy() for name, values in before.items()}
    fine["hidden_state.00"][mask == 0] = 1
    assert problems_of("torch", before, fine, mask) == []
    for name, place, words in (
        ("hidden_state.00", (0, 3, 1), "hidden state 0 (the embeddings) at [0, 3]"),
        ("decoder.cross_attention.00", (1, 0, 4, 2), "decoder's cross attention map of layer 0 at [1, 4]"),
        ("logits", (2, 1), "logits at [2]"),
    ):
        moved = {one: values.copy() for one, values in fine.items()}
        moved[name][place] = 1
        assert problems_of("PaddleNLP", before, moved, mask) == [
            f"{words} depends in PaddleNLP on ids that the mask hides"
        ]


def test_checks_of_decoders_are_none_of_encoders(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    source, converted = seed_small("BertModel"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    report = verify_checkpoint(source, converted, runners=runners, checks=("weights", "unseen"))
    assert [check.name for check in report.checks] == ["weights"]
    assert report.not_run_reasons["unseen"] == "PaddleNLP's BertModel has no decoder behind an encoder"


def test_foreign_files_hold_the_tables_again(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """As older files of Hugging Face's do; one that differs from the table is refused."""
    source, converted = seed_small("BartForConditionalGeneration"), tmp_path / "converted"
    rewrite(source, tie)
    convert_checkpoint(source, converted)
    path = converted / "model.safetensors"
    tensors = load_file(path)
    again = ("lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight")
    foreign = shutil.copytree(converted, tmp_path / "foreign")
    words = tensors["model.shared.weight"]
    save_file({**tensors, **{name: words.copy() for name in again}}, foreign / path.name, {"format": "pt"})
    verify_checkpoint(source, foreign, runners=runners).assert_passed()
    convert_checkpoint(foreign, tmp_path / "back", to="paddle")
    verify_checkpoint(foreign, tmp_path / "back", runners=runners).assert_passed()
    save_file({**tensors, again[1]: words + 1}, foreign / path.name, {"format": "pt"})
    with pytest.raises(UnmatchedTensorsError, match=r"model\.encoder\.embed_tokens\.weight"):
        convert_checkpoint(foreign, tmp_path / "other", to="paddle")
