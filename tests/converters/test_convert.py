"""Real PaddleNLP checkpoints in every form, converted and compared bit for bit with a computation of the tests' own."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import deserialize, safe_open
from safetensors.numpy import load_file, save, save_file

from paddle2torch import convert_checkpoint
from paddle2torch.converters.checkpoints.configuration import complete_fields
from paddle2torch.converters.formats.byte_source import ByteSource, at_start
from paddle2torch.converters.formats.dtypes import DTYPES
from paddle2torch.converters.formats.pdparams_writer import write_pdparams
from paddle2torch.converters.formats.piecewise import Entry
from paddle2torch.converters.formats.tensors import Tensor
from paddle2torch.errors import ConfigurationError, UnmatchedTensorsError
from paddle2torch.mappings.language.family import Family
from paddle2torch.mappings.language.fields import as_stored
from paddle2torch.mappings.registry import FAMILIES, family_of_architecture

from .conftest import IN_EVERY_FORM

Arrays = dict[str, np.ndarray[Any, Any]]

ARCHITECTURES = [model.source for family in IN_EVERY_FORM for model in FAMILIES[family].models]

WITHOUT_POOLER = ("ForMaskedLM", "ForTokenClassification", "ForQuestionAnswering")

BERT_NAMES = {
    "self_attn.q_proj": "attention.self.query",
    "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value",
    "self_attn.out_proj": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "linear1": "intermediate.dense",
    "linear2": "output.dense",
    "norm2": "output.LayerNorm",
}


def bert_name(name: str, architecture: str) -> str:
    layer = re.fullmatch(r"(.*)encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", name)
    if layer:
        return f"{layer[1]}encoder.layer.{layer[2]}.{BERT_NAMES[layer[3]]}.{layer[4]}"
    name = name.replace("embeddings.layer_norm.", "embeddings.LayerNorm.")
    name = name.replace("cls.predictions.layer_norm.", "cls.predictions.transform.LayerNorm.")
    name = re.sub(r"predictions\.transform\.(weight|bias)$", r"predictions.transform.dense.\1", name)
    name = name.replace("cls.predictions.decoder_bias", "cls.predictions.bias")
    return name.replace("classifier.", "qa_outputs.") if architecture == "BertForQuestionAnswering" else name


def albert_name(name: str, architecture: str) -> str:
    norm = re.sub(r"(embeddings|attention|predictions)\.layer_norm\.", r"\1.LayerNorm.", name)
    return norm.replace("transformer.", "albert.")


RENAMED = {"albert": albert_name, "bert": bert_name}
"""Written by hand, apart from the families' own rows."""


def family_of(architecture: str) -> Family:
    family = family_of_architecture(architecture)
    assert family is not None
    return family


def expected(architecture: str, values: Mapping[str, np.ndarray[Any, Any]], untied: bool) -> Arrays:
    """What a Hugging Face folder of these PaddleNLP values must hold; `untied` keeps the decoder."""
    rename = RENAMED[family_of(architecture).name]
    arrays: Arrays = {}
    for name, value in values.items():
        if name.endswith("position_ids") or (name.endswith(("decoder.weight", "decoder.bias")) and not untied):
            continue
        if "pooler" in name and architecture.endswith(WITHOUT_POOLER):
            continue
        table = "_embeddings." in name or "decoder." in name
        turned = value.T if value.ndim == 2 and not table else value
        arrays[rename(name, architecture)] = np.ascontiguousarray(turned)
    return arrays


def values_of(folder: Path, name: str = "values") -> Arrays:
    with np.load(folder / f"{name}.npz") as loaded:
        return {key: loaded[key] for key in loaded.files}


def unties(architecture: str) -> bool:
    """AlbertForPretraining is the one class whose decoder PaddleNLP does not tie."""
    return architecture == "AlbertForPretraining"


