"""Folders of small networks as trainings leave them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ...networks import SMALL, Arrays, Case, arrays_of, training_of, write_weights, write_yaml

SIDE = 64
"""The height and width of all pictures of the small SLANeXt."""

Write = Callable[..., Path]


def configuration_of(case: Case, **general: Any) -> dict[str, Any]:
    """The training configuration of a small network, with what is needed to prepare its pictures."""
    document = training_of(case)
    document["Global"] |= general
    if case.network.square is not None:
        document["Eval"] = {
            "dataset": {
                "transforms": [
                    {"DecodeImage": {"img_mode": "BGR"}},
                    {"ResizeTableImage": {"max_len": SIDE}},
                    {"NormalizeImage": {"order": "hwc"}},
                    {"PaddingTableImage": {"size": [SIDE, SIDE]}},
                ]
            }
        }
    return document


def characters_of(case: Case) -> str:
    """A dictionary with as many characters as a small recogniser has, beside the blank and the space."""
    return "".join(chr(0x4E00 + number) + "\n" for number in range(int(case.sizes["classes"]) - 2))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(name, ...)`: the folder that the training of a small network leaves; with `arrays` of one's own, with
    `training` false without its configuration, and with `changed` sections of that."""

    def writing(
        name: str,
        arrays: Arrays | None = None,
        training: bool = True,
        folder: str = "in",
        changed: dict[str, Any] | None = None,
    ) -> Path:
        case, place = SMALL[name], tmp_path / folder
        write_weights(place / "best_accuracy.pdparams", arrays_of(case.shapes) if arrays is None else arrays)
        general: dict[str, Any] = {}
        if case.network.task == "recognition":
            (place / "dict.txt").write_text(characters_of(case), "utf-8")
            general = {"character_dict_path": "./dict.txt", "use_space_char": True}
        if training:
            write_yaml(place / "config.yml", {**configuration_of(case, **general), **(changed or {})})
        return place

    return writing
