"""The plan of a conversion: rules and the tensors that are really there, matched, with both sides closed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ....errors import UnmatchedTensorsError
from ..beside import SeparateHead
from ..family import Family, Model
from ..limits import Former
from ..rules import Kind, Move, Rule
from .folding import fold_names
from .sizes import LABELS, head_fields, measured_sizes


@dataclass(frozen=True)
class TensorFacts:
    """What a plan needs to know of a source tensor: element type by name, and shape."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """What happens to every tensor of a source.

    `moves` fill the target; `tied` tensors are left out once they are seen to be bit-equal to their twin; `dropped`
    have no place in the target class; `ignored` are buffers that must count from a first number. `renamed` leads from
    names in the file to those of PaddleNLP's model that stand here, where they differ; `old` leads from the latter to
    old names that PaddleNLP once stored.
    """

    family: Family
    architecture: str
    target_architecture: str
    moves: tuple[Move, ...]
    tied: tuple[Rule, ...]
    dropped: tuple[Rule, ...]
    ignored: tuple[Rule, ...]
    tie_word_embeddings: bool = True
    renamed: Mapping[str, str] = field(default_factory=dict)
    old: Mapping[str, str] = field(default_factory=dict)

    @property
    def loads_as_stored(self) -> bool:
        """Whether PaddleNLP's own `from_pretrained` finds the tensors in the file: of what is renamed it needs none."""
        return {*self.renamed.values()} <= {rule.source for rule in self.tied}

    @property
    def parameters(self) -> int:
        """Number of elements that are written."""
        return sum(move.size for move in self.moves)

    @property
    def model(self) -> Model:
        """The architecture, as the family has it."""
        return self.family.model(self.architecture)

    @property
    def beside(self) -> SeparateHead | None:
        """How the head is computed whose tensors lie in a file of their own, if there is one."""
        return self.model.beside

    @property
    def drop_reasons(self) -> dict[str, tuple[str, ...]]:
        """The reasons why tensors are dropped, each with their names."""
        named: dict[str, tuple[str, ...]] = {}
        for rule in self.dropped:
            named[str(rule.reason)] = (*named.get(str(rule.reason), ()), *rule.sources)
        return named

    def untie(self, rule: Rule) -> Plan:
        """The plan for a tied tensor that differs from its twin: it is written under its own name.

        Raises UnmatchedTensorsError when Hugging Face has no place for it, and when PaddleNLP's model has none either.
        """
        if rule.one:
            raise UnmatchedTensorsError(
                f"{rule.source} differs from {rule.twin}, but PaddleNLP's model has one parameter for both; load the "
                "model with PaddleNLP and save it again"
            )
        if rule.target is None:
            raise UnmatchedTensorsError(
                f"{rule.source} differs from {rule.twin}, but Hugging Face holds the two as one tensor"
            )
        tied = tuple(other for other in self.tied if other is not rule)
        return replace(self, tied=tied).with_untied(rule, rule.moves())

    def with_untied(self, rule: Rule, moves: Iterable[Move]) -> Plan:
        """The plan in which `moves` fill the target of a tied tensor, with what that takes along."""
        filled = {source: move for move in self.moves for source in move.sources}
        copies = tuple(replace(filled[source], target=target) for source, target in rule.copies)
        return replace(self, moves=(*self.moves, *moves, *copies), tie_word_embeddings=False)


TIE = "tie_word_embeddings"


def is_prefixed(family: Family, names: Collection[str]) -> bool:
    """Whether the backbone's tensors carry the family's prefix, as in a task model."""
    return any(name.startswith(family.source_prefix) for name in names)


def make_plan(
    family: Family, architecture: str, configuration: Mapping[str, Any], tensors: Mapping[str, TensorFacts]
) -> Plan:
    """Match the rules of an architecture with the tensors of a checkpoint, strictly.

    Raises UnmatchedTensorsError for what an earlier version's class saved that is refused, and one that lists,
    together, every tensor without a rule (with the nearest rule), every missing tensor, every shape that contradicts
    the configuration and every element type that is no float, and ConfigurationError for what Hugging Face's class
    cannot express.
    """
    family.refuse_configuration(architecture, configuration)
    if (former := former_of(family, architecture, tensors)) is not None:
        raise UnmatchedTensorsError(f"{architecture} is refused: {former.reason}")
    rules = family.rules(architecture, configuration, is_prefixed(family, tensors))
    problems = misfits(expected_tensors(rules), tensors)
    if problems:
        hint = _better_architecture(family, architecture, configuration, tensors)
        raise UnmatchedTensorsError(f"the tensors do not fit {architecture}: " + "; ".join(problems) + hint)
    present = [rule for rule in rules if all(name in tensors for name in rule.sources)]
    return Plan(
        family=family,
        architecture=family.model(architecture).source,
        target_architecture=family.model(architecture).target_architecture,
        moves=tuple(move for rule in present if rule.kind is Kind.MAPPED for move in rule.moves()),
        tied=tuple(rule for rule in present if rule.kind is Kind.TIED),
        dropped=tuple(rule for rule in present if rule.kind is Kind.DROPPED),
        ignored=tuple(rule for rule in present if rule.kind is Kind.IGNORED),
        tie_word_embeddings=_is_tied(family, architecture, configuration),
    )


