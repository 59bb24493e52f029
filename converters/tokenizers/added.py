"""Tokens beyond the vocabulary, with the ids that PaddleNLP gives them."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import ConfigurationError
from .pieces import tokens_behind
from .settings import TokenizerSettings


def settle_added(
    origin: object, settings: TokenizerSettings, ids: Mapping[str, int]
) -> tuple[dict[str, int], tuple[str, ...]]:
    """The tokens beyond the vocabulary `ids`, by rising id, and notes of those that come out otherwise than written.

    `settings.added` are those of added_tokens.json. PaddleNLP counts on from the number of different tokens, those that
    the class itself puts behind them included,
    lower-cases what is not special where it lower-cases text, passes over what it knows, and adds the special tokens
    that are still missing. Raises ConfigurationError for an id that PaddleNLP does not read, or that two tokens share,
    and what `tokens_behind` does.
    """
    special, unknown = settings.all_special, settings.special["unk_token"]
    lowers = settings.do_lower_case and not settings.paddle_class.exact
    added = tokens_behind(origin, settings, len(ids))
    notes = []
    for written, index in settings.added.items():
        following = len(ids) + len(added)
        if index != following:
            raise ConfigurationError(
                f"{origin}: gives {written!r} the id {index}; PaddleNLP reads only {following} there, as ids go on "
                f"from the vocabulary, which holds {len(ids)} different tokens, without gap or repetition"
            )
        token = written.lower() if lowers and written not in special else written
        if not token or token in ids or token in added or token == unknown:
            why = f"{token!r} is a token already" if token else "it is empty"
            notes.append(f"{origin}: {written!r} is passed over, as by PaddleNLP: {why}")
        else:
            added[token] = following
    missing = [token for token in special if token not in ids and token not in added and token != unknown]
    if missing:
        added |= {token: len(ids) + len(added) + place for place, token in enumerate(missing)}
        given = ", ".join(f"{token!r} ({added[token]}{hidden(ids, token)})" for token in missing)
        notes.append(f"special tokens that the vocabulary lacks get the next ids, as in PaddleNLP: {given}")
    _check_apart(origin, ids, added)
    return added, tuple(notes)


def hidden(ids: Mapping[str, int], token: str) -> str:
    """Words for a token that a vocabulary does hold, but for what stands around it; none for any other."""
    soiled = next((one for one in ids if one != token and one.strip().strip("\ufeff") == token), None)
    return f"; its line in the vocabulary reads {soiled!a}, which is another token" if soiled is not None else ""


def _check_apart(origin: object, ids: Mapping[str, int], added: Mapping[str, int]) -> None:
    """With tokens on several lines, the vocabulary's ids go beyond the number of its tokens. That of empty lines, which
    no text leads to, may be taken."""
    of_vocabulary = {index: token for token, index in ids.items()}
    for token, index in added.items():
        if of_vocabulary.get(index):
            raise ConfigurationError(
                f"{origin}: PaddleNLP gives {token!r} the id {index}, which {of_vocabulary[index]!r} has too, because "
                "the vocabulary holds tokens on several lines; make each line another token"
            )
