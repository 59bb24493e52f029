"""The way back: what becomes of a Hugging Face checkpoint's tensors in a PaddleNLP one, with both sides closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ....errors import UnmatchedTensorsError
from ..family import Family
from ..rules import Kind, Move, Rule
from ..transforms import Region, chained, view_of_source
from .plan import Expected, TensorFacts, misfits
from .sizes import head_fields


@dataclass(frozen=True)
class InversePlan:
    """What happens to every tensor of a Hugging Face checkpoint.

    `moves` fill PaddleNLP's; a tensor that PaddleNLP stores twice has two. `repeated` leads from tensors that a file
    holds again to their twins, to which they must be bit-equal. `constant` names regions of tensors that come from no
    tensor of PaddleNLP's and must hold their fill. `ignored` are buffers that must hold a first number and those after
    it; `made` are such, with shapes and first numbers, that PaddleNLP's files hold and Hugging Face's do not. `random`
    are tensors of PaddleNLP's class that no file of Hugging Face's class has: PaddleNLP initialises them anew. `beyond`
    are tensors that PaddleNLP's class has and Hugging Face's has not, although the file holds them. `prefix` stands
    before the names of a base model that was saved as part of a task model. `renamed` leads from names in the file to
    those of Hugging Face's model that stand here, where they differ. `drop_reasons` are the reasons why tensors that
    neither class has are left out, each with their names.
    """

    family: Family
    architecture: str
    target_architecture: str
    moves: tuple[Move, ...]
    repeated: Mapping[str, str]
    constant: tuple[tuple[str, Region, float], ...]
    ignored: tuple[tuple[str, int | None], ...]
    made: tuple[tuple[str, tuple[int, ...], int], ...]
    random: tuple[str, ...]
    beyond: tuple[str, ...]
    prefix: str
    pooler: bool
    tie_word_embeddings: bool
    renamed: Mapping[str, str] = field(default_factory=dict)
    drop_reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def left_out(self) -> tuple[str, ...]:
        """The names of the file's tensors that no move takes along."""
        moved = {name for move in self.moves for name in move.sources}
        made = dict.fromkeys(name for name, _, _ in self.constant if name not in moved)
        unread = (name for names in self.drop_reasons.values() for name in names)
        return (*self.repeated, *(name for name, _ in self.ignored), *made, *unread)


def make_inverse_plan(
    family: Family,
    architecture: str,
    configuration: Mapping[str, Any],
    tensors: Mapping[str, TensorFacts],
    tie_word_embeddings: bool,
) -> InversePlan:
    """Match the rules of an architecture, read backwards, with the tensors of a Hugging Face checkpoint, strictly.

    `configuration` has PaddleNLP's field names. `tie_word_embeddings` is Hugging Face's: the decoder is the word
    embeddings whatever the file holds, or else its own tensor. Raises the errors of `make_plan`.
    """
    model = family.model(architecture)
    family.refuse_configuration(architecture, configuration)
    match = _Match(family, model.source, configuration, tensors, tie_word_embeddings)
    if problems := match.problems():
        others = _other_targets(family, model.source, configuration, tensors, tie_word_embeddings)
        hint = f" (they fit {' or '.join(others)}: choose with --architecture)" if others else ""
        raise UnmatchedTensorsError(
            f"the tensors do not fit {model.target_architecture} of Hugging Face: {'; '.join(problems)}{hint}"
        )
    return InversePlan(
        family=family,
        architecture=model.source,
        target_architecture=model.target_architecture,
        moves=match.moves(),
        repeated=match.repeated(),
        constant=match.constant(),
        ignored=tuple((match.names[rule.source], rule.first) for rule in match.present(Kind.IGNORED)),
        made=tuple((rule.source, rule.shape, rule.first or 0) for rule in match.rules if rule.stored),
        random=match.random(),
        beyond=tuple(match.names[rule.source] for rule in match.present(Kind.DROPPED)),
        prefix=match.prefix,
        pooler=match.has_pooler,
        tie_word_embeddings=tie_word_embeddings,
        drop_reasons=match.drop_reasons(),
    )


