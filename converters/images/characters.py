"""The characters that a recognised line is made of: the dictionary, read as PaddleOCR reads it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ...errors import ConfigurationError, UnreadableFileError
from .source import ImageSource
from .training import Training

BLANK = "blank"
"""What stands for "no character", before all others (CTCLabelDecode in ppocr/postprocess/rec_postprocess.py)."""

PLAIN = "0123456789abcdefghijklmnopqrstuvwxyz"
"""The characters without any dictionary."""

MOST_BYTES = 16 << 20


@dataclass(frozen=True)
class Characters:
    """The characters by their numbers, the blank first; `dictionary` is where they come from, `space` says that a blank
    was put behind them. `reversed`: PaddleOCR turns the text around that it reads."""

    texts: tuple[str, ...]
    dictionary: Path | None
    space: bool
    guess: str | None = None
    reversed: bool = False

    @property
    def line(self) -> str:
        """What was read, in words."""
        held = f"{len(self.texts):,} classes: the blank, {len(self.texts) - 1 - self.space:,} characters"
        where = f" of {self.dictionary.name}" if self.dictionary is not None else ""
        return f"characters: {held}{where}{' and the space' if self.space else ''}"


def read_characters(
    source: ImageSource, training: Training | None, classes: int, library: Path | None = None
) -> Characters:
    """The characters of a network with so many classes. The dictionary is the one that the user names, else the one
    that the training configuration names: beside the weights, at its path from there or from the current folder, or in
    the copy of PaddleOCR at `library`.

    Raises ConfigurationError when there is none, or when its number of characters is not that of the classes.
    """
    path = source.dictionary or _named(source, training, library)
    texts = list(PLAIN) if path is None else _read(path)
    # Without a configuration, the number of classes tells whether the space is one.
    guessed = training is None
    # PaddleOCR adds one to a dictionary alone.
    space = path is not None and (classes == len(texts) + 2 if training is None else training.space)
    found = 1 + len(texts) + space
    if found != classes:
        where = path if path is not None else f"{source.training}: no dictionary, the digits and small letters"
        other = f"{'without' if space else 'with'} the space (use_space_char) "
        hint = f"; {other}it would fit" if path is not None and found - 2 * space + 1 == classes else ""
        raise ConfigurationError(
            f"{where}: {len(texts):,} characters, the blank{' and the space' if space else ''} make {found:,} classes, "
            f"but the network has {classes:,}{hint}; name the dictionary of the training with --dict"
        )
    guess = f"{'a' if space else 'no'} space behind the characters, from the number of classes" if guessed else None
    # By this in its path PaddleOCR knows it.
    named = (path.name if path is not None else "", training.dictionary if training is not None else None)
    turned = any("arabic" in one for one in named if one is not None)
    return Characters((BLANK, *texts, *([" "] if space else [])), path, space, guess, turned)


def _named(source: ImageSource, training: Training | None, library: Path | None) -> Path | None:
    """The dictionary that a training configuration names. Raises ConfigurationError where it is not to be found, and
    where several files that differ may be it: with another order of characters, nothing but the text would tell."""
    if training is None:
        raise ConfigurationError(
            f"{source.path}: no training configuration lies beside the weights, so that nothing says which characters "
            "the classes are; name the dictionary with --dict, or convert the weights alone with --no-tokenizer"
        )
    if training.dictionary is None:
        return None
    stated = Path(training.dictionary)
    places = [
        source.folder / stated.name,
        training.path.parent / stated.name,
        training.path.parent / stated,
        stated,
        *([library / stated] if library is not None else []),
    ]
    # Not the method of paths, which fails for names that are too long.
    there = [place for place in places if os.path.isfile(place)]
    if not there:
        raise ConfigurationError(
            f"{training.path}: names the dictionary {training.dictionary}, which lies neither beside the weights nor "
            "at that path from the current folder; name it with --dict, or the folder from which that path leads with "
            "--paddleocr, or convert the weights alone with --no-tokenizer"
        )
    found = there[0]
    if other := next((place for place in there[1:] if _read(place) != _read(found)), None):
        raise ConfigurationError(
            f"{training.path}: names the dictionary {training.dictionary}; {found} and {other} may be it, and they "
            "differ; name that of the training with --dict"
        )
    return found


def _read(path: Path) -> list[str]:
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise UnreadableFileError(f"{path}: has {size:,} bytes; a dictionary has at most {MOST_BYTES:,}")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        # As PaddleOCR does, line by line: a carriage return at the end belongs to the break.
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"{path}: is not text in UTF-8: byte {error.start} is none of it") from error
    if lines and not lines[-1]:
        lines.pop()
    return [line.strip("\r\n") for line in lines]
