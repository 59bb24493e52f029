"""What is special in MPNet: configurations that only one library runs, one parameter under two names, and a tokenizer
with tokens and a template of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.converters.checkpoints.source import Source
from paddle2torch.converters.tokenizers.huggingface import SourceTokenizer, read_tokenizer, write_huggingface_tokenizer
from paddle2torch.converters.tokenizers.paddle import write_paddle_tokenizer
from paddle2torch.errors import ConfigurationError, UnmatchedTensorsError
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.checks.tokenizer import check_tokenizer
from paddle2torch.verify.inputs import inputs_from_rows
from paddle2torch.verify.runners.forward import Runners

from ..tokenizer_files import SPECIAL, corpus, make_vocabulary, special_tokens, train_spiece, write_config, write_lines
from .conftest import Seed

TEXTS = (
    "<S> </S> x<Mask>y",
    "a <mask>b <MASK>",
    "<unk> <UNK>[UNK] [unk]",
    "<\u0301s\u0301> <pa\u0300d>",
    "NewTok <ent>",
)


def configure(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("relative_attention_num_buckets", 16, "only 32 converts: both libraries compute with 32 buckets"),
        ("relative_attention_num_buckets", 64, "only 32 converts: both libraries compute with 32 buckets"),
        ("pad_token_id", 0, "only 1 converts: Hugging Face's class numbers positions as if"),
    ],
)
@pytest.mark.parametrize("to", ["torch", "paddle"])
def test_other_buckets_and_padding_are_refused(
    to: str, field: str, value: int, reason: str, seed_small: Seed, tmp_path: Path
) -> None:
    source = seed_small("MPNetModel")
    if to == "paddle":
        convert_checkpoint(source, tmp_path / "torch")
        source = tmp_path / "torch"
    configure(source, **{field: value})
    with pytest.raises(ConfigurationError, match=f"{field} is {value}, and {reason}"):
        convert_checkpoint(source, tmp_path / "out", to=to)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("activation", ["relu", "gelu_new"])
def test_another_activation_in_the_head_for_words_is_refused(
    activation: str, seed_small: Seed, runners: Runners, tmp_path: Path
) -> None:
    """What the line advises is written by PaddleNLP, converts and is proven."""
    source = seed_small("MPNetForMaskedLM", hidden_act=activation)
    with pytest.raises(
        ConfigurationError, match=rf"hidden_act, which is {activation}; .*model\.mpnet\.save_pretrained"
    ):
        convert_checkpoint(source, tmp_path / "out")
    backbone = seed_small("MPNetModel", hidden_act=activation, folder="backbone")
    convert_checkpoint(backbone, tmp_path / "out")
    verify_checkpoint(backbone, tmp_path / "out", runners=runners).assert_passed()


def test_an_activation_that_is_not_known_is_refused(seed_small: Seed, tmp_path: Path) -> None:
    source = seed_small("MPNetModel", hidden_act="silu")
    with pytest.raises(ConfigurationError, match="hidden_act 'silu' is not known to be equal in both frameworks"):
        convert_checkpoint(source, tmp_path / "out")


def test_a_decoder_of_its_own_has_no_place_in_paddlenlp(seed_small: Seed, tmp_path: Path) -> None:
    """PaddleNLP's class has one parameter for the decoder and the word embeddings, and its files name it twice."""
    source, converted = seed_small("MPNetForMaskedLM"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    path = converted / "model.safetensors"
    arrays = load_file(path)
    arrays["lm_head.decoder.weight"] = np.roll(arrays["mpnet.embeddings.word_embeddings.weight"], 1, axis=0)
    save_file(arrays, path, {"format": "pt"})
    for tied in (True, False):
        configure(converted, tie_word_embeddings=tied)
        with pytest.raises(UnmatchedTensorsError, match=r"lm_head\.decoder\.weight differs from .*word_embeddings"):
            convert_checkpoint(converted, tmp_path / "back", to="paddle")


@pytest.mark.parametrize("architecture", ["MPNetModel", "MPNetForMaskedLM"])
def test_a_padding_row_of_zeros(architecture: str, seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """The decoder keeps the stored row."""
    source, converted = seed_small(architecture), tmp_path / "converted"
    convert_checkpoint(source, converted, zero_padding_row=True)
    arrays = load_file(converted / "model.safetensors")
    (words,) = (values for name, values in arrays.items() if name.endswith("word_embeddings.weight"))
    assert not words[1].any()
    assert ("lm_head.decoder.weight" in arrays) is (architecture == "MPNetForMaskedLM")
    verify_checkpoint(source, converted, runners=runners).assert_passed()


def test_an_untied_decoder_that_is_equal_goes_back(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """PaddleNLP has one parameter for both; transformers may hold two of the same values."""
    converted, back = tmp_path / "converted", tmp_path / "back"
    convert_checkpoint(seed_small("MPNetForMaskedLM"), converted)
    configure(converted, tie_word_embeddings=False)
    path = converted / "model.safetensors"
    arrays = load_file(path)
    (words,) = (values for name, values in arrays.items() if name.endswith("word_embeddings.weight"))
    bias = {"lm_head.decoder.bias": arrays["lm_head.bias"].copy()}
    save_file({**arrays, "lm_head.decoder.weight": words.copy(), **bias}, path, {"format": "pt"})
    convert_checkpoint(converted, back, to="paddle")
    verify_checkpoint(converted, back, runners=runners).assert_passed()


def test_long_texts_share_the_last_bucket(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """Distances from 128 on are one bucket in both."""
    source, converted = seed_small("MPNetModel", max_position_embeddings=310), tmp_path / "converted"
    convert_checkpoint(source, converted)
    rows = np.random.default_rng(0).integers(2, 50, (2, 300)).tolist()
    inputs = inputs_from_rows(rows, padding=1)
    report = verify_checkpoint(source, converted, inputs=inputs, runners=runners, checks=("float64",)).assert_passed()
    assert report.checks[0].worst is not None
    assert report.checks[0].worst < 1e-14


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Words behind MPNet's tokens, the one for unknown words among the rest as in the published file."""
    words = make_vocabulary(train_spiece(tmp_path_factory.mktemp("spiece") / "spiece.model"))
    return list(dict.fromkeys([*special_tokens(FAMILIES["mpnet"]), "<unk>", *words, *SPECIAL]))


def read(folder: Path) -> SourceTokenizer:
    tokenizer = read_tokenizer(Source(folder, ()), "mpnet")
    assert tokenizer is not None
    return tokenizer


@pytest.mark.parametrize("settings", [{}, {"do_lower_case": False}, {"strip_accents": False}])
def test_the_tokenizer_gives_paddlenlps_ids(
    settings: dict[str, Any], vocabulary: list[str], tmp_path: Path, each_torch: Runners
) -> None:
    source, converted, scratch = (tmp_path / one for one in ("source", "converted", "scratch"))
    for folder in (source, converted, scratch):
        folder.mkdir()
    write_lines(source / "vocab.txt", vocabulary)
    write_config(source, tokenizer_class="MPNetTokenizer", **settings)
    added = {token: len(vocabulary) + place for place, token in enumerate(("NewTok", "<ent>"))}
    (source / "added_tokens.json").write_text(json.dumps(added))
    (source / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": ["<ent>"]}))
    tokenizer = read(source)
    assert tokenizer.settings.special["unk_token"] == "[UNK]"
    write_huggingface_tokenizer(tokenizer, converted)
    written = json.loads((converted / "tokenizer_config.json").read_text())
    assert written["model_input_names"] == ["input_ids", "attention_mask"]
    check, _ = check_tokenizer(tokenizer, "mpnet", converted, each_torch, scratch, [*corpus(120), *TEXTS])
    assert check.passed, check.problems


def test_the_way_back_of_a_token_without_a_role(vocabulary: list[str], tmp_path: Path, each_torch: Runners) -> None:
    """transformers' own files list <unk> among the tokens that are found in a text, though the unknown one is [UNK]."""
    foreign, paddle, scratch = (tmp_path / one for one in ("foreign", "paddle", "scratch"))
    for folder in (foreign, paddle, scratch):
        folder.mkdir()
    write_lines(foreign / "vocab.txt", vocabulary)
    mark = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tokens = {
        vocabulary.index(token): {"content": token, **mark} for token in ("<unk>", *special_tokens(FAMILIES["mpnet"]))
    }
    roles = FAMILIES["mpnet"].tokenizer
    assert roles is not None
    write_config(
        foreign,
        tokenizer_class="MPNetTokenizer",
        added_tokens_decoder={str(index): entry for index, entry in tokens.items()},
        **roles.default_class.default_tokens("wordpiece"),
    )
    assert write_paddle_tokenizer(foreign, paddle, "mpnet") is not None
    tokenizer = read(paddle)
    assert tokenizer.settings.additional == ("<unk>",)
    check, seen = check_tokenizer(
        tokenizer, "mpnet", foreign, each_torch, scratch, [*corpus(120), *TEXTS[:4]], original=True
    )
    assert check.passed, check.problems
    assert "tokenizer: tokens in another form" in {one.name for one in seen}
