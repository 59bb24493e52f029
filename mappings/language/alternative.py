"""What a family's weights become: the usual model of Hugging Face's, or another one for those who ask for it."""

from __future__ import annotations

from ...errors import UnknownNameError
from .family import Family


def becoming(family: Family, target: str | None) -> Family:
    """A family with one of its alternatives as its target; as it is for None. Raises UnknownNameError."""
    if target is None or target == family.target:
        return family
    for one in family.alternatives:
        if one.name == target:
            return one.of(family)
    known = ", ".join(one.name for one in family.alternatives)
    which = f"its targets are {known}, and without --target the usual one" if known else "it has the usual one alone"
    raise UnknownNameError(f"family {family.name} has no target {target!r}; {which}")


def of_type(family: Family, model_type: str | None) -> Family:
    """A family with the alternative as its target that a Hugging Face folder of this `model_type` must be; as it is
    where none is."""
    if model_type == family.model_type:
        return family
    return next((one.of(family) for one in family.alternatives if one.target_type == model_type), family)
