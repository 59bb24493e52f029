"""What the tensors of a PaddleNLP checkpoint tell beyond its configuration: their names, their sizes, the class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import ConfigurationError
from ...mappings.language.family import Family
from ...mappings.language.matching.naming import Naming, settle_names, with_old_names
from ...mappings.language.matching.plan import TensorFacts, expected_tensors, former_of, is_prefixed, misfits
from ...mappings.language.matching.sizes import head_fields, measured_sizes, unsaid_fields
from .configuration import SourceConfiguration, check_stated, complete_fields


@dataclass(frozen=True)
class Understood:
    """What a checkpoint is: PaddleNLP's class, complete fields, what its tensors are called, and the guesses made.
    `measured` are the fields that the tensors tell and that PaddleNLP would take to be something else."""

    architecture: str
    fields: dict[str, Any]
    naming: Naming
    guesses: tuple[str, ...]
    measured: Mapping[str, int]


def understand(
    family: Family,
    named: str | None,
    configuration: SourceConfiguration,
    facts: Mapping[str, TensorFacts],
    path: Path,
    *,
    complete: bool,
) -> Understood:
    """Settle the names of the tensors in `facts`, the class unless it is `named`, and the fields that `configuration`
    does not state.

    `complete`: what a configuration leaves out has PaddleNLP's default, but for the size of a head, of which a
    backbone's configuration says nothing. Otherwise sizes follow from the tensors, and it must state all else that
    outputs depend on. Raises UnknownNameError, ConfigurationError and UnmatchedTensorsError.
    """
    check_stated(family, configuration.fields)
    reading = _Reading(
        family, None if named is None else family.model(named).source, configuration.fields, facts, complete
    )
    likely = reading.named or family.base
    if not complete and (unsaid := unsaid_fields(family, {*configuration.fields, *reading.measured(likely, facts)})):
        raise ConfigurationError(
            f"{path}: nothing states {', '.join(unsaid)}, which do not follow from the tensors; state them in a JSON "
            "file and name it with --config"
        )
    fields = reading.fields(likely, facts)
    rules = family.rules(family.base, fields, prefixed=False)
    backbone = {name for rule in rules for name in rule.sources}
    naming = with_old_names(family, settle_names(facts, backbone, family.source_prefix, reading.fitting))
    if naming.old and configuration.fields.get("tie_word_embeddings") is False:
        raise ConfigurationError(
            f"{configuration.origin}: tie_word_embeddings is false, and {', '.join(naming.old)} is stored under an old "
            "name, which PaddleNLP leaves aside: it would be initialised at random"
        )
    tensors = {name: facts[stored] for stored, name in naming.names.items()}
    guesses = []
    architecture = reading.named
    if architecture is None:
        architecture = reading.guess(tensors, path)
        guesses.append(f"architecture {architecture}, from the names of the tensors")
    if naming.reading is not None:
        guesses.append(f"{naming.reading}; read so, they fit {architecture}")
    if architecture == family.base:
        # PaddleNLP finds a base model's tensors under a task model's names, but in float32 only.
        plain = {stored: name.removeprefix(family.source_prefix) for stored, name in naming.names.items()}
        naming = replace(naming, names=plain)
        tensors = {name: facts[stored] for stored, name in plain.items()}
    measured = reading.measured(architecture, tensors)
    defaults = {entry.name: entry.default for entry in family.fields if entry.has_default} | {"num_labels": 2}
    unlike = {name: size for name, size in measured.items() if defaults.get(name) != size}
    if told := measured if not complete else unlike:
        guesses.append(f"{', '.join(f'{name} {size}' for name, size in told.items())}, from the shapes of the tensors")
    fields = complete_fields(family, {**reading.stated, **measured})
    return Understood(architecture, fields, naming, tuple(guesses), unlike if complete else measured)


@dataclass(frozen=True)
class _Reading:
    """A checkpoint that is being understood: its family, its class where that is named, what the configuration states,
    its tensors by their names in the file, and whether what is not stated has PaddleNLP's default."""

    family: Family
    named: str | None
    stated: Mapping[str, Any]
    facts: Mapping[str, TensorFacts]
    complete: bool

    def measured(self, architecture: str, tensors: Mapping[str, TensorFacts]) -> dict[str, int]:
        """The fields that only the tensors tell."""
        shapes = {name: facts.shape for name, facts in tensors.items()}
        found = measured_sizes(self.family, architecture, self.stated, shapes)
        told = head_fields(self.family, architecture, self.stated) if self.complete else found.keys()
        return {name: size for name, size in found.items() if name in told}

    def fields(self, architecture: str, tensors: Mapping[str, TensorFacts]) -> dict[str, Any]:
        """Complete fields. Raises ConfigurationError."""
        return complete_fields(self.family, {**self.stated, **self.measured(architecture, tensors)})

    def fitting(self, names: Mapping[str, str]) -> list[str]:
        """The classes that tensors fit which are called so: the named one, else others."""
        naming = with_old_names(self.family, Naming(names))
        tensors = {name: self.facts[stored] for stored, name in naming.names.items()}
        if self.named is not None and self._fits(self.named, tensors):
            return [self.named]
        return [model.source for model in self.family.models if self._fits(model.source, tensors)]

    def _fits(self, architecture: str, tensors: Mapping[str, TensorFacts]) -> bool:
        # PaddleNLP itself does not load a task model whose backbone lacks the prefix.
        if not self.family.is_bare(architecture) and not is_prefixed(self.family, tensors):
            return False
        return not self._problems(architecture, tensors)

    def _problems(self, architecture: str, tensors: Mapping[str, TensorFacts]) -> list[str]:
        rules = self.family.rules(architecture, self.fields(architecture, tensors), is_prefixed(self.family, tensors))
        return misfits(expected_tensors(rules), tensors)

    def guess(self, tensors: Mapping[str, TensorFacts], path: Path) -> str:
        """The only class that the tensors fit, or the nearest one. Raises ConfigurationError where they fit several."""
        problems = {model.source: self._problems(model.source, tensors) for model in self.family.models}
        fitting = [name for name, found in problems.items() if not found]
        former = [name for name in problems if former_of(self.family, name, tensors) is not None]
        if fitting and former:
            raise ConfigurationError(
                f"{path}: the tensors fit {' and '.join(fitting)}, and {former[0]} of earlier versions, which is "
                "refused; the configuration names no architecture: choose with --architecture"
            )
        if len(fitting) > 1:
            raise ConfigurationError(
                f"{path}: the tensors fit {' and '.join(fitting)}, and the configuration names no architecture; choose "
                "with --architecture"
            )
        return fitting[0] if fitting else min(problems, key=lambda name: sum(map(len, problems[name])))
