"""Reads a byte-level BPE vocabulary as PaddleNLP does: a JSON object of ids by token, and the pairs that are joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import TokenizerError, UnreadableFileError
from .files import read_json_object
from .vocabulary import SHOWN, read_text, read_vocabulary

Merges = tuple[tuple[str, str], ...]

HEADER = "#version: 0.2"


def _alphabet() -> dict[str, int]:
    """Each byte is a character: itself where that is printable, else one from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    characters = [*map(chr, printable), *(chr(0x100 + place) for place in range(len(others)))]
    return dict(zip(characters, [*printable, *others], strict=True))


BYTES = _alphabet()
"""The byte that each character of a token stands for."""


def text_of(token: str) -> str:
    """What a token stands for, without bytes that are no whole character; a token of other characters is itself."""
    if any(character not in BYTES for character in token):
        return token
    return bytes(BYTES[character] for character in token).decode("utf-8", "ignore")


def read_byte_pairs(
    vocabulary: Path, merges: Path, counted: Path | None = None, special: Iterable[str] = ()
) -> tuple[dict[str, int], Merges, tuple[str, ...]]:
    """The ids by token, by rising id, the pairs in the order in which they are joined, and notes of what is odd.

    `counted` is the file that PaddleNLP counts the tokens by, if it is another one, in which it looks for the `special`
    ones. Raises UnreadableFileError for files that are missing, damaged or do not fit together.
    """
    ids = checked_ids(vocabulary, read_json_object(vocabulary))
    for path in (merges, counted):
        if path is not None and not path.is_file():
            raise UnreadableFileError(f"{path}: is missing; PaddleNLP reads it beside {vocabulary.name}")
    pairs, notes = _read_merges(merges)
    check_merges(merges, pairs, ids)
    if counted is not None:
        tokens, _ = read_vocabulary(counted)
        if len(tokens) != len(ids):
            raise UnreadableFileError(
                f"{counted}: holds {len(tokens)} different tokens and {vocabulary.name} {len(ids)}; PaddleNLP counts "
                "by the one and reads the other, so that only as many in both have a counterpart"
            )
        if lacking := next((token for token in special if token not in tokens), None):
            raise UnreadableFileError(f"{counted}: holds no {lacking!r}, without which PaddleNLP does not read it")
    return ids, pairs, notes


def checked_ids(path: Path, vocabulary: Mapping[str, Any]) -> dict[str, int]:
    """The ids by token, by rising id. Raises UnreadableFileError unless they are 0, 1, 2 and so on, each once."""
    for token, index in vocabulary.items():
        if isinstance(index, bool) or not isinstance(index, int):
            raise UnreadableFileError(f"{path}: leads from {token!r} to {index!r}, not to an id")
    ids = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
    if not ids or list(ids.values()) != list(range(len(ids))):
        raise UnreadableFileError(
            f"{path}: its ids are not 0 to {len(ids) - 1}, each once" if ids else f"{path}: holds no tokens"
        )
    return ids


def _read_merges(path: Path) -> tuple[Merges, tuple[str, ...]]:
    """The pairs of a file. PaddleNLP takes neither its first line, whatever that holds, nor what follows the last line
    end; of a pair on several lines, the last one counts."""
    first, *lines = read_text(path).split("\n")
    notes = []
    if lines and not first.startswith("#"):
        notes.append(f"{path}: its first line {first!r} is passed over, as by PaddleNLP, which takes it for a heading")
    if lines and lines[-1].split():
        notes.append(f"{path}: its last line {lines[-1]!r} has no line end and is passed over, as by PaddleNLP")
    split = [tuple(line.split()) for line in lines[:-1]]
    if odd := [line for line, parts in zip(lines, split, strict=False) if len(parts) != 2]:
        shown = ", ".join(map(repr, odd[:SHOWN]))
        notes.append(f"{path}: lines that are no pair ({len(odd)}) are passed over, as by PaddleNLP: {shown}")
    ranks = {(parts[0], parts[1]): rank for rank, parts in enumerate(split) if len(parts) == 2}
    return tuple(sorted(ranks, key=lambda pair: ranks[pair])), tuple(notes)


