"""RoBERTa, whose positions count from behind the padding id: how long a text may be, and what earlier versions of
PaddleNLP saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint
from paddle2torch.converters.formats.pdparams_writer import write_pdparams
from paddle2torch.converters.formats.piecewise import Entry
from paddle2torch.errors import ConfigurationError, RunnerError, UnmatchedTensorsError
from paddle2torch.verify.inputs import Inputs
from paddle2torch.verify.runners.forward import Runners

from ..checkpoint_files import change, document
from ..tokenizer_files import SPECIAL, write_config, write_lines
from .conftest import Seed

ROWS = 30
"""Rows in the small configuration's table of positions."""

WORDS = [*SPECIAL, *"abcdefghijklmnopqrstuvwxyz"]


def save_as(source: Path, folder: Path, **fields: Any) -> Path:
    """The tensors of a folder in a new one, with `fields` of the configuration changed."""
    folder.mkdir()
    with open_checkpoint(source) as checkpoint:
        entries = [Entry(name, (tensor,)) for name, tensor in checkpoint.tensors.items()]
        write_pdparams(folder / "model_state.pdparams", entries, lambda count: None)
    (folder / "config.json").write_text((source / "config.json").read_text())
    change(folder, **fields)
    return folder


def ids(tokens: int) -> Inputs:
    given = np.full((1, tokens), 7, np.int64)
    return Inputs(given, np.ones_like(given), np.zeros_like(given), 1 + np.arange(tokens, dtype=np.int64)[None])


def test_a_text_as_long_as_the_model_takes(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """The last row of the table is read by the last but one token that the table has room for."""
    source = seed_small("RobertaModel")
    convert_checkpoint(source, tmp_path / "converted")
    checks = ("float64", "float32", "layers")
    longest = ids(ROWS - 1)
    verify_checkpoint(source, tmp_path / "converted", checks=checks, inputs=longest, runners=runners).assert_passed()
    with pytest.raises(RunnerError):
        verify_checkpoint(source, tmp_path / "converted", checks=checks, inputs=ids(ROWS), runners=runners)


@pytest.mark.parametrize("stated", [512, 20, None])
def test_the_tokenizer_says_what_the_model_takes(
    stated: int | None, seed_small: Seed, runners: Runners, tmp_path: Path
) -> None:
    source, converted = seed_small("RobertaModel"), tmp_path / "converted"
    write_lines(source / "vocab.txt", WORDS)
    settings = {} if stated is None else {"model_max_length": stated}
    write_config(source, tokenizer_class="RobertaChineseTokenizer", do_lower_case=True, **settings)
    done = convert_checkpoint(source, converted)
    assert document(converted, "tokenizer_config.json")["model_max_length"] == (20 if stated == 20 else ROWS - 1)
    report = verify_checkpoint(source, converted, runners=runners)
    report.assert_passed()
    seen = [difference for difference in report.declared_differences if difference.name == "tokenizer: length"]
    assert done.tokenizer is not None
    if stated == 20:
        assert not seen
        assert done.tokenizer.notes == ()
    else:
        said = "no length" if stated is None else "model_max_length 512"
        assert seen[0].text.startswith(f"PaddleNLP says {said}, but its model counts positions from behind the padding")
        assert any(f"written as {ROWS - 1}" in note for note in done.tokenizer.notes)


def test_a_table_without_room_is_refused(seed_small: Seed, tmp_path: Path) -> None:
    source = save_as(seed_small("RobertaModel"), tmp_path / "changed", pad_token_id=40)
    with pytest.raises(ConfigurationError, match="max_position_embeddings is 30 and pad_token_id 40"):
        convert_checkpoint(source, tmp_path / "converted")


def test_an_old_classifier_is_refused(seed_small: Seed, tmp_path: Path) -> None:
    """PaddleNLP up to 2.4 saved a pooler and one layer; 2.8.1's class for multiple choice has tensors of such names."""
    old = seed_small("RobertaForMultipleChoice")
    named = save_as(old, tmp_path / "named", architectures=["RobertaForSequenceClassification"])
    with pytest.raises(UnmatchedTensorsError, match="SequenceClassification is refused: PaddleNLP up to "):
        convert_checkpoint(named, tmp_path / "converted")
    unnamed = save_as(old, tmp_path / "unnamed", architectures=None, model_type="roberta")
    with pytest.raises(ConfigurationError, match="and RobertaForSequenceClassification of earlier versions, which is"):
        convert_checkpoint(unnamed, tmp_path / "converted")
    assert not (tmp_path / "converted").exists()


def test_a_pooler_of_earlier_versions_is_dropped(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """They saved one for every task; nothing of it comes back."""
    old = seed_small("RobertaForMultipleChoice")
    source = save_as(old, tmp_path / "old", architectures=["RobertaForTokenClassification"], num_labels=1)
    done = convert_checkpoint(source, tmp_path / "converted")
    assert done.dropped == ("roberta.pooler.dense.weight", "roberta.pooler.dense.bias")
    verify_checkpoint(source, tmp_path / "converted", runners=runners).assert_passed()
    back = convert_checkpoint(tmp_path / "converted", tmp_path / "back", to="paddle")
    assert back.random == ()
