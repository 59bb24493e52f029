"""Tokenizers of Hugging Face folders, read for PaddleNLP: those that this package writes and wrote, that transformers
saved again, and others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.checkpoints.source import Source
from paddle2torch.converters.tokenizers.huggingface import SourceTokenizer, read_tokenizer, write_huggingface_tokenizer
from paddle2torch.converters.tokenizers.paddle import read_huggingface_tokenizer, write_paddle_tokenizer
from paddle2torch.errors import TokenizerError

from ...conftest import TORCH_PYTHONS, run_child
from ...tokenizer_files import SPIECES, make_vocabulary, train_spiece, write_config, write_lines

FACTS = Path(__file__).with_name("tokenizer_facts.py")

SETTINGS = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "strip_accents": False, "max_len": 77}

SPECIAL = ["[ENT]", "<e1>"]

Make = Callable[[str], tuple[SourceTokenizer, Path]]


PIECES: dict[str, dict[str, Any]] = {
    "albert": {"tokenizer_class": "AlbertTokenizer", "keep_accents": True, "padding_side": "left"},
    "t5": {"tokenizer_class": "T5Tokenizer", "extra_ids": 9, "model_max_length": 77},
    "mbart": {"tokenizer_class": "MBartTokenizer", "src_lang": "ja_XX"},
    "mbart 50": {"tokenizer_class": "MBart50Tokenizer", "src_lang": "uk_UA", "tgt_lang": "en_XX"},
}
"""Settings of tokenizers with a SentencePiece vocabulary, by family and what sets several apart."""

KINDS = [*PIECES, "bert"]


@pytest.fixture(scope="module")
def spiece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_spiece(tmp_path_factory.mktemp("spiece") / "spiece.model")


@pytest.fixture(scope="module")
def spieces(spiece: Path) -> dict[str, Path]:
    """A SentencePiece vocabulary by family."""
    own = {name: train_spiece(spiece.with_name(f"{name}.model"), **options) for name, options in SPIECES.items()}
    return {"albert": spiece, **own}


@pytest.fixture
def make(spiece: Path, spieces: dict[str, Path], tmp_path: Path) -> Make:
    """`make(kind)`: a PaddleNLP tokenizer with tokens beyond its vocabulary, and the folder it was converted to."""

    def make_one(kind: str) -> tuple[SourceTokenizer, Path]:
        family = kind.split()[0]
        source, converted = tmp_path / "source", tmp_path / "converted"
        source.mkdir()
        converted.mkdir()
        if kind in PIECES:
            shutil.copyfile(spieces[family], source / name_of(family))
            write_config(source, **PIECES[kind])
        else:
            vocabulary = make_vocabulary(spiece)
            write_lines(source / "vocab.txt", vocabulary)
            write_config(source, **SETTINGS)
        plain = read_tokenizer(Source(source, ()), family)
        assert plain is not None
        count = len(plain.ids) + len(plain.settings.added)
        special = [*plain.settings.additional, *SPECIAL]
        added = {token: count + place for place, token in enumerate(["NewTok", *SPECIAL])}
        (source / "added_tokens.json").write_text(json.dumps(added))
        (source / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": special}))
        tokenizer = read_tokenizer(Source(source, ()), family)
        assert tokenizer is not None
        write_huggingface_tokenizer(tokenizer, converted)
        (converted / "config.json").write_text(json.dumps({"model_type": family}))
        return tokenizer, converted

    return make_one


def name_of(family: str) -> str:
    """What the file of a family's SentencePiece vocabulary is called."""
    return "sentencepiece.bpe.model" if family == "mbart" else "spiece.model"


