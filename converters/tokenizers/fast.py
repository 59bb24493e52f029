"""tokenizer.json of a fast tokenizer, built as plain JSON from the vocabulary and PaddleNLP's settings.

The shape is that of the `tokenizers` library and of transformers' `convert_slow_tokenizer`. It departs from the latter
where that would give other ids than PaddleNLP: whitespace, accents, symbols, user-defined and control pieces.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from ...mappings.language.tokenizers import Layout
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
        added, _sequence(steps), {"type": "Sequence", "pretokenizers": splits}, _template(settings, ids),
        {"type": "WordPiece", "prefix": "##", "cleanup": True}, model,
    )  # fmt: skip


def sentencepiece_json(model: SentencePieceModel, settings: TokenizerSettings, added: Sequence[Json]) -> Json:
    """tokenizer.json for a spiece.model; `added` are the entries of its added tokens."""
    lower: list[Json] = [{"type": "Lowercase"}] if settings.do_lower_case else []
    prepared = [
        *lower,
        *([_replace(f"{class_of(is_space)}+", " "), _replace("^ +| +$", "")] if settings.remove_space else []),
        _replace_text("``", '"'),
        _replace_text("''", '"'),
        *([] if settings.keep_accents else _without_accents()),
        *([] if settings.keep_accents else lower),
    ]
    steps = [
        *(prepared if settings.pieces.prepares else []),
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
    scores = piece_scores(model, settings.pieces.prepares)
    unigram = {
        "type": "Unigram",
        "unk_id": model.unk_id,
        "vocab": [[piece.text, score] for piece, score in zip(model.pieces, scores, strict=True)],
        "byte_fallback": False,
    }
    template = _template(settings, {**ids, **settings.added})
    return _document(added, _sequence(steps), metaspace, template, _spaced(settings) or {**metaspace}, unigram)


def byte_pairs_json(
    vocabulary: Mapping[str, int],
    merges: Sequence[tuple[str, str]],
    settings: TokenizerSettings,
    added: Sequence[Json],
) -> Json:
    """tokenizer.json for a byte-level BPE vocabulary; `added` are the entries of its added tokens."""
    step = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": settings.special["unk_token"],
        "continuing_subword_prefix": "",
        "end_of_word_suffix": "",
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": dict(vocabulary),
        # As texts, which every version of the library reads: no token holds a blank.
        "merges": [" ".join(pair) for pair in merges],
    }
    template = _template(settings, {**vocabulary, **settings.added})
    # The first step of the two only takes the blank before a word out of its offsets.
    processor = {"type": "Sequence", "processors": [step, template]}
    return _document(added, None, step, processor, step, model)


def piece_scores(model: SentencePieceModel, cuts_numbers: bool) -> list[float]:
    """The scores that make a plain Unigram model choose as SentencePiece does with its types of pieces.

    SentencePiece never finds control and unused pieces and the unknown one in a text, so they get less than a text of
    unknown characters; it prefers user-defined pieces by a score that its unigram_model.cc computes from the best
    normal one. `cuts_numbers`: PaddleNLP cuts a number from the comma behind it.
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
            penalised = cuts_numbers and ends_in_number_comma(piece.text)
            scores.append(piece.score - NUMBER_COMMA_PENALTY if penalised else piece.score)
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


def _spaced(settings: TokenizerSettings) -> Json | None:
    """A decoder that puts blanks around tokens as PaddleNLP does: around those that were added, and behind special ones
    where the class does so; None where there are no such tokens."""
    added = [] if settings.paddle_class.wraps else [one for one in settings.added if one not in settings.behind]
    after = [*added, *(settings.all_special if settings.pieces.parts_special else ())]
    if not after:
        return None
    marks = [_replace(f"(?<=^{_any_of(after)})$", " ")]
    marks += [_replace(f"^(?={_any_of(added)} $)", " ")] if added else []
    # No piece holds a blank: those that are there are the marks, and take the place of the blank that begins a word.
    blanks = [_replace(f" +{UNDERLINE}?", " "), _replace_text(UNDERLINE, " "), _replace("^ +| +$", "")]
    return {"type": "Sequence", "decoders": [*marks, {"type": "Fuse"}, *blanks]}


def _any_of(tokens: Sequence[str]) -> str:
    return f"(?:{'|'.join(map(re.escape, dict.fromkeys(tokens)))})"


def _document(
    added: Sequence[Json],
    normalizer: Json | None,
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
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": decoder,
        "model": model,
    }


def _sequence(steps: Sequence[Json]) -> Json:
    return {"type": "Sequence", "normalizers": list(steps)}


def _template(settings: TokenizerSettings, ids: Mapping[str, int]) -> Json:
    layout: Layout = settings.layout

    def entry(name: str, kind: int) -> Json:
        if name in ("A", "B"):
            return {"Sequence": {"id": name, "type_id": kind}}
        return {"SpecialToken": {"id": settings.token_at(name), "type_id": kind}}

    roles = [name for name in layout.pair if name not in ("A", "B")]
    return {
        "type": "TemplateProcessing",
        "single": [entry(name, 0) for name in layout.single],
        "pair": [entry(name, kind) for name, kind in zip(layout.pair, layout.pair_types, strict=True)],
        "special_tokens": {
            content: {"id": content, "ids": [ids[content]], "tokens": [content]}
            for content in dict.fromkeys(map(settings.token_at, roles))
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
