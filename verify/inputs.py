"""The inputs both frameworks run on: made once from the configuration and a seed, handed over as a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from ..converters.formats.dtypes import Array
from ..errors import ConfigurationError
from ..mappings.language.family import Family
from ..mappings.language.limits import NO_LIMITS, Limits

TOKENS = 20
"""Tokens per row, or fewer where there is a position table and it is shorter; more where distances reach further."""

_TEXT_IDS: dict[int, tuple[int, ...]] = {
    # "[CLS] He was a puppeteer [SEP] This is a [MASK] [SEP]" in the English ALBERT vocabulary of 30000 pieces.
    30000: (2, 24, 23, 21, 10956, 7911, 3, 48, 25, 21, 4, 3),
    # "[CLS] 今天[MASK]情很好 [SEP]" in the Chinese vocabulary of 21128 characters and words.
    21128: (101, 791, 1921, 103, 2658, 2523, 1962, 102),
}


DECODER_IDS = "decoder_input_ids"
"""The argument of an encoder-decoder with the ids that its decoder is given."""


@dataclass(frozen=True)
class Inputs:
    """int64 arrays of shape [rows, tokens]; a position is attended where `attention_mask` is 1. `decoder_input_ids`,
    for encoder-decoders, have as many rows, and tokens of their own number, all of them attended."""

    input_ids: Array
    attention_mask: Array
    token_type_ids: Array
    position_ids: Array
    decoder_input_ids: Array | None = None

    def arrays(self) -> dict[str, Array]:
        """The arrays by the names both frameworks give the arguments."""
        decoder = {} if self.decoder_input_ids is None else {DECODER_IDS: self.decoder_input_ids}
        return {
            "input_ids": self.input_ids,
            "attention_mask": self.attention_mask,
            "token_type_ids": self.token_type_ids,
            "position_ids": self.position_ids,
            **decoder,
        }

    @property
    def digest(self) -> str:
        """sha256 over names and bytes of the arrays."""
        digest = hashlib.sha256()
        for name, array in self.arrays().items():
            digest.update(f"{name}{list(array.shape)}".encode() + array.tobytes())
        return digest.hexdigest()

    def save(self, path: Path, family: Family | None = None, side: str = "paddle", limits: Limits = NO_LIMITS) -> None:
        """Write the arrays as a safetensors file: for models of `family` with these `limits`, those that they take, as
        `side` wants them."""
        arrays = self.arrays()
        if family is not None:
            added = 0 if side == "paddle" and family.adds_first_position else family.first_position
            given = {**arrays, "position_ids": arrays["position_ids"] + added}
            known = {"attention_mask", *family.arguments}
            arrays = {
                name: given[name] if name in known else np.zeros_like(given[name])
                for name in family.arguments_of(side, limits)
                # A class that is the encoder alone is given none of the decoder's.
                if name in given or name != DECODER_IDS
            }
        save_file(arrays, str(path))

    def check(self, limits: Limits, padding: int | None, decodes: bool = False) -> None:
        """Raise ConfigurationError, with the reason, for inputs that models with these `limits` cannot take. `padding`
        is the padding id, and `decodes` says that they are encoder-decoders."""
        padded = self.attention_mask == 0
        reason = None
        if decodes != (self.decoder_input_ids is not None):
            reason = f"{DECODER_IDS} are for encoder-decoders, and for those alone"
        elif limits.rows is not None and len(self.input_ids) > 1:
            reason = limits.rows
        elif limits.padding is not None and padded.any():
            reason = limits.padding
        elif limits.gaps is not None and _has_gaps(padded | (self.input_ids == padding)):
            reason = limits.gaps
        elif limits.positions is not None and (self.position_ids != np.arange(self.position_ids.shape[1])).any():
            reason = limits.positions
        elif limits.mask is not None and not np.array_equal(padded, self.input_ids == padding):
            reason = f"{limits.mask}; without one, exactly the padding id may stand where nothing is attended"
        if reason is not None:
            raise ConfigurationError(f"these inputs cannot be compared: {reason}")


def _has_gaps(padded: Array) -> bool:
    """Whether anything but padding stands behind padding."""
    return bool((padded[:, :-1] & ~padded[:, 1:]).any())


def inputs_for(family: Family, architecture: str, configuration: Mapping[str, Any], seed: int = 0) -> Inputs:
    """The inputs that both frameworks run a class of PaddleNLP's on; see `make_inputs`, and `with_decoder` for what an
    encoder-decoder is given besides."""
    limits, start = family.limits_of(architecture), family.start(configuration)
    made = make_inputs(configuration, seed, family.first_position, start, limits, family.reach)
    if family.decoder_start is None or not family.decodes(architecture):
        return made
    return with_decoder(
        made, family.decoder_start(configuration), configuration, family.model(architecture).read_at, seed
    )


def make_inputs(
    configuration: Mapping[str, Any],
    seed: int = 0,
    first_position: int = 0,
    start: int = 0,
    limits: Limits = NO_LIMITS,
    reach: int = 0,
) -> Inputs:
    """Three rows that reach what a short sentence leaves out. `configuration` holds PaddleNLP's complete fields,
    `first_position`, `start`, `limits` and `reach` are the model's: the rows are longer than `reach`, and so are two
    thirds of them.

    Row 0 is full: ids from the whole vocabulary, the first and the last among them, and every token type. Row 1 is
    text with special tokens, padded on the right. Row 2 stands at the end of the position table, its last position
    included, with a gap in its mask. No row is masked entirely, and the padding id, which PaddleNLP embeds as zero,
    stands at masked positions only.

    A model that takes one row at a time gets row 0, its second half at the end of the position table and with the gap.
    One that takes no padding gets the same rows full, one that takes no positions the same at the first ones, and one
    that takes no gaps row 2 without one.
    """
    generator = np.random.default_rng(seed)
    vocabulary, padding = configuration["vocab_size"], configuration["pad_token_id"]
    wanted = TOKENS + 3 * reach // 2
    positions = configuration.get("max_position_embeddings", wanted) - first_position
    types = max(1, configuration.get("type_vocab_size", 1))
    tokens = min(wanted, positions - start)
    allowed = np.array([token for token in range(vocabulary) if token != padding], dtype=np.int64)
    ids = generator.choice(allowed, (3, tokens))
    mask = np.ones((3, tokens), np.int64)
    ids[0, 0], ids[0, -1] = allowed[0], allowed[-1]
    text = [token for token in _TEXT_IDS.get(vocabulary, ()) if token < vocabulary][: tokens - 1]
    length = len(text) or max(1, 2 * tokens // 3)
    ids[1, : len(text)] = text
    gap = slice(tokens // 2, tokens // 2 + max(1, tokens // 8))
    if limits.padding is None:
        mask[1, length:] = 0
    if limits.padding is None and limits.gaps is None:
        mask[2, gap] = 0
        mask[2, -1] = 1
    ids[mask == 0] = padding if padding is not None and 0 <= padding < vocabulary else 0
    token_types = np.sort(generator.integers(0, types, (3, tokens)), axis=1)
    token_types[0] = np.arange(tokens) * types // tokens
    position_ids = np.tile(np.arange(start, start + tokens), (3, 1))
    position_ids[2] += positions - tokens - start if limits.positions is None else 0
    made = Inputs(ids, mask, token_types.astype(np.int64), position_ids.astype(np.int64))
    return made if limits.rows is None else _single_row(made, gap)


def _single_row(inputs: Inputs, gap: slice) -> Inputs:
    """Row 0, from its middle on at the positions of row 2, and with the gap of that."""
    row = {name: array[:1].copy() for name, array in inputs.arrays().items()}
    half = row["input_ids"].shape[1] // 2
    row["position_ids"][0, half:] = inputs.position_ids[2, half:]
    row["input_ids"][0, gap] = inputs.input_ids[2, gap]
    row["attention_mask"][0, gap] = inputs.attention_mask[2, gap]
    return Inputs(**row)


def with_decoder(
    inputs: Inputs, first: int, configuration: Mapping[str, Any], read_at: str | None = None, seed: int = 0
) -> Inputs:
    """Inputs with ids for a decoder, which begin with `first` and hold no padding: fewer than the encoder's.

    A class that answers for the last place of an id, that of the field `read_at`, gets as many as the encoder, and
    that id once in every row of the encoder's, at places that differ from row to row.
    """
    generator = np.random.default_rng(seed + 1)
    padding, answer = configuration["pad_token_id"], None if read_at is None else int(configuration[read_at])
    allowed = np.array([one for one in range(configuration["vocab_size"]) if one not in (padding, answer)], np.int64)
    rows, tokens = inputs.input_ids.shape
    ids = generator.choice(allowed, (rows, tokens if answer is not None else max(1, 2 * tokens // 3)))
    ids[:, 0] = first
    given = inputs.input_ids.copy()
    if answer is not None:
        given[given == answer] = allowed[0]
        for row, attended in enumerate(inputs.attention_mask == 1):
            places = np.flatnonzero(attended)
            given[row, places[max(0, len(places) - 1 - 2 * row)]] = answer
    return replace(inputs, input_ids=given, decoder_input_ids=ids)


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
