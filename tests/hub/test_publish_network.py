"""`publish` of a network that reads pictures: what arrives names its own library and how it is given a picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.mappings.registry import seeded_networks
from paddle2torch.verify.images.seeding import seed_network
from paddle2torch.verify.runners.forward import Runners

from ..conftest import TORCH_PYTHON
from .conftest import Publish
from .loopback_hub import LoopbackHub

NAME, TARGET, REPO = "PP-LCNet_x0_25_textline_ori", "PPLCNetForImageClassification", "me/lines"


@pytest.fixture(scope="module")
def certified_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier with its certificate."""
    folder = tmp_path_factory.mktemp("network")
    network, sizes = seeded_networks()[NAME]
    with Runners(torch_python=TORCH_PYTHON) as own:
        seed_network(NAME, network, sizes, folder / "source", seed=0, library=None, runner=own.networks.paddle)
        # What is random is published as nothing else; these stand for a training's.
        (folder / "source" / "seeded_weights.json").unlink()
        convert_checkpoint(folder / "source", folder / "converted")
        report = verify_checkpoint(folder / "source", folder / "converted", runners=own, certificate=True)
        report.assert_passed()
    return folder / "converted"


def test_a_network_is_published_as_what_it_is(certified_network: Path, hub: LoopbackHub, publish: Publish) -> None:
    done = publish(certified_network, REPO)
    assert done.returncode == 0, done.stderr
    files = hub.files(REPO)
    assert set(files) == {"README.md", "config.json", "model.safetensors", "parity.json", "preprocessor_config.json"}
    card = files["README.md"].decode()
    assert "PaddleClas" in card
    assert "PaddleNLP" not in card
    assert f'AutoImageProcessor.from_pretrained("{REPO}")' in card
    assert "AutoTokenizer" not in card


def test_the_title_of_a_pull_request_names_the_library(
    certified_network: Path, hub: LoopbackHub, publish: Publish
) -> None:
    hub.put(REPO, {"config.json": b"{}"})
    assert publish(certified_network, REPO).returncode == 0
    (request,) = hub.repositories[REPO].requests
    assert request["title"] == f"{TARGET} converted from PaddleClas by paddle2torch"
