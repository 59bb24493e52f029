"""What a conversion was told to change in the values themselves or to leave out, and the record of it in the converted
files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import ConfigurationError, UnknownNameError, UnreadableFileError
from ...mappings.language.matching.plan import Plan, is_prefixed
from ...mappings.language.rules import Kind, Move
from ..formats.casting import CASTS
from ..formats.dtypes import DTYPES, DType
from ..formats.tensors import Tensor
from .sentences import POOLINGS

_DTYPE_KEY = "paddle2torch.cast"
_ROW_KEY = "paddle2torch.zero_padding_row"
_TOKENIZER_KEY = "paddle2torch.no_tokenizer"
_SENTENCES_KEY = "paddle2torch.sentence_transformers"
_TRUE = "true"


@dataclass(frozen=True)
class Alterations:
    """`dtype`: every weight is cast to it. `zero_padding_row`: this row of the word embeddings is written as zeros.
    `no_tokenizer`: the weights alone are written, whatever tokenizer there is. `pooling`: the files that
    sentence-transformers reads are written too, for this one.

    Without the first two, every bit is the source's.
    """

    dtype: DType | None = None
    zero_padding_row: int | None = None
    no_tokenizer: bool = False
    pooling: str | None = None

    def __bool__(self) -> bool:
        """Whether a value was altered."""
        return self.dtype is not None or self.zero_padding_row is not None

    def metadata(self) -> dict[str, str]:
        """The record for the metadata of a safetensors file."""
        record = {}
        if self.dtype is not None:
            record[_DTYPE_KEY] = self.dtype.name
        if self.zero_padding_row is not None:
            record[_ROW_KEY] = str(self.zero_padding_row)
        if self.no_tokenizer:
            record[_TOKENIZER_KEY] = _TRUE
        if self.pooling is not None:
            record[_SENTENCES_KEY] = self.pooling
        return record

    def lines(self) -> list[str]:
        """What was changed, for people."""
        lines = []
        if self.dtype is not None:
            lines.append(
                f"cast to {self.dtype.name}: not bit-equal to the source; verify compares with the source cast likewise"
            )
        if self.zero_padding_row is not None:
            lines.append(
                f"row {self.zero_padding_row} of the word embeddings, the padding id's, was written as zeros, as "
                "PaddleNLP reads it; the stored row is lost"
            )
        if self.no_tokenizer:
            lines.append("converted without the tokenizer, as asked for: verify does not cover it")
        if self.pooling is not None:
            lines.append(f"with the files of sentence-transformers, pooling {self.pooling}")
        return lines


UNALTERED = Alterations()
"""Every bit is the source's."""


def make_alterations(
    plan: Plan,
    configuration: Mapping[str, Any],
    source_dtypes: set[DType],
    dtype: str | None,
    zero_padding_row: bool,
    no_tokenizer: bool = False,
) -> Alterations:
    """The alterations that were asked for; a cast to the type that all of `source_dtypes` are is none.

    `configuration` is PaddleNLP's. Raises UnknownNameError for an element type that is none of CASTS,
    ConfigurationError when the model has no padding row that PaddleNLP reads as zeros.
    """
    if dtype is not None and dtype not in CASTS:
        raise UnknownNameError(f"unknown element type {dtype!r}; weights are cast to {', '.join(CASTS)}")
    target = None if dtype is None or source_dtypes == {DTYPES[dtype]} else DTYPES[dtype]
    if not zero_padding_row:
        return Alterations(target, no_tokenizer=no_tokenizer)
    if not any(difference.padding for difference in plan.family.declared(plan.architecture)):
        raise ConfigurationError(
            f"PaddleNLP reads the stored padding row of family {plan.family.name}: writing it as zeros would make "
            "another model"
        )
    padding = configuration["pad_token_id"]
    if padding is None:
        raise ConfigurationError("pad_token_id is null: there is no padding row to write as zeros")
    return Alterations(target, int(padding), no_tokenizer)


