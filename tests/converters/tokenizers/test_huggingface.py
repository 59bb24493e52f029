"""What is written for a tokenizer, and what is refused before anything is written."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from paddle2torch.converters.checkpoints.source import Source
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.converters.tokenizers.huggingface import SourceTokenizer, read_tokenizer, write_huggingface_tokenizer
from paddle2torch.converters.tokenizers.paddle import write_paddle_tokenizer
from paddle2torch.converters.tokenizers.spiece import read_spiece
from paddle2torch.errors import (
    ConfigurationError,
    Paddle2TorchError,
    RefusedFileError,
    TokenizerError,
    UnreadableFileError,
)
from paddle2torch.mappings.language.tokenizers import MAX_LENGTH, UNLIMITED
from paddle2torch.mappings.refused import REFUSED
from paddle2torch.mappings.registry import FAMILIES, PRETRAINED, published_tokenizers

from ...conftest import OLDER_TORCH_PYTHON, Run, run_child
from ...tokenizer_files import make_vocabulary, real_vocabulary, train_spiece, write_config, write_lines

FACTS = Path(__file__).with_name("tokenizer_facts.py")


@pytest.fixture(scope="module")
def spiece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_spiece(tmp_path_factory.mktemp("spiece") / "spiece.model")


@pytest.fixture(scope="module")
def vocabulary(spiece: Path) -> list[str]:
    return make_vocabulary(spiece)


def source_of(path: Path, **fields: Any) -> Source:
    return Source(path, (), **fields)


def read(folder: Path, family: str = "albert", vocab_size: int | None = None) -> SourceTokenizer:
    tokenizer = read_tokenizer(source_of(folder), family, vocab_size)
    assert tokenizer is not None
    return tokenizer


def written(tokenizer: SourceTokenizer, folder: Path) -> Path:
    folder.mkdir()
    write_huggingface_tokenizer(tokenizer, folder)
    return folder


def test_the_reader_agrees_with_sentencepiece(spiece: Path) -> None:
    model = read_spiece(spiece)
    real = sentencepiece.SentencePieceProcessor(model_file=str(spiece))
    assert len(model.pieces) == real.get_piece_size() == 700
    assert model.unk_id == real.unk_id() == 1
    for index, piece in enumerate(model.pieces):
        assert (piece.text, piece.score) == (real.id_to_piece(index), real.get_score(index))
        flags = (real.is_unknown(index), real.is_control(index), real.is_unused(index))
        assert flags == (piece.type == 2, piece.type == 3, piece.type == 5)
    assert {piece.text for piece in model.pieces if piece.type == 4} == {"(", ")", '"', "-", ".", "\u2013", "£", "€"}
    assert (model.add_dummy_prefix, model.remove_extra_whitespaces) == (True, True)
    assert len(model.charsmap) > 200_000


def test_a_model_cut_anywhere_is_refused_and_nothing_else_is_raised(spiece: Path, tmp_path: Path) -> None:
    data, cut = spiece.read_bytes(), tmp_path / "spiece.model"
    lengths = [*range(600), *range(600, len(data) - 1, 997), len(data) - 1]
    for length in lengths:
        cut.write_bytes(data[:length])
        with pytest.raises(UnreadableFileError, match=r"spiece\.model"):
            read_spiece(cut)


def test_a_damaged_model_raises_errors_of_this_package_only(spiece: Path, tmp_path: Path) -> None:
    generator, path = random.Random(5), tmp_path / "spiece.model"
    refused = 0
    for _ in range(300):
        data = bytearray(spiece.read_bytes())
        for _ in range(3):
            data[generator.randrange(12_000)] = generator.randrange(256)
        path.write_bytes(bytes(data))
        try:
            read_spiece(path)
        except (UnreadableFileError, RefusedFileError):
            refused += 1
    assert 100 < refused < 300


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_type": "bpe"}, "of type BPE"),
        ({"model_type": "char", "vocab_size": 200}, "of type character"),
        ({"byte_fallback": True, "vocab_size": 900}, "byte_fallback"),
        ({"treat_whitespace_as_suffix": True}, "whitespace"),
    ],
)
def test_other_kinds_of_sentencepiece_models_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(RefusedFileError, match=message):
        read_spiece(train_spiece(tmp_path / "spiece.model", **options))


def test_the_fast_tokenizer_is_what_transformers_converts_itself(
    spiece: Path, vocabulary: list[str], tmp_path: Path
) -> None:
    """Equal in all but the steps that are there to do as PaddleNLP."""
    english, bert = tmp_path / "english", tmp_path / "bert"
    for folder in (english, bert):
        folder.mkdir()
    shutil.copyfile(spiece, english / "spiece.model")
    write_lines(bert / "vocab.txt", vocabulary)
    write_config(bert, tokenizer_class="BertTokenizer", do_lower_case=False)
    made = {
        "albert": written(read(english), tmp_path / "albert"),
        "bert": written(read(bert, "bert"), tmp_path / "bert-converted"),
    }
    asked = {"convert": {family: str(folder) for family, folder in made.items()}}
    own = run_child(FACTS, asked, python=OLDER_TORCH_PYTHON)["converted"]
    ours = {family: json.loads((folder / "tokenizer.json").read_text("utf-8")) for family, folder in made.items()}
    for name in ("model", "post_processor", "decoder", "added_tokens", "truncation", "padding", "version"):
        assert ours["bert"][name] == own["bert"][name], name
    for name in ("post_processor", "decoder", "pre_tokenizer", "truncation", "padding", "version"):
        assert ours["albert"][name] == own["albert"][name], name
    special = [token for token in own["albert"]["added_tokens"] if token["special"]]
    assert ours["albert"]["added_tokens"] == special
    vocab, expected = ours["albert"]["model"].pop("vocab"), own["albert"]["model"].pop("vocab")
    assert ours["albert"]["model"] == own["albert"]["model"]
    assert [piece for piece, _ in vocab] == [piece for piece, _ in expected]
    normal = {piece.text for piece in read_spiece(spiece).pieces if piece.type == 1}
    assert len(normal) > 600
    assert [entry for entry in vocab if entry[0] in normal] == [entry for entry in expected if entry[0] in normal]


def test_the_published_settings_are_paddlenlps_own() -> None:
    known = [family.tokenizer for family in FAMILIES.values() if family.tokenizer is not None]
    # The default class last: what several state of one name, that one does.
    classes = [[*(one.name for one in facts.classes if one.name != facts.default), facts.default] for facts in known]
    own = run_child(FACTS, {"tables": [name for of_family in classes for name in of_family]})
    published = published_tokenizers()
    assert published.keys() >= PRETRAINED.keys()
    # PaddleNLP's table knows this one without its author alone.
    alike = published.keys() - {"microsoft/deberta-base"}
    stated = {name: {**published[name]} for name in alike}
    # PaddleNLP finds the class by the table that holds the name.
    named = {
        name: settings.pop("tokenizer_class") for name, settings in stated.items() if "tokenizer_class" in settings
    }
    assert stated == {name: own["settings"][name] for name in alike}
    assert all(name in own["names"][tokenizer] for name, tokenizer in named.items())
    assert published["microsoft/deberta-base"] == own["settings"]["deberta-base"]
    lengths = {name: PRETRAINED[name].max_length if name in PRETRAINED else MAX_LENGTH for name in published}
    # These classes state no length, and then there is none.
    of_classes = {name for name, entry in PRETRAINED.items() if entry.family in ("gpt", "squeezebert")}
    unlimited = {"microsoft/deberta-base", "t5-v1_1-base", "t5-v1_1-large", *of_classes}
    assert published.keys() - own["lengths"].keys() == unlimited
    assert lengths == {name: own["lengths"].get(name) or UNLIMITED for name in published}
    # What is left out belongs to classes that are refused, or has no weights.
    of_defaults = {name for facts in known for name in own["names"][facts.default]}
    left_out = {name for name in of_defaults - published.keys() if not name.startswith("gpt3-")}
    assert left_out - {"deberta-base", "gpt2-small-en"} <= REFUSED.keys()


@pytest.mark.parametrize(
    ("file", "family", "name", "lower"),
    [
        ("albert-base-v2.spiece.model", "albert", "albert-base-v2", True),
        ("albert-chinese-tiny.vocab.txt", "albert", "albert-chinese-tiny", False),
        ("bert-base-cased-vocab.txt", "bert", "bert-base-cased", False),
        ("bert-base-uncased-vocab.txt", "bert", "bert-base-uncased", True),
    ],
)
def test_files_named_as_published_have_the_published_settings(
    file: str, family: str, name: str, lower: bool, spiece: Path, vocabulary: list[str], tmp_path: Path
) -> None:
    if file.endswith("spiece.model"):
        shutil.copyfile(spiece, tmp_path / file)
    else:
        write_lines(tmp_path / file, vocabulary)
    settings = read(tmp_path, family).settings
    assert (settings.name, settings.do_lower_case, settings.model_max_length) == (name, lower, MAX_LENGTH)
    assert settings.guess is None
    folder = written(read(tmp_path, family), tmp_path / "converted")
    plain = "spiece.model" if file.endswith("spiece.model") else "vocab.txt"
    assert (folder / plain).read_bytes() == (tmp_path / file).read_bytes()


def test_what_a_folder_says_goes_before_what_was_published(vocabulary: list[str], tmp_path: Path) -> None:
    write_lines(tmp_path / "albert-chinese-tiny.vocab.txt", vocabulary)
    write_config(tmp_path, tokenizer_class="AlbertTokenizer", do_lower_case=True, max_len=77, padding_side="left")
    settings = read(tmp_path).settings
    assert (settings.do_lower_case, settings.model_max_length, settings.padding_side) == (True, 77, "left")
    config = json.loads((written(read(tmp_path), tmp_path / "out") / "tokenizer_config.json").read_text())
    assert (config["do_lower_case"], config["model_max_length"], config["padding_side"]) == (True, 77, "left")
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"


def test_a_chinese_folder_without_settings_is_a_guess(vocabulary: list[str], tmp_path: Path) -> None:
    write_lines(tmp_path / "vocab.txt", vocabulary)
    settings = read(tmp_path).settings
    assert settings.do_lower_case is False
    assert settings.guess is not None
    assert settings.model_max_length == UNLIMITED


def test_several_vocabularies_are_not_chosen_from(vocabulary: list[str], tmp_path: Path) -> None:
    for name in ("a.vocab.txt", "b-vocab.txt"):
        write_lines(tmp_path / name, vocabulary)
    with pytest.raises(UnreadableFileError, match=r"several vocabularies \(a.vocab.txt, b-vocab.txt\)"):
        read(tmp_path)


def test_a_file_takes_only_the_vocabulary_of_its_own_name(vocabulary: list[str], tmp_path: Path) -> None:
    weights = tmp_path / "albert-chinese-tiny.pdparams"
    weights.touch()
    write_lines(tmp_path / "other.vocab.txt", vocabulary)
    assert read_tokenizer(Source(weights, (weights,)), "albert") is None
    write_lines(tmp_path / "albert-chinese-tiny.vocab.txt", vocabulary)
    tokenizer = read_tokenizer(Source(weights, (weights,)), "albert")
    assert tokenizer is not None
    assert tokenizer.vocabulary.name == "albert-chinese-tiny.vocab.txt"


def repeat_beside_added(folder: Path, lines: list[str]) -> None:
    write_lines(folder / "vocab.txt", [*lines, lines[9]])
    (folder / "added_tokens.json").write_text(json.dumps({"<new>": len(lines)}))


def mark_bytes(folder: Path, lines: list[str]) -> None:
    (folder / "vocab.txt").write_text("\ufeff" + "".join(f"{line}\n" for line in lines), "utf-8")


BROKEN: dict[str, tuple[Callable[[Path, list[str]], object], str]] = {
    "empty": (lambda folder, lines: (folder / "vocab.txt").write_text(""), "is empty"),
    "blank": (lambda folder, lines: (folder / "vocab.txt").write_text("\n"), "is empty"),
    "a repeated token, and added ones": (repeat_beside_added, "make each line another token"),
    "a byte order mark": (mark_bytes, r"line in the vocabulary reads '\\ufeff\[PAD\]'"),
    "not UTF-8": (lambda folder, lines: (folder / "vocab.txt").write_bytes(b"[PAD]\n\xff\xfe\n"), "not UTF-8"),
    "without mask": (
        lambda folder, lines: write_lines(folder / "vocab.txt", [line for line in lines if line != "[MASK]"]),
        r"holds no '\[MASK\]', which is the mask_token",
    ),
    "too large": (
        lambda folder, lines: write_lines(folder / "vocab.txt", [*lines, *(f"extra{n}" for n in range(2000))]),
        "word embeddings",
    ),
    "settings no object": (lambda folder, lines: (folder / "tokenizer_config.json").write_text("[1]"), "JSON object"),
    "settings no JSON": (lambda folder, lines: (folder / "tokenizer_config.json").write_text("{"), "not a JSON file"),
    "unknown class": (lambda folder, lines: write_config(folder, tokenizer_class="GPTTokenizer"), "GPTTokenizer"),
    "not true or false": (lambda folder, lines: write_config(folder, do_lower_case="no"), "do_lower_case is 'no'"),
    "a side that is none": (lambda folder, lines: write_config(folder, padding_side="up"), "padding_side is 'up'"),
    "a length that is none": (lambda folder, lines: write_config(folder, model_max_length=-5), "model_max_length"),
    "no basic tokenizer": (lambda folder, lines: write_config(folder, do_basic_tokenize=False), "do_basic_tokenize"),
    "a gap in added tokens": (
        lambda folder, lines: (folder / "added_tokens.json").write_text('{"<new>": 5000}'),
        "without gap or repetition",
    ),
    "contradicting tokens": (
        lambda folder, lines: (folder / "special_tokens_map.json").write_text('{"cls_token": "[SEP]"}'),
        "make them agree",
    ),
}


@pytest.fixture(scope="module")
def folder_with_weights(seeded: Callable[..., Path], vocabulary: list[str]) -> Path:
    return seeded("AlbertModel", vocab_size=len(vocabulary) + 5)


@pytest.fixture
def chinese(folder_with_weights: Path, vocabulary: list[str], tmp_path: Path) -> Path:
    """A PaddleNLP folder with weights and the tokenizer of Chinese ALBERT."""
    folder = tmp_path / "source"
    shutil.copytree(folder_with_weights, folder)
    write_lines(folder / "vocab.txt", vocabulary)
    return folder


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_tokenizer_is_refused_and_nothing_is_written(
    case: str, chinese: Path, vocabulary: list[str], tmp_path: Path
) -> None:
    damage, message = BROKEN[case]
    damage(chinese, vocabulary)
    with pytest.raises((UnreadableFileError, ConfigurationError), match=message) as raised:
        convert_checkpoint(chinese, tmp_path / "output")
    assert str(raised.value).endswith("`convert --no-tokenizer` converts the weights alone")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
    done = convert_checkpoint(chinese, tmp_path / "output", no_tokenizer=True)
    assert (done.tokenizer, done.no_tokenizer) == (None, True)
    assert sorted(path.name for path in done.output.iterdir()) == ["config.json", "model.safetensors"]


def test_convert_says_what_it_wrote_for_the_tokenizer(chinese: Path, tmp_path: Path, paddle2torch: Run) -> None:
    finished: subprocess.CompletedProcess[str] = paddle2torch("convert", chinese, tmp_path / "output")
    assert finished.returncode == 0, finished.stderr
    files = ["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]
    assert [path.name for path in sorted((tmp_path / "output").iterdir())] == [
        "config.json",
        "model.safetensors",
        *files,
    ]
    line = next(line for line in finished.stdout.splitlines() if line.startswith("tokenizer: PreTrained"))
    assert all(name in line for name in files)
    assert "published for Chinese ALBERT" in finished.stderr
    again = paddle2torch("convert", chinese, tmp_path / "output", "--overwrite", "--json")
    assert again.returncode == 0, again.stderr
    document = json.loads(again.stdout)["tokenizer"]
    assert (document["tokenizer_class"], sorted(document["files"])) == ("PreTrainedTokenizerFast", files)


def test_convert_says_that_there_is_no_tokenizer(folder_with_weights: Path, tmp_path: Path, paddle2torch: Run) -> None:
    finished = paddle2torch("convert", folder_with_weights, tmp_path / "output")
    assert finished.returncode == 0, finished.stderr
    assert "no tokenizer: there is none beside the weights" in finished.stdout.splitlines()
    assert convert_checkpoint(folder_with_weights, tmp_path / "other").tokenizer is None


def test_both_ways_give_the_same_files(spiece: Path, vocabulary: list[str], tmp_path: Path) -> None:
    for family, name, lines in (("albert", "spiece.model", None), ("albert", "vocab.txt", vocabulary)):
        root = tmp_path / name
        (root / "source").mkdir(parents=True)
        if lines is None:
            shutil.copyfile(spiece, root / "source" / name)
        else:
            write_lines(root / "source" / name, lines)
        first = written(read(root / "source", family), root / "there")
        (root / "back").mkdir()
        back = write_paddle_tokenizer(first, root / "back", family)
        assert back is not None
        assert back.tokenizer_class == "AlbertTokenizer"
        second = written(read(root / "back", family), root / "there again")
        for file in ("tokenizer.json", name, "special_tokens_map.json"):
            assert (first / file).read_bytes() == (second / file).read_bytes(), file
        one, two = (json.loads((folder / "tokenizer_config.json").read_text()) for folder in (first, second))
        assert one == two


def test_a_vocabulary_comes_from_tokenizer_json_alone(vocabulary: list[str], tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    write_lines(tmp_path / "source" / "vocab.txt", vocabulary)
    converted = written(read(tmp_path / "source"), tmp_path / "converted")
    (converted / "vocab.txt").unlink()
    (tmp_path / "paddle").mkdir()
    done = write_paddle_tokenizer(converted, tmp_path / "paddle", "bert")
    assert done is not None
    assert done.tokenizer_class == "BertTokenizer"
    assert (tmp_path / "paddle" / "vocab.txt").read_bytes() == (tmp_path / "source" / "vocab.txt").read_bytes()


def test_a_unigram_tokenizer_needs_its_spiece_model(spiece: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    shutil.copyfile(spiece, tmp_path / "source" / "spiece.model")
    converted = written(read(tmp_path / "source"), tmp_path / "converted")
    (converted / "spiece.model").unlink()
    with pytest.raises(TokenizerError, match=r"no spiece\.model"):
        write_paddle_tokenizer(converted, tmp_path, "albert")
    with pytest.raises(TokenizerError, match="no counterpart"):
        write_paddle_tokenizer(converted, tmp_path, "bert")
    assert write_paddle_tokenizer(tmp_path / "source" / "..", tmp_path, "albert") is None


def test_the_real_vocabulary_is_read_whole(tmp_path: Path) -> None:
    shutil.copyfile(real_vocabulary(), tmp_path / "vocab.txt")
    tokenizer = read(tmp_path, "bert", 30_522)
    assert len(tokenizer.ids) == 30_522
    assert tokenizer.notes == ()
    with pytest.raises(Paddle2TorchError, match="30000 word embeddings; it belongs to another model"):
        read(tmp_path, "bert", 30_000)


def test_few_tokens_beyond_the_word_embeddings_are_a_warning(vocabulary: list[str], tmp_path: Path) -> None:
    """PaddleNLP reads such a vocabulary, and fails on a text that needs one of them."""
    size = len(vocabulary)
    write_lines(tmp_path / "vocab.txt", [*vocabulary, "oneword", "another"])
    assert not [note for note in read(tmp_path, "bert", size + 2).notes if "beyond" in note]
    (note,) = read(tmp_path, "bert", size).notes
    assert f"2 of {size + 2} tokens are beyond the model's {size} word embeddings" in note
    assert "'oneword', 'another'" in note
    write_lines(tmp_path / "vocab.txt", [line for line in vocabulary if line != "[SEP]"] + ["[SEP]"])
    with pytest.raises(
        Paddle2TorchError, match=rf"gives '\[SEP\]', the sep_token, the id {size - 1}, but the model has"
    ):
        read(tmp_path, "bert", size - 1)
