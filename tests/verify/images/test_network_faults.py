"""The verifier of networks tested on itself: every fault that has a place in a network is caught by all checks that
have to see it, and a copy without a fault by none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.images.source import find_image_source
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import ParityError, RunnerAccidentError, UnreadableFileError
from paddle2torch.verify.faults import networks as faults
from paddle2torch.verify.images.checks import network_checks
from paddle2torch.verify.images.job import NETWORK_CHECKS, NetworkAsked
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.runners.forward import Runners

from .conftest import LINE, Converted, Seeded, small

NO_PLACE: dict[str, set[str]] = {
    "recogniser": {"deviations in another order"},
    "detector": {
        *("a square linear layer not transposed", "query and key of an attention block swapped"),
        *("gains of two layer norms swapped", "two classes swapped", "half as many attention heads"),
        *("another activation", "the usual LayerNorm epsilon"),
        "a LayerNorm epsilon that neither library has",
        *("two characters swapped", "the blank left out of the characters"),
    },
    "classifier": {
        *("a square linear layer not transposed", "query and key of an attention block swapped"),
        *("gains of two layer norms swapped", "half as many attention heads"),
        *("another activation of the backbone", "the usual LayerNorm epsilon"),
        "a LayerNorm epsilon that neither library has",
        *("two characters swapped", "the blank left out of the characters"),
    },
    "table": {
        *("query and key of an attention block swapped", "gains of two layer norms swapped"),
        *("half as many attention heads", "the usual LayerNorm epsilon"),
        "a LayerNorm epsilon that neither library has",
        *("two characters swapped", "the blank left out of the characters"),
    },
    # Its backbone is one of attention, and takes squares alone.
    "squares": {
        *("two channels of a depthwise convolution swapped", "mean and variance of a batch norm swapped"),
        *("one variance of a batch norm larger by a thousandth", "gain and bias of a batch norm swapped"),
        *("a block with another stride", "another activation of the backbone"),
        *("two characters swapped", "the blank left out of the characters"),
    },
}
"""Of a network of each task the faults for which there is nothing to change."""


SEEDED = {"classifier": LINE, "table": "SLANet_plus", "squares": "SLANeXt_wired"}


@pytest.fixture
def network(request: pytest.FixtureRequest, seeded: Seeded) -> Converted:
    task = str(request.param)
    if task in SEEDED:
        return small(seeded, SEEDED[task])
    one: Converted = request.getfixturevalue(task)
    return one


def injected(one: Converted, runners: Runners, folder: Path | None = None) -> Report:
    """The report of faults in a copy of a folder."""
    source = find_image_source(one.source, dictionary=one.dictionary)
    assert source is not None
    report = one.verify(runners, "files", folder=folder)
    return faults.with_network_faults(report, source, folder or one.folder, NetworkAsked(), runners.networks)


@pytest.mark.parametrize(("network", "task"), [(task, task) for task in NO_PLACE], indirect=["network"])
def test_every_fault_is_caught(network: Converted, task: str, runners: Runners) -> None:
    report = injected(network, runners)
    assert [fault["fault"] for fault in report.faults] == [fault.name for fault in faults.FAULTS]
    assert {fault["fault"] for fault in report.faults if not fault["injected"]} == NO_PLACE[task]
    for known, fault in zip(faults.FAULTS, report.faults, strict=True):
        if fault["injected"]:
            assert fault["caught"], fault
            # By all of them, and not just by one.
            assert set(fault["caught_by"]) == known.seen_by, fault
    assert report.passed
    assert not report.escaped_faults


def without_a_fault(pair: Any, tensors: Any, documents: Any) -> bool:
    return True


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`only(*faults)`: these are injected, and no others."""

    def choose(*chosen: faults.NetworkFault) -> None:
        monkeypatch.setattr(faults, "FAULTS", chosen)

    return choose


NOTHING = faults.NetworkFault("nothing at all", frozenset(NETWORK_CHECKS), without_a_fault)


