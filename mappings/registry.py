"""The registered families and pretrained names."""

from __future__ import annotations

import difflib

from ..errors import UnknownNameError
from .albert import ALBERT
from .albert_pretrained import ALBERT_PRETRAINED
from .bert import BERT
from .language.pretrained import Pretrained
from .language.schema import Family

FAMILIES: dict[str, Family] = {family.name: family for family in (ALBERT, BERT)}

PRETRAINED: dict[str, Pretrained] = {pretrained.name: pretrained for pretrained in ALBERT_PRETRAINED}


def get_family(name: str) -> Family:
    """The family of this name; raises UnknownNameError with the near ones."""
    if name not in FAMILIES:
        raise UnknownNameError(f"unknown family {name!r}{_near(name, FAMILIES)}")
    return FAMILIES[name]


def get_pretrained(name: str) -> Pretrained:
    """The pretrained weights of this name; raises UnknownNameError with the near ones."""
    if name not in PRETRAINED:
        raise UnknownNameError(
            f"unknown pretrained name {name!r}{_near(name, PRETRAINED)}; `paddle2torch list` shows all"
        )
    return PRETRAINED[name]


def family_of_architecture(architecture: str) -> Family | None:
    """The family that has this class, by PaddleNLP's or Hugging Face's name."""
    for family in FAMILIES.values():
        if any(architecture in (model.source, model.target_architecture) for model in family.models):
            return family
    return None


def _near(name: str, known: dict[str, Family] | dict[str, Pretrained]) -> str:
    near = difflib.get_close_matches(name, list(known), 3, 0.5)
    return f"; did you mean {' or '.join(near)}?" if near else f"; known are {', '.join(known)}"
