"""Reads a SentencePiece model: the few fields of its protobuf message that a tokenizer follows from.

The message is `ModelProto` of SentencePiece's sentencepiece_model.proto. Only the wire format is read, nothing of the
file is executed, and every length is checked against what is there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from ...errors import RefusedFileError, UnreadableFileError
from ..formats.exports.wire import Fields, as_bytes, as_number, fields_of, submessage

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""Types of pieces."""

LARGEST = 64 << 20
"""Bytes; the published files have 760 thousand."""

_MODEL_TYPES = {1: "unigram", 2: "BPE", 3: "word", 4: "character"}


@dataclass(frozen=True)
class Piece:
    """One piece: its text, the logarithm of its probability, and its type."""

    text: str
    score: float
    type: int


@dataclass(frozen=True)
class SentencePieceModel:
    """A Unigram model. `charsmap` is the normalizer's compiled map, empty where it changes nothing."""

    pieces: tuple[Piece, ...]
    unk_id: int
    charsmap: bytes
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool


def read_spiece(path: Path) -> SentencePieceModel:
    """Read a `spiece.model` file.

    Raises UnreadableFileError for a file that is truncated, malformed or holds no usable vocabulary, RefusedFileError
    for a model of another kind than Unigram, without byte fallback, whitespace before the word.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise UnreadableFileError(f"{path}: has {size:,} bytes; a SentencePiece model has at most {LARGEST:,}")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return _model(path, fields_of(data))
    except (ValueError, struct.error) as error:
        raise UnreadableFileError(f"{path}: is not a complete SentencePiece model: {error}") from error


def _model(path: Path, message: Fields) -> SentencePieceModel:
    if 2 not in message or 3 not in message:
        # They come after the pieces, so a file that was cut between two of these lacks them.
        raise UnreadableFileError(f"{path}: is not a complete SentencePiece model: its specification is missing")
    trainer, normalizer = submessage(message, 2), submessage(message, 3)
    model_type = as_number(trainer, 3, 1)
    if model_type != 1:
        kind = _MODEL_TYPES.get(model_type, str(model_type))
        raise RefusedFileError(f"{path}: is a SentencePiece model of type {kind}; only those of type unigram convert")
    if as_number(trainer, 35, 0) or as_number(trainer, 24, 0) or not as_number(normalizer, 5, 1):
        raise RefusedFileError(
            f"{path}: uses byte_fallback, treat_whitespace_as_suffix or unescaped whitespace, which do not convert"
        )
    pieces = tuple(_piece(fields_of(as_bytes(entry))) for entry in message.get(1, []))
    if not pieces:
        raise UnreadableFileError(f"{path}: holds no pieces")
    texts: set[str] = set()
    for index, piece in enumerate(pieces):
        if not piece.text or piece.text in texts:
            what = "is empty" if not piece.text else f"{piece.text!r} is there twice"
            raise UnreadableFileError(f"{path}: piece {index} {what}")
        texts.add(piece.text)
        if piece.type not in (NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED):
            raise RefusedFileError(f"{path}: piece {piece.text!r} has type {piece.type}, which does not convert")
    unknown = [index for index, piece in enumerate(pieces) if piece.type == UNKNOWN]
    if len(unknown) != 1:
        raise UnreadableFileError(f"{path}: has {len(unknown)} pieces for what is unknown; one is expected")
    if not any(piece.type == NORMAL for piece in pieces):
        raise UnreadableFileError(f"{path}: holds no normal piece")
    charsmap = normalizer.get(2, [b""])[-1]
    return SentencePieceModel(
        pieces, unknown[0], as_bytes(charsmap), bool(as_number(normalizer, 3, 1)), bool(as_number(normalizer, 4, 1))
    )


def _piece(fields: Fields) -> Piece:
    (score,) = struct.unpack("<f", as_bytes(fields.get(2, [bytes(4)])[-1]))
    if score != score or abs(score) == float("inf"):
        raise ValueError("a score is not a finite number")
    return Piece(as_bytes(fields.get(1, [b""])[-1]).decode("utf-8"), score, as_number(fields, 3, NORMAL))
