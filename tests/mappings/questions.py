"""What is asked of the rules of every architecture, whatever its family: each question lists what does not fit.

The answers are the frameworks' own: names and shapes of their state dicts, and what kind of layer each matrix is of.
Values are numbers that occur once, so that a rule of any kind (one tensor for one, joined, divided, made, reordered) is
followed element by element.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from paddle2torch.mappings.language.family import Family
from paddle2torch.mappings.language.rules import Kind, Move, Rule
from paddle2torch.mappings.language.transforms import Reorder

Arrays = dict[str, Any]
Facts = Mapping[str, Any]
Rules = Sequence[Rule]

FIRST = 1000
"""The least number that stands in a source; what a rule fills in is smaller."""


def present(rules: Rules, paddle: Facts) -> list[Rule]:
    """The rules whose tensors PaddleNLP's model has."""
    return [rule for rule in rules if all(name in paddle["state"] for name in rule.sources)]


def mapped(rules: Rules, paddle: Facts) -> list[Rule]:
    """Those of them that fill targets."""
    return [rule for rule in present(rules, paddle) if rule.kind is Kind.MAPPED]


def misfitting_sources(rules: Rules, paddle: Facts, torch: Facts) -> list[str]:
    """Every tensor of PaddleNLP's model has one rule, with its shape; a rule without one is of no weight."""
    known = {name: (shape, rule) for rule in rules for name, shape in zip(rule.sources, rule.shapes, strict=True)}
    state = paddle["state"]
    problems = [f"no rule for {name}" for name in state if name not in known]
    problems += [
        f"{name} has shape {state[name]}, its rule says {list(shape)}"
        for name, (shape, _) in known.items()
        if name in state and state[name] != list(shape)
    ]
    absent = {name: rule for name, (_, rule) in known.items() if name not in state}
    return problems + [
        f"PaddleNLP's model has no {name}"
        for name, rule in absent.items()
        if not rule.optional or rule.kind is Kind.MAPPED
    ]


def misfitting_targets(rules: Rules, paddle: Facts, torch: Facts) -> list[str]:
    """Every tensor of Hugging Face's model that is not tied to another is written once, with its shape; an untied one
    goes where it belongs."""
    state = torch["state"]
    tied = {name for name in state if any(name.endswith(key) for key in torch["tied"])}
    moves = [move for rule in mapped(rules, paddle) for move in rule.moves()]
    written = {move.target: _shape(move) for move in moves}
    problems = [f"{name} is not written" for name in state if name not in tied and name not in written]
    problems += [
        f"{name} is written twice" for name, count in Counter(move.target for move in moves).items() if count > 1
    ]
    problems += [f"Hugging Face's model has no {name}" for name in written if name not in state]
    for rule in present(rules, paddle):
        if rule.kind is not Kind.TIED or rule.target is None:
            continue
        written[rule.target] = list(rule.one_to_one.shape(rule.shapes))
        if rule.target not in tied:
            problems.append(f"{rule.target} is not tied in Hugging Face's model")
    return problems + [
        f"{name} has shape {state[name]}, its rule makes {shape}"
        for name, shape in written.items()
        if name in state and state[name] != shape
    ]


def _shape(move: Move) -> list[int]:
    return list(move.target_shape)


def numbered(rule: Rule) -> Arrays:
    """The sources of a rule, every element another number."""
    arrays, start = {}, FIRST
    for name, shape in zip(rule.sources, rule.shapes, strict=True):
        arrays[name] = np.arange(start, start + math.prod(shape), dtype=np.float64).reshape(shape)
        start += math.prod(shape)
    return arrays


def applied(moves: Iterable[Move], arrays: Arrays) -> Arrays:
    """What moves make of arrays."""
    return {
        move.target: np.asarray(move.transform.apply([arrays[name] for name in move.sources], np)) for move in moves
    }


def lost_values(rules: Rules, paddle: Facts, torch: Facts) -> list[str]:
    """Every element of the sources is in the targets once, and the way back gives every source again."""
    problems = []
    for rule in mapped(rules, paddle):
        sources = numbered(rule)
        targets = applied(rule.moves(), sources)
        written = np.concatenate([array.reshape(-1) for array in targets.values()])
        wanted = np.concatenate([np.empty(0), *(array.reshape(-1) for array in sources.values())])
        if not np.array_equal(np.sort(written[written >= FIRST]), wanted):
            problems.append(f"{', '.join(rule.targets)}: not every element of the sources once")
        back = applied(rule.moves_back(), targets)
        if back.keys() != sources.keys() or any(not np.array_equal(back[name], sources[name]) for name in sources):
            problems.append(f"{', '.join(rule.targets)}: the way back is not the inverse")
    return problems


