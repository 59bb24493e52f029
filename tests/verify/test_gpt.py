"""What GPT alone has: query, key and value in one matrix, also head by head; a GELU that is not the one it is called;
the position that a classifier looks at; and texts that it writes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint
from paddle2torch.converters.formats.byte_source import MemorySource, at_start
from paddle2torch.converters.formats.dtypes import DTYPES
from paddle2torch.converters.formats.pdparams_writer import write_pdparams
from paddle2torch.converters.formats.piecewise import Entry
from paddle2torch.converters.formats.tensors import Tensor
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import ConfigurationError, UnmatchedTensorsError
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.inputs import Inputs, inputs_from_rows
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.seeding import seed_request

from ..checkpoint_files import arrays_of, document, state, state_in
from ..conftest import TESTS, TORCH_PYTHONS, Run, run_child
from ..tokenizer_files import train_byte_pairs, write_config
from .conftest import Seed

ATTENTION = "h.1.attn.c_attn"


def tensor_of(name: str, array: Any) -> Tensor:
    source = MemorySource(Path(name), np.ascontiguousarray(array).tobytes())
    return Tensor(name, DTYPES["float32"], array.shape, partial(at_start, source))


@pytest.mark.parametrize("fused", [False, True])
def test_query_key_and_value_become_one_matrix(fused: bool, seed_small: Seed, tmp_path: Path) -> None:
    """All queries first, each as it is stored, [inputs, outputs]: also where they are stored head by head."""
    source = seed_small("GPTModel", fuse_attention_qkv=fused)
    convert_checkpoint(source, tmp_path / "converted")
    known, made = arrays_of(source), load_file(tmp_path / "converted" / "model.safetensors")
    for leaf in ("weight", "bias"):
        front = f"decoder.layers.1.self_attn.{{}}_proj.{leaf}"
        if fused:
            by_head = known[front.format("qkv")].reshape(*known[front.format("qkv")].shape[:-1], 4, 3, 6)
            parts = [by_head[..., part, :].reshape(*by_head.shape[:-3], 24) for part in range(3)]
        else:
            parts = [known[front.format(name)] for name in "qkv"]
        assert np.array_equal(made[f"{ATTENTION}.{leaf}"], np.concatenate(parts, axis=-1))
    assert np.array_equal(made["h.0.mlp.c_fc.weight"], known["decoder.layers.0.linear1.weight"])


def test_files_with_one_matrix_come_back_as_three(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    """PaddleNLP makes either of a file: the same numbers are the same model."""
    fused = seed_small("GPTForCausalLM", fuse_attention_qkv=True)
    convert_checkpoint(fused, tmp_path / "converted")
    convert_checkpoint(tmp_path / "converted", tmp_path / "paddle", to="paddle")
    assert document(tmp_path / "paddle")["fuse_attention_qkv"] is False
    assert not [name for name in arrays_of(tmp_path / "paddle") if "qkv" in name]
    convert_checkpoint(tmp_path / "paddle", tmp_path / "again")
    both = [load_file(tmp_path / name / "model.safetensors") for name in ("converted", "again")]
    assert both[0].keys() == both[1].keys()
    assert all(np.array_equal(both[0][name], both[1][name]) for name in both[0])
    verify_checkpoint(tmp_path / "converted", tmp_path / "paddle", runners=runners).assert_passed()


def test_fields_have_the_names_of_each_library(seed_small: Seed, tmp_path: Path) -> None:
    source = seed_small("GPTForCausalLM", hidden_dropout_prob=0.25, eos_token_id=9)
    convert_checkpoint(source, tmp_path / "converted")
    found = document(tmp_path / "converted")
    stated = {name: found[name] for name in ("n_embd", "n_inner", "n_positions", "resid_pdrop", "embd_pdrop")}
    assert stated == {"n_embd": 24, "n_inner": 36, "n_positions": 30, "resid_pdrop": 0.25, "embd_pdrop": 0.25}
    assert (found["activation_function"], found["layer_norm_epsilon"]) == ("gelu_new", 1e-5)
    # What a classifier counts up to; rows are filled with it.
    assert (found["eos_token_id"], found["pad_token_id"]) == (9, 9)
    assert document(tmp_path / "converted", "generation_config.json") == {
        "bos_token_id": 1,
        "eos_token_id": 9,
        "pad_token_id": 9,
    }


def test_a_class_that_writes_no_texts_says_nothing_of_them(seed_small: Seed, tmp_path: Path) -> None:
    convert_checkpoint(seed_small("GPTModel"), tmp_path / "converted")
    assert not (tmp_path / "converted" / "generation_config.json").exists()


def test_a_width_that_is_not_stated_is_four_times_the_other(seed_small: Seed, tmp_path: Path) -> None:
    """As in the files that OpenAI published."""
    convert_checkpoint(seed_small("GPTModel", intermediate_size=96), tmp_path / "torch")
    state(tmp_path / "torch", n_inner=None, pad_token_id=None)
    convert_checkpoint(tmp_path / "torch", tmp_path / "paddle", to="paddle")
    found = document(tmp_path / "paddle")
    assert (found["intermediate_size"], found["hidden_activation"], found["pad_token_id"]) == (96, "gelu", 7)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"normalize_before": False}, "normalize_before is False, and only True converts: Hugging Face's class normal"),
        ({"scale_qk_coeff": 2.0}, "scale_qk_coeff is 2.0, and only 1.0 converts: Hugging Face's class then scales"),
        ({"hidden_activation": "relu"}, "hidden_act 'relu' is not known to be equal in both frameworks for family gpt"),
        ({"num_attention_heads": 5}, "hidden_size 24 is not a multiple of num_attention_heads 5"),
        ({"architectures": ["GPTForGreedyGeneration"]}, "GPTForGreedyGeneration is refused: its forward writes a text"),
    ],
)
def test_what_has_no_counterpart_is_refused_in_one_line(
    fields: dict[str, Any], message: str, seed_small: Seed, tmp_path: Path, paddle2torch: Run
) -> None:
    source = seed_small("GPTModel")
    state(source, **fields)
    done = paddle2torch("convert", source, tmp_path / "converted")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not (tmp_path / "converted").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"activation_function": "gelu"}, "activation_function is 'gelu'; PaddleNLP has a counterpart for 'gelu_new'"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True, and only False converts"),
        ({"layer_norm_epsilon": 1e-3}, "layer_norm_epsilon is 0.001; PaddleNLP's gpt computes with 1e-05"),
        ({"pad_token_id": 3}, "pad_token_id is 3; PaddleNLP's gpt computes with 7 whatever its configuration says"),
    ],
)
def test_what_paddlenlp_cannot_compute_is_refused_on_the_way_to_it(
    fields: dict[str, Any], message: str, seed_small: Seed, tmp_path: Path
) -> None:
    convert_checkpoint(seed_small("GPTModel"), tmp_path / "torch")
    state(tmp_path / "torch", **fields)
    with pytest.raises(ConfigurationError, match=message):
        convert_checkpoint(tmp_path / "torch", tmp_path / "paddle", to="paddle")


def as_published_by_openai(folder: Path) -> dict[str, Any]:
    """Write the weights as Hugging Face's oldest folders of GPT-2 hold them: with buffers, without the prefix of the
    backbone, and with a configuration that leaves out what was not known then."""
    state(folder, n_inner=None, pad_token_id=None, generation_config=None, embd_pdrop=0.1)
    tensors = load_file(folder / "model.safetensors")
    tensors = {name.removeprefix("transformer."): one for name, one in tensors.items()}
    for layer in range(3):
        tensors[f"h.{layer}.attn.bias"] = np.tri(30, dtype="f4")[None, None]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return tensors


def test_the_form_that_openai_published_goes_to_paddle(seed_small: Seed, tmp_path: Path, each_torch: Runners) -> None:
    source, folder = seed_small("GPTForCausalLM", intermediate_size=96), tmp_path / "torch"
    convert_checkpoint(source, folder)
    tensors = as_published_by_openai(folder)
    done = convert_checkpoint(folder, tmp_path / "paddle", to="paddle")
    assert (done.target_architecture, len(done.ignored)) == ("GPTForCausalLM", 3)
    before, after = arrays_of(source), arrays_of(tmp_path / "paddle")
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    verify_checkpoint(folder, tmp_path / "paddle", runners=each_torch).assert_passed()
    # The other way round, as what somebody else made of PaddleNLP's: transformers finds the tensors by itself.
    report = verify_checkpoint(source, folder, runners=each_torch).assert_passed()
    assert report.foreign
    assert [note for note in report.notes if "the backbone's tensors lack the prefix 'transformer.'" in note]
    tensors["h.1.attn.bias"] = np.ones((1, 1, 30, 30), "f4")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UnmatchedTensorsError, match=r"h\.1\.attn\.bias does not hold ones up to the diagonal"):
        convert_checkpoint(folder, tmp_path / "other", to="paddle")


def test_older_files_have_other_names_for_class_and_decoder(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source = seed_small("GPTForCausalLM")
    state(source, architectures=["GPTLMHeadModel"], model_type=None)
    with open_checkpoint(source) as checkpoint:
        names = {name: name.replace("lm_head.weight", "lm_head.decoder_weight") for name in checkpoint.tensors}
        entries = [Entry(names[name], (tensor,)) for name, tensor in checkpoint.tensors.items()]
        write_pdparams(tmp_path / "renamed.pdparams", entries, lambda count: None)
    assert "lm_head.decoder_weight" in names.values()
    shutil.move(tmp_path / "renamed.pdparams", source / "model_state.pdparams")
    assert convert_checkpoint(source, tmp_path / "converted").architecture == "GPTForCausalLM"
    verify_checkpoint(source, tmp_path / "converted", checks=("weights", "float64"), runners=runners).assert_passed()


def test_a_model_for_greedy_generation_is_one_for_texts(tmp_path: Path, runners: Runners) -> None:
    """Its file is that of the other class without the tensor that is tied."""
    source, converted = tmp_path / "source", tmp_path / "converted"
    runners.paddle32.request(seed_request("GPTForGreedyGeneration", FAMILIES["gpt"].small, source, 0))
    convert_checkpoint(source, converted, architecture="GPTForCausalLM")
    report = verify_checkpoint(source, converted, architecture="GPTForCausalLM", runners=runners)
    assert report.assert_passed().architecture == "GPTForCausalLM"


def test_a_decoder_that_differs_from_the_words_is_refused(seed_small: Seed, tmp_path: Path) -> None:
    source = seed_small("GPTForCausalLM")
    arrays = arrays_of(source)
    arrays["lm_head.weight"] = arrays["lm_head.weight"] + np.float32(1)
    for path in source.glob("model_state*"):
        path.unlink()
    save_file(arrays, source / "model.safetensors", {"format": "np"})
    with pytest.raises(UnmatchedTensorsError, match=r"lm_head\.weight differs from .*one parameter for both"):
        convert_checkpoint(source, tmp_path / "converted")


def with_end_inside(inputs: Inputs) -> Inputs:
    ids = inputs.input_ids.copy()
    ids[0, 1] = 7
    return replace(inputs, input_ids=ids)


def test_a_classifier_is_compared_where_ends_of_text_stand_last(
    seed_small: Seed, tmp_path: Path, runners: Runners
) -> None:
    """PaddleNLP counts the tokens that are no end of text, transformers looks for the last one: where one stands before
    others these are two positions, and such inputs are refused with the reason."""
    source, converted = seed_small("GPTForSequenceClassification"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    inputs = inputs_from_rows([[5, 6, 8, 9], [4, 3], [11, 12, 13]], padding=7)
    report = verify_checkpoint(source, converted, inputs=inputs, runners=runners).assert_passed()
    assert len(report.not_covered) == 1
    assert report.not_covered[0].startswith("padding before a token that is attended: ")
    with pytest.raises(ConfigurationError, match="takes the position before which as many tokens stand"):
        verify_checkpoint(source, converted, inputs=with_end_inside(inputs), runners=runners)
    other = tmp_path / "other"
    convert_checkpoint(seed_small("GPTForTokenClassification", folder="tokens"), other)
    verify_checkpoint(
        tmp_path / "tokens", other, inputs=with_end_inside(inputs), checks=("float64",), runners=runners
    ).assert_passed()


def test_a_few_lines_write_the_same_text(seed_small: Seed, tmp_path: Path) -> None:
    """As users write them, in PaddleNLP and in both versions of transformers."""
    source, converted = seed_small("GPTForCausalLM", vocab_size=800, eos_token_id=0, bos_token_id=0), tmp_path / "torch"
    train_byte_pairs(source, ("<|endoftext|>",))
    write_config(source, tokenizer_class="GPTTokenizer")
    # Embeddings that are not small beside the biases of the layers: otherwise one word follows on any text.
    arrays = arrays_of(source)
    arrays["gpt.embeddings.position_embeddings.weight"] *= 40
    arrays["gpt.embeddings.word_embeddings.weight"] *= 10
    arrays["lm_head.weight"] = arrays["gpt.embeddings.word_embeddings.weight"]
    entries = [Entry(name, (tensor_of(name, array),)) for name, array in arrays.items()]
    (source / "model_state.pdparams").unlink()
    write_pdparams(source / "model_state.pdparams", entries, lambda count: None)
    convert_checkpoint(source, converted)
    texts = ["The bridge was", "Many years later, at nine", "It"]
    request = {"texts": texts, "count": 12, "auto_class": "AutoModelForCausalLM"}
    wanted = run_child(TESTS / "write_texts.py", {**request, "folder": str(source)})
    assert len({*wanted}) == len(texts), wanted
    assert all(len({*text}) > 5 for text in wanted), wanted
    for python in TORCH_PYTHONS:
        request["folder"] = str(converted)
        assert run_child(TESTS / "write_texts.py", request, python=python) == wanted


def edited(name: str, edit: Callable[[Any], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "model.safetensors"
        with safe_open(path, "np") as opened:
            metadata = opened.metadata()
        tensors = load_file(path)
        tensors[name] = np.ascontiguousarray(edit(tensors[name]))
        save_file(tensors, path, metadata)

    return apply


def head_by_head(matrix: Any) -> Any:
    return np.swapaxes(matrix.reshape(*matrix.shape[:-1], 3, 4, 6), -3, -2).reshape(matrix.shape)


BREAKS: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    "turned as other linear layers are": (
        edited("transformer.h.1.attn.c_proj.weight", lambda one: one.T),
        {"weights", "float64", "layers"},
    ),
    "key before query": (
        edited(f"transformer.{ATTENTION}.weight", lambda one: one[:, [*range(24, 48), *range(24), *range(48, 72)]]),
        {"weights", "float64", "layers"},
    ),
    "head by head": (edited(f"transformer.{ATTENTION}.weight", head_by_head), {"weights", "float64", "layers"}),
    "rows of positions swapped": (edited("transformer.wpe.weight", lambda one: one[::-1]), {"weights", "embeddings"}),
    "the final norm": (edited("transformer.ln_f.weight", lambda one: one + np.float32(0.1)), {"weights", "float64"}),
    "another GELU": (lambda folder: state(folder, activation_function="gelu"), {"config", "files", "float64"}),
    "epsilon": (lambda folder: state(folder, layer_norm_epsilon=1e-3), {"config", "files", "float64"}),
    "scaled by layer": (
        lambda folder: state(folder, scale_attn_by_inverse_layer_idx=True),
        {"files", "float64", "layers"},
    ),
    "another end of a text": (lambda folder: state_in(folder / "generation_config.json", eos_token_id=8), {"files"}),
    "no more than three": (lambda folder: state_in(folder / "generation_config.json", max_length=3), {"files"}),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_broken_is_seen(name: str, seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source, converted = seed_small("GPTForCausalLM"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    inject, seen = BREAKS[name]
    inject(converted)
    report = verify_checkpoint(source, converted, runners=runners)
    assert seen <= {check.name for check in report.checks if not check.passed}


def test_a_broken_folder_ends_with_status_1(seed_small: Seed, tmp_path: Path, paddle2torch: Run) -> None:
    source, converted = seed_small("GPTForCausalLM"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    shutil.copytree(converted, tmp_path / "kept")
    BREAKS["key before query"][0](converted)
    assert paddle2torch("verify", source, converted).returncode == 1
    assert paddle2torch("verify", source, tmp_path / "kept").returncode == 0
