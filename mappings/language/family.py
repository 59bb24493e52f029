"""A family: all that the project knows of one kind of model, in one object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any

from ...errors import ConfigurationError, MappingError, UnknownNameError
from .beside import Probabilities, SeparateHead
from .fields import Field, Generation, running
from .limits import NO_LIMITS, PLAIN, Former, LayerForm, Limits, Withdrawn
from .limits import DeclaredDifference as DeclaredDifference
from .limits import Defaults as Defaults
from .pretrained import Reference
from .rows import MappedRow, Row
from .rules import Place, Rule, refuse_duplicates, size_of
from .tokenizers import TokenizerFacts

JOINED_ROLES = ("query", "key", "value")
ROLES = (
    *("words", "positions"),
    *JOINED_ROLES,
    *("attention_out", "attention_norm"),
    *("feed_forward_in", "feed_forward_out", "feed_forward_norm"),
)
"""What modules do, in the words of the faults that strike them, `positions` where a family has a table of them.
Besides, `pooler` where a family has one, `distances` a table of what attention adds for them, and the same of a decoder
with `decoder_` and `cross_` before them."""

JOINT_ROLE = "query_key_value"
"""In place of three, the role of a module that makes all of them at once: one after the other for each head."""

ATTENTION_ROLES = (*JOINED_ROLES, "attention_out")
"""Those of them that a family without heads does not have."""

FEW_RULES = 2000
"""Rules that are kept although others were made since."""


@dataclass(frozen=True)
class Model:
    """One architecture: PaddleNLP's class, Hugging Face's class when its name differs, and the task head's rows.

    `pooler` says whether the Hugging Face class has one; where it has none the source's pooler is dropped by name,
    unless the head's rows take it along, or say what becomes of it (`takes_pooler`). `auto_class` is the class of
    transformers that loads the converted folder. `labels` is the number of labels that the Hugging Face class must be
    given where PaddleNLP's head has a fixed size whatever its configuration says. `probabilities` are for a class that
    returns those. `needs` are arguments that PaddleNLP's class insists on beside the usual ones: positions, for each a
    value for one row after the other, and from the first on again where there are more rows. `beside` is for a head
    that Hugging Face's class has no place for: its rows' tensors are written to a file of their own. `refuses` says of
    a configuration, PaddleNLP's, why Hugging Face's class cannot express it, if it cannot. `returns` are neutral names
    for what PaddleNLP's class returns where it cannot be asked for its hidden states, nor for names, or where its own
    name does not say what it answers; `asks` are arguments that it has to be called with all the same. `gives_pooled`:
    what PaddleNLP's class returns ends in the output of a pooler that Hugging Face's does not have. `limits` are its
    own where they are not the family's. `former` is what the class was in earlier versions, if that was another model.
    `read_at` is the field with the id at whose last place among the encoder's ids the class reads the decoder's state:
    every row holds it equally often, and the decoder is given as many ids as the encoder. `decodes` is False for a
    class that is the encoder alone in a family with decoders: it has none of the decoder's rows, and PaddleNLP's files
    of it have no prefix, as those of the base.
    `generation` is for a class that writes texts. `aliases` are other names of PaddleNLP's for the class, which its
    files may state.
    """

    source: str
    target: str | None = None
    pooler: bool = True
    head: tuple[Row, ...] = ()
    auto_class: str = "AutoModel"
    labels: int | None = None
    refuses: Callable[[Mapping[str, Any]], str | None] | None = None
    takes_pooler: bool = False
    probabilities: Probabilities | None = None
    needs: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    returns: tuple[str, ...] | None = None
    beside: SeparateHead | None = None
    asks: Mapping[str, Any] = field(default_factory=dict)
    gives_pooled: bool = False
    limits: Limits | None = None
    former: Former | None = None
    read_at: str | None = None
    decodes: bool = True
    generation: Generation | None = None
    aliases: tuple[str, ...] = ()

    def refusal(self, configuration: Mapping[str, Any]) -> str | None:
        """Why Hugging Face's class cannot express a configuration of PaddleNLP's; None where it can."""
        return self.refuses(configuration) if self.refuses is not None else None

    @property
    def target_architecture(self) -> str:
        """The Hugging Face class."""
        return self.target or self.source


@dataclass(frozen=True)
class Alternative:
    """Another model of Hugging Face's that a family's weights become.

    `name` is what `--target` takes; `becomes` says in a line of every report what was proven with it, and `difference`
    is declared. `target_type`, `target_prefix`, `models` and `constants` are what a family has under these names,
    `fields` those that differ. `stated_positions`: PaddleNLP's model, which counts positions otherwise by
    itself, is given them from 0, as Hugging Face's counts.
    """

    name: str
    target_type: str
    target_prefix: str
    models: tuple[Model, ...]
    becomes: str
    difference: DeclaredDifference
    constants: Mapping[str, Any]
    fields: tuple[Field, ...] = ()
    stated_positions: bool = False

    def of(self, family: Family) -> Family:
        """The family whose target is this one."""
        return replace(
            family,
            target=self.name,
            becomes=self.becomes,
            target_type=self.target_type,
            target_prefix=self.target_prefix,
            models=self.models,
            constants=self.constants,
            fields=tuple({entry.name: entry for entry in (*family.fields, *self.fields)}.values()),
            declared_differences=(*family.declared_differences, self.difference),
            stated_positions=self.stated_positions,
            alternatives=(),
        )


@dataclass(frozen=True)
class Family:
    """All that is known of one model family. Building one checks its rows; a faulty mapping raises MappingError.

    `backbone` are the rows of all classes, and `decoder` those that a class which is the encoder alone does not have.
    `roles` names the source modules by what they do (ROLES), wildcards included, so that a fault can be described once
    for all families. `source_constants` are fields that only PaddleNLP has, with the one value that Hugging Face's
    model stands for; `pooler_field` is the one that leaves PaddleNLP's pooler away, if any. `target_type` is Hugging
    Face's model_type where that is not the family's name, `source_type` PaddleNLP's. `refused` are PaddleNLP's classes
    that Hugging Face has no exact twin of, each with the reason and the way out, if any. `defaults` is what its models
    take by themselves, `arguments` are those that they are given when the frameworks are compared, `target_arguments`
    those of Hugging Face's class where they are others (zeros where PaddleNLP's has no such thing). `first_position` is
    the position of the first token, and `adds_first_position` says that PaddleNLP adds it to what it is given, where
    Hugging Face's class wants the sum; `more_positions` says how many rows the table of positions has beyond
    `max_position_embeddings`. `encoder_gives` names what PaddleNLP's encoder returns where it cannot be asked for more:
    `hidden_states`, and `attention_scores` before the softmax. `limits` are what its models cannot take or give then,
    and `layers` says how states go through their layers. `final_norm`: the last hidden state that a class hands out is
    behind a norm of its own, in one library at least, so that what the layers take and give stands in place of all that
    it hands out. `causal`: no token depends on one behind it. `zero_padding_row`: the padding id's embedding,
    which PaddleNLP reads as zeros, reaches attended positions, so that Hugging Face's class has to read zeros too: the
    row is written so, whatever a file holds in it. `small` is a configuration for tests that has every repeated part at
    least twice, and `variants` are changes of it under which rows or fields change. `citation` are the lines of a
    BibTeX entry, and `references`, by pretrained name, what independent sources say that published weights compute.
    `old_names` leads from names under which earlier versions of PaddleNLP stored a tensor to those that the rows have,
    both with wildcards. `withdrawn` is for a family whose classes transformers no longer has. `buffers` is how many
    numbers its models hold beside their parameters, by PaddleNLP's configuration, where they are many. `widened`:
    Hugging Face's class, not all of which is double if built so, is built in single, and widened. `alternatives` are
    other models that the weights may become; in the family that one of them makes, `target` is its name. Where there
    are any, `becomes` says what is proven of the usual one. `stated_positions`: PaddleNLP's model is given positions
    from 0 although it counts otherwise by itself. `decoder_start` is for encoder-decoders: it makes the first id that
    the decoder is given of PaddleNLP's configuration. `reach` is the number of tokens from which on attention tells no
    distances apart, where these are looked up in a table: what the frameworks are compared on is longer.
    `embeds_sentences`: its backbones make vectors of sentences; `pooling` is how by default, `cls` say, where it
    is one of these.
    """

    name: str
    base: str
    source_prefix: str
    target_prefix: str
    repeat: Mapping[str, str]
    backbone: tuple[Row, ...]
    pooler: tuple[Row, ...]
    models: tuple[Model, ...]
    fields: tuple[Field, ...]
    constants: Mapping[str, Any]
    activations: tuple[str, ...]
    check_configuration: Callable[[Mapping[str, Any]], None]
    declared_differences: tuple[DeclaredDifference, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = field(default=())
    source_constants: Mapping[str, Any] = field(default_factory=dict)
    pooler_field: str | None = None
    target_type: str | None = None
    source_type: str | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    defaults: Defaults | None = None
    arguments: tuple[str, ...] = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
    target_arguments: tuple[str, ...] | None = None
    first_position: int = 0
    more_positions: int = 0
    limits: Limits = NO_LIMITS
    layers: LayerForm = PLAIN
    final_norm: bool = False
    causal: bool = False
    zero_padding_row: bool = False
    adds_first_position: bool = False
    encoder_gives: tuple[str, ...] | None = None
    tokenizer: TokenizerFacts | None = None
    small: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    citation: tuple[str, ...] = ()
    references: Mapping[str, Reference] = field(default_factory=dict)
    old_names: Mapping[str, str] = field(default_factory=dict)
    withdrawn: Withdrawn | None = None
    buffers: Callable[[Mapping[str, Any]], int] | None = None
    widened: bool = False
    alternatives: tuple[Alternative, ...] = ()
    target: str | None = None
    becomes: str = ""
    stated_positions: bool = False
    decoder_start: Callable[[Mapping[str, Any]], int] | None = None
    decoder: tuple[Row, ...] = ()
    reach: int = 0
    embeds_sentences: bool = False
    pooling: str | None = None
    _last: tuple[tuple[Any, tuple[Rule, ...]], ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        architectures = [model.source for model in self.models]
        if twice := [name for name in architectures if architectures.count(name) > 1]:
            raise MappingError(f"{self.name}: two models are called {twice[0]}")
        if both := sorted(set(architectures) & set(self.refused)):
            raise MappingError(f"{self.name}: {both[0]} is one of its models, and refused")
        if self.base not in architectures:
            raise MappingError(f"{self.name}: the base {self.base} is none of its models")

    def check(self) -> None:
        """Raise MappingError where the rows are faulty with one of the samples, or an old name leads nowhere; for the
        alternatives too. No conversion waits for this: it expands the rows that it needs, and a test does the rest."""
        for configuration in self.samples():
            for model in self.models:
                for prefixed in (False, True) if model.refusal(configuration) is None else ():
                    self.rules(model.source, configuration, prefixed)
        self._check_old_names()
        for one in self.alternatives:
            one.of(self).check()

    def _check_old_names(self) -> None:
        heads = (row for model in self.models for row in model.head)
        given = [row for part in (self.backbone, self.decoder, self.pooler, heads) for row in part]
        names = {
            name
            for sample in self.samples()
            for one in given
            for row in one.under(sample)
            for name in row.source_shapes()
        }
        for old, name in self.old_names.items():
            if name not in names or old in names:
                which, what = (name, "no row has") if name not in names else (old, "a row has, too")
                raise MappingError(f"{self.name}: old_names has {which}, which {what}")

    def samples(self) -> list[dict[str, Any]]:
        """Complete configurations that the rows can be tried with: the small one, and each variant of it."""
        stated = {entry.name: entry.default for entry in self.fields if entry.has_default}
        small = {"num_labels": 2, **stated, **self.small}
        if not self.small:
            sizes = {entry.name: 7 for entry in self.fields if not entry.has_default}
            small = {**small, **sizes, **dict.fromkeys(self.repeat.values(), 2)}
        return [running(self.fields, {**small, **variant}) for variant in ({}, *self.variants.values())]

    def unanswered(self) -> list[str]:
        """The questions that this family leaves open; empty for one that may be registered."""
        questions = {
            "what PaddleNLP's models take by default (defaults)": self.defaults is not None,
            "which tokenizers it has (tokenizer)": self.tokenizer is not None,
            "a small configuration for tests (small)": bool(self.small),
            "the paper that introduced it (citation)": bool(self.citation),
            "activations whose equality is established (activations)": bool(self.activations),
            **{f"the module with the role {role} (roles)": role in self.roles for role in self._wanted_roles()},
        }
        twice = [name for name in self.repeat.values() if self.small and int(self.small.get(name, 0)) < 2]
        questions |= {f"a small configuration with 2 or more {name} (small)": False for name in twice}
        return [question for question, answered in questions.items() if not answered]

    def start(self, configuration: Mapping[str, Any]) -> int:
        """Where positions begin that both models are handed, beside `first_position`: from the padding id on by one
        where they count so themselves, as the classes of Hugging Face's that do give the rows before it no gradient."""
        after = self.defaults is not None and self.defaults.positions_after_padding
        counts = after and not self.stated_positions and not self.first_position
        return int(configuration["pad_token_id"]) + 1 if counts else 0

    def longest(self, configuration: Mapping[str, Any]) -> int | None:
        """How many tokens the models take by themselves, where that is not all that their table of positions holds, as
        none stands before the first position."""
        before = self.first_position + self.start(configuration)
        return int(configuration["max_position_embeddings"]) - before if before else None

    def target_notes(self, target_architecture: str) -> tuple[str, ...]:
        """Which of several models the weights became, in a line, where there is a choice."""
        if not self.becomes:
            return ()
        return (f"target {self.target or 'as usual'}, {target_architecture}: {self.becomes}",)

    @property
    def model_type(self) -> str:
        """Hugging Face's name of the family."""
        return self.target_type or self.name

    def _wanted_roles(self) -> tuple[str, ...]:
        attends = any(entry.name == "num_attention_heads" for entry in self.fields)
        has_table = "position_ids" in self.arguments or self.limits.positions is not None
        left_out = {*(() if attends else ATTENTION_ROLES), *(() if has_table else ("positions",))}
        left_out |= set(JOINED_ROLES) if JOINT_ROLE in self.roles else set()
        roles = [role for role in ROLES if role not in left_out]
        return (*roles, *(("pooler",) if self.pooler else ()))

    def decodes(self, architecture: str) -> bool:
        """Whether the models of a class have a decoder behind their encoder."""
        return self.decoder_start is not None and self.model(architecture).decodes

    def limits_of(self, architecture: str) -> Limits:
        """What the models of a class cannot take or give when the frameworks are compared."""
        limits = self.model(architecture).limits
        return self.limits if limits is None else limits

    def arguments_of(self, side: str, limits: Limits = NO_LIMITS) -> tuple[str, ...]:
        """The arguments that models with these limits are given on a side, `paddle` or `torch`."""
        given = self.target_arguments if side == "torch" and self.target_arguments is not None else self.arguments
        # What PaddleNLP's model does not attend to by itself, Hugging Face's class has to be told.
        left_out = {"position_ids"} if limits.positions is not None else set()
        left_out |= {"attention_mask"} if limits.mask is not None and side == "paddle" else set()
        return tuple(name for name in given if name not in left_out)

    def declared(self, architecture: str) -> tuple[DeclaredDifference, ...]:
        """The declared differences that apply to a PaddleNLP class."""
        return tuple(
            difference
            for difference in self.declared_differences
            if not difference.architectures or architecture in difference.architectures
        )

    def model(self, architecture: str) -> Model:
        """The model with this PaddleNLP or Hugging Face class name. Raises UnknownNameError, and ConfigurationError for
        a class that is refused."""
        for model in self.models:
            if architecture in (model.source, model.target_architecture, *model.aliases):
                return model
        self.refuse(architecture)
        known = ", ".join(model.source for model in self.models)
        raise UnknownNameError(f"unknown architecture {architecture!r} of family {self.name}; known are {known}")

    def refuse(self, architecture: str) -> None:
        """Raise ConfigurationError, with the reason, for a PaddleNLP class that is refused."""
        if architecture in self.refused:
            raise ConfigurationError(f"{architecture} is refused: {self.refused[architecture]}")

    def refuse_configuration(self, architecture: str, configuration: Mapping[str, Any]) -> None:
        """Raise ConfigurationError, with the reason, where Hugging Face's class cannot express a configuration of
        PaddleNLP's."""
        model = self.model(architecture)
        if (reason := model.refusal(configuration)) is not None:
            raise ConfigurationError(f"{model.source} cannot become {model.target_architecture}: {reason}")

    def is_backbone(self, architecture: str) -> bool:
        """Whether a PaddleNLP class becomes Hugging Face's backbone alone, whose tensors carry no prefix."""
        return self.model(architecture).target_architecture == self.model(self.base).target_architecture

    def sizes(self) -> tuple[str, ...]:
        """The fields that say how large the model is, in the order of `fields`: those that rows name, those that say
        how often they repeat, and the numbers of layers and heads."""
        return self._sizes

    @cached_property
    def _sizes(self) -> tuple[str, ...]:
        named = {size for configuration in self.samples() for row in self.rows(configuration) for size in row.sizes()}
        named |= {*self.repeat.values(), "num_hidden_layers", "num_attention_heads"}
        return tuple(entry.name for entry in self.fields if entry.name in named)

    def rows(self, configuration: Mapping[str, Any]) -> list[Row]:
        """The backbone's rows that exist with this configuration, which is PaddleNLP's."""
        return [row for given in (*self.backbone, *self.decoder) for row in given.under(configuration)]

    def backbone_of(self, architecture: str) -> tuple[Row, ...]:
        """The rows of the backbone that a class has."""
        return (*self.backbone, *(self.decoder if self.model(architecture).decodes else ()))

    def is_bare(self, architecture: str) -> bool:
        """Whether PaddleNLP's own files of a class have no prefix: of the base, or the encoder alone."""
        return architecture == self.base or not self.model(architecture).decodes

    def rules(self, architecture: str, configuration: Mapping[str, Any], prefixed: bool) -> tuple[Rule, ...]:
        """One rule per tensor, or per group of tensors that belong together, that a checkpoint of `architecture` can
        hold.

        `configuration` is PaddleNLP's; `prefixed` says whether the source's backbone carries the family's prefix.
        Raises MappingError for a row that expands to nothing, for a source or target that two rules share and for a
        twin that no rule has, ConfigurationError for a missing or impossible size.
        """
        model = self.model(architecture)
        # Asked for several times of one checkpoint, with the measured sizes and without, and again of others like it:
        # the last two are kept, and of tens of thousands the last.
        key = (model.source, prefixed, repr(sorted(configuration.items())))
        kept = self._last
        rules = next((made for known, made in kept if known == key), None)
        if rules is None:
            rules = self._spell(model, configuration, prefixed)
            object.__setattr__(self, "_last", ((key, rules), *(kept[:1] if len(rules) <= FEW_RULES else ())))
        return rules

    def _spell(self, model: Model, configuration: Mapping[str, Any], prefixed: bool) -> tuple[Rule, ...]:
        prefix = self.source_prefix if prefixed else ""
        target_prefix = "" if self.is_backbone(model.source) else self.target_prefix
        backbone = Place(configuration, prefix, target_prefix, prefix)
        no_pooler = None if model.pooler else f"{model.target_architecture} of Hugging Face has no pooler"
        places = [
            (self.backbone_of(model.source), backbone, False),
            (() if model.takes_pooler else self.pooler, replace(backbone, drop_reason=no_pooler), False),
            (model.head, Place(configuration, backbone=prefix), model.beside is not None),
        ]
        rules = [
            replace(rule, beside=True) if beside else rule
            for rows, place, beside in places
            for given in rows
            for row in given.under(configuration)
            for rule in self._expand(row, place)
        ]
        refuse_duplicates(rules)
        sources = {name for rule in rules for name in rule.sources}
        for rule in rules:
            if rule.twin is not None and rule.twin not in sources:
                raise MappingError(f"{self.name}: no rule has the twin {rule.twin} of {rule.source}")
        return tuple(rules)

    def _expand(self, row: Row, place: Place) -> list[Rule]:
        try:
            wildcards = row.wildcards()
        except MappingError as error:
            raise MappingError(f"{self.name}: {error}") from error
        if unknown := [name for name in wildcards if name not in self.repeat]:
            raise MappingError(f"{self.name}: row {row.label} has the unknown wildcard {{{unknown[0]}}}")
        counts = [size_of(self.repeat[name], place.configuration) for name in wildcards]
        rules: list[Rule] = []
        for indices in product(*(range(count) for count in counts)):
            rules += row.rules(replace(place, values=dict(zip(wildcards, indices, strict=True))))
        if not rules or (isinstance(row, MappedRow) and not row.parts()):
            raise MappingError(f"{self.name}: row {row.label} expands to no tensor")
        return rules