def fitting_targets(
    family: Family, configuration: Mapping[str, Any], tensors: Mapping[str, TensorFacts], tie_word_embeddings: bool
) -> list[str]:
    """The Hugging Face classes that these tensors fit by name and shape, each once."""
    fitting = (
        model.target_architecture
        for model in family.models
        if not _Match(family, model.source, configuration, tensors, tie_word_embeddings).problems()
    )
    return list(dict.fromkeys(fitting))


def _other_targets(
    family: Family,
    architecture: str,
    configuration: Mapping[str, Any],
    tensors: Mapping[str, TensorFacts],
    tie_word_embeddings: bool,
) -> list[str]:
    """The Hugging Face classes that the tensors fit, but for `architecture`, with what the configuration must say."""
    found = []
    lengths = {
        size for name, facts in tensors.items() if not name.startswith(family.target_prefix) for size in facts.shape
    }
    for model in family.models:
        unsaid = head_fields(family, model.source, configuration)
        said: list[dict[str, int]] = [{}] + [
            {name: length} for name in unsaid for length in sorted(lengths - {configuration.get(name)})
        ]
        for more in said if model.source != architecture else ():
            fields = {**configuration, **more}
            if not _Match(family, model.source, fields, tensors, tie_word_embeddings).problems():
                # The class of a head that lies beside is another one's, too.
                name_of = model.target_architecture if model.beside is None else model.source
                found.append(name_of + "".join(f" with {name} {more[name]}" for name in more))
                break
    return found


def backbone_targets(family: Family, configuration: Mapping[str, Any]) -> set[str]:
    """The names that Hugging Face's files may have for the tensors of the backbone, without the family's prefix."""
    rules = family.rules(family.base, configuration, prefixed=False)
    return {name for rule in rules for name in (*rule.targets, *([rule.spare] if rule.spare is not None else []))}