@pytest.mark.parametrize("form", ["pdparams", "safetensors", "sharded-pdparams", "sharded-safetensors"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_in_every_form(architecture: str, form: str, checkpoints: Path, tmp_path: Path) -> None:
    source = checkpoints / architecture
    assert ("sharded" in form) == (len(list((source / form).glob("*.index.json"))) == 1)
    done = convert_checkpoint(source / form, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["config.json", "model.safetensors"]
    arrays = expected(architecture, values_of(source), unties(architecture))
    written = tmp_path / "out" / "model.safetensors"
    loaded = load_file(written)
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype == np.float32
        assert loaded[name].shape == array.shape
        assert loaded[name].tobytes() == array.tobytes(), name
    # The library's own file of the same tensors is the same file; its metadata come in any order.
    metadata = {"format": "pt", "paddle2torch": "1"}
    assert written.read_bytes() in {save(arrays, metadata=metadata) for _ in range(40)}
    with safe_open(written, framework="np") as opened:
        assert opened.metadata() == metadata
    assert done.architecture == architecture
    assert done.guesses == ()
    assert done.tie_word_embeddings is not unties(architecture)
    assert done.parameters == sum(array.size for array in arrays.values())
    accounted = [*done.tied, *done.dropped, *done.ignored]
    # The bias of an untied decoder is written twice.
    assert len(accounted) + done.tensors == len(values_of(source)) + unties(architecture)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("architecture", ["AlbertModel", "AlbertForMaskedLM", "BertForPretraining"])
def test_half_precision_stays_as_it_is(architecture: str, dtype: str, checkpoints: Path, tmp_path: Path) -> None:
    source = checkpoints / architecture
    convert_checkpoint(source / dtype, tmp_path / "out")
    arrays = expected(architecture, values_of(source, f"values-{dtype}"), untied=False)
    tensors = dict(deserialize((tmp_path / "out" / "model.safetensors").read_bytes()))  # type: ignore[no-untyped-call]
    assert tensors.keys() == arrays.keys()
    for name, facts in tensors.items():
        assert facts["dtype"] == {"float16": "F16", "bfloat16": "BF16"}[dtype]
        assert facts["shape"] == list(arrays[name].shape)
        assert bytes(facts["data"]) == arrays[name].tobytes(), name
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == dtype


def spoil(checkpoints: Path, architecture: str, folder: Path, arrays: Arrays | None = None, **fields: Any) -> Path:
    """A PaddleNLP folder with other tensors, as safetensors, or other configuration fields; None removes a field."""
    source = checkpoints / architecture
    folder.mkdir()
    save_file(arrays or values_of(source), folder / "model.safetensors")
    document = json.loads((source / "pdparams" / "config.json").read_text())
    document = {
        name: value for name, value in {**document, **fields}.items() if name not in fields or value is not None
    }
    (folder / "config.json").write_text(json.dumps(document))
    return folder


def test_the_widest_type_of_a_mixed_checkpoint_is_the_configurations(checkpoints: Path, tmp_path: Path) -> None:
    arrays = values_of(checkpoints / "BertModel")
    arrays = {name: value if "norm" in name else value.astype(np.float16) for name, value in arrays.items()}
    convert_checkpoint(spoil(checkpoints, "BertModel", tmp_path / "in", arrays), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "float32"
    loaded = load_file(tmp_path / "out" / "model.safetensors")
    for name, array in expected("BertModel", arrays, untied=False).items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].tobytes() == array.tobytes()


def test_special_values_keep_their_bits(checkpoints: Path, tmp_path: Path) -> None:
    arrays = values_of(checkpoints / "BertModel")
    bits = np.array([0x7FC00001, 0xFFC00000, 0x7F800000, 0xFF800000, 0x80000000, 0x00000001, 0x7F800001], np.uint32)
    weight = arrays["encoder.layers.0.linear1.weight"]
    weight.reshape(-1)[: bits.size] = bits.view(np.float32)
    convert_checkpoint(spoil(checkpoints, "BertModel", tmp_path / "in", arrays), tmp_path / "out")
    written = load_file(tmp_path / "out" / "model.safetensors")["encoder.layer.0.intermediate.dense.weight"]
    assert written.tobytes() == np.ascontiguousarray(weight.T).tobytes()


DECODERS = {
    "AlbertForMaskedLM": "predictions.decoder.weight",
    "AlbertForPretraining": "predictions.decoder.weight",
    "BertForMaskedLM": "cls.predictions.decoder.weight",
    "BertForPretraining": "cls.predictions.decoder.weight",
}


@pytest.mark.parametrize(("architecture", "decoder"), DECODERS.items())
def test_an_untied_decoder_is_kept(architecture: str, decoder: str, checkpoints: Path, tmp_path: Path) -> None:
    arrays = values_of(checkpoints / architecture)
    arrays[decoder] = arrays[decoder].copy()
    # The smallest difference there is: the sign of a zero.
    words = next(name for name in arrays if name.endswith("word_embeddings.weight"))
    arrays[words][3, 3], arrays[decoder][:] = 0.0, arrays[words]
    arrays[decoder][3, 3] = -0.0
    done = convert_checkpoint(spoil(checkpoints, architecture, tmp_path / "in", arrays), tmp_path / "out")
    loaded = load_file(tmp_path / "out" / "model.safetensors")
    assert loaded[decoder].tobytes() == arrays[decoder].tobytes()
    assert decoder not in done.tied
    assert json.loads((tmp_path / "out" / "config.json").read_text())["tie_word_embeddings"] is False


@pytest.mark.parametrize(("architecture", "decoder"), DECODERS.items())
def test_a_tied_decoder_is_left_out(architecture: str, decoder: str, checkpoints: Path, tmp_path: Path) -> None:
    arrays = values_of(checkpoints / architecture)
    words = next(name for name in arrays if name.endswith("word_embeddings.weight"))
    arrays[decoder] = arrays[words].copy()
    done = convert_checkpoint(spoil(checkpoints, architecture, tmp_path / "in", arrays), tmp_path / "out")
    assert decoder in done.tied
    assert decoder not in load_file(tmp_path / "out" / "model.safetensors")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["tie_word_embeddings"] is True


@pytest.mark.parametrize("architecture", ["AlbertForMaskedLM", "AlbertForPretraining"])
def test_a_decoder_bias_that_differs_is_refused(architecture: str, checkpoints: Path, tmp_path: Path) -> None:
    arrays = values_of(checkpoints / architecture)
    arrays["predictions.decoder.bias"] = arrays["predictions.bias"] + np.float32(1)
    source = spoil(checkpoints, architecture, tmp_path / "in", arrays)
    with pytest.raises(UnmatchedTensorsError, match=r"predictions\.decoder\.bias differs from predictions\.bias"):
        convert_checkpoint(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", ["one", "shifted", "float"])
def test_position_ids_must_count(change: str, checkpoints: Path, tmp_path: Path) -> None:
    arrays = values_of(checkpoints / "AlbertModel")
    ids = arrays["embeddings.position_ids"] = arrays["embeddings.position_ids"].copy()
    if change == "one":
        ids[0, -1] = 0
    elif change == "shifted":
        ids += 1
    else:
        arrays["embeddings.position_ids"] = ids + 0.5
    with pytest.raises(UnmatchedTensorsError, match=r"embeddings\.position_ids does not hold 0, 1, 2"):
        convert_checkpoint(spoil(checkpoints, "AlbertModel", tmp_path / "in", arrays), tmp_path / "out")


@pytest.mark.parametrize(
    ("architecture", "fields", "message"),
    [
        ("AlbertModel", {"inner_group_num": 3}, "inner_group_num 3 exceeds num_hidden_layers / num_hidden_groups"),
        ("AlbertModel", {"hidden_act": "swish"}, "hidden_act 'swish' is not known to be equal"),
        ("BertModel", {"hidden_act": "gelu_new"}, "known are gelu, relu"),
        ("BertModel", {"num_attention_heads": 5}, "hidden_size 24 is not a multiple of num_attention_heads 5"),
        ("AlbertModel", {"num_attention_heads": 7}, "hidden_size 24 is not a multiple of num_attention_heads 7"),
        ("BertModel", {"pool_act": None}, "pool_act is None"),
        ("BertModel", {"pool_act": "relu"}, "pool_act is 'relu'"),
    ],
)
def test_models_that_cannot_be_expressed(
    architecture: str, fields: dict[str, Any], message: str, checkpoints: Path, tmp_path: Path
) -> None:
    source = spoil(checkpoints, architecture, tmp_path / "in")
    document = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**document, **fields}))
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        convert_checkpoint(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("architecture", ["AlbertForSequenceClassification", "BertForMaskedLM"])
def test_the_older_configuration_file(architecture: str, checkpoints: Path, tmp_path: Path) -> None:
    """The nested form: the arguments of the task model hold those of the backbone."""
    shutil.copytree(checkpoints / architecture / "pdparams", tmp_path / "in")
    document = json.loads((tmp_path / "in" / "config.json").read_text())
    (tmp_path / "in" / "config.json").unlink()
    base = family_of(architecture).base
    backbone = {name: document[name] for name in document if name in {**SIZES, "layer_norm_eps": 0}}
    nested = {"init_args": [{**backbone, "init_class": base}], "num_classes": 3, "init_class": architecture}
    (tmp_path / "in" / "model_config.json").write_text(json.dumps(nested))
    older = convert_checkpoint(tmp_path / "in", tmp_path / "older")
    convert_checkpoint(checkpoints / architecture / "pdparams", tmp_path / "newer")
    assert older.architecture == architecture
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "older" / name).read_bytes() == (tmp_path / "newer" / name).read_bytes()


SIZES = dict.fromkeys(
    (
        "vocab_size",
        "embedding_size",
        "hidden_size",
        "num_hidden_layers",
        "num_hidden_groups",
        "inner_group_num",
        "num_attention_heads",
        "intermediate_size",
        "hidden_act",
        "max_position_embeddings",
        "type_vocab_size",
    )
)


def test_a_file_named_after_a_pretrained_name(tiny: Path, tmp_path: Path) -> None:
    """A published file comes alone: its name leads to the configuration, its tensors to the architecture."""
    shutil.copy(tiny / "model_state.pdparams", tmp_path / "albert-chinese-tiny.pdparams")
    alone = convert_checkpoint(tmp_path / "albert-chinese-tiny.pdparams", tmp_path / "alone")
    convert_checkpoint(tiny, tmp_path / "folder")
    assert alone.parameters == 4_080_520
    assert alone.architecture == "AlbertModel"
    assert alone.guesses == (
        "configuration, from the name: the published configuration of albert-chinese-tiny",
        "architecture AlbertModel, from the names of the tensors",
    )
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "folder" / name).read_bytes()