def facts(tokenizer: SourceTokenizer | None) -> dict[str, Any]:
    """What must survive on the way there and back."""
    assert tokenizer is not None
    own = {name: getattr(tokenizer.settings, name) for name in ("special", "added", "do_lower_case", "keep_accents")}
    names = ("strip_accents", "tokenize_chinese_chars", "model_max_length", "padding_side", "truncation_side")
    own |= {name: getattr(tokenizer.settings, name) for name in (*names, "paddle_class", "own", "behind")}
    return {**own, "additional": sorted(tokenizer.settings.additional), "ids": dict(tokenizer.ids)}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_back(kind: str, make: Make, tmp_path: Path) -> None:
    tokenizer, converted = make(kind)
    family = kind.split()[0]
    assert facts(read_huggingface_tokenizer(converted, family)) == facts(tokenizer)
    (tmp_path / "paddle").mkdir()
    assert write_paddle_tokenizer(converted, tmp_path / "paddle", family) is not None
    assert facts(read_tokenizer(Source(tmp_path / "paddle", ()), family)) == facts(tokenizer)
    added = json.loads((tmp_path / "paddle" / "added_tokens.json").read_text())
    # PaddleNLP lower-cases what is not special where it lower-cases a text.
    assert [one.lower() for one in added] == ["newtok", *(one.lower() for one in SPECIAL)]


@pytest.mark.parametrize("family", ["albert", "bert"])
def test_what_this_package_wrote_before_is_read(family: str, make: Make, tmp_path: Path) -> None:
    tokenizer, converted = make(family)
    assert facts(read_huggingface_tokenizer(converted, family)) == facts(tokenizer)
    # What this package wrote before: the classes of the families.
    config = json.loads((converted / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert config["model_input_names"] == ["input_ids", "token_type_ids", "attention_mask"]
    config["tokenizer_class"] = "AlbertTokenizer" if family == "albert" else "BertTokenizer"
    config["mask_token"] = "[MASK]"
    del config["model_input_names"]
    (converted / "tokenizer_config.json").write_text(json.dumps(config))
    assert facts(read_huggingface_tokenizer(converted, family)) == facts(tokenizer)
    (tmp_path / "paddle").mkdir()
    assert write_paddle_tokenizer(converted, tmp_path / "paddle", family) is not None
    assert facts(read_tokenizer(Source(tmp_path / "paddle", ()), family)) == facts(tokenizer)


@pytest.mark.parametrize("python", TORCH_PYTHONS, ids=lambda path: Path(path).parts[-3])
@pytest.mark.parametrize("kind", KINDS)
def test_what_transformers_saves_again_is_read(kind: str, python: str, make: Make, tmp_path: Path) -> None:
    tokenizer, converted = make(kind)
    family = kind.split()[0]
    saved = tmp_path / "saved"
    loaded = run_child(FACTS, {"save": str(converted), "to": str(saved)}, python=python)
    assert loaded["class"] in ("PreTrainedTokenizerFast", "TokenizersBackend")
    assert not (saved / "vocab.txt").exists()
    assert not (saved / name_of(family)).exists()
    if kind in PIECES:
        with pytest.raises(TokenizerError, match=r"no spiece\.model, .* put that file into the folder"):
            read_huggingface_tokenizer(saved, family)
        shutil.copyfile(converted / name_of(family), saved / name_of(family))
    assert facts(read_huggingface_tokenizer(saved, family)) == facts(tokenizer)


@pytest.mark.parametrize("named", ["TokenizersBackend", "PreTrainedTokenizerFast", None])
def test_the_settings_of_a_plain_class_are_those_of_its_normalizer(named: str | None, make: Make) -> None:
    _, converted = make("bert")
    fast = json.loads((converted / "tokenizer.json").read_text("utf-8"))
    flags = {"clean_text": True, "handle_chinese_chars": False, "strip_accents": True, "lowercase": False}
    (converted / "tokenizer.json").write_text(json.dumps({**fast, "normalizer": {"type": "BertNormalizer", **flags}}))
    config = {"tokenizer_class": named, "do_lower_case": True} if named else {}
    write_config(converted, **config)
    tokenizer = read_huggingface_tokenizer(converted, "bert")
    assert tokenizer is not None
    settings = tokenizer.settings
    assert (settings.do_lower_case, settings.strip_accents, settings.tokenize_chinese_chars) == (False, True, False)
    # A class of its own makes the normalizer of its own settings.
    write_config(converted, tokenizer_class="BertTokenizerFast", do_lower_case=True)
    tokenizer = read_huggingface_tokenizer(converted, "bert")
    assert tokenizer is not None
    assert (tokenizer.settings.do_lower_case, tokenizer.settings.strip_accents) == (True, None)
