"""That no token depends on one behind it: which outputs are looked at, and what is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paddle2torch.converters.checkpoints.configuration import complete_fields
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.checks import causal
from paddle2torch.verify.inputs import inputs_for
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.runners.forward import Runners

from ..conftest import Seed

READING = [(family.name, model.source) for family in FAMILIES.values() if family.causal for model in family.models]


@pytest.mark.parametrize(("family", "architecture"), READING)
def test_another_token_changes_nothing_before_it(
    family: str, architecture: str, seed_small: Seed, tmp_path: Path, each_torch: Runners
) -> None:
    source, converted = seed_small(architecture), tmp_path / "converted"
    convert_checkpoint(source, converted)
    report = verify_checkpoint(source, converted, checks=("causal",), runners=each_torch).assert_passed()
    (check,) = report.checks
    known, place = FAMILIES[family], check.details["place"]
    layers = known.small["num_hidden_layers"]
    names = {
        f"{kind}.{index:02d}"
        for kind, count in (("hidden_state", layers + 1), ("attention", layers))
        for index in range(count)
    }
    for changed in check.details["changed"].values():
        assert names | {"last_hidden_state"} <= changed.keys()
        # The embeddings of a token are its own.
        assert changed["hidden_state.00"] == [place]
        assert changed["last_hidden_state"][0] == place
        assert len(changed["last_hidden_state"]) > 1


def test_the_token_that_is_exchanged_is_attended_in_every_row() -> None:
    family = FAMILIES["gpt"]
    configuration = complete_fields(family, family.small)
    inputs = inputs_for(family, family.base, configuration)
    changed, place = causal.exchanged(inputs, 50, 7)
    assert inputs.attention_mask[:, place].all()
    different = inputs.input_ids != changed.input_ids
    assert different[:, place].all()
    assert different.sum() == len(inputs.input_ids)
    assert not (changed.input_ids[:, place] == 7).any()


def test_what_moves_before_a_token_is_named() -> None:
    mask = np.ones((2, 4), np.int64)
    state, maps = np.zeros((2, 4, 3)), np.zeros((2, 2, 4, 4))
    before = {"hidden_state.01": state, "attention.00": maps, "logits": np.zeros((2, 5)), "mlm_logits": state}
    after = {name: array.copy() for name, array in before.items()}
    after["hidden_state.01"][0, 2:] = 1
    after["attention.00"][1, 1, 3, 2] = 1
    # Of a whole row.
    after["logits"][:] = 1
    assert causal.compare(before, after, mask) == {"hidden_state.01": [2, 3], "attention.00": [3], "mlm_logits": []}
    after["attention.00"][1, 0, 1, 2] = 1
    found = {"PaddleNLP": causal.compare(before, before, mask), "transformers": causal.compare(before, after, mask)}
    result = causal.judged(found, 2)
    assert not result.passed
    assert result.problems == (
        "attention map of layer 0 of token 1 depends in transformers on token 2",
        "no output depends in PaddleNLP on token 2, or on any",
    )