@pytest.mark.parametrize("shard", [None, "100KB"])
def test_no_check_sees_a_copy_without_a_fault(
    shard: str | None, line: Converted, runners: Runners, only: Any, tmp_path: Path
) -> None:
    """Otherwise it would be the copy that is seen, whatever the fault."""
    only(NOTHING)
    folder = tmp_path / "converted"
    one = Converted(line.source, folder, convert_checkpoint(line.source, folder, max_shard_size=shard))
    assert len(list(folder.glob("*.safetensors"))) > 1 or shard is None
    (fault,) = injected(one, runners).faults
    assert fault["injected"]
    assert fault["caught_by"] == []


def test_a_fault_that_escapes_is_no_pass(line: Converted, runners: Runners, only: Any) -> None:
    bit = next(fault for fault in faults.FAULTS if fault.name == "the last bit of one number")
    # It is too small for what is computed, so that this check must not be said to have seen it.
    only(replace(bit, seen_by=frozenset({"weights", "preprocessing"})))
    report = injected(line, runners)
    assert report.escaped_faults == ("the last bit of one number",)
    assert not report.passed
    assert report.failed


def test_faults_in_several_files_of_weights(line: Converted, runners: Runners, only: Any, tmp_path: Path) -> None:
    wanted = ("a tensor left out", "two classes swapped", "another mean of the picture")
    only(*(fault for fault in faults.FAULTS if fault.name in wanted))
    folder = tmp_path / "converted"
    one = Converted(line.source, folder, convert_checkpoint(line.source, folder, max_shard_size="100KB"))
    report = injected(one, runners)
    assert len(report.faults) == len(wanted)
    assert all(fault["caught"] for fault in report.faults), report.faults


def test_faults_in_a_folder_of_another_program(line: Converted, runners: Runners, only: Any, tmp_path: Path) -> None:
    """Its files are not compared, so that nothing is asked of that check."""
    wanted = ("the last bit of one number", "another activation", "deviations in another order")
    only(*(fault for fault in faults.FAULTS if fault.name in wanted))
    folder = line.changed(tmp_path / "saved", lambda tensors, config, processor: None, foreign=True)
    source = find_image_source(line.source)
    assert source is not None
    report = line.verify(runners, "weights", folder=folder)
    report = faults.with_network_faults(report, source, folder, NetworkAsked(), runners.networks)
    caught: dict[str, Sequence[str]] = {fault["fault"]: fault["caught_by"] for fault in report.faults}
    assert caught == {
        "the last bit of one number": ["weights"],
        "another activation": ["aligned"],
        "deviations in another order": ["preprocessing"],
    }
    assert report.passed


def test_faults_go_into_single_and_double_alone(detector: Converted, runners: Runners, tmp_path: Path) -> None:
    """As in models of PaddleNLP's."""
    folder = tmp_path / "converted"
    one = Converted(detector.source, folder, convert_checkpoint(detector.source, folder, dtype="bfloat16"))
    with pytest.raises(UnreadableFileError, match="faults are injected into float32 and float64 weights only"):
        injected(one, runners)


def test_faults_go_into_what_passes_alone(line: Converted, seeded: Seeded, runners: Runners) -> None:
    other = seeded(LINE, seed=1)
    source = find_image_source(line.source)
    assert source is not None
    report = line.verify(runners, "files", folder=other.folder)
    with pytest.raises(ParityError, match="faults are injected into what passes"):
        faults.with_network_faults(report, source, other.folder, NetworkAsked(), runners.networks)


def test_a_check_that_cannot_be_run_has_seen_nothing(
    line: Converted, runners: Runners, only: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither caught nor escaped."""

    def cannot(context: Any) -> Any:
        raise RunnerAccidentError("no room is left")

    broken = tuple(replace(one, run=cannot) if one.name == "preprocessing" else one for one in network_checks())
    monkeypatch.setattr(faults, "network_checks", lambda: broken)
    only(*(fault for fault in faults.FAULTS if "preprocessing" in fault.seen_by))
    with pytest.raises(RunnerAccidentError, match="no room is left"):
        injected(line, runners)
