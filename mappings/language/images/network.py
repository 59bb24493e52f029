"""A network: all that the project knows of one kind of PaddleOCR's or PaddleClas's models, in one object.

What a family is to PaddleNLP's models, a network is to those that read pictures. PaddleOCR keeps no configuration
beside its weights that could be trusted, so that the sizes follow from the tensors alone; what tensors cannot tell,
such as strides, is fixed for each kind, and a training configuration that says otherwise is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ....errors import ConfigurationError
from ..matching.plan import TensorFacts, expected_tensors, misfits
from ..rows import Row
from ..rules import Place, Rule, refuse_duplicates
from .preparation import Preparation, Transforms

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of tensors by PaddleOCR's names."""

Sizes = Mapping[str, Any]
"""What the shapes of a network's tensors tell: numbers of classes and channels, the scale, and whether the blocks are
`fused`, as exports have them."""

Task = Literal["recognition", "detection", "classification", "table"]

EPSILON = 9.999999747378752e-06
"""Paddle's kernels of BatchNorm take their epsilon as a float32: this is 1e-5 in it."""


@dataclass(frozen=True)
class Constant:
    """A constant in which Paddle's network and transformers' class differ, and which no weight and no field of
    config.json can express.

    `kind` says what of torch's live model is given Paddle's `value` when the two are aligned: the `epsilon` of its
    norms; the `slope` of its hard sigmoids; a `factor`; or `double` arithmetic where a part is pinned to float32, which
    has no value. `own` are the numbers that transformers may have in its place, of epsilons Paddle's if there are none:
    any other is a mistake that alignment must not hide. `where` is a regular expression that finds the modules in
    "NAME (CLASS)", within which that holds. `text` names the cause in reports. `when` is the one of the sizes without
    which there is no such constant, such as `fused`."""

    name: str
    text: str
    kind: Literal["epsilon", "slope", "factor", "double"]
    where: str
    value: float = 0.0
    own: tuple[float, ...] = ()
    when: str | None = None

    def applies(self, sizes: Sizes) -> bool:
        """Whether networks of these sizes have the constant."""
        return self.when is None or bool(sizes.get(self.when))

    def to_json(self) -> dict[str, Any]:
        """The constant as a runner is told it."""
        return {"name": self.name, "kind": self.kind, "where": self.where, "value": self.value, "own": [*self.own]}


BATCH_NORM = Constant(
    "BatchNorm epsilon",
    "Paddle's kernels take the epsilon of BatchNorm as a float32, transformers as a float64",
    "epsilon",
    r"\(BatchNorm\d?d?\)$",
    EPSILON,
)


