"""What is refused by name: real classes, model types and pretrained names of PaddleNLP's, each in one line that says
why."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle2torch import convert_checkpoint
from paddle2torch.errors import ConfigurationError
from paddle2torch.mappings.refused import REFUSED
from paddle2torch.mappings.registry import FAMILIES, PRETRAINED, get_pretrained

from ..cli.outcomes import refused
from ..conftest import Run, run_child

CLASSES = {
    **{name: reason for name, reason in REFUSED.items() if not name[0].islower()},
    **{name: reason for family in FAMILIES.values() for name, reason in family.refused.items()},
}
OTHERS = {name: reason for name, reason in REFUSED.items() if name not in CLASSES}

Put = Callable[[str, dict[str, Any]], Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """A function that makes a folder with a configuration and weights of one tensor."""

    def put_one(file: str, document: dict[str, Any]) -> Path:
        (tmp_path / "source").mkdir()
        weights = pickle.dumps({"w": np.zeros(3, "f4")}, protocol=4)
        (tmp_path / "source" / "model_state.pdparams").write_bytes(weights)
        (tmp_path / "source" / file).write_text(json.dumps(document))
        return tmp_path

    return put_one


def refusal(work: Path, source: str | Path = "source", **options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        convert_checkpoint(work / source, work / "out", **options)
    assert not (work / "out").exists()
    return str(caught.value)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_refused_with_its_reason(name: str, put: Put) -> None:
    """Whatever the model type and the family that is asked for."""
    work = put("config.json", {"architectures": [name], "model_type": "bert"})
    wanted = f"{work}/source/config.json: {name} is refused: {CLASSES[name]}"
    assert refusal(work) == wanted
    assert refusal(work, family="bert") == wanted
    assert refusal(work, architecture=name) == wanted


@pytest.mark.parametrize("name", OTHERS)
def test_a_model_type_and_a_pretrained_name_are_refused(name: str, put: Put) -> None:
    work = put("config.json", {"model_type": name})
    assert refusal(work) == f"{work}/source/config.json: {name} is refused: {OTHERS[name]}"
    assert refusal(work, family=name) == f"{name} is refused: {OTHERS[name]}"
    with pytest.raises(ConfigurationError, match=f"^{name} is refused"):
        get_pretrained(name)


def test_the_command_line_says_it_in_one_line(put: Put, paddle2torch: Run) -> None:
    work = put("model_config.json", {"init_class": "UIEX"})
    line = refused(paddle2torch, work, "convert", "source", "out")
    assert line == f"Error: source/model_config.json: UIEX is refused: {REFUSED['UIEX']}"
    for command in (("convert", "wordtag", "out"), ("fetch", "wordtag"), ("seed", "wordtag", "out")):
        assert refused(paddle2torch, work, *command) == f"Error: wordtag is refused: {REFUSED['wordtag']}"


def test_another_class_can_be_asked_for(put: Put, paddle2torch: Run) -> None:
    """What the configuration names is not used then."""
    work = put("config.json", {"architectures": ["TinyBertForSequenceClassification"]})
    line = refused(paddle2torch, work, "convert", "source", "out", "--architecture", "TinyBertModel")
    assert "is refused" not in line


def test_nothing_is_refused_that_is_known() -> None:
    models = {model.source for family in FAMILIES.values() for model in family.models}
    assert not REFUSED.keys() & {*models, *FAMILIES, *PRETRAINED}
    assert all(len(reason) > 40 for reason in CLASSES.values())


def test_what_is_refused_is_real_and_all_of_its_kind() -> None:
    """PaddleNLP has every class and every name, and its modules for these models have no class that is forgotten."""
    modules = ["ernie_ctm", "ernie_doc", "ernie_layout", "ernie_vil", "ernie_gen", "rembert", "bigbird"]
    answer = run_child(Path(__file__).with_name("refused_facts.py"), {"modules": [*modules, "electra", *FAMILIES]})
    theirs = {name for module in modules for name in answer[module]["classes"]}
    # ERNIE-GEN's backbone has the name of ERNIE's.
    assert theirs - REFUSED.keys() == {"ErnieModel"}
    everything = {name for facts in answer.values() for name in (*facts["classes"], *facts["aliases"])}
    assert CLASSES.keys() <= everything
    assert OTHERS.keys() <= {name for facts in answer.values() for name in facts["names"]}
    # A family that refuses a class forgets none, and has none that is not there.
    for family in FAMILIES.values():
        known = {*(model.source for model in family.models), *family.refused}
        theirs = answer[family.name]
        assert not family.refused or set(theirs["classes"]) - REFUSED.keys() == known - set(theirs["aliases"])
