"""Byte-level BPE vocabularies: how the files are read, what is refused in one line, and what the way back writes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.checkpoints.source import Source
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.converters.tokenizers.byte_pairs import BYTES, text_of
from paddle2torch.converters.tokenizers.files import tokenizer_paths
from paddle2torch.converters.tokenizers.huggingface import SourceTokenizer, read_tokenizer, write_huggingface_tokenizer
from paddle2torch.converters.tokenizers.paddle import read_huggingface_tokenizer, write_paddle_tokenizer
from paddle2torch.errors import ConfigurationError, Paddle2TorchError, TokenizerError, UnreadableFileError

from ...conftest import TORCH_PYTHONS, Run, run_child
from ...tokenizer_files import train_byte_pairs, write_config, write_lines

FACTS = Path(__file__).with_name("tokenizer_facts.py")

NAMES = {"vocabulary": "encoder.json", "merges": "vocab.bpe", "counted": "vocab.txt"}

CONFIG = {
    "tokenizer_class": "SkepTokenizer",
    "use_bpe_encoder": True,
    "need_token_type_id": False,
    "add_two_sep_token_inter": True,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tokenizer of a SKEP that was made of a RoBERTa."""
    folder = tmp_path_factory.mktemp("trained")
    train_byte_pairs(folder, **NAMES)
    write_config(folder, **CONFIG)
    return folder


@pytest.fixture
def source(trained: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "source"))


def read(folder: Path, vocab_size: int | None = None) -> SourceTokenizer:
    tokenizer = read_tokenizer(Source(folder, ()), "skep", vocab_size)
    assert tokenizer is not None
    return tokenizer


def converted(folder: Path) -> Path:
    output = folder.with_name("converted")
    output.mkdir()
    write_huggingface_tokenizer(read(folder), output)
    return output


def change(path: Path, edit: Callable[[Any], object]) -> None:
    document = json.loads(path.read_text("utf-8"))
    edit(document)
    path.write_text(json.dumps(document), "utf-8")


def test_every_byte_is_one_character() -> None:
    assert sorted(BYTES.values()) == list(range(256))
    assert text_of("\u0120caf\u00c3\u00a9") == " caf\u00e9"
    assert text_of("\u00c3") == ""
    assert text_of("<\u4e2d>") == "<\u4e2d>"


def test_the_files_are_read_and_written(source: Path) -> None:
    tokenizer = read(source, 800)
    assert (len(tokenizer.ids), tokenizer.notes) == (800, ())
    lines = (source / "vocab.bpe").read_text("utf-8").split("\n")
    assert [" ".join(pair) for pair in tokenizer.merges] == lines[1:-1]
    assert {path.name for path in tokenizer.paths} == {*NAMES.values(), "tokenizer_config.json"}
    assert {*tokenizer_paths(Source(source, ()))} == {*tokenizer.paths}
    folder = converted(source)
    assert (folder / "vocab.json").read_bytes() == (source / "encoder.json").read_bytes()
    assert (folder / "merges.txt").read_bytes() == (source / "vocab.bpe").read_bytes()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    assert config["model_input_names"] == ["input_ids", "attention_mask"]
    assert "do_lower_case" not in config
    assert (config["mask_token"]["lstrip"], config["mask_token"]["rstrip"]) == (True, True)


def test_published_files_have_the_published_settings(trained: Path, tmp_path: Path) -> None:
    for name in NAMES.values():
        shutil.copyfile(trained / name, tmp_path / f"skep_roberta_large_en.{name}")
    settings = read(tmp_path, 50265).settings
    assert (settings.name, settings.kind, settings.model_max_length) == ("skep_roberta_large_en", "byte pairs", 514)
    (tmp_path / "skep_roberta_large_en.vocab.bpe").unlink()
    with pytest.raises(UnreadableFileError, match=r"skep_roberta_large_en\.vocab\.bpe: is missing; PaddleNLP reads it"):
        read(tmp_path)


def rewrite(name: str, edit: Callable[[list[str]], object]) -> Callable[[Path], None]:
    """Change the lines of a file, the last one of which is what follows the last line end."""

    def change_lines(folder: Path) -> None:
        lines = (folder / name).read_text("utf-8").split("\n")
        edit(lines)
        (folder / name).write_text("\n".join(lines), "utf-8")

    return change_lines


NOTED: dict[str, tuple[Callable[[list[str]], object], str]] = {
    "no heading": (lambda lines: lines.pop(0), "its first line .* is passed over, as by PaddleNLP, which takes it for"),
    "no line end": (lambda lines: lines.pop(), "its last line .* has no line end and is passed over"),
    "blank line": (lambda lines: lines.insert(9, ""), r"lines that are no pair \(1\) are passed over"),
    "blank last line": (lambda lines: lines.append(""), r"lines that are no pair \(1\) are passed over"),
    "three parts": (lambda lines: lines.insert(9, "a b c"), r"lines that are no pair \(1\) .*'a b c'"),
}