class _Match:
    """The rules of one architecture and the tensors of a Hugging Face checkpoint, side by side."""

    def __init__(
        self,
        family: Family,
        architecture: str,
        configuration: Mapping[str, Any],
        tensors: Mapping[str, TensorFacts],
        tie_word_embeddings: bool,
    ) -> None:
        self.family = family
        self.rules = family.rules(architecture, configuration, prefixed=not family.is_bare(architecture))
        self.tensors = tensors
        self.tie = tie_word_embeddings
        # A base model may have been saved as part of a task model.
        prefixed = family.is_backbone(architecture) and any(name.startswith(family.target_prefix) for name in tensors)
        self.prefix = family.target_prefix if prefixed else ""
        self.single = [rule for rule in self.rules if rule.is_single]
        self.names = {rule.source: self.front(rule) + (rule.target or rule.spare or "") for rule in self.single}
        self.by_source = {rule.source: rule for rule in self.single}
        self.repeats = {rule.twin: self.names[rule.source] for rule in self.single if self._is_tied(rule)}
        of_paddle = [rule for rule in self.rules if rule.kind is Kind.DROPPED and not rule.foreign]
        dropped = any(rule.spare is not None for rule in of_paddle)
        self.has_pooler = not dropped or bool(self.present(Kind.DROPPED))

    def front(self, rule: Rule) -> str:
        """What stands before a rule's targets in the file."""
        return "" if rule.beside else self.prefix

    def _is_tied(self, rule: Rule) -> bool:
        """Whether Hugging Face's model holds the tensor as one with its twin."""
        return rule.kind is Kind.TIED and (not rule.targets or self.tie or rule.one)

    @staticmethod
    def _is_nowhere(rule: Rule) -> bool:
        """Whether no file of Hugging Face's has a name for the tensor."""
        return rule.kind is Kind.DROPPED and rule.spare is None

    def present(self, kind: Kind) -> list[Rule]:
        """The rules of a kind whose tensor is there under its own name."""
        return [rule for rule in self.single if rule.kind is kind and self.names[rule.source] in self.tensors]

    def place(self, rule: Rule) -> str:
        """The name of the tensor that holds the values: its own, or that of its twin where the file has only that."""
        name = self.names[rule.source]
        repeat = self.repeats.get(rule.source)
        return repeat if repeat is not None and repeat in self.tensors and name not in self.tensors else name

    def problems(self) -> list[str]:
        """What does not fit."""
        expected: dict[str, Expected] = {}
        for rule in self.rules:
            if not rule.is_single:
                expected |= {
                    self.front(rule) + move.target: Expected(move.target_shape, rule.optional) for move in rule.moves()
                }
                continue
            if self._is_nowhere(rule):
                continue
            name = self.names[rule.source]
            optional = self._is_tied(rule) or rule.kind is Kind.IGNORED or self.place(rule) != name
            if rule.kind is Kind.DROPPED:
                optional = rule.foreign or not self.has_pooler
            expected[name] = Expected(_turned(rule), optional, rule.kind is not Kind.IGNORED)
        return misfits(expected, self.tensors)

    def moves(self) -> tuple[Move, ...]:
        """The moves to PaddleNLP's names, in the order of the rules."""
        moves: list[Move] = []
        for rule in self.rules:
            if not rule.is_single:
                moves += [
                    replace(back, sources=tuple(self.front(rule) + name for name in back.sources))
                    for back in rule.moves_back()
                ]
            elif rule.foreign:
                continue
            elif rule.kind in (Kind.MAPPED, Kind.TIED) or (
                rule.kind is Kind.DROPPED and self.has_pooler and not self._is_nowhere(rule)
            ):
                moves.append(self._single_move(rule))
        return tuple(moves)

    def _single_move(self, rule: Rule) -> Move:
        """The move to the rule's source; a tied tensor gets what its twin gets."""
        holder = self.by_source[rule.twin] if rule.twin is not None and self._is_tied(rule) else rule
        back = holder.one_to_one.inverse(holder.shapes)[0]
        if holder is not rule:
            back = chained(back, rule.one_to_one.inverse(rule.shapes)[0])
        return Move((self.place(holder),), rule.source, back, (_turned(holder),))

    def random(self) -> tuple[str, ...]:
        """The tensors of PaddleNLP's class that no file of Hugging Face's class has."""
        no_pooler = not self.has_pooler and self.family.pooler_field is None
        dropped = [rule for rule in self.rules if rule.kind is Kind.DROPPED and not rule.foreign]
        return tuple(rule.source for rule in dropped if no_pooler or self._is_nowhere(rule))

    def drop_reasons(self) -> dict[str, tuple[str, ...]]:
        """The reasons why tensors of the file that neither class has are left out, each with their names."""
        named: dict[str, tuple[str, ...]] = {}
        for rule in self.present(Kind.DROPPED):
            if rule.foreign:
                named[str(rule.reason)] = (*named.get(str(rule.reason), ()), self.names[rule.source])
        return named

    def constant(self) -> tuple[tuple[str, Region, float], ...]:
        """The regions of the file's tensors that PaddleNLP's have no place for, as they are made here, and how far they
        may be from that."""
        return tuple(
            (self.front(rule) + move.target, region, getattr(move.transform, "tolerance", 0.0))
            for rule in self.rules
            if rule.kind is Kind.MAPPED
            for move in rule.moves()
            for region in move.transform.view([view_of_source(*pair) for pair in enumerate(move.shapes)]).regions
            if region.source is None
        )

    def repeated(self) -> dict[str, str]:
        """Tensors that the file holds again -> the tensors that are taken."""
        found = {}
        for rule in self.present(Kind.TIED):
            if rule.twin is not None and self._is_tied(rule):
                taken = self.place(self.by_source[rule.twin])
                if taken != self.names[rule.source]:
                    found[self.names[rule.source]] = taken
        return found


def _turned(rule: Rule) -> tuple[int, ...]:
    """The shape on Hugging Face's side."""
    return rule.one_to_one.shape(rule.shapes)