def test_the_architecture_is_recognised_from_the_tensors(checkpoints: Path, tmp_path: Path) -> None:
    source = spoil(checkpoints, "AlbertForPretraining", tmp_path / "in", architectures=None)
    done = convert_checkpoint(source, tmp_path / "out")
    assert done.architecture == "AlbertForPretraining"
    assert done.guesses == ("architecture AlbertForPretraining, from the names of the tensors",)


def test_an_ambiguous_architecture_must_be_chosen(checkpoints: Path, tmp_path: Path) -> None:
    source = spoil(checkpoints, "BertForTokenClassification", tmp_path / "in", architectures=None)
    message = "fit BertForSequenceClassification and BertForTokenClassification, and the configuration names no"
    with pytest.raises(ConfigurationError, match=message):
        convert_checkpoint(source, tmp_path / "out")
    done = convert_checkpoint(source, tmp_path / "out", architecture="BertForTokenClassification")
    assert done.target_architecture == "BertForTokenClassification"


def test_a_family_of_a_configuration_that_names_none(checkpoints: Path, tmp_path: Path) -> None:
    source = spoil(checkpoints, "BertModel", tmp_path / "in", architectures=None, model_type=None)
    with pytest.raises(ConfigurationError, match="--family"):
        convert_checkpoint(source, tmp_path / "out")
    assert convert_checkpoint(source, tmp_path / "out", family="bert").architecture == "BertModel"


