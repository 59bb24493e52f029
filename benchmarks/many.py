"""Measure how the cost of `paddle2torch convert --list` grows with the number of checkpoints.

`python -m paddle2torch.benchmarks.many [COUNT ...]` converts lists of tiny checkpoints in one process, with two workers
and once more with --resume, each in a fresh process, prints the medians, and writes many.json and many.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..verify.runners.client import RunnerProcess
from ..workers.console import print_table
from .goals import TINY
from .measure import Run, describe_machine, facts_of, run_process

HERE = Path(__file__).parent

SMALL = {
    "vocab_size": 50,
    "embedding_size": 12,
    "hidden_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 36,
    "max_position_embeddings": 20,
}
"""A checkpoint of 44 KB: what is measured is all that each checkpoint costs beside its bytes."""

WAYS: dict[str, tuple[str, ...]] = {
    "one process": (),
    "one process, --resume": ("--resume",),
    "two workers": ("--jobs", "2"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m paddle2torch.benchmarks.many")
    parser.add_argument("counts", nargs="*", type=int, default=[1, 10, 100, 1000], help="numbers of small checkpoints")
    parser.add_argument("--tiny", nargs="*", type=int, default=[1, 10, 100], help=f"numbers of {TINY}, of 17 MB each")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the results")
    options = parser.parse_args(arguments)
    machine = {**describe_machine(), "load_before": round(os.getloadavg()[0], 1)}
    with tempfile.TemporaryDirectory(prefix="paddle2torch-bench-") as folder:
        sources = seed_sources(Path(folder))
        counts = {"small": options.counts, TINY: options.tiny}
        models = {name: measure(source, counts[name], options.rounds, Path(folder)) for name, source in sources.items()}
    document = {"machine": machine, "rounds": options.rounds, "models": models}
    headings, rows = table(models)
    print_table(headings, rows)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "many.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    (options.results / "many.md").write_text(markdown(document), "utf-8")
    return 0


def seed_sources(folder: Path) -> dict[str, Path]:
    """Let PaddleNLP write a small checkpoint and one of the smallest pretrained size."""
    sources = {"small": folder / "small", TINY: folder / "tiny"}
    request = {"operation": "seed", "architecture": "AlbertForMaskedLM", "seed": 1}
    with RunnerProcess("paddle") as runner:
        runner.request({**request, "configuration": SMALL, "folder": str(sources["small"])})
        runner.request({**request, "name": TINY, "folder": str(sources[TINY])})
    return sources


def measure(source: Path, counts: Sequence[int], rounds: int, folder: Path) -> dict[str, Any]:
    """Convert `source` under as many names as each of `counts` says; runs by count and way."""
    results: dict[str, Any] = {}
    for count in counts:
        listed, output = folder / "list.txt", folder / "out"
        listed.write_text("".join(f"{source}\t{number}\n" for number in range(count)))
        runs: dict[str, list[Run]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, flags in WAYS.items():
                if "--resume" not in flags:
                    shutil.rmtree(output, ignore_errors=True)
                command = ["-m", "paddle2torch", "convert", "--list", str(listed), str(output), "--json", *flags]
                runs[way].append(run_process([sys.executable, *command]))
                seconds, cpu = runs[way][-1].seconds, runs[way][-1].cpu_seconds
                print(f"{count} x {source.name}, {way}: {seconds:.2f} s, {cpu:.2f} s CPU", file=sys.stderr, flush=True)
        shutil.rmtree(output)
        results[str(count)] = {way: facts_of(done) for way, done in runs.items()}
    return results


def table(models: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """One row per model, number of checkpoints and way, with the cost of a further checkpoint since the row before."""
    rows = []
    for name, counts in models.items():
        for way in WAYS:
            before: tuple[int, float] | None = None
            for count, ways in counts.items():
                cpu = ways[way]["cpu_seconds"]["median"]
                each = "-" if before is None else f"{(cpu - before[1]) / (int(count) - before[0]) * 1000:.1f}"
                before = int(count), cpu
                numbers = [f"{ways[way]['seconds']['median']:.2f}", f"{cpu:.2f}", each]
                rows.append([name, way, count, *numbers, f"{ways[way]['peak_mib']['median']:.0f}"])
    headings = ["checkpoint", "way", "number", "seconds", "CPU seconds", "CPU ms per further one", "peak MiB"]
    return headings, rows


def markdown(document: dict[str, Any]) -> str:
    """The results as Markdown."""
    machine = document["machine"]
    headings, rows = table(document["models"])
    return "\n".join(
        [
            "# The cost of many checkpoints",
            "",
            f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Python "
            f"{machine['python']}, load average {machine['load_before']} before the start; medians of "
            f"{document['rounds']} fresh processes. `small` is a checkpoint of 44 KB, {TINY} one of 17 MB. CPU seconds "
            "are those of all processes together; the peak is that of the largest single process.",
            "",
            *(f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows)),
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
