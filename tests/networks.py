"""Networks that read pictures as tests need them: their sizes, small ones of each kind, and the files of a training."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from paddle2torch.mappings.language.images.network import Network, Shapes
from paddle2torch.mappings.registry import NETWORKS

Arrays = dict[str, np.ndarray[Any, Any]]

GUIDE = {"head.gtc_head.embedding.weight": (8, 6), "head.before_gtc.1.fc.weight": (6, 4)}
CLASSIFIER = {"backbone.fc.weight": (6, 3), "backbone.last_conv.weight": (6, 4, 1, 1)}
THRESHOLDS = {"head.thresh.conv1.weight": (4, 16, 3, 3), "head.thresh.conv3.bias": (1,)}
BOXES = {"head.loc_generator.0.weight": (12, 12), "head.loc_generator.1.bias": (4,)}
UNUSED = {"backbone.vision_tower_high.net_3.weight": (10, 20, 3, 3)}

_MOBILE = {"scale": 0.25, "branches": 2, "fused": False}
_LINES = {"kernel": (1, 3), "hidden": 16, "depth": 1, "width": 16, "classes": 38, "guide": GUIDE}
_PAGES = {"features": [4, 6, 8, 10], "neck": 16, "thresholds": THRESHOLDS}

CHANGED: dict[str, dict[str, dict[str, Any]]] = {
    "pp_lcnet": {"": {"scale": 0.25, "expand": 24, "classes": 3}},
    "pp_lcnet_textline": {"": {"scale": 0.35, "expand": 16, "classes": 2}},
    "pp_ocrv5_mobile_det": {
        "": {**_MOBILE, **_PAGES},
        "fused": {**_MOBILE, **_PAGES, "branches": 4, "fused": True, "thresholds": {}},
    },
    "pp_ocrv5_mobile_rec": {
        "": {**_MOBILE, **_LINES, "channels": 128, "kernel": (3, 3), "depth": 2},
        "fused": {**_MOBILE, **_LINES, "channels": 128, "branches": 4, "fused": True, "guide": {}},
    },
    "pp_ocrv5_server_det": {"": {"neck": 32, "thresholds": THRESHOLDS, "classifier": CLASSIFIER}},
    "pp_ocrv5_server_rec": {"": {**_LINES, "channels": 2048, "classifier": CLASSIFIER}},
    "slanet": {
        "": {
            **{"scale": 0.25, "features": 16, "hidden": 12, "classes": 7, "kernel": 3, "bottlenecks": 2},
            "boxes": BOXES,
        }
    },
    "slanext": {
        "": {
            **{"features": 20, "hidden": 12, "classes": 7, "boxes": BOXES, "width": 24, "patch": 8, "image": 64},
            **{"depth": 3, "heads": 2, "inner": 32, "channels": 10, "global": [1], "unused": UNUSED},
        }
    },
}
"""What is changed in a network's seeded sizes to make it small, with the parts that are dropped; once or more."""


@dataclass(frozen=True)
class Case:
    """A network with sizes, and what the pair is called."""

    name: str
    network: Network
    sizes: Mapping[str, Any]

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of all tensors that a training of these sizes leaves."""
        return {
            source: shape
            for rule in self.network.rules(self.sizes)
            for source, shape in zip(rule.sources, rule.shapes, strict=True)
        }


SMALL: dict[str, Case] = {
    f"small {name}{f' {kind}' if kind else ''}": Case(
        f"small {name}{f' {kind}' if kind else ''}",
        NETWORKS[name],
        {**next(iter(NETWORKS[name].seeded.values())), **changed},
    )
    for name, kinds in CHANGED.items()
    for kind, changed in kinds.items()
}
"""Small ones of each kind, quick to write."""

CASES: dict[str, Case] = {
    **{name: Case(name, network, sizes) for network in NETWORKS.values() for name, sizes in network.seeded.items()},
    **{
        f"{network.name} for tests": Case(f"{network.name} for tests", network, network.small)
        for network in NETWORKS.values()
        if network.small is not None
    },
    **SMALL,
}
"""Those and all that the networks themselves name."""


def arrays_of(shapes: Shapes, dtype: str = "float32") -> Arrays:
    """Random values of these shapes: variances above zero, and weights that leave numbers as large as they are."""
    random = np.random.default_rng(7)
    found: Arrays = {}
    for name, shape in shapes.items():
        values = random.standard_normal(shape, np.float32) / np.float32(max(1, math.prod(shape[1:])) ** 0.5)
        found[name] = (np.abs(values) + np.float32(0.5) if name.endswith("_variance") else values).astype(dtype)
    return found


def write_weights(path: Path, arrays: Arrays) -> Path:
    """Write a .pdparams file as Python's own pickles are written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(arrays, protocol=4))
    return path


def training_of(case: Case, name: str | None = None) -> dict[str, Any]:
    """The training configuration of a network, without transforms; a recogniser has no dictionary."""
    section = "Architecture" if case.network.builder == "PaddleOCR" else "Arch"
    return {"Global": {} if name is None else {"model_name": name}, section: case.network.architecture(case.sizes)}


def write_yaml(path: Path, document: Any) -> Path:
    """Write a training configuration; JSON is YAML too."""
    path.write_text(json.dumps(document), "utf-8")
    return path
