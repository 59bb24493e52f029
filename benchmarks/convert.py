"""Measure `paddle2torch convert` against a plain copy of the file and against the script people use today.

`python -m paddle2torch.benchmarks.convert [NAME ...]` takes turns between the contestants, each in a fresh process,
prints the medians beside the goals, writes convert.json, convert.md and convert.svg, and exits with 1 when a goal that
is a ratio is missed.
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
from typing import Any

from ..verify.runners.environments import interpreter_of
from ..workers.console import print_table
from .goals import BASE, TINY, XLARGE, XXLARGE, judge
from .measure import Run, describe_machine, run_process, spread

HERE = Path(__file__).parent

CONTESTANTS = ("convert", "copy", "convert, no reload", "usual", "convert to float16", "convert to shards")

SAME_WEIGHTS = ("convert", "convert, no reload", "usual")
"""Contestants whose files must be equal."""

OPTIONS = {"convert to float16": ("--dtype", "float16"), "convert to shards": ("--max-shard-size", "200MB")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m paddle2torch.benchmarks.convert")
    parser.add_argument("names", nargs="*", default=[TINY, BASE, XLARGE, XXLARGE], help="pretrained ALBERT names")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default: 5)")
    parser.add_argument("--warm-ups", type=int, default=1, help="rounds before, which do not count (default: 1)")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the results")
    options = parser.parse_args(arguments)
    machine = {**describe_machine(), "load_before": round(os.getloadavg()[0], 1)}
    with tempfile.TemporaryDirectory(prefix="paddle2torch-bench-") as folder:
        models = {
            name: measure_model(name, options.rounds, options.warm_ups, Path(folder) / name) for name in options.names
        }
    goals = judge(medians_of(models))
    document = {"machine": machine, "rounds": options.rounds, "models": models, "goals": goals}
    for headings, rows in (model_table(models), goal_table(goals)):
        print_table(headings, rows)
        print()
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "convert.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    (options.results / "convert.md").write_text(markdown(document), "utf-8")
    draw_chart(models, options.results / "convert.svg")
    return 1 if any(goal["is_ratio"] and goal["met"] is False for goal in goals) else 0


def measure_model(name: str, rounds: int, warm_ups: int, folder: Path) -> dict[str, Any]:
    """Seed the checkpoint `name` in `folder`, let the contestants take turns, and remove everything again."""
    print(f"{name}: seeding", file=sys.stderr, flush=True)
    source, outputs = folder / "source", folder / "outputs"
    run_process([sys.executable, "-m", "paddle2torch", "seed", name, str(source)])
    weights = source / "model_state.pdparams"
    runs: dict[str, list[Run]] = {contestant: [] for contestant in CONTESTANTS}
    written: dict[str, str] = {}
    for turn in range(warm_ups + rounds):
        # There and back: nobody always runs after the same other contestant.
        for contestant in CONTESTANTS[:: 1 if turn % 2 else -1]:
            outputs.mkdir()
            # Nobody shares the disk with what another one left to write, and nobody reads from it.
            os.sync()
            _digest(weights)
            run = run_process(_command(contestant, source, weights, outputs))
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
    contestants: dict[str, Any] = {}
    for contestant, done in runs.items():
        seconds = spread([run.seconds for run in done])
        contestants[contestant] = {
            "seconds": seconds,
            "peak_mib": spread([run.peak_mib for run in done]),
            "seconds_per_gb": round(seconds["median"] / nbytes * 1e9, 4),
        }
    contestants["copy"]["copying_alone"] = spread([float(run.output) for run in runs["copy"]])
    return {"bytes": nbytes, "contestants": contestants}


def _command(contestant: str, source: Path, weights: Path, outputs: Path) -> list[str]:
    output = str(outputs / contestant)
    convert = [sys.executable, "-m", "paddle2torch", "convert", str(source), output]
    return {
        "convert": convert,
        **{name: [*convert, *options] for name, options in OPTIONS.items()},
        "convert, no reload": [
            sys.executable,
            "-m",
            "paddle2torch.benchmarks.without_reload",
            "convert",
            str(source),
            output,
        ],
        "usual": [interpreter_of("paddle"), str(HERE / "usual_script.py"), str(weights), output],
        "copy": [sys.executable, str(HERE / "plain_copy.py"), str(weights), output],
    }[contestant]


def _digest_of_tensors(path: Path) -> str:
    """sha256 of a safetensors file without its metadata, in which each program says its own."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        header.pop("__metadata__", None)
        return hashlib.sha256(json.dumps(header, sort_keys=True).encode() + file.read()).hexdigest()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def medians_of(models: dict[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """The medians of every contestant, as the goals want them."""
    return {
        name: {
            contestant: {
                "seconds": facts["seconds"]["median"],
                "peak_mib": facts["peak_mib"]["median"],
                "seconds_per_gb": facts["seconds_per_gb"],
            }
            for contestant, facts in model["contestants"].items()
        }
        for name, model in models.items()
    }


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
                    f"{peak['median']:.0f} ({peak['min']:.0f} to {peak['max']:.0f})",
                ]
            )
    return ["model", "source", "what", "seconds: median (spread)", "times the copy", "peak MiB: median (spread)"], rows


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
        f"medians of {document['rounds']} rounds in which the contestants took turns, each a fresh process. `convert` "
        "is the command as a user runs it, with the reload and comparison of every bit, also with `--dtype float16` "
        "and with `--max-shard-size 200MB`; `usual` is "
        "`paddle.load`, rename, transpose, `safetensors.torch.save_file`; `copy` is `shutil.copyfile`.",
        "",
    ]
    for headings, rows in (model_table(document["models"]), goal_table(document["goals"])):
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
