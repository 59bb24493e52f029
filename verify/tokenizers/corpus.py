"""Lines for comparing tokenizers: fixed ones for what is easily done differently, and made ones by a seed, from the
vocabulary's own pieces and from all corners of Unicode."""

# ruff: noqa: RUF001 - look-alikes are what it is about

from __future__ import annotations

import random
from collections.abc import Sequence

FIXED = (
    "",
    " ",
    "\t\n \r\n",
    "The quick brown fox jumps over the lazy dog.",
    "THE Quick bRoWn FOX: don't, can't; won't!",
    "Ein süßer Käse kostet 3,50 € — naïve façade, Ærøskøbing, Ångström, İstanbul, ĲSSELMEER",
    "今天天气很好，我们去公园散步吧。",
    "他说：「你好！」然后走了……（真的？）",
    "我在2023年买了3台iPhone15 Pro，花了¥29,997元。",
    "中文English混合mixed文本text，没有空格no spaces",
    "繁體字與简体字，豈更車賈滑，𠀀𠮷𡃁",
    "日本語の文章とカタカナ、ﾊﾝｶｸ、한국어 문장, ประเทศไทย, हिन्दी, العربية, עברית",
    "emoji 😀😃👨‍👩‍👧‍👦 👍🏽 🇨🇳 ❤️ ☺ ✓ ★ → ∑ √ ≠ © ® ™ ° ± × ÷ ¬ § ¶",
    "$9.99 + £5 = ? < > | ~ ^ ` ~~ `` quoted '' and ``again''",
    "1,000,000 1999, 3.14, 10,5 9,9 ,1 1, 100,000.00; in 1776, 1812, and 2001,",
    "e\u0301 e\u0300\u0327 a\u030a n\u0303 \u0041\u030a \u1e9b\u0323 \u212b \u212a \ufb01 \u01c6",
    "ｆｕｌｌ　ｗｉｄｔｈ　ＡＢＣ１２３，。！？（）【】《》",
    "zero\u200bwidth\u200cjoin\u200der\ufeff \u00ad soft\u00adhyphen \u2060",
    "control \x00\x01\x02\x1b\x7f\x85\x9f characters \x0b\x0c \x1c\x1d\x1e\x1f here",
    "spaces\u00a0\u1680\u2000\u2009\u202f\u205f\u3000of\u2028all\u2029kinds",
    "replacement \ufffd and private \ue000 and \u2581 underline▁▁x",
    "ΟΔΥΣΣΕΥΣ Σίσυφος ΣΑΣ σας ς",
    "ß ẞ ŉ ǰ ΐ ﬃ ĸ ŋ Ŋ Ʊ µ º ª ² ³ ¹ ½ Ø ø 〇 ⅷ ⓐ ㈱ ㎏",
    "[CLS] [SEP] [MASK] [PAD] [UNK] <pad> <unk> <s> </s> [mask] [Mask]",
    "Paris is the [MASK] of France. 今天[MASK]情很好 x[MASK]y [MASK][MASK] [MASK",
    "http://www.example.com/a_b-c?d=e&f=%20#g user.name+tag@example.co.uk C:\\path\\file.txt",
    "snake_case camelCase kebab-case ##hash @handle #tag a/b a\\b {x} [y] (z) \"q\" 'r'",
    "...---... !!!??? ,,,;;; ::: ''' \"\"\" ``` ~~~ ***",
    "x" * 99 + " " + "y" * 100 + " " + "z" * 101 + " " + "长" * 120,
    "supercalifragilisticexpialidocious" * 4,
    "a" + "\u0301" * 30 + " z\u0351\u0358\u0317a\u0309lgo",
)
"""Characters of Unicode 13 and older only: newer ones are another character to each library's tables."""

_BLOCKS = (
    (0x20, 0x7E), (0x20, 0x7E), (0x20, 0x7E), (0x61, 0x7A), (0xA0, 0xFF), (0x100, 0x17F), (0x300, 0x36F),
    (0x391, 0x3A1),
    (0x3A3, 0x3C9), (0x410, 0x44F), (0x5D0, 0x5EA), (0x621, 0x64A), (0x905, 0x939), (0xE01, 0xE3A), (0x1E00, 0x1EFF),
    (0x2000, 0x2064), (0x20A0, 0x20BF), (0x2100, 0x218B), (0x2190, 0x23FF), (0x2460, 0x27BF), (0x3001, 0x303F),
    (0x3041, 0x3096), (0x30A1, 0x30FF), (0x3220, 0x3247), (0x4E00, 0x9FA5), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3),
    (0xF900, 0xFA6D), (0xFB00, 0xFB06), (0xFF01, 0xFF9D), (0x1D400, 0x1D454), (0x1F300, 0x1F5FF), (0x1F600, 0x1F64F),
    (0x20000, 0x2A6D6), (0x00, 0x1F),
)  # fmt: skip


def make_lines(pieces: Sequence[str], count: int, seed: int = 0, tokens: Sequence[str] = ()) -> list[str]:
    """The fixed lines, those for `tokens`, and `count` made ones; the same for the same arguments.

    `pieces` are the tokens of the vocabulary, `tokens` the special and added ones; half of the made lines are put
    together from pieces.
    """
    generator = random.Random(seed)
    texts = [piece.removeprefix("##").replace("\u2581", " ") for piece in pieces] or ["a"]
    lines = [*FIXED, *_with_tokens(tokens)]
    for index in range(count):
        made = _from_pieces(generator, texts) if index % 2 else _from_blocks(generator)
        lines.append(made)
    return lines


def with_every_piece(pieces: Sequence[str], seed: int = 0) -> list[str]:
    """Lines that together hold every piece of a vocabulary, those that begin a word after a space."""
    shuffled = random.Random(seed).sample(list(pieces), len(pieces))
    spaced = [one.removeprefix("##") if one.startswith("##") else f" {one}" for one in shuffled]
    return ["".join(spaced[start : start + 40]).replace("\u2581", " ").strip() for start in range(0, len(spaced), 40)]


def _with_tokens(tokens: Sequence[str]) -> list[str]:
    """Every special and added token as people type it: in other cases, within words, beside others."""
    lines = []
    for token in tokens:
        typed = dict.fromkeys((token, token.upper(), token.lower(), token.title(), token.swapcase()))
        lines += [
            line for one in typed for line in (f"a {one} b", f"今天{one}很好", f"x{one}y, {one}.", f"{one}{one} {one}")
        ]
        lines += [f"{token[:1]} {token[1:]}", f"{token[:-1]} a", "\u0301".join(token)]
    return lines


def _from_pieces(generator: random.Random, texts: Sequence[str]) -> str:
    parts = []
    for _ in range(generator.randint(1, 24)):
        text = generator.choice(texts)
        change = generator.random()
        parts.append(text.upper() if change < 0.1 else text.capitalize() if change < 0.2 else text)
        if generator.random() < 0.5:
            parts.append(generator.choice((" ", " ", " ", "", ",", ". ", "  ", "-", "1,", "2,000 ", "，", "。")))
    return "".join(parts)


def _from_blocks(generator: random.Random) -> str:
    characters = []
    for _ in range(generator.randint(1, 8)):
        first, last = generator.choice(_BLOCKS)
        characters += [chr(generator.randint(first, last)) for _ in range(generator.randint(1, 6))]
        if generator.random() < 0.4:
            characters.append(" ")
    return "".join(characters)