def must_zero_padding_row(plan: Plan, configuration: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bool:
    """Whether the padding row has to be written as zeros for Hugging Face's class to compute the same, and holds
    something else. `configuration` is PaddleNLP's, `tensors` are the source's."""
    padding = configuration["pad_token_id"]
    if not plan.family.zero_padding_row or padding is None:
        return False
    return bool(tensors[word_embeddings(plan).source].read()[int(padding)].any())


def read_alterations(path: Path, metadata: Mapping[str, str]) -> Alterations:
    """The alterations that the metadata of the file `path` record. Raises UnreadableFileError for an unknown one."""
    keys = (_DTYPE_KEY, _ROW_KEY, _TOKENIZER_KEY, _SENTENCES_KEY)
    dtype, row, tokenizer, pooling = (metadata.get(key) for key in keys)
    if dtype is not None and dtype not in CASTS:
        raise UnreadableFileError(f"{path}: records a cast to {dtype!r}; known are {', '.join(CASTS)}")
    if row is not None and not (row.isascii() and row.isdigit()):
        raise UnreadableFileError(f"{path}: records the padding row {row!r}; a whole number is expected")
    if tokenizer not in (None, _TRUE):
        raise UnreadableFileError(f"{path}: records no_tokenizer as {tokenizer!r}; {_TRUE!r} is expected, or nothing")
    if pooling is not None and pooling not in POOLINGS:
        raise UnreadableFileError(f"{path}: records the pooling {pooling!r}; known are {', '.join(POOLINGS)}")
    return Alterations(
        DTYPES[dtype] if dtype is not None else None,
        int(row) if row is not None else None,
        tokenizer is not None,
        pooling,
    )


def check_recorded(path: Path, alterations: Alterations, plan: Plan, configuration: Mapping[str, Any]) -> None:
    """Raise UnreadableFileError when the folder `path` records a row as written as zeros that is not the padding row
    which PaddleNLP reads as zeros: no conversion writes that. `configuration` is PaddleNLP's."""
    row = alterations.zero_padding_row
    if row is None:
        return
    reads_zeros = any(difference.padding for difference in plan.family.declared(plan.architecture))
    if not reads_zeros or row != configuration["pad_token_id"]:
        expected = f"only row {configuration['pad_token_id']} may be" if reads_zeros else "PaddleNLP reads every row"
        raise UnreadableFileError(f"{path}: records row {row} as written as zeros; {expected}: convert again")


def word_embeddings(plan: Plan) -> Move:
    """The move of the word embeddings under their own name."""
    name = plan.family.roles["words"] + ".weight"
    return next(move for move in plan.moves if any(source.endswith(name) for source in move.sources))


def altered_plan(plan: Plan, configuration: Mapping[str, Any], alterations: Alterations) -> Plan:
    """The plan with what the alterations need: a decoder that is tied to the word embeddings keeps its own copy of
    the padding row, as the output for the padding id is computed from it."""
    return plan if alterations.zero_padding_row is None else with_own_decoder(plan, configuration)


def with_own_decoder(plan: Plan, configuration: Mapping[str, Any]) -> Plan:
    """The plan that writes a decoder, which is tied to the word embeddings, as a tensor of its own. Raises
    ConfigurationError where Hugging Face's class, or PaddleNLP's on the way back, has no place for one."""
    words = word_embeddings(plan)
    rules = plan.family.rules(
        plan.architecture,
        configuration,
        is_prefixed(plan.family, [name for move in plan.moves for name in move.sources]),
    )
    # What is one parameter in both libraries stays so.
    if stuck := [rule.source for rule in rules if rule.twin == words.source and not rule.targets and not rule.one]:
        raise ConfigurationError(
            f"{words.source} does not hold zeros for the padding id, {stuck[0]} is the same tensor, and PaddleNLP "
            "reads zeros in the one and the stored row in the other: write zeros into that row with PaddleNLP, and "
            "convert again; only the logit of the padding id changes"
        )
    written = {move.target for move in plan.moves}
    decoders = [
        rule
        for rule in rules
        if rule.kind is Kind.TIED
        and rule.twin == words.source
        and rule.target is not None
        and rule.target not in written
    ]
    for rule in decoders:
        plan = plan.with_untied(rule, [replace(words, target=target) for target in rule.targets])
    return plan