@dataclass(frozen=True)
class Network:
    """All that is known of one kind of network.

    `name` is its model_type in transformers, `target` the class there and `auto_class` the one that loads it; `title`
    is what people call it. `measure` gives the sizes of tensors with these shapes, or None where they are another
    network's; it raises ConfigurationError for sizes that transformers' class cannot have. `rows` are the mapping for
    sizes, `configuration` the fields of config.json, and `architecture` the section of PaddleOCR's training
    configuration that builds the network. `constants` are those that are aligned, in their order: where two concern one
    module, the later one holds. `logits` is the module of transformers' model, and `source_logits` the layer of
    Paddle's, whose output is compared beside the model's: what comes before a softmax. `unread` are prefixes of the
    source's tensors that nothing computes with once the network is trained: Paddle's side need not have them. `inputs`
    are the shapes of the pictures that both are given. `builder` is the library that builds Paddle's side. `prepare`
    makes of the transforms of a training configuration, of none where there is none, how pictures are prepared, by
    transformers' `processor_class`. `official` are the names that PaddleOCR gives to configurations of this network, in
    `Global.model_name`. `seeded` are the sizes of the networks that tests and the gate have written with seeded
    weights, by name, and `small` those of one for tests where all of these take long. `losses` are the reasons of drops
    that take away something which the trained network gives: they are said aloud. `model_type` is transformers', for a
    kind that shares its class with another of that name. `square` names the one of the sizes that is the height and
    width of all pictures, where a network takes no others: `inputs` then hold the usual one. `defaults` are what the
    library takes for arguments that no tensor tells, where a training configuration does not say them, by their paths
    such as Backbone.det. `turned`: the library hands its network blue, green and red, and the image processor of
    transformers red, green and blue: the first convolution is written for that. `cautions` are further ones for sizes.
    """

    name: str
    title: str
    task: Task
    target: str
    auto_class: str
    measure: Callable[[Shapes], Sizes | None]
    rows: Callable[[Sizes], tuple[Row, ...]]
    configuration: Callable[[Sizes], dict[str, Any]]
    architecture: Callable[[Sizes], dict[str, Any]]
    constants: tuple[Constant, ...]
    inputs: tuple[tuple[int, ...], ...]
    processor_class: str
    prepare: Callable[[Transforms], Preparation]
    builder: Literal["PaddleOCR", "PaddleClas"] = "PaddleOCR"
    square: str | None = None
    logits: str | None = None
    source_logits: str | None = None
    unread: tuple[str, ...] = ()
    official: tuple[str, ...] = ()
    seeded: Mapping[str, Sizes] = field(default_factory=dict)
    small: Sizes | None = None
    losses: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    model_type: str | None = None
    turned: bool = False
    cautions: Callable[[Sizes], tuple[str, ...]] | None = None
    citation: tuple[str, ...] = ()

    def pictures(self, sizes: Sizes) -> tuple[tuple[int, ...], ...]:
        """The shapes of the pictures that both are given, for a network of these sizes."""
        if self.square is None:
            return self.inputs
        side = int(sizes[self.square])
        return tuple((*shape[:2], side, side) for shape in self.inputs)

    def measured(self, shapes: Shapes) -> Sizes | None:
        """As `measure`; tensors without elements, or of another rank than the network's, are those of another one."""
        if not all(map(all, shapes.values())):
            return None
        try:
            return self.measure(shapes)
        except (LookupError, ValueError):
            return None

    def rules(self, sizes: Sizes) -> tuple[Rule, ...]:
        """One rule per tensor that a checkpoint of these sizes can hold. Raises MappingError where two share one."""
        place = Place(sizes)
        rules = [rule for row in self.rows(sizes) for rule in row.rules(place)]
        refuse_duplicates(rules)
        return tuple(rules)

    def problems(self, sizes: Sizes, tensors: Mapping[str, TensorFacts]) -> list[str]:
        """What keeps tensors from being this network's; empty when all fit."""
        return misfits(expected_tensors(self.rules(sizes)), tensors)


def divisible(value: float, divisor: int) -> int:
    """The number of channels that PaddleOCR makes of a scaled one: the nearest multiple of `divisor`, and no less than
    nine tenths of it (`make_divisible` in ppocr/modeling/backbones)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def scale_of(channels: Mapping[int, int], divisor: int, scales: Iterable[float]) -> float:
    """The scale by which a network's channels, by those that it has at scale 1, are what they are. Raises
    ConfigurationError where none of `scales` makes them."""
    for scale in scales:
        if all(divisible(plain * scale, divisor) == found for plain, found in channels.items()):
            return scale
    held = ", ".join(f"{found} for {plain}" for plain, found in channels.items())
    raise ConfigurationError(f"no scale makes these channels of the usual ones: {held}")


_COUNTED = re.compile(r"(0|[1-9][0-9]*)\.")


def count(names: Iterable[str], before: str) -> int:
    """How many numbers follow `before` in names, from 0 on without a gap."""
    matches = (_COUNTED.match(name, len(before)) for name in names if name.startswith(before))
    found = {match[1] for match in matches if match is not None}
    number = 0
    while str(number) in found:
        number += 1
    return number