def torn_vectors(rules: Rules, paddle: Facts, torch: Facts) -> list[str]:
    """What one output of a linear layer is made of, and an entry of a table, is the same vector on both sides; and a
    tensor that neither side has in such a layer has its elements in the same order."""
    problems = []
    for rule in mapped(rules, paddle):
        kinds = [paddle["kinds"].get(name) for name in rule.sources]
        target_kinds = [torch["kinds"].get(name) for name in rule.targets]
        sources = numbered(rule)
        targets = applied(rule.moves(), sources)
        if rule.is_single and kinds == target_kinds == [None]:
            if (order := _order_of_outputs(rules, rule)) is not None:
                if rule.transform != Reorder(0, order):
                    problems.append(f"{rule.target}: {rule.source} is not in the order of its outputs")
            elif targets[rule.targets[0]].reshape(-1).tolist() != sources[rule.sources[0]].reshape(-1).tolist():
                problems.append(f"{rule.target}: the elements of {rule.source} are in another order")
            continue
        if None in kinds or None in target_kinds or not kinds:
            continue
        turned = [array.T if kind == "linear" else array for array, kind in zip(sources.values(), kinds, strict=True)]
        found = [
            array.T if kind == "turned linear" else array
            for array, kind in zip(targets.values(), target_kinds, strict=True)
        ]
        filled = {vector for vector in _vectors(found) if max(vector) < FIRST}
        if _vectors(turned) != _vectors(found) - filled:
            problems.append(f"{', '.join(rule.targets)}: the vectors of {', '.join(rule.sources)} are torn")
    return problems


def _order_of_outputs(rules: Rules, rule: Rule) -> tuple[int, ...] | None:
    """For a bias, the order that its layer's outputs are brought into; None where they stay."""
    weight = rule.source.removesuffix(".bias") + ".weight"
    of_weight = (one.transform for one in rules if one.is_single and one.source == weight)
    return next((one.order for one in of_weight if isinstance(one, Reorder) and one.axis == 1), None)


def _vectors(matrices: Iterable[Any]) -> set[tuple[float, ...]]:
    return {tuple(row) for matrix in matrices for row in matrix.tolist()}


def needless_drops(rules: Rules, paddle: Facts, torch: Facts) -> list[str]:
    """What is dropped has a reason, and Hugging Face's model really has no place for it."""
    dropped = [rule for rule in present(rules, paddle) if rule.kind is Kind.DROPPED]
    problems = [f"{rule.source} is dropped without a reason" for rule in dropped if not rule.reason]
    return problems + [
        f"{rule.source} is dropped although Hugging Face's model has {rule.spare}"
        for rule in dropped
        if rule.spare in torch["state"]
    ]


def module_of(family: Family, role: str) -> str:
    """PaddleNLP's first module with this role, as its base model calls it."""
    return family.roles[role].format(**dict.fromkeys(family.repeat, 0))


def exchanged_roles(family: Family, rules: Rules, paddle: Facts) -> list[str]:
    """Query, key and value go to modules, or parameters, that Hugging Face calls so too: each library's names begin
    with q, k and v. Where Hugging Face has one for the three, they stand in it in this order, as its classes split
    them."""
    problems = [
        f"the order of query, key and value in {', '.join(rule.targets)} is {', '.join(rule.sources)}"
        for rule in mapped(rules, paddle)
        if (places := _places_of_roles(family, rule)) != sorted(places)
    ]
    for role in ("query", "key", "value"):
        if role not in family.roles:
            continue
        module = module_of(family, role)
        for rule in mapped(rules, paddle):
            if rule.is_single and rule.source.endswith((module, f"{module}.weight", f"{module}.bias")):
                target = str(rule.target).split(".")[-1 if rule.source.endswith(module) else -2]
                if not target.startswith(role[0]):
                    problems.append(f"the {role} goes to {rule.target}")
    return problems


def _places_of_roles(family: Family, rule: Rule) -> list[int]:
    """The places of query, key and value, in this order, among the sources of a rule that joins them."""
    modules = [module_of(family, role) for role in ("query", "key", "value") if role in family.roles]
    found = ([place for place, source in enumerate(rule.sources) if module in source] for module in modules)
    return [place for places in found for place in places] if not rule.is_single else []


QUESTIONS = {
    "sources": misfitting_sources,
    "targets": misfitting_targets,
    "values": lost_values,
    "vectors": torn_vectors,
    "drops": needless_drops,
}
