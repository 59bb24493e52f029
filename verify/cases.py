"""The calls that the check of what is loaded makes: texts, or ids where there is no tokenizer, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mappings.language.limits import NO_LIMITS, Limits
from .sides.pair import Pair

TEXTS = ("The Bridge", "今天很好")
"""Words in both cases and characters, which come out in different lengths. They are few and short, because a model's
position table may be, and time goes by tokens."""

PAIRS = ("At nine", "No")

TOKENS = 4
"""Tokens per row of ids where the source has no tokenizer."""

PADDED_PAIRS, MASKED_IDS, IDS_ALONE = "pairs", "ids with a mask", "ids alone"

MASKED = ", mask asked for"
"""Behind the name of a case: PaddleNLP's tokenizer is asked for the mask that it does not give by default."""

UNSTATED = ", positions left to it"
"""Behind the name of a case: PaddleNLP's model is not given the positions that it is given otherwise."""

Case = dict[str, Any]
"""The fields of a request; besides, `attended` is the mask that padding stands for, and `error_of` names another case
whose rounding error is taken for this one's, so that it need not run in float64."""


def text_cases(limits: Limits = NO_LIMITS) -> list[Case]:
    """The calls of a model that has a tokenizer: one text, and pairs of different lengths, or one where the model takes
    no more rows or no padding. There are few of them, because even a short one takes a large model seconds."""
    rows = len(TEXTS) if limits.rows is None and limits.padding is None else 1
    pairs: Case = {"name": PADDED_PAIRS, "texts": TEXTS[:rows], "pairs": PAIRS[:rows]}
    return [{"name": "text", "texts": TEXTS[:1], "error_of": PADDED_PAIRS}, pairs]


def id_cases(pair: Pair) -> list[Case]:
    """The calls of a model that has none: ids with a mask, where it takes one, and the same alone, of which one row has
    no padding."""
    configuration = pair.configuration
    padding = configuration.get("pad_token_id")
    defaults = pair.recognised.family.defaults
    masked = defaults.masked_id if defaults is not None else None
    allowed = [index for index in range(configuration["vocab_size"]) if index not in (padding, masked)]
    limits, longest = pair.limits, pair.recognised.family.longest(configuration)
    tokens = min(TOKENS, longest or configuration.get("max_position_embeddings", TOKENS))
    ids = np.random.default_rng(0).choice(allowed, (2 if limits.rows is None else 1, tokens))
    mask = np.ones_like(ids)
    if limits.padding is None:
        mask[1:, 1 + tokens // 2 :] = 0
    ids[mask == 0] = padding or 0
    if (field := pair.recognised.family.model(pair.plan.architecture).read_at) is not None:
        # Once in every row, at places that differ.
        ids[ids == configuration[field]] = next(one for one in allowed if one != configuration[field])
        for row, length in enumerate(mask.sum(axis=1)):
            ids[row, length - 1 - row] = configuration[field]
    given = {"ids": ids.tolist(), "attended": mask.tolist()}
    if limits.mask is not None and not masks_padding(pair):
        return [{"name": IDS_ALONE, **given}]
    return [
        {"name": MASKED_IDS, **given, "mask": mask.tolist()},
        {"name": IDS_ALONE, **given, "error_of": MASKED_IDS},
    ]


def with_decoder(pair: Pair, cases: list[Case]) -> list[Case]:
    """The calls with ids for a decoder where the model insists on some: its start and two more."""
    family, configuration = pair.recognised.family, pair.configuration
    makes = family.defaults is None or family.defaults.makes_decoder_ids
    if makes or family.decoder_start is None or not family.decodes(pair.plan.architecture):
        return cases
    ids = [family.decoder_start(configuration), *(configuration["vocab_size"] - 1 - index for index in range(2))]
    return [{**case, "decoder": ids} for case in cases]


def masks_padding(pair: Pair) -> bool:
    """Whether PaddleNLP's model, given ids alone, does not attend to padding."""
    defaults = pair.recognised.family.defaults
    return defaults is not None and defaults.masks_padding
