# ruff: noqa: RUF001 - look-alikes are what it is about
"""The classes of characters: written out as regular expressions they hold the same characters as the functions."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest

from paddle2torch.converters.tokenizers import characters
from paddle2torch.converters.tokenizers.charsmap import lookup
from paddle2torch.converters.tokenizers.spiece import read_spiece

from ...tokenizer_files import train_spiece

PREDICATES = [
    characters.is_removed,
    characters.is_space,
    characters.is_nonspacing,
    characters.is_combining,
    characters.is_alone,
    characters.is_alone_or_chinese,
]


@pytest.mark.parametrize("predicate", PREDICATES, ids=lambda predicate: predicate.__name__)
def test_a_class_holds_what_its_function_says_of_every_code_point(predicate: Callable[[str], bool]) -> None:
    written = characters.class_of(predicate)
    pattern = re.compile(re.sub(r"\\x\{([0-9A-F]+)\}", lambda found: f"\\U{int(found[1], 16):08x}", written))
    surrogates = range(0xD800, 0xE000)
    codes = [code for code in range(sys.maxunicode + 1) if code not in surrogates]
    text = "".join(map(chr, codes))
    assert pattern.findall(text) == [character for character in text if predicate(character)]


def test_symbols_and_punctuation_are_apart() -> None:
    assert all(characters.is_punctuation(one) for one in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~。，「》¿")
    assert all(characters.is_symbol(one) for one in "©€→😀²ºµØŋ〇" + "\u00d7")
    assert not any(characters.is_symbol(one) or characters.is_punctuation(one) for one in "aé字かА5 \x00\x7f")
    assert not any(characters.is_symbol(one) for one in "$+<=>^`|~")


def test_a_charsmap_is_looked_up(tmp_path_factory: pytest.TempPathFactory) -> None:
    charsmap = read_spiece(train_spiece(tmp_path_factory.mktemp("charsmap") / "spiece.model")).charsmap
    assert lookup(charsmap, "\u1100\u1161") == "\uac00"
    assert lookup(charsmap, "e\u0301") == "é"
    assert lookup(charsmap, "\ufb01") == "fi"
    assert lookup(charsmap, "\u3000") == " "
    assert lookup(charsmap, "a") is None
    assert lookup(charsmap, "\u1100\u1161\u1100\u1161") is None
    assert lookup(b"", "a") is None
    assert lookup(charsmap[:4], "\u3000") is None
    assert lookup(b"\xff" * 40, "\u3000") is None
