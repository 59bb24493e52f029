"""The check of the files: whatever is changed, added or taken away in a right folder is named, and no right folder is
red. No framework runs; PaddleNLP wrote the sources."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.formats.pdparams import open_pdparams
from paddle2torch.converters.formats.pdparams_writer import write_pdparams
from paddle2torch.converters.formats.piecewise import Entry
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.mappings.language.family import Family, Model
from paddle2torch.mappings.language.tokenizers import BYTE_PAIRS
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.result import CheckResult

from ...tokenizer_files import SPECIAL, SPIECES, special_tokens, tiny_spiece, train_spiece, write_lines

Document = dict[str, Any]
Change = Callable[[Path], object]

GONE = object()

CHARACTERS = [*SPECIAL, *"abcdefgh", *(f"##{one}" for one in "abcdefgh"), "中", "国"]


def fields(name: str, **values: Any) -> Change:
    """Give fields of a JSON file other values; a function makes them of the old ones, GONE removes a field."""

    def change(folder: Path) -> None:
        document = json.loads((folder / name).read_text("utf-8"))
        for field, value in values.items():
            document[field] = value(document.get(field)) if callable(value) else value
        document = {field: value for field, value in document.items() if value is not GONE}
        (folder / name).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")

    return change


def config(**values: Any) -> Change:
    return fields("config.json", **values)


def tokenizer(**values: Any) -> Change:
    return fields("tokenizer_config.json", **values)


def fast(**values: Any) -> Change:
    return fields("tokenizer.json", **values)


def file(name: str, contents: bytes = b"{}") -> Change:
    return lambda folder: (folder / name).write_bytes(contents)


def both(*changes: Change) -> Change:
    return lambda folder: [change(folder) for change in changes]


def swapped(labels: Document) -> Document:
    one, other, *rest = labels
    return {one: labels[other], other: labels[one], **{name: labels[name] for name in rest}}


def alone(entries: Document) -> Document:
    """The mask in added_tokens_decoder is found between spaces only."""
    return {
        index: {**entry, "single_word": True} if entry["content"] == "[MASK]" else entry
        for index, entry in entries.items()
    }


def replacing(normalizer: Any) -> Document:
    step = {"type": "Replace", "pattern": {"String": "a"}, "content": "b"}
    return {"type": "Sequence", "normalizers": [step, normalizer]}


def one_more(entries: list[Document]) -> list[Document]:
    return [*entries, {**entries[-1], "content": "h", "special": False}]


LISTED: dict[str, tuple[Change, str]] = {
    "label2id_swapped": (config(label2id=swapped), "config.json: label2id.LABEL_0 is 1, expected 0"),
    "label2id_gone": (config(label2id=GONE), "config.json: label2id is missing, expected {"),
    "problem_type": (config(problem_type="regression"), 'config.json: problem_type is "regression"'),
    "dropout_head": (config(classifier_dropout=0.9), "config.json: classifier_dropout is 0.9"),
    "dropout_hidden": (config(hidden_dropout_prob=0.95), "config.json: hidden_dropout_prob is 0.95, expected 0"),
    "initializer": (config(initializer_range=9.0), "config.json: initializer_range is 9.0, expected 0.02"),
    "dtype_old": (config(torch_dtype="float16"), 'config.json: torch_dtype is "float16", expected is no such field'),
    "dtype_new": (config(dtype="bfloat16"), 'config.json: dtype is "bfloat16", expected "float32"'),
    "architecture_other": (
        config(architectures=["BertForTokenClassification"]),
        'config.json: architectures[0] is "BertForTokenClassification", expected "',
    ),
    "architecture_family": (
        config(architectures=["AlbertForMaskedLM"]),
        'config.json: architectures[0] is "AlbertForMaskedLM"',
    ),
    "remote_code": (
        config(auto_map={"AutoConfig": "someone/x--configuration_x.C"}),
        "config.json: auto_map is {",
    ),
    "chunked": (config(chunk_size_feed_forward=4), "config.json: chunk_size_feed_forward is 4"),
    "tuple": (config(return_dict=False), "config.json: return_dict is false"),
    "num_labels": (config(num_labels=4), "config.json: num_labels is 4"),
    "other_weights": (
        both(
            config(transformers_weights="other.safetensors"),
            lambda folder: shutil.copy(folder / "model.safetensors", folder / "other.safetensors"),
        ),
        'config.json: transformers_weights is "other.safetensors", expected is no such field: a loader follows this to',
    ),
    "adapter_beside": (
        both(file("adapter_config.json"), file("adapter_model.bin")),
        "adapter_config.json: is in the folder and should not be, a loader follows this to an adapter",
    ),
    "bin_beside": (
        file("pytorch_model.bin"),
        "pytorch_model.bin: is in the folder and should not be, a loader follows",
    ),
    "remote_module": (
        both(file("modeling_x.py"), config(auto_map={"AutoModel": "modeling_x.M"})),
        "modeling_x.py: is in the folder and should not be, a loader follows this to code",
    ),
    "inputs_less": (tokenizer(model_input_names=["input_ids"]), "tokenizer_config.json: model_input_names"),
    "class_other": (
        tokenizer(tokenizer_class="DistilBertTokenizer"),
        'tokenizer_config.json: tokenizer_class is "DistilBertTokenizer", expected "',
    ),
    "split_special": (tokenizer(split_special_tokens=True), "tokenizer_config.json: split_special_tokens is true"),
    "single_word": (tokenizer(added_tokens_decoder=alone), ".single_word is true, expected false"),
    "clean_up": (
        tokenizer(clean_up_tokenization_spaces=False),
        "tokenizer_config.json: clean_up_tokenization_spaces is false, expected true",
    ),
    "remote_tokenizer": (
        tokenizer(auto_map={"AutoTokenizer": ["someone/x--tok.T", None]}),
        "tokenizer_config.json: auto_map is {",
    ),
    "word_swap": (fast(normalizer=replacing), "tokenizer.json: normalizer"),
    "word_added": (fast(added_tokens=one_more), "tokenizer.json: added_tokens holds"),
    "decoder_other": (fast(decoder={"type": "Fuse"}), "tokenizer.json: decoder"),
}
"""Changes after which a user gets another model, other ids or other code, and how the check names each."""


def link(name: str, target: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.symlink(target, folder / name)

    return change


def moved(name: str) -> Change:
    """A file lies elsewhere, and a link with its name in the folder."""

    def change(folder: Path) -> None:
        (folder / name).rename(folder.parent / f"{folder.name}.{name}")
        os.symlink(f"../{folder.name}.{name}", folder / name)

    return change


def bytes_of(name: str, change: Callable[[bytes], bytes]) -> Change:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def reordered(data: bytes) -> bytes:
    return json.dumps(dict(reversed(json.loads(data).items())), indent=2).encode()


def header(change: Callable[[Document], Document]) -> Change:
    """Change the header of the weights, the elements stay."""

    def changed(data: bytes) -> bytes:
        length = int.from_bytes(data[:8], "little")
        text = json.dumps(change(json.loads(data[8 : 8 + length])), separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text + data[8 + length :]

    return bytes_of("model.safetensors", changed)


def flat(document: Document) -> Document:
    """One tensor has another shape of the same size."""
    name = next(name for name, facts in document.items() if len(facts.get("shape", ())) == 2)
    rows, columns = document[name]["shape"]
    return {**document, name: {**document[name], "shape": [columns, rows]}}


def as_integers(document: Document) -> Document:
    name = next(name for name, facts in document.items() if facts.get("dtype") == "F32")
    return {**document, name: {**document[name], "dtype": "I32"}}


def noted(document: Document) -> Document:
    return {**document, "__metadata__": {**document["__metadata__"], "note": "x"}}


def older(document: Document) -> Document:
    return {**document, "__metadata__": {**document["__metadata__"], "paddle2torch": "0"}}


def shuffled(document: Document) -> Document:
    return dict(sorted(document.items(), reverse=True))


MORE: dict[str, tuple[Change, str]] = {
    "a number of another type": (config(pad_token_id=0.0), "config.json: pad_token_id is 0.0, expected 0"),
    "truth as a number": (config(tie_word_embeddings=1), "config.json: tie_word_embeddings is 1, expected true"),
    "other fields of the model": (config(is_decoder=True), "config.json: is_decoder is true"),
    "a label": (
        config(id2label=lambda labels: {**labels, "1": "x"}),
        'config.json: id2label.1 is "x", expected "LABEL_1"',
    ),
    "other configurations": (
        config(configuration_files=["config.4.0.0.json"]),
        "expected is no such field: a loader follows this to another configuration",
    ),
    "the order of fields": (bytes_of("config.json", reordered), "config.json: the same contents in other bytes, from"),
    "a field twice": (
        bytes_of("config.json", lambda data: data.replace(b"{", b'{"model_type": "x",', 1)),
        "config.json: the same contents in other bytes, from byte 1 on",
    ),
    "a blank": (bytes_of("config.json", lambda data: data + b" "), "config.json: the same contents in other bytes"),
    "no JSON": (file("config.json", b"{"), "config.json: is not a JSON file"),
    "a configuration for a version": (file("config.4.0.0.json"), "follows this to another configuration"),
    "generation": (
        file("generation_config.json"),
        "generation_config.json: is in the folder and should not be, a loader",
    ),
    "a template": (file("chat_template.jinja"), "follows this to a chat template"),
    "TensorFlow": (file("tf_model.h5"), "tf_model.h5: is in the folder and should not be, a loader follows"),
    "Flax": (file("flax_model.msgpack"), "follows this to other weights"),
    "another shard": (file("model-00001-of-00002.safetensors"), "follows this to other weights"),
    "an index": (file("model.safetensors.index.json"), "model.safetensors.index.json: is in the folder"),
    "GGUF": (file("model-q4.gguf"), "follows this to other weights"),
    "sentence-transformers": (file("modules.json"), "modules.json: is in the folder"),
    "a note": (file("notes.txt"), "notes.txt: is in the folder and should not be, no conversion writes it"),
    "hidden": (file(".hidden"), ".hidden: is in the folder and should not be"),
    "a folder": (lambda folder: (folder / "onnx").mkdir(), "the folder onnx: is in the folder and should not be"),
    "a hidden folder": (lambda folder: (folder / ".cache").mkdir(), "the folder .cache: is in the folder"),
    "a link more": (link("more", "/elsewhere"), "more: is a link, and a loader follows it to /elsewhere"),
    "a link to the configuration": (moved("config.json"), "config.json: is a link, and a loader follows it to ../"),
    "a link to the weights": (moved("model.safetensors"), "model.safetensors: is a link, and a loader follows it"),
    "a link for the model card": (link("README.md", "elsewhere"), "README.md: is a link"),
    "a folder for the certificate": (
        lambda folder: (folder / "parity.json").mkdir(),
        "parity.json: is a folder, a file is expected",
    ),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "config.json: is missing"),
    "no settings": (lambda folder: (folder / "tokenizer_config.json").unlink(), "tokenizer_config.json: is missing"),
    "no fast tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json: is missing"),
    "added tokens": (file("added_tokens.json"), "added_tokens.json: is in the folder and should not be, a loader"),
    "another tokenizer for a version": (
        both(file("tokenizer.4.0.0.json"), tokenizer(fast_tokenizer_files=["tokenizer.4.0.0.json"])),
        "tokenizer_config.json: fast_tokenizer_files is [",
    ),
    "padding": (tokenizer(padding_side="left"), 'tokenizer_config.json: padding_side is "left", expected "right"'),
    "length": (tokenizer(model_max_length=4), "tokenizer_config.json: model_max_length is 4"),
    "a processor of tokens": (fast(post_processor=None), "tokenizer.json: post_processor is null"),
    "truncation": (fast(truncation={"max_length": 4}), "tokenizer.json: truncation is {"),
    "metadata": (header(noted), 'model.safetensors: the metadata\'s note is "x", expected null'),
    "the record of another layout": (header(older), 'the metadata\'s paddle2torch is "0", expected "1"'),
    "a shape": (header(flat), "has the shape ["),
    "an element type": (header(as_integers), 'has the dtype "I32", expected "F32"'),
    "the order of the header": (header(shuffled), "model.safetensors: has an equal header in other bytes"),
}


@pytest.fixture(scope="module")
def spiece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_spiece(tmp_path_factory.mktemp("spiece") / "spiece.model")


@pytest.fixture(scope="module")
def pairs(
    seeded: Callable[..., Path], spiece: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, Path]]:
    """Sources with a tokenizer, and the folders that they convert to; never changed."""
    folder = tmp_path_factory.mktemp("pairs")
    made = {}
    for name, vocab_size in (("Bert", 50), ("Albert", 700)):
        source = folder / name / "source"
        shutil.copytree(seeded(f"{name}ForSequenceClassification", num_labels=3, vocab_size=vocab_size), source)
        if name == "Bert":
            write_lines(source / "vocab.txt", CHARACTERS)
        else:
            shutil.copyfile(spiece, source / "spiece.model")
        convert_checkpoint(source, folder / name / "converted")
        made[name] = (source, folder / name / "converted")
    return made


def check(source: Path, converted: Path) -> CheckResult:
    (result,) = verify_checkpoint(source, converted, checks=("files",)).checks
    assert result.name == "files"
    return result


def problems_after(change: Change, pair: tuple[Path, Path], tmp_path: Path) -> list[str]:
    source, converted = pair
    altered = tmp_path / "altered"
    shutil.copytree(converted, altered)
    change(altered)
    result = check(source, altered)
    assert result.passed is not bool(result.problems)
    return list(result.problems)


@pytest.mark.parametrize("name", [*LISTED, *MORE])
@pytest.mark.parametrize("family", ["Bert", "Albert"])
def test_every_alteration_is_named(family: str, name: str, pairs: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    change, expected = {**LISTED, **MORE}[name]
    problems = problems_after(change, pairs[family], tmp_path)
    assert any(expected in problem for problem in problems), problems


@pytest.mark.parametrize(("family", "name"), [("Bert", "vocab.txt"), ("Albert", "spiece.model")])
def test_a_changed_vocabulary_is_named(
    family: str, name: str, pairs: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    last = bytes_of(name, lambda data: data[:-3] + b"\xff" + data[-2:])
    (problem,) = problems_after(last, pairs[family], tmp_path)
    assert problem.startswith(f"{name}: differs from byte ")
    if name == "vocab.txt":
        other = bytes_of(name, lambda data: data.replace(b"\na\n", b"\nz\n"))
        (problem,) = problems_after(other, pairs[family], tmp_path / "again")
        assert problem == 'vocab.txt: line 6 is "z", expected "a"'


@pytest.mark.parametrize("name", ["tokenizer_config.json", "tokenizer.json", "vocab.txt", "special_tokens_map.json"])
def test_a_tokenizer_without_one_in_the_source_is_named(name: str, seeded: Callable[..., Path], tmp_path: Path) -> None:
    source, converted = seeded("BertModel"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    (converted / name).write_text('{"tokenizer_class": "CanineTokenizer"}')
    assert check(source, converted).problems == (
        f"{name}: is in the folder and should not be, a loader follows this to another tokenizer",
    )


def test_weights_in_other_files_are_named(seeded: Callable[..., Path], tmp_path: Path) -> None:
    """No limit of a shard's size spreads them so, although every loader finds each tensor."""
    source, converted = seeded("BertModel"), tmp_path / "converted"
    convert_checkpoint(source, converted, max_shard_size="8KB")
    index = json.loads((converted / "model.safetensors.index.json").read_text())
    # From the last file to the first.
    shard, other = max(index["weight_map"].values()), min(index["weight_map"].values())
    name = next(name for name in index["weight_map"] if index["weight_map"][name] == shard)
    metadata = {"format": "pt", "paddle2torch": "1"}
    tensors, others = load_file(converted / shard), load_file(converted / other)
    others[name] = tensors.pop(name)
    save_file(tensors, converted / shard, metadata)
    save_file(others, converted / other, metadata)
    index["weight_map"][name] = other
    (converted / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    problems = check(source, converted).problems
    assert any(problem.startswith("model.safetensors.index.json: ") for problem in problems)
    assert any(problem.startswith("model-0000") and "holds " in problem for problem in problems)


TYPICAL = [
    (family, model)
    for family in FAMILIES.values()
    for model in (family.model(family.base), next((one for one in family.models if one.head), None))
    if model is not None
]
"""Of each family the backbone and a class with a head."""

FORMS: dict[str, Document] = {
    "plain": {},
    "half": {"dtype": "float16"},
    "bfloat16 in shards": {"dtype": "bfloat16", "max_shard_size": "4KB"},
    "shards": {"max_shard_size": "9KB"},
    "a file for each": {"max_shard_size": 1},
    "zero padding row": {"zero_padding_row": True},
}


@pytest.mark.parametrize(
    ("family", "model", "tokenizer"),
    [
        pytest.param(family, model, tokenizer, id=f"{model.source}-{'' if tokenizer else 'no '}tokenizer")
        for family, model in TYPICAL
        for tokenizer in (False, True)
        if not tokenizer or (family.tokenizer is not None and family.tokenizer.default_class.refused is None)
    ],
)
def test_what_was_not_altered_is_green(
    family: Family, model: Model, tokenizer: bool, seeded: Callable[..., Path], tmp_path: Path
) -> None:
    """All forms, and the way back from each; with a tokenizer, whose files are the same, one file and several."""
    source = tmp_path / "source"
    shutil.copytree(seeded(model.source), source)
    if tokenizer:
        words = [*special_tokens(family), *CHARACTERS[len(SPECIAL) :]]
        if family.tokenizer is not None and family.tokenizer.default_class.kinds == (BYTE_PAIRS,):
            (source / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
            write_lines(source / "merges.txt", ["#version: 0.2"])
        elif family.name in SPIECES:
            tiny_spiece(source, family)
        else:
            write_lines(source / "vocab.txt", words)
    for name, options in FORMS.items():
        padding = any(difference.padding for difference in family.declared(model.source))
        if ("zero_padding_row" in options and not padding) or (tokenizer and name not in ("plain", "shards")):
            continue
        converted = tmp_path / name
        convert_checkpoint(source, converted, **options)
        assert check(source, converted).problems == (), name
        if name == "plain":
            (converted / "README.md").write_text("mine")
            (converted / ".gitattributes").write_text("")
            assert check(source, converted).passed
        if "zero_padding_row" not in options:
            back = tmp_path / f"{name}, back"
            convert_checkpoint(converted, back, to="paddle", family=family.name, architecture=model.source)
            assert check(converted, back).problems == (), name


def turned_around(folder: Path) -> None:
    """The same tensors in the opposite order."""
    path = folder / "model_state.pdparams"
    old = path.rename(folder.parent / "old.pdparams")
    with open_pdparams(old) as opened:
        entries = [Entry(name, (tensor,)) for name, tensor in reversed(opened.tensors.items())]
        write_pdparams(path, entries, lambda count: None)


BACK: dict[str, tuple[Change, str]] = {
    "a field": (config(hidden_dropout_prob=0.95), "config.json: hidden_dropout_prob is 0.95, expected "),
    "a field more": (config(fuse=True), "config.json: fuse is true, expected "),
    "a class of tokenizer": (tokenizer(tokenizer_class="ErnieTokenizer"), "tokenizer_config.json: tokenizer_class is "),
    "a vocabulary": (bytes_of("vocab.txt", lambda data: data + b"z\n"), "vocab.txt: "),
    "other weights": (file("tf_model.h5"), "tf_model.h5: is in the folder"),
    "a file more": (file("generation_config.json"), "generation_config.json: is in the folder"),
    "hidden": (file(".hidden"), ".hidden: is in the folder"),
    "a link": (moved("model_state.pdparams"), "model_state.pdparams: is a link"),
    "another order": (turned_around, "model_state.pdparams: is laid out otherwise than the conversion writes it, from"),
}


@pytest.mark.parametrize("name", BACK)
def test_alterations_of_the_way_back_are_named(name: str, pairs: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    _, converted = pairs["Bert"]
    back = tmp_path / "back"
    convert_checkpoint(converted, back, to="paddle")
    change, expected = BACK[name]
    problems = problems_after(change, (converted, back), tmp_path)
    assert any(expected in problem for problem in problems), problems


def test_no_framework_is_imported(pairs: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    source, converted = pairs["Albert"]
    frameworks = "paddle paddlenlp torch transformers tokenizers sentencepiece"
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({frameworks.split()!r}));"
        f"sys.argv = ['paddle2torch', 'verify', {str(source)!r}, {str(converted)!r}, '--check', 'files'];"
        "from paddle2torch.cli import main; main()"
    )
    child = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert child.returncode == 0, child.stderr
    assert " files are what the conversion writes, and no other is there\n" in child.stdout


def test_what_may_lie_beside_is_named(pairs: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    source, converted = pairs["Albert"]
    copied = Path(shutil.copytree(converted, tmp_path / "copied"))
    (copied / "LICENSE").write_text("What you may do.")
    # As strings, and the name of a check alone.
    (check,) = verify_checkpoint(str(source), str(copied), checks="files").checks
    assert check.passed
    assert check.where.endswith(" files are what the conversion writes, and no other is there but LICENSE")


def test_what_is_left_out_of_the_record_is_a_foreign_folder(
    pairs: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    source, converted = pairs["Bert"]
    altered = tmp_path / "altered"
    shutil.copytree(converted, altered)
    save_file(load_file(altered / "model.safetensors"), altered / "model.safetensors", {"format": "pt"})
    report = verify_checkpoint(source, altered, checks=("weights", "files"))
    assert report.foreign
    assert "files" in report.not_run
    assert "not applicable to a foreign folder" in report.not_run_reasons["files"]
    assert not verify_checkpoint(source, converted, checks=("files",)).foreign
