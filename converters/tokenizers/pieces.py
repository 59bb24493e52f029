"""What PaddleNLP's classes make of a SentencePiece vocabulary: their own order of ids, and tokens behind the pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ...errors import ConfigurationError, RefusedFileError
from ...mappings.language.tokenizers import EXTRA_ID, Pieces
from .settings import TokenizerSettings
from .spiece import CONTROL, UNKNOWN, Piece, SentencePieceModel


def counted(path: Path, model: SentencePieceModel, pieces: Pieces) -> SentencePieceModel:
    """The vocabulary in the order of a class's ids: its own first tokens before what else the file `path` holds.

    Raises RefusedFileError for a vocabulary that does not begin with these tokens, the unknown one first, or holds one
    that the class counts elsewhere: two ids would lead to one token.
    """
    texts = [piece.text for piece in model.pieces]
    elsewhere = {*pieces.languages, *pieces.last}
    numbered = [text for text in texts if pieces.extra_ids is not None and text.startswith(EXTRA_ID)]
    if odd := next(iter(numbered), next((text for text in texts if text in elsewhere), None)):
        raise RefusedFileError(f"{path}: holds the piece {odd!r}, to which PaddleNLP gives another id than the file")
    if not pieces.first:
        return model
    unknown = model.pieces[model.unk_id]
    begins = [text for text in texts[: len(pieces.first)] if text in pieces.first]
    rest = model.pieces[len(begins) :]
    if model.unk_id or len(begins) != len(pieces.first) - 1 or any(piece.text in pieces.first for piece in rest):
        raise RefusedFileError(
            f"{path}: begins with {', '.join(map(repr, texts[: len(pieces.first)]))}; PaddleNLP counts "
            f"{', '.join(pieces.first)} before the pieces, of which the file must hold all but one there, "
            f"{unknown.text!r} first"
        )
    first = (Piece(text, 0.0, UNKNOWN if text == unknown.text else CONTROL) for text in pieces.first)
    return replace(model, pieces=(*first, *rest), unk_id=pieces.first.index(unknown.text))


def tokens_behind(origin: object, settings: TokenizerSettings, count: int) -> dict[str, int]:
    """The tokens that the class itself puts behind the `count` entries of its vocabulary, by rising id.

    Raises ConfigurationError where not all of them are special, as PaddleNLP then cuts them up in a text, and for
    another token of their form, which PaddleNLP gives the id of a piece.
    """
    tokens = settings.behind
    special = settings.all_special
    if missing := next((token for token in tokens if token not in special), None):
        raise ConfigurationError(
            f"{origin}: {missing!r} is not among the special tokens, although {settings.paddle_class.name} gives it an "
            "id; name all of its own tokens or none"
        )
    others = [token for token in (*special, *settings.added) if token not in tokens]
    if settings.pieces.extra_ids is not None and (
        odd := next((one for one in others if one.startswith(EXTRA_ID)), None)
    ):
        raise ConfigurationError(
            f"{origin}: names {odd!r}, but extra_ids is {settings.extra_ids}; PaddleNLP gives it the id of a piece"
        )
    return {token: count + place for place, token in enumerate(tokens)}


def without_own(settings: TokenizerSettings) -> Mapping[str, int]:
    """The tokens beyond the vocabulary that the class does not put there itself."""
    return {token: index for token, index in settings.added.items() if token not in settings.behind}