def test_progress_counts_every_byte_twice(checkpoints: Path, tmp_path: Path) -> None:
    """Once written, once read back."""
    seen: list[tuple[str, int, int]] = []
    done = convert_checkpoint(
        checkpoints / "BertModel" / "pdparams", tmp_path / "out", progress=lambda *facts: seen.append(facts)
    )
    for stage in ("write", "compare"):
        counts = [count for name, count, total in seen if name == stage]
        assert counts == sorted(counts)
        assert counts[-1] == done.nbytes
        assert {total for name, _, total in seen if name == stage} == {done.nbytes}


@pytest.mark.parametrize(("low_memory", "limit"), [(False, 200), (True, 120)])
def test_copies_of_a_wide_table_cost_no_memory(low_memory: bool, limit: int, tmp_path: Path) -> None:
    """PaddleNLP saves the table of words of an encoder-decoder three times. That all are the same is found out in
    bounded memory, and all else is done in no more."""
    family = FAMILIES["mbart"]
    fields = complete_fields(family, {**family.small, "vocab_size": 20_000, "hidden_size": 1024})
    shapes: dict[str, tuple[int, ...]] = {}
    for rule in family.rules("MBartModel", fields, prefixed=False):
        shapes.update(zip(rule.sources, rule.shapes, strict=True))
    (source := tmp_path / "source").mkdir()
    with (tmp_path / "zeros").open("xb") as file:
        file.truncate(4 * max(map(math.prod, shapes.values())))
    zeros = partial(at_start, ByteSource(tmp_path / "zeros"))
    entries = [Entry(name, (Tensor(name, DTYPES["float32"], shape, zeros),)) for name, shape in shapes.items()]
    write_pdparams(source / "model_state.pdparams", entries, lambda count: None)
    document = {**as_stored(family.fields, fields), "architectures": ["MBartModel"], "model_type": "mbart"}
    (source / "config.json").write_text(json.dumps(document), "utf-8")
    script = (
        "import re, sys; from paddle2torch import convert_checkpoint;"
        f"done = convert_checkpoint(sys.argv[1], sys.argv[2], low_memory={low_memory});"
        "print(len(done.tied), re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    command = [sys.executable, "-c", script, str(source), str(tmp_path / "converted")]
    child = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stderr
    tied, peak = map(int, child.stdout.split())
    assert tied == 2
    assert peak < limit << 10
