"""What tests of several folders share: framework children, real checkpoints, and the command line as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.mappings.language.family import Family, Model
from paddle2torch.mappings.registry import FAMILIES, family_of_architecture
from paddle2torch.verify.checks import named
from paddle2torch.verify.job import CHECKS
from paddle2torch.verify.runners.client import RunnerProcess
from paddle2torch.verify.runners.environments import interpreter_of
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.seeding import seed_request

TESTS = Path(__file__).parent

PADDLE_PYTHON, TORCH_PYTHON = interpreter_of("paddle"), interpreter_of("torch")
"""The interpreters with the frameworks, found as the product finds them."""

OLDER_TORCH_PYTHON = str(Path(sys.prefix).parent / ".venv-torch-4.57" / "bin" / "python")
"""The interpreter with the older transformers, which `make test` installs."""

TORCH_PYTHONS = tuple(dict.fromkeys([TORCH_PYTHON, OLDER_TORCH_PYTHON]))
"""The interpreters of the environments of torch's side, one per version of transformers."""

TINY = "albert-chinese-tiny"

TARGETS: dict[str, Family] = {
    name if one.target is None else f"{name} to {one.target}": one
    for name, family in FAMILIES.items()
    for one in (family, *(alternative.of(family) for alternative in family.alternatives))
}
"""Every family, and once more with each of its alternatives as target."""


def label(family: Family, model: Model) -> str:
    """An architecture by PaddleNLP's name, and what it becomes where that is not the usual class."""
    return model.source if family.target is None else f"{model.source} to {family.target}"


SMALL: dict[str, dict[str, Any]] = {name: dict(family.small) for name, family in FAMILIES.items()}
"""A configuration per family that is small and has every repeated part twice or more."""


def small_of(architecture: str) -> dict[str, Any]:
    """The small configuration of the family that has this class."""
    return SMALL[_family_of(architecture).name]


def _family_of(architecture: str) -> Family:
    family = family_of_architecture(architecture)
    assert family is not None, architecture
    return family


def checks_of(architecture: str, names: Sequence[str] = CHECKS) -> tuple[str, ...]:
    """Of the checks of these names those that apply to a class, in the order of a report."""
    family = _family_of(architecture)
    return tuple(check.name for check in named(*names) if check.applies(family, architecture))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take minutes come first: begun last, one of them would run on while the other workers wait."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


Run = Callable[..., "subprocess.CompletedProcess[str]"]


def run_child(script: Path, request: Any, timeout: int = 300, python: str = PADDLE_PYTHON) -> Any:
    """Run a script that reads one JSON document and prints one; frameworks are imported in such children only."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "CUDA_VISIBLE_DEVICES": ""}
    child = subprocess.run(
        [python, str(script)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
    )
    assert child.returncode == 0, child.stderr[-4000:]
    return json.loads(child.stdout.splitlines()[-1])


def write_torch_checkpoints(folder: Path, models: Any, every_form: Sequence[str] | None = None) -> None:
    """Let transformers write FOLDER/NAME/FORM for [name, architecture, configuration] of each of `models`; with
    `every_form` names, only those in more forms than `safetensors`."""
    script, typical = (
        TESTS / "write_torch_checkpoints.py",
        [one for one in models if one[0] in (every_form or [one[0]])],
    )
    # Their padding row has to be zeros, as training leaves it.
    families = {name: family_of_architecture(architecture) for name, architecture, _ in models}
    zeroed = [name for name, family in families.items() if family is not None and family.zero_padding_row]
    request = {"folder": str(folder), "models": models, "every_form": [one[0] for one in typical], "zeroed": zeroed}
    for python in TORCH_PYTHONS:
        wanted = [one for one in models if torch_python_of(families[one[0]]) == python]
        run_child(script, {**request, "models": wanted, "pickles": False}, python=python)
    run_child(script, {**request, "models": typical, "pickles": True}, python=OLDER_TORCH_PYTHON)


@pytest.fixture(scope="session")
def both() -> Iterator[Runners]:
    """The real runners, one set for the whole session, each started when first asked: Paddle in float32 and float64,
    today's transformers and the older one. Importing a framework takes seconds."""
    with Runners(torch_python=TORCH_PYTHONS) as started:
        yield started


def fitting(both: Runners, family: Family) -> Runners:
    """Of the real runners those whose transformers has the classes of a family: all, or the older one's alone."""
    if family.withdrawn is None:
        return both
    (older,) = [side for side in both.sides() if side.torch.python == OLDER_TORCH_PYTHON]
    return older


def torch_python_of(family: Family | None) -> str:
    """The interpreter with the newest transformers that has the classes of a family, or of none that is known."""
    return TORCH_PYTHON if family is None or family.withdrawn is None else OLDER_TORCH_PYTHON


@pytest.fixture(scope="session")
def runners(both: Runners) -> Runners:
    """Of these, what a verification has by default: torch's side is today's transformers."""
    return both.sides()[0]


@pytest.fixture(scope="session", params=range(len(TORCH_PYTHONS)), ids=[Path(one).parts[-3] for one in TORCH_PYTHONS])
def each_torch(request: pytest.FixtureRequest, both: Runners) -> Runners:
    """Of these, each environment of torch's side in turn."""
    return both.sides()[int(request.param)]


@pytest.fixture(scope="session")
def paddle_runner(both: Runners) -> RunnerProcess:
    """Of these, Paddle in float32."""
    return both.paddle32


@pytest.fixture(scope="session")
def seeded(paddle_runner: RunnerProcess, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`seeded(architecture, **fields)`: a small checkpoint that PaddleNLP wrote, shared between tests."""
    made: dict[str, Path] = {}

    def seed(architecture: str, **fields: Any) -> Path:
        key = json.dumps([architecture, fields], sort_keys=True)
        if key not in made:
            folder = tmp_path_factory.mktemp("seeded") / "source"
            configuration = {**small_of(architecture), **fields}
            paddle_runner.request(seed_request(architecture, configuration, folder, 5))
            made[key] = folder
        return made[key]

    return seed


@pytest.fixture
def paddle2torch(tmp_path: Path) -> Run:
    """`paddle2torch(*arguments, cwd=..., home=...)`: the real command line in a process of its own, offline.

    PaddleNLP's cache is an empty folder unless `home` names another; so is this package's own.
    """

    def run(
        *arguments: str | Path, cwd: Path | None = None, home: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PPNLP_HOME": str(home or tmp_path / "no-cache"),
            "PADDLE2TORCH_CACHE": str(tmp_path / "no-cache-either"),
            "PADDLE2TORCH_OFFLINE": "1",
        }
        command = [sys.executable, "-m", "paddle2torch", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=120, env=environment, cwd=cwd or tmp_path, check=False
        )

    return run


@pytest.fixture(scope="session")
def tiny(paddle_runner: RunnerProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """albert-chinese-tiny at its true size with seeded weights, as PaddleNLP writes it; shared, never changed."""
    folder = tmp_path_factory.mktemp("tiny") / "source"
    paddle_runner.request(
        {"operation": "seed", "architecture": "AlbertModel", "name": TINY, "folder": str(folder), "seed": 5}
    )
    return folder
