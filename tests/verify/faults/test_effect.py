"""Faults that change nothing in a model: they are not injected, and are neither caught nor escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint, recognise
from paddle2torch.converters.formats.dtypes import Array
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.converters.tokenizers.files import CONFIG
from paddle2torch.verify.faults.effect import NO_EFFECT, has_effect
from paddle2torch.verify.faults.files import tokenizer_settings
from paddle2torch.verify.faults.known import Fault, all_faults
from paddle2torch.verify.faults.runs import run_faults
from paddle2torch.verify.faults.state import Faulted
from paddle2torch.verify.inputs import make_inputs
from paddle2torch.verify.runners.forward import Runners

from ...conftest import Run, run_child, small_of
from ..conftest import Seed

MODELS: dict[str, dict[str, Any]] = {
    "BertModel": {},
    "BertForSequenceClassification": {"num_labels": 3},
    "AlbertModel": {},
    "AlbertForTokenClassification": {"num_labels": 5},
}
WITHOUT_EFFECT = {"key bias lost", "attention_norm and feed_forward_norm swapped"}

NEGATIVE_ZERO = np.array([-0.0], np.float32)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("untrained")
    wanted = [
        [name, {**small_of(name), "max_position_embeddings": 60, **fields}, str(folder / name)]
        for name, fields in MODELS.items()
    ]
    run_child(Path(__file__).with_name("write_untrained.py"), wanted)
    return folder


@pytest.mark.parametrize("architecture", MODELS)
def test_an_untrained_model_has_no_escaped_fault(
    architecture: str, untrained: Path, tmp_path: Path, runners: Runners
) -> None:
    convert_checkpoint(untrained / architecture, tmp_path / "converted")
    results = run_faults(untrained / architecture, tmp_path / "converted", runners=runners)
    assert [result.name for result in results if result.escaped] == []
    found = {result.name for result in results if result.where == NO_EFFECT}
    assert found == WITHOUT_EFFECT
    for result in results:
        assert result.injected == result.caught
    (line,) = [result.line() for result in results if result.name == "key bias lost"]
    assert line == f"fault key bias lost: not injected here, because {NO_EFFECT}"


def test_every_report_says_what_was_not_injected(untrained: Path, paddle2torch: Run, tmp_path: Path) -> None:
    source = untrained / "BertForSequenceClassification"
    convert_checkpoint(source, tmp_path / "converted")
    done = paddle2torch("verify", source, tmp_path / "converted", "--faults", "--report-dir", tmp_path / "reports")
    assert done.returncode == 0, done.stdout + done.stderr
    said = f"not injected here, because {NO_EFFECT}: key bias lost, attention_norm and feed_forward_norm swapped"
    assert f"  {said}" in done.stdout.splitlines()
    assert "ESCAPED" not in done.stdout + done.stderr
    faults = {
        fault["fault"]: fault for fault in json.loads((tmp_path / "reports" / "report.json").read_text())["faults"]
    }
    assert len(faults) == len(all_faults())
    assert {name for name, fault in faults.items() if fault["where"] == NO_EFFECT} == WITHOUT_EFFECT
    assert not any(faults[name]["caught"] or faults[name]["injected"] for name in WITHOUT_EFFECT)
    injected = sum(fault["injected"] for fault in faults.values())
    caught = f"{injected} of {injected} caught"
    summary = (tmp_path / "reports" / "summary.md").read_text()
    page = (tmp_path / "reports" / "report.html").read_text()
    assert said.replace("_", "\\_").replace("not", "Not", 1) in summary
    assert all(caught in text for text in (done.stdout, summary, page))
    assert page.count(f"because {NO_EFFECT}") == len(WITHOUT_EFFECT)
    cases = {case.get("name"): case for case in ElementTree.parse(tmp_path / "reports" / "junit.xml").iter("testcase")}
    for name in WITHOUT_EFFECT:
        (skipped,) = cases[name]
        assert (skipped.tag, skipped.get("message")) == ("skipped", f"not injected here, because {NO_EFFECT}")


def test_a_change_that_no_assigned_check_sees_has_escaped(untrained: Path, tmp_path: Path, runners: Runners) -> None:
    """One bit, which the forward runs cannot see: the change decides, not what came of it."""

    def one_bit(state: Faulted) -> Faulted:
        name = next(name for name in state.tensors if name.endswith("LayerNorm.bias"))
        return replace(state, tensors={**state.tensors, name: np.full_like(state.tensors[name], NEGATIVE_ZERO[0])})

    convert_checkpoint(untrained / "BertModel", tmp_path / "converted")
    faults = [Fault("minus zero", (frozenset({checks}),), one_bit) for checks in ("float64", "weights")]
    escaped, caught = run_faults(untrained / "BertModel", tmp_path / "converted", faults=faults, runners=runners)
    assert (escaped.injected, escaped.escaped, escaped.caught) == (True, True, False)
    assert escaped.line().startswith("fault minus zero: ESCAPED, caught only by weights; ")
    assert (caught.escaped, caught.caught) == (False, True)


@pytest.fixture
def state(seed_small: Seed, tmp_path: Path) -> Faulted:
    source = seed_small("AlbertModel")
    convert_checkpoint(source, tmp_path / "converted")
    with open_checkpoint(source) as checkpoint:
        recognised = recognise(checkpoint, None, None)
    generator = np.random.default_rng(0)
    tensors: dict[str, Array] = {
        move.target: generator.standard_normal(move.target_shape, np.float32) for move in recognised.plan.moves
    }
    configuration = json.loads((tmp_path / "converted" / "config.json").read_text())
    return Faulted(tensors, configuration, make_inputs(recognised.configuration), recognised.plan)


def fault(name: str) -> Fault:
    return next(one for one in all_faults() if one.name == name)


@pytest.mark.parametrize(
    ("name", "equal"),
    [
        ("token types ignored", "embeddings.token_type_embeddings.weight"),
        ("positions counted from after the padding", "embeddings.position_embeddings.weight"),
        ("vocabulary rows rolled", "embeddings.word_embeddings.weight"),
        ("query doubled, key halved", "query key"),
        ("query and key swapped", "query key"),
        ("wrong rule shared by the weight check", "query"),
        ("heads permuted jointly", "query key value attention.dense"),
        ("feed-forward neurons permuted jointly", "ffn"),
    ],
)
def test_equal_rows_and_equal_tensors(name: str, equal: str, state: Faulted) -> None:
    """The same fault counts where the tensors differ, and does not where they are all zero."""

    def effect(tensors: Mapping[str, Array]) -> bool:
        before = replace(state, tensors=tensors)
        after = fault(name).inject(before)
        assert after is not None
        return has_effect(before, after)

    assert effect(state.tensors)
    zeroed = {
        target: np.zeros_like(values) if any(part in target for part in equal.split()) else values
        for target, values in state.tensors.items()
    }
    assert not effect(zeroed)


def test_bits_decide(state: Faulted) -> None:
    name = next(iter(state.tensors))
    values = state.tensors[name]
    for other in (values.astype(np.float64), values.reshape(-1), -values, values[:1]):
        assert has_effect(state, replace(state, tensors={**state.tensors, name: other}))
    nan = replace(state, tensors={**state.tensors, name: np.full_like(values, np.nan)})
    assert not has_effect(nan, replace(nan, tensors={key: array.copy() for key, array in nan.tensors.items()}))
    assert has_effect(state, replace(state, tensors={**state.tensors, "more": values}))
    assert has_effect(state, replace(state, configuration={**state.configuration, "type_vocab_size": 2.0}))
    assert has_effect(state, replace(state, metadata={"note": "x"}))
    assert has_effect(state, replace(state, files={"x": b""}))


def test_a_setting_that_is_set_already_is_not_changed(state: Faulted) -> None:
    """The file would be written with other blanks, of which none is the fault."""
    before = replace(state, files={CONFIG: b'{"split_special_tokens":true}'})
    for value, expected in ((True, False), (1, True), (False, True)):
        after = tokenizer_settings(lambda document, value=value: document.update(split_special_tokens=value))(before)  # type: ignore[misc]
        assert after is not None
        assert has_effect(before, after) is expected
    configured = replace(state, configuration={**state.configuration, "problem_type": "regression"})
    after = fault("another kind of problem").inject(configured)
    assert after is not None
    assert not has_effect(configured, after)
