"""Classes that use a SentencePiece vocabulary in ways of their own: what ends a text, ids beyond the pieces, languages,
and models with them there and back. PaddleNLP and transformers both run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.checkpoints.source import Source
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.converters.tokenizers.huggingface import SourceTokenizer, read_tokenizer, write_huggingface_tokenizer
from paddle2torch.errors import ConfigurationError, RefusedFileError, TokenizerError
from paddle2torch.verify.checks.tokenizer import check_tokenizer
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.tokenizers.differences import END

from ...checkpoint_files import enlarge
from ...conftest import TESTS, TORCH_PYTHONS, run_child
from ...tokenizer_files import SPIECES, train_spiece, write_config
from ..conftest import Seed

LARGE = (
    "v.weight",
    "v_proj.weight",
    "o.weight",
    "out_proj.weight",
    "shared.weight",
    "embed_tokens.weight",
    "lm_head_weight",
)
"""What is made large by name: of words, and of attention."""

FILES = {"t5": "spiece.model", "mbart": "sentencepiece.bpe.model"}


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("vocabularies")
    return {family: train_spiece(folder / f"{family}.model", **options) for family, options in SPIECES.items()}


def put(family: str, vocabularies: dict[str, Path], folder: Path, **config: Any) -> None:
    folder.mkdir(exist_ok=True)
    shutil.copyfile(vocabularies[family], folder / FILES[family])
    if config:
        write_config(folder, **config)


def read(folder: Path, family: str) -> SourceTokenizer:
    tokenizer = read_tokenizer(Source(folder, ()), family)
    assert tokenizer is not None
    return tokenizer


def test_an_end_in_the_text_is_declared_and_nothing_else(
    vocabularies: dict[str, Path], tmp_path: Path, each_torch: Runners
) -> None:
    source, converted, scratch = (tmp_path / one for one in ("source", "converted", "scratch"))
    for folder in (converted, scratch):
        folder.mkdir()
    put("t5", vocabularies, source, tokenizer_class="T5Tokenizer")
    tokenizer = read(source, "t5")
    write_huggingface_tokenizer(tokenizer, converted)
    ends = ["the ferry </s>", "</s>", " </s> \t", "a</s></s>", "<extra_id_0></s>", "x </s>\u200b", "</s>\u2581"]
    inside = ["the </s> ferry", "</s> <extra_id_1>", "a</s>b", "</s>\u0301"]
    plain = ["the ferry", "a <extra_id_0> b <extra_id_99>", "<pad>", "", "``quoted''"]
    check, seen = check_tokenizer(tokenizer, "t5", converted, each_torch, scratch, [*ends, *inside, *plain])
    assert check.passed, check.problems
    counts = check.details["declared"][END]
    assert (counts["concerned"], counts["different"]) == (len(ends) + len(inside), len(ends))
    assert f"tokenizer: {END}" in {one.name for one in seen}
    # Another end than PaddleNLP's is no such difference.
    document = json.loads((converted / "tokenizer.json").read_text("utf-8"))
    for layout in ("single", "pair"):
        document["post_processor"][layout].append(document["post_processor"][layout][-1])
    (converted / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    shutil.rmtree(scratch / "tokenizer")
    check, _ = check_tokenizer(tokenizer, "t5", converted, each_torch, scratch, ends)
    assert not check.passed


def test_the_numbered_tokens_of_t5_have_falling_ids(vocabularies: dict[str, Path], tmp_path: Path) -> None:
    put("t5", vocabularies, tmp_path, tokenizer_class="T5Tokenizer", extra_ids=3)
    settings = read(tmp_path, "t5").settings
    assert dict(settings.added) == {"<extra_id_2>": 700, "<extra_id_1>": 701, "<extra_id_0>": 702}
    assert settings.additional == ("<extra_id_0>", "<extra_id_1>", "<extra_id_2>")
    assert (settings.do_lower_case, settings.keep_accents, settings.remove_space) == (False, True, True)


@pytest.mark.parametrize(
    ("config", "additional", "reason"),
    [
        ({"extra_ids": -1}, [], "extra_ids is -1; a number from 0 to 10,000 is expected"),
        ({"extra_ids": 10_001}, [], "extra_ids is 10001; a number from 0 to 10,000 is expected"),
        ({"extra_ids": "9"}, [], "extra_ids is '9'; a number from 0 to 10,000 is expected"),
        ({"extra_ids": 2}, ["<extra_id_0>"], "'<extra_id_1>' is not among the special tokens"),
        ({"extra_ids": 0}, ["<extra_id_0>"], "names '<extra_id_0>', but extra_ids is 0; PaddleNLP gives it the id of"),
    ],
)
def test_numbered_tokens_that_do_not_fit_are_refused(
    config: dict[str, Any], additional: list[str], reason: str, vocabularies: dict[str, Path], tmp_path: Path
) -> None:
    put("t5", vocabularies, tmp_path, tokenizer_class="T5Tokenizer", **config)
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": additional}))
    with pytest.raises(ConfigurationError, match=reason):
        read(tmp_path, "t5")


def test_languages(vocabularies: dict[str, Path], tmp_path: Path) -> None:
    put("mbart", vocabularies, tmp_path / "unnamed")
    tokenizer = read(tmp_path / "unnamed", "mbart")
    assert tokenizer.settings.guess is not None
    assert tokenizer.settings.guess.endswith("the tokenizer is taken to be MBartTokenizer, not MBart50Tokenizer")
    assert list(tokenizer.ids)[:4] == ["<s>", "<pad>", "</s>", "<unk>"]
    added = tokenizer.settings.added
    assert (len(tokenizer.ids), added["ar_AR"], added["zh_CN"], added["<mask>"]) == (701, 701, 725, 726)
    put("mbart", vocabularies, tmp_path / "mbart-large-50-many-to-one-mmt")
    settings = read(tmp_path / "mbart-large-50-many-to-one-mmt", "mbart").settings
    assert (settings.paddle_class.name, settings.model_max_length) == ("MBart50Tokenizer", 1024)
    assert (settings.added["sl_SI"], settings.added["<mask>"]) == (752, 753)
    put("mbart", vocabularies, tmp_path / "far", tokenizer_class="MBartTokenizer", src_lang="fa_IR")
    with pytest.raises(ConfigurationError, match=r"src_lang is 'fa_IR'; MBartTokenizer knows ar_AR, .*, zh_CN;"):
        read(tmp_path / "far", "mbart")


@pytest.mark.parametrize(
    ("family", "made_for", "options", "reason"),
    [
        (
            "mbart",
            "t5",
            {},
            r"begins with '<pad>', '</s>', '<unk>', '\S+'; PaddleNLP counts <s>, <pad>, </s>, <unk> be",
        ),
        (
            "mbart",
            "mbart",
            {"user_defined_symbols": ["<mask>"]},
            "holds the piece '<mask>', to which PaddleNLP gives ano",
        ),
        ("t5", "t5", {"user_defined_symbols": ["<extra_id_0>"]}, "holds the piece '<extra_id_0>', to which PaddleNLP"),
    ],
)
def test_pieces_that_are_counted_otherwise_are_refused(
    family: str, made_for: str, options: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    spiece = train_spiece(tmp_path / "made.model", **{**SPIECES[made_for], **options})
    put(
        family,
        {family: spiece},
        tmp_path / "source",
        tokenizer_class={"t5": "T5Tokenizer"}.get(family, "MBartTokenizer"),
    )
    with pytest.raises(RefusedFileError, match=reason):
        read(tmp_path / "source", family)


CASES: list[tuple[str, dict[str, Any], int]] = [
    ("T5ForConditionalGeneration", {"tokenizer_class": "T5Tokenizer", "model_max_length": 512}, 800),
    ("MBartForConditionalGeneration", {"tokenizer_class": "MBartTokenizer", "src_lang": "ro_RO"}, 727),
    ("MBartForConditionalGeneration", {"tokenizer_class": "MBart50Tokenizer", "tgt_lang": "de_DE"}, 754),
]


def proven(source: Path, converted: Path, runners: Runners) -> Report:
    return verify_checkpoint(source, converted, checks=("as_loaded", "files", "tokenizer"), runners=runners)


@pytest.mark.parametrize(
    ("architecture", "config", "tokens"), CASES, ids=[case[1]["tokenizer_class"] for case in CASES]
)
def test_a_model_there_and_back(
    architecture: str,
    config: dict[str, Any],
    tokens: int,
    vocabularies: dict[str, Path],
    seed_small: Seed,
    tmp_path: Path,
    each_torch: Runners,
) -> None:
    family = architecture.partition("For")[0].lower()
    source, converted, paddle = seed_small(architecture, vocab_size=tokens), tmp_path / "converted", tmp_path / "paddle"
    put(family, vocabularies, source, **config)
    written = convert_checkpoint(source, converted).tokenizer
    assert written is not None
    language = config.get("src_lang", "en_XX") if family == "mbart" else None
    assert (written.tokens, written.language) == (tokens, language)
    assert language is None or written.lines()[0].endswith(f"; texts are in {language} (src_lang)")
    report = proven(source, converted, each_torch)
    assert report.passed, [check.problems for check in report.checks]
    assert {check.name for check in report.checks} == {"as_loaded", "files", "tokenizer"}
    convert_checkpoint(converted, paddle, to="paddle")
    back = json.loads((paddle / "tokenizer_config.json").read_text())
    assert config.items() <= back.items()
    assert (paddle / FILES[family]).read_bytes() == (source / FILES[family]).read_bytes()
    assert not (paddle / "added_tokens.json").exists()
    report = proven(converted, paddle, each_torch)
    assert report.passed, [check.problems for check in report.checks]


@pytest.mark.parametrize("family", ["t5", "mbart"])
def test_the_tokenizer_of_a_folder_that_others_made_is_refused(
    family: str, vocabularies: dict[str, Path], seed_small: Seed, tmp_path: Path
) -> None:
    """Those of transformers' own classes prepare texts otherwise than PaddleNLP's."""
    name = {"t5": "T5", "mbart": "MBart"}[family]
    source, converted, foreign = seed_small(f"{name}Model"), tmp_path / "converted", tmp_path / "foreign"
    convert_checkpoint(source, converted)
    shutil.copytree(converted, foreign)
    put(family, vocabularies, foreign, tokenizer_class=f"{name}Tokenizer")
    with pytest.raises(TokenizerError, match=f"names the tokenizer class {name}Tokenizer, which has no counterpart"):
        convert_checkpoint(foreign, tmp_path / "paddle", to="paddle")


@pytest.mark.parametrize(("family", "vocab_size"), [("t5", 800), ("mbart", 760)])
def test_a_few_lines_write_the_same_text(
    family: str, vocab_size: int, vocabularies: dict[str, Path], seed_small: Seed, tmp_path: Path
) -> None:
    """As users write them, in PaddleNLP and in both versions of transformers."""
    names = {"t5": "T5", "mbart": "MBart"}
    source, converted = seed_small(f"{names[family]}ForConditionalGeneration", vocab_size=vocab_size), tmp_path / "to"
    put(family, vocabularies, source, tokenizer_class=f"{names[family]}Tokenizer")

    enlarge(source, *LARGE)
    convert_checkpoint(source, converted)
    request = {"texts": ["the ferry", "Another text, of more words", "2 and 3"], "count": 12}
    paddle = {"folder": str(source), "auto_class": "AutoModelForConditionalGeneration"}
    written = run_child(TESTS / "write_texts.py", {**request, **paddle})
    assert len(set(written)) > 1, written
    for python in TORCH_PYTHONS:
        torch = {"folder": str(converted), "auto_class": "AutoModelForSeq2SeqLM"}
        assert run_child(TESTS / "write_texts.py", {**request, **torch}, python=python) == written
