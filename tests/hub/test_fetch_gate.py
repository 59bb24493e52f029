"""The gate on published weights, end to end: a server on loopback has seeded files at the published paths, and what is
known of them plays the part of the published values."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.outputs.certificate import read_certificate
from paddle2torch.errors import ParityError
from paddle2torch.hub.download import Patience
from paddle2torch.hub.fetch import Fetcher
from paddle2torch.hub.proof import examine
from paddle2torch.mappings.albert import ALBERT
from paddle2torch.mappings.language.pretrained import Reference
from paddle2torch.verify.gate import run_gate
from paddle2torch.verify.reports.gate_result import GateResult
from paddle2torch.verify.reports.text import gate_footer, gate_rows
from paddle2torch.verify.runners.client import RunnerProcess

from ..conftest import checks_of
from ..known_values import known_values
from .fetch_files import TINY, VOCABULARY, WEIGHTS, publish_tiny
from .file_server import Fault, FileServer, unused_port

pytestmark = pytest.mark.long

HASTE = Patience(attempts=2, backoff_seconds=0.01)


@pytest.fixture
def server(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("PADDLE2TORCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PPNLP_HOME", str(tmp_path / "paddlenlp"))
    monkeypatch.delenv("PADDLE2TORCH_OFFLINE", raising=False)
    with FileServer() as running:
        publish_tiny(running, tiny)
        yield running


@pytest.fixture
def known(paddle_runner: RunnerProcess, tmp_path: Path) -> Callable[..., Reference]:
    """`known(source, architecture)`: what Paddle itself computes from a seeded source."""

    def ask(source: Path, architecture: str) -> Reference:
        return known_values(paddle_runner, source, architecture, tmp_path)

    return ask


def gate(server: FileServer, reference: Reference, **settings: Any) -> GateResult:
    obtain = Fetcher(server.url, patience=HASTE).make_available
    return run_gate([TINY], seeded=False, obtain=obtain, references={TINY: reference}, **settings)


def details(result: GateResult) -> dict[str, str]:
    report = result.models[0].report
    assert report is not None
    check = report.check("reference")
    assert check is not None
    return {part["name"]: part["outcome"] for part in check.details["parts"]}


def test_published_weights_pass_with_what_is_known_of_them(
    server: FileServer, tiny: Path, known: Callable[..., Reference]
) -> None:
    result = gate(server, known(tiny, "AlbertModel"))
    report = result.models[0].report
    assert report is not None
    assert (result.passed, result.exit_status, report.weights) == (True, 0, "published")
    assert tuple(check.name for check in report.checks)[:-1] == checks_of("AlbertModel")
    assert details(result) == {"hidden state": "passed", "token ids": "passed", "words": "not run"}
    check = report.check("reference")
    assert check is not None
    assert check.worst is not None
    assert 0 < check.worst < 1e-4
    # Only the backbone was served: no word is ever reported as right.
    absent = "reference words: the published file holds no masked language model head"
    assert absent in report.not_run
    assert any(absent in line for line in gate_footer(result))
    assert [seen.path for seen in server.seen] == [WEIGHTS, VOCABULARY]


def wrong_value(known: Reference) -> Reference:
    assert known.hidden is not None
    rows = [list(row) for row in known.hidden.values]
    rows[2][1] += 3e-4
    return replace(known, hidden=replace(known.hidden, values=tuple(map(tuple, rows))))


def test_other_weights_than_the_published_ones_fail(
    server: FileServer, tiny: Path, known: Callable[..., Reference]
) -> None:
    result = gate(server, wrong_value(known(tiny, "AlbertModel")))
    assert (result.passed, result.exit_status) == (False, 1)
    report = result.models[0].report
    assert report is not None
    assert [check.name for check in report.checks if not check.passed] == ["reference"]
    assert "hidden state at position 4, channel 2 is" in str(gate_rows(result))


def test_a_kept_certificate_says_what_the_gate_says(
    server: FileServer, tiny: Path, known: Callable[..., Reference], tmp_path: Path
) -> None:
    """What the gate calls FAILED must not be published as proven."""
    reference, kept = known(tiny, "AlbertModel"), tmp_path / "kept"
    for expected, right in ((wrong_value(reference), False), (reference, True)):
        result = gate(server, expected, keep=kept)
        certificate = read_certificate(kept / TINY / "converted")
        assert (result.passed, certificate["passed"]) == (right, right)
        assert [check["passed"] for check in certificate["checks"] if check["name"] == "reference"] == [right]
        if right:
            assert not examine(kept / TINY / "converted", allow_unverified=False).doubts
        else:
            with pytest.raises(ParityError, match="reference"):
                examine(kept / TINY / "converted", allow_unverified=False)


def test_fewer_checks_leave_the_reference_out(server: FileServer) -> None:
    result = gate(server, ALBERT.references[TINY], checks=("weights",))
    report = result.models[0].report
    assert report is not None
    assert [check.name for check in report.checks] == ["weights"]
    assert "reference" in report.not_run


def test_what_cannot_be_fetched_is_not_run(server: FileServer, tiny: Path, known: Callable[..., Reference]) -> None:
    told: list[tuple[str, str]] = []
    obtain = Fetcher(server.url, patience=HASTE).make_available
    result = run_gate(
        ["albert-base-v2", TINY],
        seeded=False,
        checks=("weights",),
        obtain=obtain,
        on_stage=lambda name, stage: told.append((name, stage)),
    )
    assert [model.verdict for model in result.models] == ["not run", "passed"]
    assert (result.passed, result.exit_status) == (False, 2)
    assert "404" in str(result.models[0].error)
    assert told[:2] == [("albert-base-v2", "fetching"), (TINY, "fetching")]


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "paddle2torch", *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        env=dict(os.environ),
        cwd=cwd,
        check=False,
    )


def test_the_gate_without_a_network(server: FileServer, tmp_path: Path) -> None:
    """The fixture's caches are empty; nobody listens at the address."""
    names = [TINY, "albert-base-v2"]
    done = command("gate", *names, "--json", "--base-url", f"http://127.0.0.1:{unused_port()}", cwd=tmp_path)
    assert done.returncode == 2
    document = json.loads(done.stdout)
    assert document["passed"] is False
    assert [(model["verdict"], model["passed"]) for model in document["models"]] == [("not run", False)] * 2
    assert "check the network" in document["models"][0]["error"]
    assert "not tried" in document["models"][1]["error"]


def test_the_gate_of_the_command_line_fetches(server: FileServer, tmp_path: Path) -> None:
    server.faults = [Fault(status=503)]
    done = command("gate", TINY, "--base-url", server.url, "--report-dir", "reports", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("1 of 1 passed (published weights)")
    assert "reference words: the published file holds no masked language model head" in done.stdout
    document = json.loads((tmp_path / "reports" / "gate.json").read_text())
    outcomes = {
        part["name"]: part["outcome"] for part in document["models"][0]["report"]["checks"][-1]["details"]["parts"]
    }
    assert outcomes == {"hidden state": "not run", "token ids": "passed", "words": "not run"}
