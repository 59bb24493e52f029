"""What the shared inputs reach."""

from __future__ import annotations

import numpy as np
import pytest

from paddle2torch.converters.checkpoints.configuration import complete_fields
from paddle2torch.mappings.registry import FAMILIES, PRETRAINED
from paddle2torch.verify.inputs import TOKENS, inputs_from_rows, make_inputs

SMALL = {"vocab_size": 50, "pad_token_id": 0, "max_position_embeddings": 9, "type_vocab_size": 2}

SIZES = {tuple(sorted(map(str, p.configuration.items()))): p for p in PRETRAINED.values()}
"""A pretrained name of each configuration: many share one."""


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("configuration", "first_position"),
    [
        (SMALL, 0),
        ({**SMALL, "pad_token_id": 49, "type_vocab_size": 1}, 0),
        ({**SMALL, "type_vocab_size": 0}, 2),
        *(
            (complete_fields(family := FAMILIES[p.family], p.configuration), family.first_position)
            for p in SIZES.values()
        ),
    ],
)
def test_inputs_exercise_what_they_promise(configuration: dict[str, int], first_position: int, seed: int) -> None:
    inputs = make_inputs(configuration, seed, first_position)
    ids, mask = inputs.input_ids, inputs.attention_mask
    # Without a table of positions, rows end anywhere.
    positions = configuration.get("max_position_embeddings", TOKENS) - first_position
    assert all(array.dtype == np.int64 and array.shape == ids.shape for array in inputs.arrays().values())
    assert ids.shape == (3, min(TOKENS, positions))
    assert ids.min() >= 0
    assert ids.max() < configuration["vocab_size"]
    assert set(np.unique(mask)) == {0, 1}
    assert mask.any(axis=1).all()
    assert not (ids[mask == 1] == configuration["pad_token_id"]).any()
    attended_positions = inputs.position_ids[mask == 1]
    assert attended_positions.max() == positions - 1
    assert attended_positions.min() == 0
    types = max(1, configuration.get("type_vocab_size", 1))
    assert set(np.unique(inputs.token_type_ids[mask == 1])) == set(range(types))
    last = configuration["vocab_size"] - 1
    assert (last if last != configuration["pad_token_id"] else last - 1) in ids[mask == 1]


def test_special_tokens_and_text_are_among_the_ids() -> None:
    english = make_inputs(PRETRAINED["albert-base-v2"].configuration).input_ids[1].tolist()
    assert english[:7] == [2, 24, 23, 21, 10956, 7911, 3]
    chinese = make_inputs(PRETRAINED["albert-chinese-tiny"].configuration).input_ids[1].tolist()
    assert chinese[0] == 101
    assert {102, 103} <= set(chinese)


def test_seed_decides_the_inputs() -> None:
    assert make_inputs(SMALL, 1).digest == make_inputs(SMALL, 1).digest
    assert make_inputs(SMALL, 1).digest != make_inputs(SMALL, 2).digest


def test_rows_of_sentences_are_padded() -> None:
    inputs = inputs_from_rows([[5, 6, 7], [8]], padding=3)
    assert inputs.input_ids.tolist() == [[5, 6, 7], [8, 3, 3]]
    assert inputs.attention_mask.tolist() == [[1, 1, 1], [1, 0, 0]]
