"""What the fast tokenizer has to make of a text with a SentencePiece vocabulary, computed from the source's file alone.

It chooses pieces by sums of scores in float64, with a penalty on pieces such as `9,`. SentencePiece adds in float32
and without it, so two right tokenizers may choose other pieces of the same text; no others than these are excused.
"""

from __future__ import annotations

import re
import unicodedata

from ...converters.tokenizers.charsmap import replaced
from ...converters.tokenizers.fast import UNDERLINE, ends_in_number_comma, piece_scores
from ...converters.tokenizers.settings import TokenizerSettings
from ...converters.tokenizers.spiece import SentencePieceModel

UNKNOWN_PENALTY = 10.0
"""What the `tokenizers` library takes from the lowest score for an unknown character."""


class FastUnigram:
    """The fast tokenizer of a source's SentencePiece model with PaddleNLP's settings. `by_word`: no piece goes beyond a
    word; `separable`: so that words on their own come out as in the text."""

    def __init__(self, model: SentencePieceModel, settings: TokenizerSettings) -> None:
        self.model = model
        self.settings = settings
        self.by_word = not any(UNDERLINE in piece.text[1:] for piece in model.pieces)
        self.separable = self.by_word and model.add_dummy_prefix and model.remove_extra_whitespaces
        scores = piece_scores(model, settings.pieces.prepares)
        self._pieces = {piece.text: (index, scores[index]) for index, piece in enumerate(model.pieces)}
        cut = self._pieces if settings.pieces.prepares else ()
        self._number_commas = [piece for piece in cut if ends_in_number_comma(piece)]
        self._longest = max(len(text) for text in self._pieces)
        self._unknown = (model.unk_id, min(scores) - UNKNOWN_PENALTY)

    def prepare(self, text: str) -> str:
        """The text lower-cased by character, with single spaces, plain quotes and no accents. What only compatibility
        decomposition brings out is in its own case still."""
        settings = self.settings
        if not settings.pieces.prepares:
            return text
        if settings.do_lower_case:
            text = "".join(character.lower() for character in text)
        if settings.remove_space:
            text = " ".join(text.split())
        text = text.replace("``", '"').replace("''", '"')
        if not settings.keep_accents:
            text = unicodedata.normalize("NFKD", text)
            text = "".join(character for character in text if not unicodedata.combining(character))
        return text

    def normalized(self, text: str) -> str:
        """The text in which the fast tokenizer looks for added tokens."""
        text = self.prepare(text)
        if self.settings.do_lower_case:
            text = "".join(character.lower() for character in text)
        text = replaced(self.model.charsmap, text)
        if self.model.remove_extra_whitespaces:
            text = " ".join(part for part in text.split(" ") if part)
        return text

    def spelled(self, text: str) -> str:
        """The normalized text as pieces spell it, empty for nothing."""
        text = self.normalized(text).replace(" ", UNDERLINE)
        if text and self.model.add_dummy_prefix and not text.startswith(UNDERLINE):
            text = UNDERLINE + text
        return text

    def ids(self, text: str) -> list[int]:
        """The ids of a text that holds no special and no added token."""
        spelled = self.spelled(text)
        words = re.split(f"(?={UNDERLINE})", spelled) if self.by_word else [spelled]
        return [index for word in words for index in self._best(word)]

    def has_number_comma(self, text: str) -> bool:
        """Whether a text holds a piece that ends in a digit and a comma."""
        spelled = self.spelled(text)
        return any(piece in spelled for piece in self._number_commas)

    def _best(self, word: str) -> list[int]:
        """The pieces with the highest sum of scores; of equal ones, those found first."""
        best: list[tuple[float, int, int] | None] = [(0.0, 0, -1), *[None] * len(word)]
        for start in range(len(word)):
            here = best[start]
            assert here is not None
            ends = [start + 1, *range(start + 2, min(start + self._longest, len(word)) + 1)]
            for end in ends:
                found = self._pieces.get(word[start:end]) or (self._unknown if end == start + 1 else None)
                if found is None:
                    continue
                total, known = here[0] + found[1], best[end]
                if known is None or total > known[0]:
                    best[end] = (total, start, found[0])
        ids: list[int] = []
        end = len(word)
        while end > 0:
            entry = best[end]
            assert entry is not None
            _, end, index = entry
            if not (ids and ids[-1] == index == self.model.unk_id):
                ids.append(index)
        return ids[::-1]
