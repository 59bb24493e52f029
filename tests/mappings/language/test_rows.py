"""Rows beyond one tensor for one: joined, divided, made, dropped, conditional, tied after a turn, taken by a head.

Each is tried on a toy family, both ways and with real files, with the accounting closed on both sides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.checkpoints.checkpoint import Checkpoint, open_files
from paddle2torch.converters.checkpoints.comparison import settle_values
from paddle2torch.converters.checkpoints.configuration import complete_fields, translate_configuration
from paddle2torch.converters.checkpoints.source import Source
from paddle2torch.converters.checkpoints.torch_checkpoint import settle_torch_values
from paddle2torch.converters.checkpoints.torch_configuration import complete_torch_fields, read_torch_configuration
from paddle2torch.converters.formats.dtypes import DTYPES, Array
from paddle2torch.converters.formats.piecewise import Entry
from paddle2torch.converters.formats.safetensors_file import write_safetensors
from paddle2torch.errors import ConfigurationError, MappingError, UnmatchedTensorsError
from paddle2torch.mappings.language.family import Family, Model
from paddle2torch.mappings.language.fields import Field
from paddle2torch.mappings.language.matching.inverse import make_inverse_plan
from paddle2torch.mappings.language.matching.plan import Plan, TensorFacts, fitting_architectures, make_plan
from paddle2torch.mappings.language.rows import (
    Conv1D,
    Divided,
    Dropped,
    Embedding,
    Following,
    Ignored,
    Joined,
    Linear,
    Made,
    Norm,
    Parameter,
    Row,
    Tied,
    When,
    is_set,
)
from paddle2torch.mappings.language.rules import BACKBONE, Move
from paddle2torch.mappings.language.transforms import (
    TRANSPOSE,
    Chain,
    Concatenate,
    Reorder,
    Reshape,
    Rows,
    Split,
    Stack,
)

H, V = 3, 5
FIELDS = {"hidden": H, "words": V, "layers": 2, "extra": False}

Arrays = dict[str, Array]


def toy(
    *backbone: Row,
    head: tuple[Row, ...] = (),
    pooler: tuple[Row, ...] = (),
    fields: tuple[Field, ...] = (),
    **task: Any,
) -> Family:
    """A family whose task model has `head`."""
    return Family(
        name="toy",
        base="ToyModel",
        source_prefix="toy.",
        target_prefix="twin.",
        repeat={"layer": "layers"},
        backbone=(Embedding("words", "words", "hidden"), *backbone),
        pooler=pooler,
        models=(Model("ToyModel"), Model("ToyForTask", "TwinForTask", head=head, **task)),
        fields=(Field("hidden"), Field("words"), Field("layers", 2), Field("extra", False), *fields),
        constants={},
        activations=(),
        check_configuration=lambda configuration: None,
    )


def opened(folder: Path, arrays: Arrays, name: str) -> Checkpoint:
    save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, folder / name)
    return open_files(Source(folder, (folder / name,)))


def written(folder: Path, checkpoint: Checkpoint, moves: tuple[Move, ...], name: str) -> Arrays:
    """What the moves make of a checkpoint, through a file."""
    entries = [
        Entry(move.target, tuple(checkpoint.tensors[n] for n in move.sources), move.transform, made=DTYPES["float32"])
        for move in moves
    ]
    (folder / name).unlink(missing_ok=True)
    write_safetensors(folder / name, entries, {"format": "pt"}, lambda count: None)
    found: Arrays = load_file(folder / name)
    return found


def there_and_back(
    family: Family, arrays: Arrays, folder: Path, fields: Mapping[str, Any] = FIELDS, architecture: str = "ToyForTask"
) -> tuple[Plan, Arrays]:
    """Convert `arrays`; converted back, they must be the same, but for what was dropped by name."""
    with opened(folder, arrays, "source.safetensors") as checkpoint:
        plan = settle_values(checkpoint, make_plan(family, architecture, fields, checkpoint.facts))
        target = written(folder, checkpoint, plan.moves, "target.safetensors")
        handled = [name for move in plan.moves for name in move.sources]
        handled += [rule.source for rule in (*plan.tied, *plan.dropped, *plan.ignored)]
        assert set(handled) == set(arrays)
    with opened(folder, target, "again.safetensors") as checkpoint:
        inverse = make_inverse_plan(family, architecture, fields, checkpoint.facts, plan.tie_word_embeddings)
        settle_torch_values(checkpoint.tensors, inverse)
        back = written(folder, checkpoint, inverse.moves, "back.safetensors")
        used = {name for move in inverse.moves for name in move.sources} | set(inverse.left_out)
        assert used == set(target)
    dropped = {rule.source for rule in plan.dropped}
    assert back.keys() == arrays.keys() - dropped
    assert set(inverse.random) == dropped
    for name, array in back.items():
        assert (array.dtype, array.shape) == (arrays[name].dtype, arrays[name].shape), name
        assert array.tobytes() == np.ascontiguousarray(arrays[name]).tobytes(), name
    return plan, target


def random(*shapes: tuple[int, ...], seed: int = 0) -> list[Array]:
    generator = np.random.default_rng(seed)
    return [generator.standard_normal(shape).astype(np.float32) for shape in shapes]


WORDS = random((V, H), seed=9)[0]


def test_several_sources_become_one_target(tmp_path: Path) -> None:
    """GPT's query, key and value, and the two columns of UIE's head."""
    qkv = Joined(
        tuple(f"layers.{{layer}}.{part}.weight" for part in "qkv"),
        "h.{layer}.c_attn.weight",
        (("hidden", "hidden"),) * 3,
        Concatenate(1),
    )
    columns = Joined(("start", "end"), "qa.weight", (("hidden", 1),) * 2, Chain((Concatenate(1), TRANSPOSE)))
    stacked = Joined(("one", "two"), "both", (("hidden",),) * 2, Stack())
    names = [f"toy.layers.{layer}.{part}.weight" for layer in range(2) for part in "qkv"]
    arrays = dict(zip(names, random(*[(H, H)] * 6), strict=True)) | {"toy.words.weight": WORDS}
    arrays["start"], arrays["end"], arrays["one"], arrays["two"] = random((H, 1), (H, 1), (H,), (H,), seed=1)
    plan, target = there_and_back(toy(qkv, head=(columns, stacked)), arrays, tmp_path)
    for layer in range(2):
        joined = np.concatenate([arrays[f"toy.layers.{layer}.{part}.weight"] for part in "qkv"], axis=1)
        assert np.array_equal(target[f"twin.h.{layer}.c_attn.weight"], joined)
    assert np.array_equal(target["qa.weight"], np.concatenate([arrays["start"].T, arrays["end"].T]))
    assert np.array_equal(target["both"], np.stack([arrays["one"], arrays["two"]]))
    assert plan.parameters == sum(array.size for array in arrays.values())


def test_parts_in_another_order_and_layers_that_are_not_turned(tmp_path: Path) -> None:
    """Query, key and value of one head after the other, which Hugging Face has all queries first; and a matrix that
    both hold alike."""
    order = (0, 3, 1, 4, 2, 5)
    rows = (
        Parameter("qkv.weight", ("hidden", 12), "c_attn.weight", Reorder(1, order)),
        Parameter("qkv.bias", (12,), "c_attn.bias", Reorder(0, order)),
        Conv1D("linear", "hidden", 4, "c_fc"),
    )
    names = ("qkv.weight", "qkv.bias", "linear.weight", "linear.bias")
    arrays = dict(zip(names, random((H, 12), (12,), (H, 4), (4,)), strict=True))
    arrays = {f"toy.{name}": array for name, array in arrays.items()} | {"toy.words.weight": WORDS}
    _, target = there_and_back(toy(*rows), arrays, tmp_path)
    for leaf in ("weight", "bias"):
        parts = np.split(arrays[f"toy.qkv.{leaf}"], 6, axis=-1)
        assert np.array_equal(target[f"twin.c_attn.{leaf}"], np.concatenate([parts[i] for i in order], axis=-1))
        assert np.array_equal(target[f"twin.c_fc.{leaf}"], arrays[f"toy.linear.{leaf}"])


def test_a_triangle_of_ones_is_ignored_and_nothing_else_in_its_place(tmp_path: Path) -> None:
    family = toy(Ignored("mask", (1, 1, 4, 4), first=None))
    arrays = {"toy.words.weight": WORDS, "toy.mask": np.tri(4, dtype="f4")[None, None]}
    with opened(tmp_path, arrays, "source.safetensors") as checkpoint:
        plan = settle_values(checkpoint, make_plan(family, "ToyForTask", FIELDS, checkpoint.facts))
    assert [rule.source for rule in plan.ignored] == ["toy.mask"]
    for other in (np.ones((1, 1, 4, 4), "f4"), np.tri(4, dtype="f4").T[None, None], 2 * arrays["toy.mask"]):
        changed = {**arrays, "toy.mask": other}
        with opened(tmp_path, changed, "other.safetensors") as checkpoint:
            plan = make_plan(family, "ToyForTask", FIELDS, checkpoint.facts)
            with pytest.raises(UnmatchedTensorsError, match="does not hold ones up to the diagonal and zeros behind"):
                settle_values(checkpoint, plan)


def test_one_source_becomes_several_targets(tmp_path: Path) -> None:
    row = Divided("qkv", ("q", "k", "v"), (9, "hidden"), lambda fields: Split(0, (fields["hidden"],) * 3))
    arrays = {"toy.words.weight": WORDS, "toy.qkv": random((9, H))[0]}
    _, target = there_and_back(toy(row), arrays, tmp_path)
    for index, part in enumerate("qkv"):
        assert np.array_equal(target[f"twin.{part}"], arrays["toy.qkv"][3 * index : 3 * index + 3])


def test_reshaped_and_given_rows(tmp_path: Path) -> None:
    rows = (
        Parameter("heads", ("hidden", 4), transform=Reshape((H, 2, 2))),
        Embedding("positions", 4, "hidden", transform=Rows(2)),
    )
    arrays = {"toy.words.weight": WORDS}
    arrays["toy.heads"], arrays["toy.positions.weight"] = random((H, 4), (4, H))
    _, target = there_and_back(toy(*rows), arrays, tmp_path)
    assert np.array_equal(target["twin.heads"], arrays["toy.heads"].reshape(H, 2, 2))
    assert np.array_equal(target["twin.positions.weight"][2:], arrays["toy.positions.weight"])
    assert not target["twin.positions.weight"][:2].any()


def test_a_made_tensor_is_filled_and_must_be_so_on_the_way_back(tmp_path: Path) -> None:
    family = toy(Made("types.weight", (1, "hidden"), 0.0), Embedding("positions", 4, "hidden", transform=Rows(1)))
    arrays = {"toy.words.weight": WORDS, "toy.positions.weight": random((4, H))[0]}
    _, target = there_and_back(family, arrays, tmp_path)
    assert target["twin.types.weight"].shape == (1, H)
    assert not target["twin.types.weight"].any()
    for name in ("twin.types.weight", "twin.positions.weight"):
        wrong = {key: array.copy() for key, array in target.items()}
        wrong[name][0, 1] = 2
        with opened(tmp_path, wrong, f"{name}.safetensors") as checkpoint:
            inverse = make_inverse_plan(family, "ToyForTask", FIELDS, checkpoint.facts, True)
            with pytest.raises(
                UnmatchedTensorsError, match=f"{name} does not hold 0 in rows 0 to 0 and columns 0 to 2"
            ):
                settle_torch_values(checkpoint.tensors, inverse)


def test_dropped_rows_have_a_reason_and_no_way_back(tmp_path: Path) -> None:
    row = Dropped(Linear("fit", "hidden", "hidden"), "used in training only")
    arrays = {"toy.words.weight": WORDS}
    arrays["toy.fit.weight"], arrays["toy.fit.bias"] = random((H, H), (H,))
    plan, target = there_and_back(toy(row), arrays, tmp_path)
    assert [(rule.source, rule.reason) for rule in plan.dropped] == [
        ("toy.fit.weight", "used in training only"),
        ("toy.fit.bias", "used in training only"),
    ]
    assert set(target) == {"twin.words.weight"}


@pytest.mark.parametrize("extra", [False, True])
def test_rows_under_a_condition(extra: bool, tmp_path: Path) -> None:
    row = When(is_set("extra"), (Norm("tasks", "hidden"),), (Made("tasks.weight", ("hidden",)),))
    arrays = {"toy.words.weight": WORDS}
    if extra:
        arrays["toy.tasks.weight"], arrays["toy.tasks.bias"] = random((H,), (H,))
    family = toy(row)
    _, target = there_and_back(family, arrays, tmp_path, {**FIELDS, "extra": extra})
    assert set(target) == {"twin.words.weight", "twin.tasks.weight", *(["twin.tasks.bias"] if extra else [])}
    message = r"no rule for toy\.tasks" if extra else r"missing toy\.tasks"
    other = opened(tmp_path, arrays, "other.safetensors")
    with other as checkpoint, pytest.raises(UnmatchedTensorsError, match=message):
        make_plan(family, "ToyForTask", {**FIELDS, "extra": not extra}, checkpoint.facts)


def test_a_tie_after_a_turn(tmp_path: Path) -> None:
    """A decoder stored as [hidden, words] is compared with the embeddings once it is turned."""
    decoder = Tied(
        "decoder.weight", BACKBONE + "words.weight", ("hidden", "words"), untied="decoder.weight", transform=TRANSPOSE
    )
    family = toy(head=(decoder,))
    arrays = {"toy.words.weight": WORDS, "decoder.weight": WORDS.T}
    plan, target = there_and_back(family, arrays, tmp_path)
    assert plan.tie_word_embeddings
    assert set(target) == {"twin.words.weight"}
    changed = WORDS.T.copy()
    changed[0, 0] += 1
    plan, target = there_and_back(family, {**arrays, "decoder.weight": changed}, tmp_path)
    assert not plan.tie_word_embeddings
    assert np.array_equal(target["decoder.weight"], changed.T)


def test_a_head_takes_the_pooler_along(tmp_path: Path) -> None:
    """MPNet's pooler is the first layer of Hugging Face's classification head, outside the backbone."""
    head = (Linear(BACKBONE + "pooler", "hidden", "hidden", "classifier.dense"), Linear("out", "hidden", 2))
    family = toy(pooler=(Linear("pooler", "hidden", "hidden"),), head=head, takes_pooler=True)
    arrays = {"toy.words.weight": WORDS}
    shapes = {"toy.pooler.weight": (H, H), "toy.pooler.bias": (H,), "out.weight": (H, 2), "out.bias": (2,)}
    arrays |= dict(zip(shapes, random(*shapes.values()), strict=True))
    plan, target = there_and_back(family, arrays, tmp_path)
    assert not plan.dropped
    assert np.array_equal(target["classifier.dense.weight"], arrays["toy.pooler.weight"].T)
    assert "twin.pooler.weight" not in target


def test_a_misspelt_wildcard_in_several_names_is_refused() -> None:
    with pytest.raises(MappingError, match="unknown wildcard"):
        toy(Joined(("a.{layer}", "b.{layer}"), "c.{level}", ((1,), (1,)), Concatenate(0))).check()


def test_joined_tensors_must_all_be_there(tmp_path: Path) -> None:
    family = toy(Joined(("a", "b"), "c", (("hidden",), ("hidden",)), Concatenate(0)))
    arrays = {"toy.words.weight": WORDS, "toy.a": random((H,))[0]}
    with (
        opened(tmp_path, arrays, "source.safetensors") as checkpoint,
        pytest.raises(UnmatchedTensorsError, match=r"missing toy\.b"),
    ):
        make_plan(family, "ToyForTask", FIELDS, checkpoint.facts)


def test_a_tensor_of_the_way_back_must_be_there(tmp_path: Path) -> None:
    family = toy(Divided("qkv", ("q", "k"), (6, "hidden"), Split(0, (3, 3))))
    arrays = {"twin.words.weight": WORDS, "twin.q": random((3, H))[0]}
    with (
        opened(tmp_path, arrays, "source.safetensors") as checkpoint,
        pytest.raises(UnmatchedTensorsError, match=r"missing twin\.k"),
    ):
        make_inverse_plan(family, "ToyForTask", FIELDS, checkpoint.facts, True)


RENAMED = (
    Field("hidden_dropout_prob", 0.1, target="dropout"),
    Field("types", 2, 1, target="type_count", when=is_set("extra")),
    Field("rotary", False, True),
)


def test_fields_are_renamed_conditional_and_booleans(tmp_path: Path) -> None:
    family = toy(fields=RENAMED)
    complete = complete_fields(family, {"hidden": 3, "words": 5, "hidden_dropout_prob": 0.3})
    document = translate_configuration(family, "TwinForTask", complete, "float32", True)
    assert (document["dropout"], document["rotary"]) == (0.3, False)
    assert not {"hidden_dropout_prob", "types", "type_count"} & document.keys()
    complete = complete_fields(family, {**complete, "extra": True, "types": 4})
    assert translate_configuration(family, "TwinForTask", complete, "float32", True)["type_count"] == 4
    for value in (1, "true", None):
        with pytest.raises(ConfigurationError, match=r"rotary is .*; true or false is expected"):
            complete_fields(family, {**complete, "rotary": value})


def test_renamed_fields_lead_back(tmp_path: Path) -> None:
    family = toy(fields=RENAMED)
    (tmp_path / "config.json").write_text(
        json.dumps({"hidden": 3, "words": 5, "dropout": 0.4, "hidden_dropout_prob": 9, "type_count": 7})
    )
    fields = complete_torch_fields(family, read_torch_configuration(tmp_path))
    assert (fields["hidden_dropout_prob"], fields["types"], fields["rotary"]) == (0.4, 7, True)


def test_rows_that_stand_as_often_as_a_function_says(tmp_path: Path) -> None:
    """One more than there are layers; two reasons to drop tensors are told apart."""
    family = toy(
        Following(
            "fits",
            lambda configuration: tuple(
                Dropped(Parameter(f"fits.{number}", ("hidden",)), "for training")
                for number in range(int(configuration["layers"]) + 1)
            ),
        ),
        Dropped(Parameter("spare", ("hidden",)), "never read"),
    )
    names = [*(f"toy.fits.{number}" for number in range(3)), "toy.spare"]
    arrays = {"toy.words.weight": WORDS, **dict(zip(names, random(*[(H,)] * 4), strict=True))}
    plan, target = there_and_back(family, arrays, tmp_path)
    assert plan.drop_reasons == {"for training": tuple(names[:3]), "never read": ("toy.spare",)}
    assert list(target) == ["twin.words.weight"]
    # Older files have fewer of them or none.
    facts = {name: TensorFacts("float32", array.shape) for name, array in arrays.items() if name != names[1]}
    assert "toy.fits.1" not in make_plan(family, "ToyForTask", FIELDS, facts).drop_reasons["for training"]
    facts["toy.fits.3"] = facts[names[0]]
    with pytest.raises(UnmatchedTensorsError, match=r"no rule for toy\.fits\.3"):
        make_plan(family, "ToyForTask", FIELDS, facts)


def test_classes_with_one_twin_are_one_conversion(tmp_path: Path) -> None:
    """Hugging Face's backbone carries no prefix, whatever PaddleNLP's class is; where nothing names one of two classes
    that become it, the first is taken."""
    known = toy()
    family = replace(known, models=(*known.models, Model("ToyForPretraining", "ToyModel")))
    arrays = {"toy.words.weight": WORDS}
    _, target = there_and_back(family, arrays, tmp_path, architecture="ToyForPretraining")
    assert list(target) == ["words.weight"]
    facts = {"toy.words.weight": TensorFacts("float32", (V, H))}
    assert fitting_architectures(family, FIELDS, facts) == ["ToyModel", "ToyForTask"]
    saved_inside = {"twin.words.weight": TensorFacts("float32", (V, H))}
    back = make_inverse_plan(family, "ToyForPretraining", FIELDS, saved_inside, tie_word_embeddings=True)
    assert [(move.source, move.target) for move in back.moves] == [("twin.words.weight", "toy.words.weight")]


def test_a_class_is_a_model_or_refused() -> None:
    refusing = replace(toy(), refused={"ToyForMore": "it does more"})
    for ask in (refusing.model, refusing.refuse):
        with pytest.raises(ConfigurationError, match=r"^ToyForMore is refused: it does more$"):
            ask("ToyForMore")
    refusing.refuse("ToyForTask")
    with pytest.raises(MappingError, match="toy: ToyForTask is one of its models, and refused"):
        replace(refusing, refused={"ToyForTask": "it does more"})
