"""Measure `paddle2torch convert` against a plain copy of the file, the script people use today and an earlier build,
and what else has a goal of speed or memory.

`python -m paddle2torch.benchmarks.convert [NAME ...]` takes turns between the contestants, each in a fresh process,
prints the medians beside the goals, writes convert.json, convert.md and convert.svg, and exits with 1 when a goal is
missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ..verify.runners.environments import interpreter_of
from ..workers.console import print_table
from .earlier import build_earlier, environment
from .goals import EARLIER, MODELS, OTHERS, XXLARGE, judge
from .measure import Run, describe_machine, facts_of, run_process, spread
from .others import PROGRAM, measure_others

HERE = Path(__file__).parent

CONTESTANTS = ("convert", "copy", "convert, no reload", "usual")

OPTIONS = {
    "convert to float16": ("--dtype", "float16"),
    "convert to shards": ("--max-shard-size", "200MB"),
    "convert, low memory": ("--low-memory",),
}

OF_THE_LARGEST = (*OPTIONS, "convert to paddle", "earlier")
"""Contestants with the largest model alone."""

SAME_WEIGHTS = ("convert", "convert, no reload", "convert, low memory", "usual", "earlier")
"""Contestants whose files must be equal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m paddle2torch.benchmarks.convert")
    known = f"what to measure: names of ALBERT's, {', '.join(OTHERS)} (default: all that has a goal)"
    parser.add_argument("names", nargs="*", default=[*MODELS, *OTHERS], help=known)
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default: 5)")
    parser.add_argument("--warm-ups", type=int, default=1, help="rounds before, which do not count (default: 1)")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the results")
    options = parser.parse_args(arguments)
    machine = {**describe_machine(), "load_before": round(os.getloadavg()[0], 1)}
    models, others = {}, {}
    with tempfile.TemporaryDirectory(prefix="paddle2torch-bench-") as folder:
        earlier = build_earlier(Path(folder) / "earlier")
        for name in options.names:
            if name in OTHERS:
                others[name] = measure_others(name, options.rounds, Path(folder) / name, earlier)
            else:
                models[name] = measure_model(name, options.rounds, options.warm_ups, Path(folder) / name, earlier)
    goals = judge(medians_of(models, others))
    document = {"machine": machine, "rounds": options.rounds, "models": models, "others": others, "goals": goals}
    for headings, rows in (model_table(models), other_table(others), goal_table(goals)):
        print_table(headings, rows)
        print()
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "convert.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    (options.results / "convert.md").write_text(markdown(document), "utf-8")
    if models:
        draw_chart(models, options.results / "convert.svg")
    return 1 if any(goal["met"] is False for goal in goals) else 0


def measure_model(name: str, rounds: int, warm_ups: int, folder: Path, earlier: Path) -> dict[str, Any]:
    """Seed the checkpoint `name` in `folder`, let the contestants take turns, and remove everything again."""
    print(f"{name}: seeding", file=sys.stderr, flush=True)
    source, torch, outputs = folder / "source", folder / "torch", folder / "outputs"
    run_process([*PROGRAM, "seed", name, str(source)])
    weights = source / "model_state.pdparams"
    contestants = (*CONTESTANTS, *(OF_THE_LARGEST if name == XXLARGE else ()))
    if "convert to paddle" in contestants:
        run_process([*PROGRAM, "convert", str(source), str(torch)])
    runs: dict[str, list[Run]] = {contestant: [] for contestant in contestants}
    written: dict[str, str] = {}
    for turn in range(warm_ups + rounds):
        for path in (weights, torch / "model.safetensors"):
            if path.exists():
                _copy_anew(path)
        # There and back: nobody always runs after the same other contestant.
        for contestant in contestants[:: 1 if turn % 2 else -1]:
            outputs.mkdir()
            # Nobody shares the disk with what another one left to write, and nobody reads from it.
            os.sync()
            _digest(torch / "model.safetensors" if contestant == "convert to paddle" else weights)
            command = _command(contestant, source, torch, str(outputs / contestant))
            run = run_process(command, environment(earlier if contestant == "earlier" else None), folder)
            print(f"{name}: {contestant} {run.seconds:.2f} s, {run.peak_mib:.0f} MiB", file=sys.stderr, flush=True)
            if turn >= warm_ups:
                runs[contestant].append(run)
            if contestant in SAME_WEIGHTS and contestant not in written:
                written[contestant] = _digest_of_tensors(outputs / contestant / "model.safetensors")
            shutil.rmtree(outputs)
    if len(set(written.values())) > 1:
        raise RuntimeError(f"{name}: the contestants wrote different weights, so their speeds mean nothing: {written}")
    nbytes = weights.stat().st_size
    shutil.rmtree(folder)
    facts = {contestant: facts_of(done) for contestant, done in runs.items()}
    facts["copy"]["copying_alone"] = spread([float(run.output) for run in runs["copy"]])
    return {"bytes": nbytes, "contestants": facts}


def _command(contestant: str, source: Path, torch: Path, output: str) -> list[str]:
    weights = str(source / "model_state.pdparams")
    convert = ["convert", str(source), output]
    return {
        "convert": [*PROGRAM, *convert],
        "earlier": [*PROGRAM, *convert],
        **{name: [*PROGRAM, *convert, *options] for name, options in OPTIONS.items()},
        "convert to paddle": [*PROGRAM, "convert", str(torch), output, "--to", "paddle"],
        "convert, no reload": [sys.executable, "-m", "paddle2torch.benchmarks.without_reload", *convert],
        "usual": [interpreter_of("paddle"), str(HERE / "usual_script.py"), weights, output],
        "copy": [sys.executable, str(HERE / "plain_copy.py"), weights, output],
    }[contestant]


