"""tokenizer.json of a fast tokenizer, built as plain JSON from the vocabulary and PaddleNLP's settings.

The shape is that of the `tokenizers` library and of transformers' `convert_slow_tokenizer`. It departs from the latter
where that would give other ids than PaddleNLP: whitespace, accents, symbols, user-defined and control pieces.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from .characters import class_of, is_alone, is_alone_or_chinese, is_combining, is_nonspacing, is_removed
from .characters import is_space as is_space
from .charsmap import composes
from .settings import TokenizerSettings
from .spiece import CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED, SentencePieceModel

UNDERLINE = "\u2581"
"""How SentencePiece writes a space."""

NUMBER_COMMA_PENALTY = 100.0
"""What transformers takes from the score of pieces such as `9,`, which slow ALBERT tokenizers cut in two."""

LATE_DECOMPOSITIONS = {"\ua7f2": "C", "\ua7f3": "F", "\ua7f4": "Q", "\U0001f16c": "MR"}
"""Characters that Python's NFKD takes apart and that of the `tokenizers` library does not."""

Json = dict[str, Any]


def wordpiece_json(vocabulary: Mapping[str, int], settings: TokenizerSettings, added: Sequence[Json]) -> Json:
    """tokenizer.json for a vocab.txt; `added` are the entries of its added tokens."""
    steps = [
        _replace(class_of(is_removed), ""),
        _replace(class_of(is_space), " "),
        *([{"type": "Lowercase"}] if settings.do_lower_case else []),
        *([{"type": "NFD"}, _replace(class_of(is_nonspacing), "")] if settings.strips_accents else []),
    ]
    alone = is_alone_or_chinese if settings.tokenize_chinese_chars else is_alone
    splits = [_split(" ", "Removed"), _split(class_of(alone), "Isolated")]
    model = {
        "type": "WordPiece",
        "unk_token": settings.special["unk_token"],
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": dict(vocabulary),
    }
    ids = {**vocabulary, **settings.added}
    return _document(
        added, steps, {"type": "Sequence", "pretokenizers": splits}, _template(settings, ids),
        {"type": "WordPiece", "prefix": "##", "cleanup": True}, model,
    )  # fmt: skip


def sentencepiece_json(model: SentencePieceModel, settings: TokenizerSettings, added: Sequence[Json]) -> Json:
    """tokenizer.json for a spiece.model; `added` are the entries of its added tokens."""
    lower: list[Json] = [{"type": "Lowercase"}] if settings.do_lower_case else []
    steps = [
        *lower,
        *([_replace(f"{class_of(is_space)}+", " "), _replace("^ +| +$", "")] if settings.remove_space else []),
        _replace_text("``", '"'),
        _replace_text("''", '"'),
        *([] if settings.keep_accents else _without_accents()),
        *([] if settings.keep_accents else lower),
        *_charsmap(model),
        *([_replace(" {2,}", " "), _replace("^ +| +$", "")] if model.remove_extra_whitespaces else []),
    ]
    metaspace = {
        "type": "Metaspace",
        "replacement": UNDERLINE,
        "prepend_scheme": "always" if model.add_dummy_prefix else "never",
        # Words on their own, unless a piece goes beyond a word.
        "split": not any(UNDERLINE in piece.text[1:] for piece in model.pieces),
    }
    ids = {piece.text: index for index, piece in enumerate(model.pieces)}
    unigram = {
        "type": "Unigram",
        "unk_id": model.unk_id,
        "vocab": [[piece.text, score] for piece, score in zip(model.pieces, piece_scores(model), strict=True)],
        "byte_fallback": False,
    }
    decoder = {**metaspace}
    return _document(added, steps, metaspace, _template(settings, {**ids, **settings.added}), decoder, unigram)


def piece_scores(model: SentencePieceModel) -> list[float]:
    """The scores that make a plain Unigram model choose as SentencePiece does with its types of pieces.

    SentencePiece never finds control and unused pieces and the unknown one in a text, so they get less than a text of
    unknown characters; it prefers user-defined pieces by a score that its unigram_model.cc computes from the best
    normal one.
    """
    normal = [piece.score for piece in model.pieces if piece.type == NORMAL]
    lowest, highest = min(normal), max(normal)
    scores = []
    for piece in model.pieces:
        if piece.type == USER_DEFINED:
            scores.append(_float32(len(piece.text.encode()) * highest - 0.1))
        elif piece.type in (CONTROL, UNUSED, UNKNOWN):
            scores.append((len(piece.text) + 1) * (lowest - 10.0) - NUMBER_COMMA_PENALTY)
        else:
            scores.append(piece.score - NUMBER_COMMA_PENALTY if ends_in_number_comma(piece.text) else piece.score)
    return scores


def ends_in_number_comma(text: str) -> bool:
    """Whether ALBERT's slow tokenizers cut a piece in two."""
    return len(text) > 1 and text[-1] == "," and text[-2].isdigit()


def added_entry(index: int, content: str, special: bool, lstrip: bool, rstrip: bool, normalized: bool) -> Json:
    """One of `added_tokens`, which is looked for in the text as it is or in the normalized one, and may take the space
    on its left or right."""
    return {
        "id": index,
        "content": content,
        "single_word": False,
        "lstrip": lstrip,
        "rstrip": rstrip,
        "normalized": normalized,
        "special": special,
    }


def _without_accents() -> list[Json]:
    late = [_replace_text(character, text) for character, text in LATE_DECOMPOSITIONS.items()]
    return [*late, {"type": "NFKD"}, _replace(class_of(is_combining), "")]


def _charsmap(model: SentencePieceModel) -> list[Json]:
    if not model.charsmap:
        return []
    encoded = base64.b64encode(model.charsmap).decode("ascii")
    step = {"type": "Precompiled", "precompiled_charsmap": encoded}
    # The library maps one grapheme at a time and misses longer compositions, such as Hangul's.
    return [{"type": "NFC"}, step] if composes(model.charsmap) else [step]


def _document(
    added: Sequence[Json],
    steps: Sequence[Json],
    pre_tokenizer: Json,
    post_processor: Json,
    decoder: Json,
    model: Json,
) -> Json:
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": list(added),
        "normalizer": {"type": "Sequence", "normalizers": list(steps)},
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": decoder,
        "model": model,
    }


def _template(settings: TokenizerSettings, ids: Mapping[str, int]) -> Json:
    cls, sep = settings.special["cls_token"], settings.special["sep_token"]
    paddle_class = settings.paddle_class

    def token(content: str, kind: int) -> Json:
        return {"SpecialToken": {"id": content, "type_id": kind}}

    kinds = {"A": 0, "B": paddle_class.second_type}
    first, second = ({"Sequence": {"id": name, "type_id": kind}} for name, kind in kinds.items())
    single = [token(cls, 0), first, token(sep, 0)]
    between = [token(sep, 0)] * (paddle_class.separators - 1)
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, *between, second, token(sep, paddle_class.second_type)],
        "special_tokens": {
            content: {"id": content, "ids": [ids[content]], "tokens": [content]}
            for content in dict.fromkeys((cls, sep))
        },
    }


def _replace(pattern: str, content: str) -> Json:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}


def _replace_text(text: str, content: str) -> Json:
    return {"type": "Replace", "pattern": {"String": text}, "content": content}


def _split(pattern: str, behavior: str) -> Json:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": False}


def _float32(value: float) -> float:
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    return float(rounded)
