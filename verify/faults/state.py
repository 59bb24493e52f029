"""What a fault changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...converters.formats.dtypes import Array
from ...mappings.language.matching.plan import Plan
from ..inputs import Inputs


@dataclass(frozen=True)
class Faulted:
    """What a fault changes, before and after: converted tensors by target name, Hugging Face's configuration, the
    inputs that torch gets, the plan that the checks use, the metadata of the weights, and the folder's other files,
    the index of shards among them."""

    tensors: Mapping[str, Array]
    configuration: Mapping[str, Any]
    inputs: Inputs
    plan: Plan
    metadata: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


Injection = Callable[[Faulted], Faulted | None]
"""Gives the state with a fault in it, None where the model offers no place for that."""