def _is_tied(family: Family, architecture: str, configuration: Mapping[str, Any]) -> bool:
    """Whether a class has no decoder of its own beside the word embeddings: told by the values of the tensors, unless
    PaddleNLP's configuration tells it."""
    told = any(entry.name == TIE for entry in family.fields) and bool(family.model(architecture).head)
    return bool(configuration[TIE]) if told else True


def former_of(family: Family, architecture: str, names: Collection[str]) -> Former | None:
    """What a class was in earlier versions, if that is what holds tensors of these names."""
    former = family.model(architecture).former
    return former if former is not None and former.is_held(names, family.source_prefix) else None


@dataclass(frozen=True)
class Expected:
    """What a rule wants of one tensor; `number` says that it must hold floating-point numbers."""

    shape: tuple[int, ...]
    optional: bool = False
    number: bool = True


def expected_tensors(rules: Iterable[Rule]) -> dict[str, Expected]:
    """What rules want of PaddleNLP's tensors, by name."""
    return {
        name: Expected(shape, rule.optional, rule.kind is not Kind.IGNORED)
        for rule in rules
        for name, shape in zip(rule.sources, rule.shapes, strict=True)
    }


def misfits(expected: Mapping[str, Expected], tensors: Mapping[str, TensorFacts]) -> list[str]:
    """What keeps tensors from fitting: those that nothing expects, missing ones, wrong shapes and element types; empty
    when all fit."""
    return _unexpected(expected, tensors) + _missing(expected, tensors) + _contradictions(expected, tensors)


def fitting_architectures(
    family: Family, configuration: Mapping[str, Any], tensors: Mapping[str, TensorFacts]
) -> list[str]:
    """The PaddleNLP classes whose rules these tensors fit by name and shape; of several that become one class of
    Hugging Face's, the first, as one conversion does for all."""
    fitting: dict[str, str] = {}
    for model in family.models:
        if fits(family, model.source, configuration, tensors):
            fitting.setdefault(model.target_architecture, model.source)
    return list(fitting.values())


def fits(
    family: Family, architecture: str, configuration: Mapping[str, Any], tensors: Mapping[str, TensorFacts]
) -> bool:
    """Whether tensors fit a PaddleNLP class by name, shape and kind of element type."""
    rules = family.rules(architecture, configuration, is_prefixed(family, tensors))
    return not misfits(expected_tensors(rules), tensors)


def _better_architecture(
    family: Family, architecture: str, configuration: Mapping[str, Any], tensors: Mapping[str, TensorFacts]
) -> str:
    """Other classes that tensors fit, in words. Raises ConfigurationError for one whose twin cannot express them."""
    fitting = []
    for model in family.models:
        fields = with_head_sizes(family, model.source, configuration, tensors)
        if model.source != architecture and fits(family, model.source, fields, tensors):
            family.refuse_configuration(model.source, fields)
            other = {name: value for name, value in fields.items() if configuration.get(name) != value}
            fitting.append(model.source + "".join(f" with {name} {value}" for name, value in other.items()))
    return f" (they fit {' or '.join(fitting)}: choose with --architecture)" if fitting else ""


def with_head_sizes(
    family: Family, architecture: str, configuration: Mapping[str, Any], tensors: Mapping[str, TensorFacts]
) -> dict[str, Any]:
    """The configuration with the sizes of an architecture's head as the tensors show them."""
    told = {*head_fields(family, architecture, configuration), *LABELS}
    stated = {name: value for name, value in configuration.items() if name not in told}
    shapes = {name: facts.shape for name, facts in tensors.items()}
    return {**configuration, **measured_sizes(family, architecture, stated, shapes)}


def _unexpected(expected: Mapping[str, Expected], tensors: Collection[str]) -> list[str]:
    names = fold_names(name for name in tensors if name not in expected)
    if not names:
        return []
    known = fold_names(expected)

    def with_nearest(name: str) -> str:
        near = difflib.get_close_matches(name, known, 1, 0.6)
        return f"{name} (nearest rule: {near[0]})" if near else name

    return [f"no rule for {_listed(names, with_nearest)}"]


def _missing(expected: Mapping[str, Expected], tensors: Collection[str]) -> list[str]:
    names = fold_names(name for name, wanted in expected.items() if name not in tensors and not wanted.optional)
    return [f"missing {_listed(names)}"] if names else []


def _contradictions(expected: Mapping[str, Expected], tensors: Mapping[str, TensorFacts]) -> list[str]:
    by_problem: dict[str, list[str]] = {}
    for name, wanted in expected.items():
        facts = tensors.get(name)
        if facts is None:
            continue
        if facts.shape != wanted.shape:
            problem = f" has shape {list(facts.shape)}, the configuration says {list(wanted.shape)}"
        elif wanted.number and "float" not in facts.dtype:
            problem = f" holds {facts.dtype}, a floating-point type is expected"
        else:
            continue
        by_problem.setdefault(problem, []).append(name)
    texts = [name + problem for problem, names in by_problem.items() for name in fold_names(names)]
    return [_listed(texts)] if texts else []


def _listed(names: list[str], shown: Callable[[str], str] = str, limit: int = 12) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(shown(name) for name in names[:limit]) + more
