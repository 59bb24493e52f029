"""Folders for sentence-transformers: the real library makes of them the vectors that PaddleNLP makes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch import convert_checkpoint, find_checkpoints, validate_certificate, verify_checkpoint
from paddle2torch.converters.outputs.certificate import certified_files
from paddle2torch.errors import ConfigurationError, OutputError
from paddle2torch.hub.proof import examine
from paddle2torch.verify.runners.forward import Runners

from ...conftest import TESTS, TORCH_PYTHON, Run, run_child

TEXTS = ["ab ca b", "abc", "a, b and a longer one with words that nobody knows"]

WORDS = ["a", "b", "c", ",", "##a", "##b", "##c", "and", "longer", "with"]

VOCABULARIES = {
    "BertModel": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS],
    "ErnieModel": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS],
    "MPNetModel": ["<s>", "<pad>", "</s>", "<unk>", "[UNK]", *WORDS, "<mask>"],
}

OTHER = {"cls": "mean", "mean": "cls", "pooler": "pooler-linear", "pooler-linear": "cls"}

Seeded = Callable[..., Path]


@pytest.fixture
def seed_words(seeded: Seeded) -> Callable[[str], Path]:
    """`seed_words(architecture)`: a small backbone with a vocabulary beside it."""

    def seed(architecture: str) -> Path:
        words = VOCABULARIES[architecture]
        folder = seeded(architecture, vocab_size=len(words), max_position_embeddings=40)
        (folder / "vocab.txt").write_text("\n".join(words) + "\n", "utf-8")
        return folder

    return seed


@pytest.mark.parametrize(
    ("architecture", "asked", "pooling", "how"),
    [
        ("ErnieModel", "auto", "cls", "dual encoder"),
        ("MPNetModel", "auto", "mean", "mean"),
        ("BertModel", "pooler", "pooler", "pooled output"),
        ("BertModel", "pooler-linear", "pooler-linear", "similarity task"),
    ],
)
def test_vectors_are_paddlenlps(
    architecture: str, asked: str, pooling: str, how: str, seed_words: Callable[[str], Path], tmp_path: Path
) -> None:
    source, converted = seed_words(architecture), tmp_path / "converted"
    done = convert_checkpoint(source, converted, sentence_transformers=asked)
    assert f"with the files of sentence-transformers, pooling {pooling}" in done.lines()
    assert f'model = SentenceTransformer("{converted}")' in done.loading_lines()
    expected = run_child(TESTS / "paddle_sentences.py", {"folder": str(source), "texts": TEXTS, "how": how})
    request = {"folder": str(converted), "texts": TEXTS}
    found = run_child(TESTS / "torch_sentences.py", request, python=TORCH_PYTHON)
    assert np.allclose(found["vectors"], expected, rtol=0, atol=1e-5)
    # Texts are told apart, by far more than that.
    assert np.ptp(np.array(expected), axis=0).max() > 5e-4
    other = tmp_path / "other"
    convert_checkpoint(source, other, sentence_transformers=OTHER[pooling])
    differing = run_child(TESTS / "torch_sentences.py", {**request, "folder": str(other)}, python=TORCH_PYTHON)
    assert np.abs(np.array(differing["vectors"]) - expected).max() > 0.01


def test_the_files_are_verified_certified_and_published(
    seed_words: Callable[[str], Path], runners: Runners, tmp_path: Path, paddle2torch: Run
) -> None:
    source, converted = seed_words("ErnieModel"), tmp_path / "converted"
    assert paddle2torch("convert", source, converted, "--sentence-transformers", "auto").returncode == 0
    verify_checkpoint(source, converted, runners=runners, certificate=True).assert_passed()
    certificate = json.loads((converted / "parity.json").read_text("utf-8"))
    assert {"modules.json", "1_Pooling/config.json"} <= certificate["output"]["files"].keys()
    assert validate_certificate(converted) == []
    assert {"modules.json", "1_Pooling/config.json"} <= {
        file.name for file in examine(converted, allow_unverified=True).files
    }
    assert convert_checkpoint(source, converted, sentence_transformers="auto", resume=True).kept
    convert_checkpoint(source, converted, sentence_transformers="cls", overwrite=True)

    def files_check() -> list[str]:
        (check,) = verify_checkpoint(source, converted, checks=("files",), runners=runners).checks
        return list(check.problems)

    assert files_check() == []
    pooling = converted / "1_Pooling" / "config.json"
    kept = pooling.read_text("utf-8")
    pooling.write_text(kept.replace('"pooling_mode_mean_tokens": false', '"pooling_mode_mean_tokens": true'), "utf-8")
    assert any(problem.startswith("1_Pooling/config.json") for problem in files_check())
    pooling.write_text(kept, "utf-8")
    (converted / "1_Pooling" / "more.json").write_text("{}")
    assert any("1_Pooling/more.json: is in the folder and should not be" in problem for problem in files_check())


def test_the_copy_of_the_pooler_is_verified(
    seed_words: Callable[[str], Path], runners: Runners, tmp_path: Path
) -> None:
    source, converted = seed_words("BertModel"), tmp_path / "converted"
    convert = partial(convert_checkpoint, source, converted, sentence_transformers="pooler-linear", dtype="float16")
    convert()
    verify_checkpoint(source, converted, checks=("files",), runners=runners).assert_passed()
    assert convert(resume=True).kept
    copy = converted / "2_Dense" / "model.safetensors"
    tensors = load_file(copy)
    assert np.array_equal(tensors["linear.weight"], load_file(converted / "model.safetensors")["pooler.dense.weight"])
    tensors["linear.bias"][0] += 1
    save_file(tensors, copy, {"format": "pt"})
    (check,) = verify_checkpoint(source, converted, checks=("files",), runners=runners).checks
    assert any(problem.startswith("2_Dense/model.safetensors") for problem in check.problems)
    with pytest.raises(OutputError, match=r"its 2_Dense/model\.safetensors is not what this conversion writes"):
        convert(resume=True)
    # It is no checkpoint of its own.
    assert [item.name for item in find_checkpoints(tmp_path, to="paddle").items] == ["converted"]
    assert find_checkpoints(tmp_path, to="paddle").left_out == ()
    certified = {path.relative_to(converted).as_posix() for path in certified_files(converted)}
    assert {"2_Dense/config.json", "2_Dense/model.safetensors"} <= certified


def test_an_empty_folder_of_that_name_is_seen(
    seed_words: Callable[[str], Path], runners: Runners, tmp_path: Path
) -> None:
    source, converted = seed_words("ErnieModel"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    (converted / "1_Pooling").mkdir()
    (check,) = verify_checkpoint(source, converted, checks=("files",), runners=runners).checks
    assert any("1_Pooling" in problem for problem in check.problems)


@pytest.mark.parametrize(
    ("architecture", "asked", "message"),
    [
        ("ErnieForSequenceClassification", "cls", "go with BertModel, ErnieModel, MPNetModel alone"),
        ("AlbertModel", "mean", "go with BertModel, ErnieModel, MPNetModel alone"),
        ("BertModel", "auto", "has no usual pooling"),
        ("ErnieModel", "max", "unknown pooling 'max'; known are auto, cls, mean, pooler, pooler-linear"),
        ("ErnieModel", "cls", "needs a tokenizer"),
    ],
)
def test_what_has_no_such_form_is_refused(
    architecture: str, asked: str, message: str, seeded: Seeded, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        convert_checkpoint(seeded(architecture), tmp_path / "out", sentence_transformers=asked)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigurationError, match="go with the way to torch only"):
        convert_checkpoint(tmp_path, tmp_path / "out", to="paddle", sentence_transformers="cls")
