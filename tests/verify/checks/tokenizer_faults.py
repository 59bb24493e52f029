"""Changes of a converted tokenizer by which a user gets other fields, ids or texts, by kind of tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def edit(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_text("utf-8"))
    change(document)
    path.write_text(json.dumps(document), "utf-8")


def set_config(**fields: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "tokenizer_config.json", lambda document: document.update(fields))


def set_flags(**flags: bool) -> Callable[[Path], None]:
    """Change flags of every added token, in both files."""

    def decoder(document: Any) -> None:
        for entry in document["added_tokens_decoder"].values():
            entry.update(flags)

    def added(document: Any) -> None:
        for entry in document["added_tokens"]:
            entry.update(flags)

    def change(folder: Path) -> None:
        edit(folder / "tokenizer_config.json", decoder)
        edit(folder / "tokenizer.json", added)

    return change


def swap_lines(folder: Path) -> None:
    lines = (folder / "vocab.txt").read_text("utf-8").split("\n")
    lines[40], lines[41] = lines[41], lines[40]
    (folder / "vocab.txt").write_text("\n".join(lines), "utf-8")


def swap_ids(folder: Path) -> None:
    def change(document: Any) -> None:
        vocabulary = document["model"]["vocab"]
        if isinstance(vocabulary, list):
            vocabulary[40], vocabulary[41] = vocabulary[41], vocabulary[40]
        else:
            first, second = list(vocabulary)[40:42]
            vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]

    edit(folder / "tokenizer.json", change)


def drop_step(*kinds: str) -> Callable[[Path], None]:
    """Take steps out of the fast tokenizer's normalizer."""

    def change(document: Any) -> None:
        steps = document["normalizer"]["normalizers"]
        kept = [step for step in steps if step["type"] not in kinds]
        assert len(kept) < len(steps)
        document["normalizer"]["normalizers"] = kept

    return lambda folder: edit(folder / "tokenizer.json", change)


def drop_whitespace_step(folder: Path) -> None:
    def change(document: Any) -> None:
        steps = document["normalizer"]["normalizers"]
        steps[:] = [step for step in steps if step.get("content") != " "]

    edit(folder / "tokenizer.json", change)


def plain_pre_tokenizer(folder: Path) -> None:
    """What transformers' own conversion gives: symbols inside words stay there."""
    edit(folder / "tokenizer.json", lambda document: document.update(pre_tokenizer={"type": "BertPreTokenizer"}))


def other_template(folder: Path) -> None:
    def change(document: Any) -> None:
        document["post_processor"]["pair"][-1]["SpecialToken"]["type_id"] = 0

    edit(folder / "tokenizer.json", change)


def lower_score(folder: Path) -> None:
    def change(document: Any) -> None:
        piece = next(entry for entry in document["model"]["vocab"] if entry[0] == "▁the")
        piece[1] -= 30

    edit(folder / "tokenizer.json", change)


def swap_words(one: str, other: str) -> Callable[[Path], None]:
    """A step in front that turns one word into another."""
    step = {"type": "Replace", "pattern": {"String": one}, "content": other}

    def change(document: Any) -> None:
        document["normalizer"]["normalizers"].insert(0, step)

    return lambda folder: edit(folder / "tokenizer.json", change)


def add_word(word: str) -> Callable[[Path], None]:
    """A piece of the vocabulary is made an added token."""

    def change(document: Any) -> None:
        vocabulary = document["model"]["vocab"]
        pieces = [entry[0] for entry in vocabulary] if isinstance(vocabulary, list) else list(vocabulary)
        entry = {**document["added_tokens"][0], "id": pieces.index(word), "content": word, "special": False}
        document["added_tokens"] = sorted([*document["added_tokens"], entry], key=lambda one: int(one["id"]))

    return lambda folder: edit(folder / "tokenizer.json", change)


def other_decoder(folder: Path) -> None:
    edit(folder / "tokenizer.json", lambda document: document.update(decoder={"type": "Fuse"}))


def empty_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


ALTERATIONS: dict[str, Callable[[Path], object]] = {
    "no token types asked for": set_config(model_input_names=["input_ids", "attention_mask"]),
    "no mask asked for": set_config(model_input_names=["input_ids", "token_type_ids"]),
    "another class": set_config(tokenizer_class="DistilBertTokenizer"),
    "special tokens split": set_config(split_special_tokens=True),
    "tokens are words of their own": set_flags(single_word=True),
    "decoded text is not cleaned up": set_config(clean_up_tokenization_spaces=False),
    "another decoder": other_decoder,
    "a token without a role": set_config(additional_special_tokens=["the"]),
}
"""Of both kinds: what a user loads gives other fields, ids or texts."""

