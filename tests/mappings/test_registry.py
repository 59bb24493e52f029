"""What is registered is tested: every family, architecture and pretrained name has a parity test that really runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import paddle2torch
from paddle2torch.mappings.refused import REFUSED
from paddle2torch.mappings.registry import FAMILIES, PRETRAINED, family_of_architecture, names_of_family

ROOT = Path(paddle2torch.__file__).parent

PARITY = "tests/verify/test_parity.py::test_every_architecture_is_the_same_model"
GATE = "tests/verify/test_gate.py::test_every_name_is_proven"

# Prints the ids of the tests that are collected and neither skipped nor expected to fail.
COLLECT = """
import json, sys
import pytest

class Collector:
    def pytest_collection_modifyitems(self, items):
        markers = ("skip", "skipif", "xfail")
        chosen = [item.nodeid for item in items if not any(item.get_closest_marker(name) for name in markers)]
        print("ids:" + json.dumps(chosen))

sys.exit(pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[Collector()]))
"""


def required_tests(families: Iterable[tuple[str, str]], names: Iterable[str]) -> set[str]:
    """The parity tests that (family, architecture) pairs and pretrained names must have."""
    required = {f"{PARITY}[{family}-{architecture}]" for family, architecture in families}
    return required | {f"{GATE}[{name}]" for name in names}


@pytest.fixture(scope="module")
def collected() -> set[str]:
    modules = sorted({test.partition("::")[0] for test in (PARITY, GATE)})
    command = [sys.executable, "-c", COLLECT, *modules]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert child.returncode == 0, child.stdout + child.stderr
    line = next(line for line in child.stdout.splitlines() if line.startswith("ids:"))
    return set(json.loads(line.removeprefix("ids:")))


DEMO = [*names_of_family("albert"), "ernie-3.0-nano-zh", "uie-nano"]
"""The names that `make demo` proves at their true size."""

REGISTERED = [(family.name, model.source) for family in FAMILIES.values() for model in family.models]


def test_everything_registered_has_a_parity_test(collected: set[str]) -> None:
    assert required_tests(REGISTERED, DEMO) - collected == set()


def test_what_is_registered_without_a_parity_test_is_noticed(collected: set[str]) -> None:
    required = required_tests([*REGISTERED, ("nowhere", "NowhereModel"), ("bert", "BertForMore")], [*DEMO, "bert-x"])
    assert required - collected == {
        f"{PARITY}[nowhere-NowhereModel]",
        f"{PARITY}[bert-BertForMore]",
        f"{GATE}[bert-x]",
    }


def test_names_are_registered_under_themselves() -> None:
    assert all(name == family.name for name, family in FAMILIES.items())
    assert all(name == entry.name and entry.family in FAMILIES for name, entry in PRETRAINED.items())


def test_an_architecture_belongs_to_one_family() -> None:
    names = [name for family in FAMILIES.values() for model in family.models for name in (model.source, *model.aliases)]
    assert len(names) == len(set(names))
    # Otherwise a class would have to be looked for in all families before one is chosen.
    assert not {*names} & {*REFUSED, *(name for family in FAMILIES.values() for name in family.refused)}
    for family in FAMILIES.values():
        for model in family.models:
            assert family_of_architecture(model.source) is family
            if family.target_type is None:
                assert family_of_architecture(model.target_architecture) is family
    assert family_of_architecture("NowhereModel") is None
