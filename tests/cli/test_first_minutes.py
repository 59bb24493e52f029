"""What someone sees who has a checkpoint and ten minutes: what it is, what would come of it, and how to load it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import paddle2torch as package
from paddle2torch.mappings.registry import FAMILIES, NETWORKS
from paddle2torch.options import GROUPS
from paddle2torch.workers.console import print_table

from ..conftest import Run
from ..tokenizer_files import SPECIAL, write_config, write_lines
from .outcomes import Seeded, error_line, listing, refused


def test_the_commands_are_grouped_and_none_is_missing(paddle2torch: Run) -> None:
    shown = paddle2torch("--help").stdout
    part = shown.partition("Convert and prove:")[2]
    listed = [line.split()[0] for line in part.splitlines() if line.startswith("  ") and line[2].isalpha()]
    assert listed == [name for names in GROUPS.values() for name in names]
    assert "Other:" not in shown


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_the_version_is_said(paddle2torch: Run, option: str) -> None:
    assert package.__version__ in paddle2torch(option).stdout


def test_a_misspelt_command_is_recognised(paddle2torch: Run, work: Path) -> None:
    assert "No such command 'verfy'. Did you mean verify?" in refused(paddle2torch, work, "verfy", "a", "b")


def test_families_are_listed(paddle2torch: Run) -> None:
    shown = paddle2torch("families").stdout
    assert {line.split()[0] for line in shown.splitlines()[1:-1]} == FAMILIES.keys() | NETWORKS.keys()
    document = json.loads(paddle2torch("families", "--json").stdout)
    assert [family["name"] for family in document["families"]] == list(FAMILIES)
    assert [network["name"] for network in document["networks"]] == list(NETWORKS)


def test_a_kind_of_network_says_what_it_becomes_and_what_is_lost(paddle2torch: Run) -> None:
    shown = paddle2torch("families", "slanet").stdout
    assert "SLANetForTableRecognition" in shown
    assert "lost: THE BOXES OF THE CELLS ARE LOST" in shown
    assert "official names: SLANet_plus, SLANet" in shown
    assert paddle2torch("families", "SLANet_plus").stdout == shown
    (network,) = json.loads(paddle2torch("families", "slanet", "--json").stdout)["networks"]
    assert network["losses"]


def test_a_family_says_what_its_classes_become_and_what_is_refused(paddle2torch: Run, work: Path) -> None:
    shown = paddle2torch("families", "tinybert").stdout
    assert "TinyBertModel" in shown
    assert "refused: TinyBertForSequenceClassification: " in shown
    assert "4.57.6" in paddle2torch("families", "nezha").stdout
    assert "did you mean bert" in refused(paddle2torch, work, "families", "brt")


def test_inspect_says_what_it_is_and_whether_it_converts(paddle2torch: Run, source: Path) -> None:
    shown = paddle2torch("inspect", source).stdout
    assert "BertModel of bert, converts to Hugging Face's BertModel" in shown
    config = source / "config.json"
    document = json.loads(config.read_text("utf-8"))
    config.write_text(json.dumps({**document, "id2label": {"0": "no", "1": "yes"}}), "utf-8")
    assert "labels: no, yes" in paddle2torch("inspect", source).stdout
    config.write_text(json.dumps({**document, "hidden_act": "mystery"}), "utf-8")
    assert "does not convert as it is: " in paddle2torch("inspect", source).stdout
    assert "mystery" in json.loads(paddle2torch("inspect", source, "--json").stdout)["refusal"]
    config.unlink()
    assert "no configuration" in paddle2torch("inspect", source).stdout


def test_inspect_says_which_tokenizer_lies_beside(paddle2torch: Run, source: Path) -> None:
    assert "no tokenizer: there is none beside the weights" in paddle2torch("inspect", source).stdout
    write_lines(source / "vocab.txt", [*SPECIAL, "a", "b"])
    shown = paddle2torch("inspect", source).stdout
    assert "tokenizer: BertTokenizer, 7 tokens in vocab.txt" in shown
    assert "guessed: " in shown
    document = json.loads(paddle2torch("inspect", source, "--json").stdout)["tokenizer"]
    assert (document["class"], document["tokens"], document["file"]) == ("BertTokenizer", 7, "vocab.txt")
    # What `convert` says of it is what `inspect` says.
    write_config(source, tokenizer_class="MadeUpTokenizer")
    shown = paddle2torch("inspect", source).stdout
    assert "converts to Hugging Face's BertModel" in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("does not convert as it is: ")]
    assert line.partition(": ")[2] in refused(paddle2torch, source.parent, "convert", source, "out")


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(paddle2torch: Run, source: Path) -> None:
    work = source.parent
    before = listing(work)
    done = paddle2torch("convert", "source", "out", "--dry-run", "--max-shard-size", "8KB", cwd=work)
    assert done.returncode == 0, done.stderr
    assert "out: BertModel, " in done.stdout
    assert "a dry run: nothing is written" in done.stdout
    assert listing(work) == before
    assert (
        json.loads(paddle2torch("convert", "source", "out", "--dry-run", "--json", cwd=work).stdout)["planned"] is True
    )
    paddle2torch("convert", "source", "out", cwd=work)
    assert "exists already" in refused(paddle2torch, work, "convert", "source", "out", "--dry-run")
    assert "--dry-run goes with one SOURCE" in refused(paddle2torch, work, "convert", ".", "all", "--tree", "--dry-run")


def test_the_lines_that_load_the_output_run(paddle2torch: Run, work: Path, seeded: Seeded) -> None:
    done = paddle2torch("convert", seeded("AlbertForMaskedLM"), "it's out", cwd=work)
    lines = done.stdout.partition("\nfrom transformers")[2]
    code = f"from transformers{lines}\nprint(type(model).__name__)"
    child = subprocess.run([sys.executable, "-c", code], cwd=work, capture_output=True, text=True, timeout=100)
    assert child.stdout == "AlbertForMaskedLM\n", child.stderr


def test_quiet_says_nothing_but_what_is_wrong(paddle2torch: Run, source: Path) -> None:
    work = source.parent
    done = paddle2torch("convert", "source", "out", "--quiet", cwd=work)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = paddle2torch("verify", "source", "out", "-q", "--check", "weights", cwd=work)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "exists already" in error_line(paddle2torch("convert", "source", "out", "-q", cwd=work))
    weights = work / "out" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    done = paddle2torch("verify", "source", "out", "-q", "--check", "weights", cwd=work)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert done.stderr.startswith("Error: 1 of 1 did not pass: out (FAILED): weights: ")
    done = paddle2torch("convert", "source", "all", "-q", "--tree", cwd=work)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_table_that_does_not_fit_becomes_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    rows = [["run/of/someone", "converted/run/of/someone", "BertModel", ""], ["b", "c", "-", "x"]]
    print_table(["source", "output", "class", "verdict"], rows)
    assert capsys.readouterr().out.splitlines() == [
        *("run/of/someone", "  output converted/run/of/someone", "  class BertModel"),
        *("b", "  output c, class -, verdict x"),
    ]
    monkeypatch.setenv("COLUMNS", "100")
    print_table(["source", "output", "class", "verdict"], rows)
    assert "run/of/someone  converted/run/of/someone  BertModel" in capsys.readouterr().out.replace("   ", "  ")


def test_a_shell_completes_commands(work: Path) -> None:
    variables = {
        **os.environ,
        "_PADDLE2TORCH_COMPLETE": "bash_complete",
        "COMP_WORDS": "paddle2torch ver",
        "COMP_CWORD": "1",
    }
    command = [sys.executable, "-m", "paddle2torch"]
    child = subprocess.run(command, cwd=work, env=variables, capture_output=True, text=True, timeout=60)
    assert child.stdout == "plain,verify\n", child.stderr
