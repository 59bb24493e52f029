"""The inputs both frameworks run on: made once from the configuration and a seed, handed over as a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from ..converters.formats.dtypes import Array
from ..mappings.language.family import Family

TOKENS = 20
"""Tokens per row, or fewer where the position table is shorter."""

_TEXT_IDS: dict[int, tuple[int, ...]] = {
    # "[CLS] He was a puppeteer [SEP] This is a [MASK] [SEP]" in the English ALBERT vocabulary of 30000 pieces.
    30000: (2, 24, 23, 21, 10956, 7911, 3, 48, 25, 21, 4, 3),
    # "[CLS] 今天[MASK]情很好 [SEP]" in the Chinese vocabulary of 21128 characters and words.
    21128: (101, 791, 1921, 103, 2658, 2523, 1962, 102),
}


@dataclass(frozen=True)
class Inputs:
    """int64 arrays of shape [rows, tokens]; a position is attended where `attention_mask` is 1."""

    input_ids: Array
    attention_mask: Array
    token_type_ids: Array
    position_ids: Array

    def arrays(self) -> dict[str, Array]:
        """The arrays by the names both frameworks give the arguments."""
        return {
            "input_ids": self.input_ids,
            "attention_mask": self.attention_mask,
            "token_type_ids": self.token_type_ids,
            "position_ids": self.position_ids,
        }

    @property
    def digest(self) -> str:
        """sha256 over names and bytes of the arrays."""
        digest = hashlib.sha256()
        for name, array in self.arrays().items():
            digest.update(f"{name}{list(array.shape)}".encode() + array.tobytes())
        return digest.hexdigest()

    def save(self, path: Path, family: Family | None = None, side: str = "paddle") -> None:
        """Write the arrays as a safetensors file: for models of `family`, those that they take, as `side` wants
        them."""
        arrays = self.arrays()
        if family is not None:
            added = 0 if side == "paddle" and family.adds_first_position else family.first_position
            arrays["position_ids"] = arrays["position_ids"] + added
            wanted = family.arguments if side == "paddle" else family.target_arguments or family.arguments
            arrays = {
                name: arrays[name] if name in family.arguments else np.zeros_like(arrays[name]) for name in wanted
            }
        save_file(arrays, str(path))


def make_inputs(configuration: Mapping[str, Any], seed: int = 0, first_position: int = 0) -> Inputs:
    """Three rows that reach what a short sentence leaves out. `configuration` holds PaddleNLP's complete fields,
    `first_position` is the family's.

    Row 0 is full: ids from the whole vocabulary, the first and the last among them, and every token type. Row 1 is
    text with special tokens, padded on the right. Row 2 stands at the end of the position table, its last position
    included, with a gap in its mask. No row is masked entirely, and the padding id, which PaddleNLP embeds as zero,
    stands at masked positions only.
    """
    generator = np.random.default_rng(seed)
    vocabulary, padding = configuration["vocab_size"], configuration["pad_token_id"]
    positions = configuration["max_position_embeddings"] - first_position
    types = max(1, configuration.get("type_vocab_size", 1))
    tokens = min(TOKENS, positions)
    allowed = np.array([token for token in range(vocabulary) if token != padding], dtype=np.int64)
    ids = generator.choice(allowed, (3, tokens))
    mask = np.ones((3, tokens), np.int64)
    ids[0, 0], ids[0, -1] = allowed[0], allowed[-1]
    text = [token for token in _TEXT_IDS.get(vocabulary, ()) if token < vocabulary][: tokens - 1]
    length = len(text) or max(1, 2 * tokens // 3)
    ids[1, : len(text)] = text
    mask[1, length:] = 0
    mask[2, tokens // 2 : tokens // 2 + max(1, tokens // 8)] = 0
    mask[2, -1] = 1
    ids[mask == 0] = padding if padding is not None and 0 <= padding < vocabulary else 0
    token_types = np.sort(generator.integers(0, types, (3, tokens)), axis=1)
    token_types[0] = np.arange(tokens) * types // tokens
    position_ids = np.tile(np.arange(tokens), (3, 1))
    position_ids[2] += positions - tokens
    return Inputs(ids, mask, token_types.astype(np.int64), position_ids.astype(np.int64))


def needed(needs: Mapping[str, tuple[Any, ...]], inputs: Inputs) -> dict[str, Array]:
    """The positions that a model `needs` for these inputs, int64 of [rows, ...]: its values row by row, none of them
    behind the last token."""
    rows, tokens = inputs.input_ids.shape
    return {
        name: np.minimum(np.array([values[row % len(values)] for row in range(rows)], np.int64), tokens - 1)
        for name, values in needs.items()
    }


def inputs_from_rows(rows: list[list[int]], padding: int) -> Inputs:
    """Inputs from token ids of sentences, padded on the right with `padding`; token types 0, positions from 0."""
    tokens = max(len(row) for row in rows)
    ids = np.full((len(rows), tokens), padding, np.int64)
    mask = np.zeros((len(rows), tokens), np.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    positions = np.tile(np.arange(tokens, dtype=np.int64), (len(rows), 1))
    return Inputs(ids, mask, np.zeros_like(ids), positions)
