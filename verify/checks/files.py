"""The check of the files: the conversion is deterministic, so the folder is rebuilt from the source and compared."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ...converters import job, to_paddle
from ...converters.checkpoints.snapshot import is_strange_link
from ...converters.checkpoints.source import find_weights
from ...converters.formats.pdparams_writer import pdparams_layout
from ...converters.formats.piecewise import Layout
from ...converters.formats.safetensors_file import open_safetensors, safetensors_layout
from ...converters.formats.shards import limit_of
from ...converters.outputs.card import MODEL_CARD, head_section
from ...converters.outputs.certificate import CERTIFICATE, NOT_CERTIFIED
from ...converters.outputs.sentences import entries_below
from ..check import Check, Context, Outcome
from ..contents.documents import SHOWN, differences
from ..contents.followed import where_file_leads
from ..contents.layouts import layout_differences
from ..reports.result import CheckResult
from ..sides.pair import Pair

FOREIGN = "not applicable to a foreign folder: its weights lack this package's record"


@dataclass(frozen=True)
class Rebuilt:
    """What a conversion writes: the small files by name, and the layouts of the files of weights. `section` is what the
    model card, which may say anything else, must show of a head beside the model."""

    small: Mapping[str, bytes]
    weights: Mapping[str, Layout]
    section: str = ""

    @property
    def nbytes(self) -> int:
        """How many bytes were compared."""
        heads = sum(len(run) for layout in self.weights.values() for _, run in layout.fixed)
        return heads + sum(map(len, self.small.values()))


def check_files(folder: Path, rebuilt: Rebuilt) -> CheckResult:
    """Compare every file of `folder`, hidden ones included, with what a conversion writes, byte for byte; of weights
    all but the elements. What else lies there is named, with what a loader makes of it."""
    expected = {*rebuilt.small, *rebuilt.weights}
    problems: list[str] = []
    found = entries_below(folder)
    for name, entry in sorted(found.items()):
        if is_strange_link(folder / name):
            target = os.readlink(entry)
            problems.append(f"{name}: is a link, and a loader follows it to {target}; copy the file here")
        elif name in expected or name in NOT_CERTIFIED:
            if not entry.is_file():
                problems.append(f"{name}: is a {'folder' if entry.is_dir() else 'special file'}, a file is expected")
        else:
            kind = "the folder " if entry.is_dir() else ""
            problems.append(f"{kind}{name}: is in the folder and should not be, {where_file_leads(name)}")
    problems += [f"{name}: is missing" for name in sorted(expected - found.keys())]
    present = {name for name, entry in found.items() if entry.is_file() and not is_strange_link(folder / name)}
    for name in sorted(rebuilt.small.keys() & present):
        problems += differences(name, (folder / name).read_bytes(), rebuilt.small[name])
    for name in sorted(rebuilt.weights.keys() & present):
        problems += layout_differences(folder / name, rebuilt.weights[name])
    if rebuilt.section and not _shows(folder / MODEL_CARD, rebuilt.section):
        problems.append(
            f"{MODEL_CARD}: does not show how the output of the head is computed, in the words of the conversion; take "
            "them from the one of a new conversion"
        )
    return CheckResult(
        name="files",
        passed=not problems,
        worst=float(len(problems)),
        limit=0.0,
        where=problems[0]
        if problems
        else f"{len(expected)} files are what the conversion writes, and no other is there{_but(present - expected)}",
        measure="files, fields and tensors' places that are not what the conversion writes",
        problems=tuple(problems[: 5 * SHOWN]),
        details={"files": sorted(expected), "bytes": rebuilt.nbytes},
    )


def _but(beside: AbstractSet[str]) -> str:
    """What lies beside the files of a conversion and may; of the certificate, which is written afterwards, nothing."""
    named = sorted(beside - {CERTIFICATE})
    return f" but {', '.join(named)}" if named else ""


def _shows(card: Path, section: str) -> bool:
    return card.is_file() and section.encode() in card.read_bytes()


def rebuild(pair: Pair, scratch: Path) -> Rebuilt:
    """What the conversion of a pair's source writes, with the recorded alterations and the split that the folder shows.

    `scratch` is an empty folder for the small files.
    """
    section = ""
    if pair.way_back is not None:
        source = pair.way_back.source
        to_paddle.write_small_files(pair.way_back.torch, source, scratch)
        entries = to_paddle.entries_of(pair.way_back.torch, source)
        layouts = {to_paddle.WEIGHTS: pdparams_layout(entries)}
    else:
        entries = job.entries_of(pair.checkpoint, pair.plan, pair.alterations)
        shards = job.spread(pair.plan, entries, limit_of(entries, files_of_tensors(pair.converted)))
        written = job.settle(pair.checkpoint, pair.recognised, pair.plan, pair.alterations, shards)
        written.write_small_files(scratch)
        layouts = {shard.name: safetensors_layout(shard.entries, written.metadata) for shard in shards}
        section = head_section(pair.plan.model)
    return Rebuilt({name: path.read_bytes() for name, path in entries_below(scratch).items()}, layouts, section)


def files_of_tensors(folder: Path) -> dict[str, str]:
    """The file of each tensor in a Hugging Face folder that transformers loads."""
    files: dict[str, str] = {}
    for path in find_weights(folder):
        opened = open_safetensors(path)
        opened.source.close()
        files.update(dict.fromkeys(opened.tensors, path.name))
    return files


def _run(context: Context) -> Outcome:
    pair = context.pair
    if pair.is_foreign:
        return Outcome(reason=FOREIGN)
    with TemporaryDirectory(dir=context.scratch) as scratch:
        rebuilt = rebuild(pair, Path(scratch))
    folder = pair.converted if pair.way_back is None else pair.checkpoint.source.path
    return Outcome(check_files(folder, rebuilt))


CHECK = Check(
    name="files",
    order=15,
    establishes="the folder holds what this conversion writes from this source and nothing else: configuration, "
    "tokenizer, index and the layout of the weights are rebuilt and compared, and every other file, link or folder is "
    "named with what a loader makes of it",
    limit="no byte differs",
    sees_faults=True,
    look_at="`paddle2torch convert {source} {new}`, with the options that this one was made with, writes the "
    "right files: compare them by `diff -r NEW {converted}`",
    run=_run,
)