@pytest.mark.parametrize("case", NOTED)
def test_odd_lines_are_read_as_paddlenlp_does(case: str, source: Path) -> None:
    edit, message = NOTED[case]
    whole = read(source).merges
    rewrite("vocab.bpe", edit)(source)
    tokenizer = read(source)
    (note,) = tokenizer.notes
    assert re.search(message, note)
    lost = {"no heading": whole[1:], "no line end": whole[:-1]}
    assert tokenizer.merges == lost.get(case, whole)


def test_of_a_repeated_pair_the_last_one_counts(source: Path) -> None:
    whole = read(source).merges
    last = whole[-1]
    rewrite("vocab.bpe", lambda lines: lines.insert(1, " ".join(last)))(source)
    assert read(source).merges == whole


def drop_token(token: str) -> Callable[[Path], None]:
    """Take a token out of both files, so that their numbers agree."""

    def drop(folder: Path) -> None:
        ids = json.loads((folder / "encoder.json").read_text("utf-8"))
        kept = [one for one in ids if one != token]
        (folder / "encoder.json").write_text(json.dumps({one: index for index, one in enumerate(kept)}), "utf-8")
        write_lines(folder / "vocab.txt", kept)

    return drop


def json_of(name: str, edit: Callable[[Any], object]) -> Callable[[Path], None]:
    return lambda folder: change(folder / name, edit)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no merges": (lambda folder: (folder / "vocab.bpe").unlink(), "vocab.bpe: is missing; PaddleNLP reads it beside"),
    "no tokens counted": (lambda folder: (folder / "vocab.txt").unlink(), "vocab.txt: is missing"),
    "no vocabulary": (
        lambda folder: (folder / "encoder.json").unlink(),
        "holds vocab.txt, but SkepTokenizer reads a byte pairs vocabulary, encoder.json and vocab.bpe",
    ),
    "no JSON": (lambda folder: (folder / "encoder.json").write_text("{"), "encoder.json: is not a JSON file"),
    "a list": (lambda folder: (folder / "encoder.json").write_text("[]"), "encoder.json: holds list"),
    "no tokens": (lambda folder: (folder / "encoder.json").write_text("{}"), "encoder.json: holds no tokens"),
    "no id": (json_of("encoder.json", lambda ids: ids.update(t="7")), "leads from 't' to '7', not to an id"),
    "an id twice": (json_of("encoder.json", lambda ids: ids.update(t=0)), "its ids are not 0 to 799, each once"),
    "a line too few": (rewrite("vocab.txt", lambda lines: lines.pop(99)), "vocab.txt: holds 799 different tokens and"),
    "no merged token": (drop_token("\u0120t"), "joins '\u0120' and 't', but the vocabulary holds no '\u0120t'"),
    "no byte": (drop_token("t"), "but the vocabulary holds no 't'"),
    "no separator": (drop_token("[SEP]"), r"vocab.txt: holds no '\[SEP\]', without which PaddleNLP does not read it"),
    "no text": (lambda folder: (folder / "vocab.bpe").write_bytes(b"#\xff\n"), "vocab.bpe: is not UTF-8 text"),
    "out of order": (
        rewrite("vocab.bpe", lambda lines: lines.append(lines.pop(lines.index("\u0120 t")) + "\n")),
        "before '\u0120t' is made, which has no fast tokenizer",
    ),
    "other types": (
        json_of("tokenizer_config.json", lambda config: config.update(need_token_type_id=True)),
        "need_token_type_id is True: SkepTokenizer then gives token types",
    ),
    "another template": (
        json_of("tokenizer_config.json", lambda config: config.pop("add_two_sep_token_inter")),
        "add_two_sep_token_inter is not given, which makes it False: SkepTokenizer then puts one sep_token",
    ),
    "two unknown tokens": (
        lambda folder: (folder / "special_tokens_map.json").write_text('{"unk_token": "[MASK]"}'),
        "make them agree",
    ),
    "words with two separators": (
        json_of("tokenizer_config.json", lambda config: config.update(use_bpe_encoder=False)),
        "need_token_type_id is False: SkepTokenizer then gives no token types",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_tokenizer_is_refused_in_one_line(case: str, source: Path) -> None:
    damage, message = BROKEN[case]
    damage(source)
    with pytest.raises((UnreadableFileError, ConfigurationError), match=message) as raised:
        read(source)
    assert str(raised.value).endswith("`convert --no-tokenizer` converts the weights alone")
    assert "\n" not in str(raised.value)


def test_a_vocabulary_larger_than_the_word_embeddings_is_refused(source: Path) -> None:
    with pytest.raises(UnreadableFileError, match="holds 800 tokens, but the model has 500 word embeddings"):
        read(source, 500)


def test_convert_writes_nothing_of_a_broken_one(
    source: Path, seeded: Callable[..., Path], tmp_path: Path, paddle2torch: Run
) -> None:
    shutil.copytree(seeded("SkepModel", vocab_size=800, type_vocab_size=0), source, dirs_exist_ok=True)
    finished = paddle2torch("convert", source, tmp_path / "output")
    assert finished.returncode == 0, finished.stderr
    assert "vocab.json, merges.txt, tokenizer.json" in finished.stdout
    again = paddle2torch("convert", source, tmp_path / "output", "--overwrite")
    assert again.returncode == 0, again.stderr
    drop_token("t")(source)
    finished = paddle2torch("convert", source, tmp_path / "other")
    assert finished.returncode == 2
    assert finished.stderr.count("\n") == 1
    assert finished.stderr.startswith("Error: ")
    assert not (tmp_path / "other").exists()
    done = convert_checkpoint(source, tmp_path / "other", no_tokenizer=True)
    assert sorted(path.name for path in done.output.iterdir()) == ["config.json", "model.safetensors"]


def facts(tokenizer: SourceTokenizer | None) -> dict[str, Any]:
    assert tokenizer is not None
    names = ("special", "additional", "added", "strips", "model_max_length", "padding_side")
    return {name: getattr(tokenizer.settings, name) for name in names} | {
        "ids": tokenizer.ids,
        "merges": tokenizer.merges,
    }


@pytest.fixture
def with_added(source: Path) -> Path:
    """Its converted folder, with tokens beyond the vocabulary of which one takes white space on its left alone."""
    added = {"NewTok": 800, "[ENT]": 801}
    entity = {"content": "[ENT]", "lstrip": True, "rstrip": False}
    (source / "added_tokens.json").write_text(json.dumps(added))
    (source / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": [entity]}))
    return converted(source)


@pytest.mark.parametrize("python", TORCH_PYTHONS, ids=lambda path: Path(path).parts[-3])
def test_what_transformers_saves_again_is_read(python: str, source: Path, with_added: Path, tmp_path: Path) -> None:
    (with_added / "config.json").write_text(json.dumps({"model_type": "ernie"}))
    saved, paddle = tmp_path / "saved", tmp_path / "paddle"
    run_child(FACTS, {"save": str(with_added), "to": str(saved)}, python=python)
    assert not (saved / "vocab.json").exists()
    expected = facts(read(source))
    assert facts(read_huggingface_tokenizer(with_added, "skep")) == expected
    assert facts(read_huggingface_tokenizer(saved, "skep")) == expected
    paddle.mkdir()
    assert write_paddle_tokenizer(saved, paddle, "skep") is not None
    assert facts(read(paddle)) == expected
    assert {path.name for path in paddle.iterdir()} >= {*NAMES.values()}


def prepare(**fields: Any) -> Callable[[Path], None]:
    return json_of("tokenizer.json", lambda document: document.update(fields))


def model_of(**fields: Any) -> Callable[[Path], None]:
    return json_of("tokenizer.json", lambda document: document["model"].update(fields))


ODD = {"ignore_merges": True, "dropout": 0.1, "end_of_word_suffix": "</w>"}

METASPACE = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}

FOREIGN: dict[str, tuple[Callable[[Path], object], str]] = {
    "another rule": (prepare(pre_tokenizer=METASPACE), "prepares a text by Metaspace; PaddleNLP has a counterpart for"),
    "normalized": (prepare(normalizer={"type": "NFC"}), "prepares a text by NFC, ByteLevel"),
    "a blank before": (
        json_of("tokenizer.json", lambda document: document["pre_tokenizer"].update(add_prefix_space=True)),
        "without a blank put before the text",
    ),
    "a blank before, in a sequence": (
        json_of(
            "tokenizer.json",
            lambda document: document.update(
                pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "ByteLevel", "add_prefix_space": True}]}
            ),
        ),
        "prepares a text by ByteLevel; ",
    ),
    **{
        name: (model_of(**{name: value}), f"{name} is {value!r}, which PaddleNLP has no") for name, value in ODD.items()
    },
    "merges of numbers": (model_of(merges=[5]), "no list"),
    "merges that are none": (model_of(merges=5), "no list"),
    "another vocabulary": (
        lambda folder: (folder / "merges.txt").write_text("#version: 0.2\nt h\n"),
        "vocab.json and merges.txt hold another vocabulary than tokenizer.json",
    ),
    "no pairs": (model_of(merges=["a"]), "is no pair"),
    "a token that takes no blanks": (
        json_of("tokenizer.json", lambda document: document["added_tokens"][-2].update(rstrip=False)),
        "'NewTok' does not take the white space on both sides, as it does in PaddleNLP",
    ),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_the_way_back_refuses_what_paddlenlp_does_not_do(case: str, with_added: Path, tmp_path: Path) -> None:
    damage, message = FOREIGN[case]
    damage(with_added)
    with pytest.raises(Paddle2TorchError, match=message):
        write_paddle_tokenizer(with_added, tmp_path, "skep")
    with pytest.raises(TokenizerError, match="has no counterpart for family bert"):
        write_paddle_tokenizer(with_added, tmp_path, "bert")
