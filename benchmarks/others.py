"""What is measured besides the conversion of single models: the start, many tensors, many checkpoints, a tokenizer, and
the gate."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from ..converters.formats.byte_source import MemorySource, at_start
from ..converters.formats.dtypes import DTYPES
from ..converters.formats.pdparams_writer import write_pdparams
from ..converters.formats.piecewise import Entry
from ..converters.formats.tensors import Tensor
from ..mappings.language.rules import Kind
from ..mappings.registry import get_family, names_of_family
from ..verify.runners.environments import interpreter_of
from .earlier import environment
from .goals import GATE, START, TENSORS, TINY, TOKENIZER, TREE
from .measure import Run, facts_of, run_process

PROGRAM = (sys.executable, "-m", "paddle2torch")

LAYERS = {"25,015": 1563, "50,007": 3125}
"""Layers of a BERT with so many tensors."""

DEEP = {
    "vocab_size": 50,
    "hidden_size": 8,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 20,
    "type_vocab_size": 2,
}

SMALL = {
    "vocab_size": 50,
    "embedding_size": 12,
    "hidden_size": 24,
    "num_hidden_layers": 4,
    "num_hidden_groups": 1,
    "inner_group_num": 1,
    "num_attention_heads": 4,
    "intermediate_size": 36,
    "max_position_embeddings": 20,
    "type_vocab_size": 2,
}
"""A checkpoint of some 40 KB: what is measured is all that each costs beside its bytes."""

FOLDERS = (20, 220)

CHINESE = {
    "tokenizer_class": "AlbertTokenizer",
    "unk_token": "[UNK]",
    "pad_token": "[PAD]",
    "model_max_length": 512,
    "do_lower_case": False,
}

LINES = 2500

HERE = Path(__file__).parent

OLDER = str(HERE.parent / ".venv-torch-4.57" / "bin" / "python")
"""transformers 4.57, whose tokenizers are those that the earlier build knows."""

Contestants = Mapping[str, Callable[[], Run]]


def write_checkpoint(folder: Path, family: str, architecture: str, configuration: Mapping[str, Any]) -> Path:
    """Write a checkpoint of PaddleNLP's with random weights into the new `folder`."""
    folder.mkdir(parents=True)
    known, numbers = get_family(family), np.random.default_rng(0)
    complete = {**known.samples()[0], **configuration}
    entries = []
    for rule in known.rules(architecture, complete, prefixed=architecture != known.base):
        for name, shape in zip(rule.sources, rule.shapes, strict=True) if rule.kind is Kind.MAPPED else ():
            data = numbers.standard_normal(shape, dtype=np.float32).tobytes()
            opener = partial(at_start, MemorySource(folder, data))
            entries.append(Entry(name, (Tensor(name, DTYPES["float32"], shape, opener),)))
    write_pdparams(folder / "model_state.pdparams", entries, lambda count: None)
    document = {**complete, "architectures": [architecture], "model_type": family}
    (folder / "config.json").write_text(json.dumps(document), "utf-8")
    return folder


def _written(*arguments: Any) -> Path:
    """`write_checkpoint` in a process of its own: a child's peak counts from the memory of the one that starts it."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(write_checkpoint, arguments)


def measure_others(name: str, rounds: int, folder: Path, earlier: Path) -> dict[str, Any]:
    """The facts of each contestant by name; they take turns. The gate, which takes minutes, has one round, and what
    takes half a minute three."""
    folder.mkdir()
    makers: dict[str, Callable[[Path, Path], Contestants]] = {
        START: _start,
        TENSORS: _tensors,
        TREE: _tree,
        TOKENIZER: _tokenizer,
        GATE: _gate,
    }
    contestants = makers[name](folder, earlier)
    runs: dict[str, list[Run]] = {contestant: [] for contestant in contestants}
    for turn in range({GATE: 1, TOKENIZER: min(rounds, 3)}.get(name, rounds)):
        for contestant in list(contestants)[:: 1 if turn % 2 else -1]:
            run = contestants[contestant]()
            print(f"{name}: {contestant} {run.seconds:.2f} s, {run.peak_mib:.0f} MiB", file=sys.stderr, flush=True)
            runs[contestant].append(run)
    shutil.rmtree(folder)
    return {contestant: facts_of(done) for contestant, done in runs.items()}


def _run(arguments: Sequence[str], folder: Path, earlier: Path | None = None, output: str | None = None) -> Run:
    """A run of the command in a folder in which nothing hides the package; `output` is removed before."""
    if output is not None:
        shutil.rmtree(output, ignore_errors=True)
    return run_process([*PROGRAM, *arguments], environment(earlier), folder)


def _start(folder: Path, earlier: Path) -> Contestants:
    return {"help": partial(_run, ["--help"], folder)}


def _tensors(folder: Path, earlier: Path) -> Contestants:
    output = str(folder / "output")
    sources = {
        count: _written(folder / str(layers), "bert", "BertModel", {**DEEP, "num_hidden_layers": layers})
        for count, layers in LAYERS.items()
    }
    return {
        count: partial(_run, ["convert", str(source), output], folder, None, output)
        for count, source in sources.items()
    }


def _tree(folder: Path, earlier: Path) -> Contestants:
    output = str(folder / "output")
    one = _written(folder / "one", "albert", "AlbertForMaskedLM", SMALL)
    contestants = {}
    for count in FOLDERS:
        tree = folder / f"tree{count}"
        for number in range(count):
            shutil.copytree(one, tree / f"{number:04}")
        for label, build in ((str(count), None), (f"{count}, earlier", earlier)):
            arguments = ["convert", "--tree", str(tree), output]
            contestants[label] = partial(_run, arguments, folder, build, output)
    return contestants


def _tokenizer(folder: Path, earlier: Path) -> Contestants:
    """A model of the smallest size with a vocabulary of all Chinese characters."""
    source = folder / "source"
    run_process([*PROGRAM, "seed", TINY, str(source)], environment(), folder)
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(chr, range(33, 127))]
    tokens += [f"##{chr(letter)}" for letter in range(97, 123)] + [chr(code) for code in range(0x4E00, 0x9FA6)]
    size = json.loads((source / "config.json").read_text("utf-8"))["vocab_size"]
    (source / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens[:size]), "utf-8")
    (source / "tokenizer_config.json").write_text(json.dumps(CHINESE), "utf-8")
    pythons = {"verify": _pythons("torch"), "earlier": _pythons(OLDER)}
    contestants: dict[str, Callable[[], Run]] = {}
    for name, build in (("verify", None), ("earlier", earlier)):
        converted = str(folder / name)
        _run(["convert", str(source), converted], folder, build)
        arguments = ["verify", str(source), converted, "--check", "tokenizer", "--json", *pythons[name]]
        for label, lines in ((name, LINES), (f"{name}, one line", 1)):
            command = [sys.executable, str(HERE / "many_lines.py"), str(lines), *arguments]
            contestants[label] = partial(run_process, command, environment(build), folder)
    return contestants


def _gate(folder: Path, earlier: Path) -> Contestants:
    arguments = ["gate", *names_of_family("albert"), "--seeded", "--json", *_pythons("torch")]
    return {"gate": partial(_run, arguments, folder), "earlier": partial(_run, arguments, folder, earlier)}


def _pythons(torch: str) -> list[str]:
    """The environments, on the command line: the earlier build expected both frameworks in its own."""
    found = {"paddle": interpreter_of("paddle"), "torch": interpreter_of("torch") if torch == "torch" else torch}
    return [word for side, python in found.items() for word in (f"--{side}-python", python)]