def _copy_anew(path: Path) -> None:
    """Put a copy in the place of a file: where its pages lie in memory, which is as chance has it, decides how fast it
    is read, up to half as long again."""
    copy = path.with_name("copy")
    shutil.copyfile(path, copy)
    copy.replace(path)


def _digest_of_tensors(path: Path) -> str:
    """sha256 of a safetensors file without its metadata, in which each program says its own."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        header.pop("__metadata__", None)
        return _digest_of(file, hashlib.sha256(json.dumps(header, sort_keys=True).encode()))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return _digest_of(file, hashlib.sha256())


def _digest_of(file: BinaryIO, digest: hashlib._Hash) -> str:
    """The digest with the rest of a file, which is never in memory whole: a child's peak counts from the memory of the
    process that starts it."""
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def medians_of(models: dict[str, Any], others: dict[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """The medians of every contestant, as the goals want them."""
    found = {
        name: {
            contestant: {**_medians(facts), "nbytes": float(model["bytes"])}
            for contestant, facts in model["contestants"].items()
        }
        for name, model in models.items()
    }
    for name, contestants in others.items():
        found[name] = {contestant: _medians(facts) for contestant, facts in contestants.items()}
    return found


def _medians(facts: dict[str, Any]) -> dict[str, float]:
    return {measure: float(facts[measure]["median"]) for measure in ("seconds", "cpu_seconds", "peak_mib")}


Table = tuple[list[str], list[list[str]]]


def model_table(models: dict[str, Any]) -> Table:
    """One row per model and contestant: seconds, peak memory, and times the copy."""
    rows = []
    for name, model in models.items():
        copy = model["contestants"]["copy"]["seconds"]["median"]
        for contestant, facts in model["contestants"].items():
            seconds, peak = facts["seconds"], facts["peak_mib"]
            rows.append(
                [
                    name,
                    f"{model['bytes'] / 1e6:.0f} MB",
                    contestant,
                    f"{seconds['median']:.2f} ({seconds['min']:.2f} to {seconds['max']:.2f})",
                    f"{seconds['median'] / copy:.1f}",
                    f"{facts['cpu_seconds']['median']:.2f}",
                    f"{peak['median']:.0f} ({peak['min']:.0f} to {peak['max']:.0f})",
                ]
            )
    headings = ["model", "source", "what", "seconds: median (spread)", "times the copy", "processor seconds"]
    return [*headings, "peak MiB: median (spread)"], rows


def other_table(others: dict[str, Any]) -> Table:
    """One row per contestant of what is measured besides models."""
    rows = [
        [
            name,
            contestant,
            f"{facts['seconds']['median']:.2f} ({facts['seconds']['min']:.2f} to {facts['seconds']['max']:.2f})",
            f"{facts['cpu_seconds']['median']:.2f}",
            f"{facts['peak_mib']['median']:.0f}",
        ]
        for name, contestants in others.items()
        for contestant, facts in contestants.items()
    ]
    return ["what", "contestant", "seconds: median (spread)", "processor seconds", "peak MiB: median"], rows


def goal_table(goals: list[dict[str, Any]]) -> Table:
    """One row per goal: the limit, the median beside it, the verdict."""
    words = {True: "met", False: "missed", None: "not measured"}
    rows = [
        [goal["goal"], goal["limit"], "-" if goal["value"] is None else f"{goal['value']:.2f}", words[goal["met"]]]
        for goal in goals
    ]
    return ["goal", "limit", "measured", "verdict"], rows


def markdown(document: dict[str, Any]) -> str:
    """The results as Markdown."""
    machine = document["machine"]
    lines = [
        "# Speed and memory of `paddle2torch convert`",
        "",
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Python {machine['python']}, "
        f"load average {machine['load_before']} before the start; "
        f"medians of {document['rounds']} rounds (of the tokenizer at most 3, of the gate one) in which the "
        "contestants took turns, each a fresh process, with another copy of the source in each round. "
        "`convert` is the command as a user runs it, with the reload; "
        "`usual` is `paddle.load`, rename, transpose, `safetensors.torch.save_file`; `copy` is `shutil.copyfile`; "
        f"`earlier` is the build of commit {EARLIER}.",
        "",
    ]
    for headings, rows in (
        model_table(document["models"]),
        other_table(document["others"]),
        goal_table(document["goals"]),
    ):
        lines += [f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows)]
        lines.append("")
    return "\n".join(lines)


def draw_chart(models: dict[str, Any], path: Path) -> None:
    """Draw the median seconds of every contestant as an SVG; says so and does nothing without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        print("no chart: pip install matplotlib", file=sys.stderr)
        return
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "paddle2torch"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4.2), layout="constrained")
    order = ("copy", "convert, no reload", "convert", "usual")
    for index, contestant in enumerate(order):
        medians = [model["contestants"][contestant]["seconds"]["median"] for model in models.values()]
        places = [place + (index - 1.5) * 0.2 for place in range(len(models))]
        label = {"copy": "plain copy", "usual": "usual script"}.get(contestant, contestant)
        bars = axes.bar(places, medians, 0.19, label=label, color=("#b8b8b8", "#8fb8de", "#1f6fb4", "#d98b3a")[index])
        axes.bar_label(bars, [f"{value:.2g}" for value in medians], fontsize=8)
    axes.set_yscale("log")
    axes.set_ylabel("seconds, whole process (log scale)")
    axes.set_xticks(
        range(len(models)), [f"{name}\n{model['bytes'] / 1e6:.0f} MB" for name, model in models.items()], fontsize=9
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main())