ENGLISH_FAULTS: dict[str, Callable[[Path], object]] = {
    "do_lower_case flipped": set_config(do_lower_case=False),
    "keep_accents flipped": set_config(keep_accents=True),
    "remove_space flipped": set_config(remove_space=False, keep_accents=True),
    "lower case dropped": drop_step("Lowercase"),
    "accents kept": drop_step("NFKD"),
    "spaces kept": drop_whitespace_step,
    "ids swapped": swap_ids,
    "a score changed": lower_score,
    "types of pairs changed": other_template,
    "special token changed": set_config(mask_token="[SEP]"),
    "padding token changed": set_config(pad_token="<unk>"),
    "padding side changed": set_config(padding_side="left"),
    "maximum length changed": set_config(model_max_length=511),
    **ALTERATIONS,
    "a word replaced": swap_words("harbour", "kitchen"),
    "a word made a token": add_word("er"),
    "another vocabulary beside": lambda folder: (folder / "spiece.model").write_bytes(b""),
}
CHINESE_FAULTS: dict[str, Callable[[Path], object]] = {
    "do_lower_case flipped": set_config(do_lower_case=True),
    "lines swapped": swap_lines,
    "ids swapped": swap_ids,
    "special token changed": set_config(cls_token="[SEP]"),
    "padding side changed": set_config(padding_side="left"),
    "truncation side changed": set_config(truncation_side="left"),
    "maximum length changed": set_config(model_max_length=128),
    "symbols not split": plain_pre_tokenizer,
    "types of pairs changed": other_template,
    "chinese characters not split": set_config(tokenize_chinese_chars=False),
    "a file that transformers cannot read": empty_tokenizer,
    **ALTERATIONS,
    "a word replaced": swap_words("天气", "图书"),
    "a word made a token": add_word("the"),
}


def change_fast(change: Callable[[Any], object]) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "tokenizer.json", change)


def swap_added(document: Any) -> None:
    one, other = document["added_tokens"][-9:-7]
    one["content"], other["content"] = other["content"], one["content"]


def swap_first(document: Any) -> None:
    vocabulary = document["model"]["vocab"]
    vocabulary[:2] = vocabulary[1::-1]
    for entry in document["added_tokens"][:2]:
        entry["id"] = 1 - entry["id"]


def keep_quotes(document: Any) -> None:
    steps = document["normalizer"]["normalizers"]
    steps[:] = [step for step in steps if step.get("content") != '"']


def other_language(document: Any) -> None:
    entry = document["post_processor"]["special_tokens"]["en_XX"]
    entry.update(ids=[entry["ids"][0] + 1], tokens=["es_XX"])


ONLY_ALBERTS = (
    *("do_lower_case flipped", "keep_accents flipped", "lower case dropped", "accents kept", "types of pairs changed"),
    "no token types asked for",
)
PIECE_FAULTS = {
    **{name: fault for name, fault in ENGLISH_FAULTS.items() if name not in ONLY_ALBERTS},
    "ids of added tokens swapped": change_fast(swap_added),
    "another end": change_fast(lambda document: document["post_processor"]["single"].pop()),
}
T5_FAULTS = {
    **PIECE_FAULTS,
    "do_lower_case flipped": set_config(do_lower_case=True),
    "keep_accents flipped": set_config(keep_accents=False),
    "quotes kept": change_fast(keep_quotes),
    "fewer extra ids": set_config(extra_ids=99),
    "special tokens given back without blanks": change_fast(lambda document: document["decoder"]["decoders"].pop(0)),
}
MBART_FAULTS = {
    **{
        name: fault
        for name, fault in PIECE_FAULTS.items()
        if name not in ("remove_space flipped", "another vocabulary beside")
    },
    "another language": change_fast(other_language),
    "another language said": set_config(src_lang="es_XX"),
    "the first ids swapped": change_fast(swap_first),
    "another vocabulary beside": lambda folder: (folder / "sentencepiece.bpe.model").write_bytes(b""),
}
FAULTS = {
    "albert english": ENGLISH_FAULTS,
    "albert chinese": CHINESE_FAULTS,
    "t5": T5_FAULTS,
    "mbart": MBART_FAULTS,
}