def check_merges(path: Path, merges: Merges, ids: Mapping[str, int]) -> None:
    """Raise UnreadableFileError for pairs that a fast tokenizer does not join as PaddleNLP does: those of tokens that
    the vocabulary lacks, and those that come before what they are joined of."""
    made_later = {first + second for first, second in merges}
    for first, second in merges:
        if missing := next((token for token in (first, second, first + second) if token not in ids), None):
            raise UnreadableFileError(
                f"{path}: joins {first!r} and {second!r}, but the vocabulary holds no {missing!r}; is it of this model?"
            )
        made_later.discard(first + second)
        if early := next((token for token in (first, second) if len(token) > 1 and token in made_later), None):
            raise UnreadableFileError(
                f"{path}: joins {first!r} and {second!r} before {early!r} is made, which has no fast tokenizer; its "
                "lines are not in the order in which they were found"
            )


def merges_text(merges: Iterable[Sequence[str]]) -> str:
    """The file of pairs that PaddleNLP and transformers read."""
    return "".join(f"{line}\n" for line in (HEADER, *(" ".join(pair) for pair in merges)))


_WITHOUT_COUNTERPART = (
    "dropout",
    "ignore_merges",
    "byte_fallback",
    "continuing_subword_prefix",
    "end_of_word_suffix",
)
"""Settings of a BPE vocabulary that cut texts otherwise than its pairs alone say."""


def byte_pairs_of(path: Path, fast: Mapping[str, Any]) -> tuple[dict[str, int], Merges]:
    """The ids by token and the pairs of a tokenizer.json. Raises TokenizerError for one that is of another kind and
    UnreadableFileError for one that is damaged."""
    model = fast.get("model")
    if not isinstance(model, dict) or model.get("type") != "BPE" or not isinstance(model.get("vocab"), dict):
        raise TokenizerError(f"{path}: holds no BPE vocabulary")
    given = fast.get("pre_tokenizer")
    step = given if isinstance(given, dict) else {}
    whole = step.get("type") == "ByteLevel" and step.get("use_regex", True)
    if not whole or fast.get("normalizer") is not None or step.get("add_prefix_space"):
        found = ", ".join([*_steps(fast.get("normalizer")), *_steps(given)]) or "nothing"
        raise TokenizerError(
            f"{path}: prepares a text by {found}; PaddleNLP has a counterpart for ByteLevel alone, without a blank put "
            "before the text"
        )
    if odd := next((name for name in _WITHOUT_COUNTERPART if model.get(name)), None):
        raise TokenizerError(f"{path}: {odd} is {model[odd]!r}, which PaddleNLP has no counterpart for")
    ids = checked_ids(path, model["vocab"])
    listed = model.get("merges") or []
    if not isinstance(listed, list) or not all(isinstance(pair, str | list) for pair in listed):
        raise UnreadableFileError(f"{path}: its merges are no list of pairs of tokens")
    pairs = [tuple(pair.split(" ") if isinstance(pair, str) else pair) for pair in listed]
    if any(len(pair) != 2 or not all(isinstance(part, str) for part in pair) for pair in pairs):
        raise UnreadableFileError(f"{path}: one of its merges is no pair of tokens")
    merges = tuple((first, second) for first, second in pairs)
    check_merges(path, merges, ids)
    return ids, merges


def _steps(step: Any) -> Iterator[str]:
    """The types of a step of a tokenizer.json, or of the steps that it is made of."""
    if isinstance(step, dict):
        parts = step.get("pretokenizers") or step.get("normalizers")
        if isinstance(parts, list):
            for part in parts:
                yield from _steps(part)
        else:
            yield str(step.get("type"))
