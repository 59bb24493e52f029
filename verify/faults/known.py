"""The faults a verifier must see.

Each is a named, single change to the converted weights, the files beside them, the inputs of one side, or the mapping.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...converters.formats.dtypes import Array
from ...mappings.language.family import ATTENTION_ROLES, JOINT_ROLE
from ...mappings.language.rules import Move
from ...mappings.language.transforms import IDENTITY, TRANSPOSE, Chain, Reshape, Transform
from . import fed
from .effect import same_bits
from .files import FILES
from .loading import LOADING, MAY_FAIL
from .parts import Opened, move_of, target_module
from .state import Faulted, Injection

WEIGHTS = frozenset({"weights"})
FILE_CHECKS = frozenset({"files"})
AS_LOADED = frozenset({"as_loaded"})
FORWARD = frozenset({"float64", "float32", "layers"})
FORWARD_OR_CONFIGURATION = FORWARD | {"config"}


@dataclass(frozen=True)
class Fault:
    """A named change. Each set in `assigned` must hold a check that catches it: ({"weights"}, {"float64", "layers"})
    wants the weight check and one of the others. `inject` returns None where the model offers no such place. `may_fail`
    are checks that a library may fail to run under it: that is said, and the others must see it."""

    name: str
    assigned: tuple[frozenset[str], ...]
    inject: Injection
    may_fail: frozenset[str] = frozenset()

    @property
    def only(self) -> frozenset[str] | None:
        """The checks that are run where the others are not asked, None where all are that can see faults."""
        assigned = frozenset[str]().union(*self.assigned)
        return assigned if assigned <= FILE_CHECKS | AS_LOADED else None


def all_faults() -> tuple[Fault, ...]:
    """Every fault, those that only the weight check can see first."""
    only_weights = tuple(Fault(name, (WEIGHTS,), inject) for name, inject in _WEIGHTS_ONLY.items())
    only_forward = tuple(Fault(name, (FORWARD_OR_CONFIGURATION,), inject) for name, inject in _FORWARD_ONLY.items())
    both = tuple(Fault(name, (WEIGHTS, FORWARD), inject) for name, inject in _BOTH.items())
    files = tuple(Fault(name, (FILE_CHECKS,), inject) for name, inject in FILES.items() if name not in LOADING)
    loading = tuple(
        Fault(name, (FILE_CHECKS, AS_LOADED), inject, MAY_FAIL.get(name, frozenset()))
        for name, inject in LOADING.items()
    )
    return only_weights + only_forward + both + files + loading


def _weight(tensors: Mapping[str, Array], module: str) -> str:
    """The name of a module's weight, or of the parameter where that is all there is."""
    return module if module in tensors else f"{module}.weight"


def _leaves(tensors: Mapping[str, Array], module: str) -> list[str]:
    """The names of a module's weight, and of its bias where it has one."""
    bias = f"{module}.bias"
    return [_weight(tensors, module), *([bias] if bias in tensors else [])]


def _edit(change: Callable[[dict[str, Array], Callable[[str], str]], None], *roles: str) -> Any:
    """An injection that edits copies of the weights; `change` gets them and a function from role to target module."""

    def inject(state: Faulted) -> Faulted | None:
        modules = {role: target_module(state.plan, role) for role in roles}
        if None in modules.values():
            return None
        opened = Opened.of(state.plan, roles)
        tensors = opened.open(state.tensors)
        change(tensors, lambda role: str(modules[role]))
        return replace(state, tensors=opened.close(tensors))

    return inject


def _configure(change: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]) -> Any:
    """An injection that changes fields of config.json; `change` calls them what PaddleNLP does."""

    def inject(state: Faulted) -> Faulted | None:
        changed = change(_as_paddle_says(state))
        if changed is None:
            return None
        targets = {entry.name: entry.target_name for entry in state.plan.family.fields}
        renamed = {targets.get(name, name): value for name, value in changed.items()}
        return replace(state, configuration={**state.configuration, **renamed})

    return inject


def _as_paddle_says(state: Faulted) -> dict[str, Any]:
    """The fields of config.json under PaddleNLP's names; one that the family does not have is absent."""
    fields = state.plan.family.fields
    return {one.name: state.configuration[one.target_name] for one in fields if one.target_name in state.configuration}


def _changed(name: str, change: Callable[[Any], Any]) -> Any:
    """An injection that changes one field, where the family has it; None from `change` is no place."""

    def changed(configuration: Mapping[str, Any]) -> Mapping[str, Any] | None:
        value = change(configuration[name]) if name in configuration else None
        return None if value is None else {name: value}

    return _configure(changed)


def _feed(change: fed.Change) -> Any:
    """An injection that gives torch other inputs than Paddle: a runner that treats them differently."""

    def inject(state: Faulted) -> Faulted | None:
        changed = change(state.inputs, _as_paddle_says(state))
        return None if changed is None else replace(state, inputs=changed)

    return inject


def _swap(one: str, other: str) -> Any:
    def change(tensors: dict[str, Array], module: Callable[[str], str]) -> None:
        for a, b in zip(_leaves(tensors, module(one)), _leaves(tensors, module(other)), strict=True):
            tensors[a], tensors[b] = tensors[b], tensors[a]

    return _edit(change, one, other)


def _transposed(role: str) -> Any:
    def change(tensors: dict[str, Array], module: Callable[[str], str]) -> None:
        name = _weight(tensors, module(role))
        tensors[name] = _turned(tensors[name])

    return _edit(change, role)


def _turned(values: Array) -> Array:
    """The transpose of a matrix; of one whose columns have several axes, in these axes again."""
    if values.ndim == 2:
        return np.ascontiguousarray(values.T)
    return np.ascontiguousarray(values.reshape(len(values), -1).T).reshape(values.shape)


def _joint(change: Callable[[Array, int], Array]) -> Injection:
    """An injection that edits the matrix which makes query, key and value at once; `change` also gets the number of
    heads."""

    def inject(state: Faulted) -> Faulted | None:
        heads = int(_as_paddle_says(state).get("num_attention_heads", 1))

        def edit(tensors: dict[str, Array], module: Callable[[str], str]) -> None:
            name = f"{module(JOINT_ROLE)}.weight"
            tensors[name] = np.ascontiguousarray(change(tensors[name], heads))

        result: Faulted | None = _edit(edit, JOINT_ROLE)(state)
        return result

    return inject


def _parts_of_heads(order: tuple[int, int, int]) -> Injection:
    """Query, key and value of each head in another order."""

    def change(matrix: Array, heads: int) -> Array:
        parts = matrix.reshape(heads, 3, -1, matrix.shape[1])
        return parts[:, list(order)].reshape(matrix.shape)

    return _joint(change)


def _parts_outside(matrix: Array, heads: int) -> Array:
    """All queries before all keys, as other models hold them, and not head by head."""
    parts = matrix.reshape(heads, 3, -1, matrix.shape[1])
    return np.moveaxis(parts, 1, 0).reshape(matrix.shape)


def _head_beside(change: Callable[[list[Array]], None]) -> Injection:
    """An injection that edits the matrices of a head in a file of its own, in the order of the plan."""

    def inject(state: Faulted) -> Faulted | None:
        names = [move.target for move in state.plan.moves if move.beside]
        matrices = [name for name in names if state.tensors[name].ndim == 2]
        if not matrices:
            return None
        values = [state.tensors[name].copy() for name in matrices]
        change(values)
        return replace(state, tensors={**state.tensors, **dict(zip(matrices, values, strict=True))})

    return inject


def _first_turned(matrices: list[Array]) -> None:
    matrices[0] = np.ascontiguousarray(matrices[0].T)


def _first_rolled(matrices: list[Array]) -> None:
    matrices[0] = np.roll(matrices[0], 1, axis=0)


def _order_of_transpose(role: str) -> Any:
    """The elements as they lie in memory where a transpose was taken and not copied, under the transpose's shape."""

    def change(tensors: dict[str, Array], module: Callable[[str], str]) -> None:
        name = f"{module(role)}.weight"
        tensors[name] = np.ascontiguousarray(tensors[name].T).reshape(tensors[name].shape)

    return _edit(change, role)


def _add(role: str, leaf: str, place: Any, amount: float) -> Any:
    def change(tensors: dict[str, Array], module: Callable[[str], str]) -> None:
        tensors[f"{module(role)}.{leaf}"][place] += amount

    return _edit(change, role)


def _with_bias(role: str, change: Callable[[Array], None]) -> Injection:
    """An injection that edits the bias of a module, where it has one."""

    def inject(state: Faulted) -> Faulted | None:
        if f"{target_module(state.plan, role)}.bias" not in Opened.of(state.plan, (role,)).open(state.tensors):
            return None
        result: Faulted | None = _edit(lambda tensors, module: change(tensors[f"{module(role)}.bias"]), role)(state)
        return result

    return inject


def _shifted(bias: Array) -> None:
    bias += np.asarray(0.5, bias.dtype)


def _permuted_heads(state: Faulted) -> Faulted | None:
    heads = _as_paddle_says(state).get("num_attention_heads", 1)

    def change(tensors: dict[str, Array], module: Callable[[str], str]) -> None:
        if module("query") in tensors:
            # Heads have an axis of their own, in what leads out of the attention too.
            for role in ATTENTION_ROLES:
                tensors[module(role)] = np.roll(tensors[module(role)], 1, axis=1)
            return
        inner = len(tensors[f"{module('query')}.weight"])
        order = np.roll(np.arange(inner).reshape(heads, -1), 1, axis=0).reshape(-1)
        for role in ("query", "key", "value"):
            for name in _leaves(tensors, module(role)):
                tensors[name] = tensors[name][order].copy()
        name = f"{module('attention_out')}.weight"
        tensors[name] = np.ascontiguousarray(tensors[name][:, order])

    result: Faulted | None = _edit(change, "query", "key", "value", "attention_out")(state) if heads > 1 else None
    return result


def _permuted_neurons(tensors: dict[str, Array], module: Callable[[str], str]) -> None:
    into, out = module("feed_forward_in"), module("feed_forward_out")
    for name in _leaves(tensors, into):
        tensors[name] = tensors[name][::-1].copy()
    tensors[f"{out}.weight"] = np.ascontiguousarray(tensors[f"{out}.weight"][:, ::-1])


def _query_doubled(tensors: dict[str, Array], module: Callable[[str], str]) -> None:
    for query, key in zip(*(_leaves(tensors, module(role)) for role in ("query", "key")), strict=True):
        tensors[query] *= 2
        tensors[key] /= 2


def _single_ulp(tensors: dict[str, Array], module: Callable[[str], str]) -> None:
    values = tensors[f"{module('feed_forward_in')}.weight"].reshape(-1)
    bits = values.view(f"u{values.dtype.itemsize}")
    bits[values.size // 2] ^= 1


def _untouched_row(role: str) -> Any:
    """A changed row of a table that the shared inputs do not read."""

    def inject(state: Faulted) -> Faulted | None:
        module = target_module(state.plan, role)
        if module is None:
            return None
        ids = [state.inputs.input_ids, state.inputs.decoder_input_ids]
        read = ids if role == "words" else [state.inputs.position_ids]
        rows = len(state.tensors[f"{module}.weight"])
        free = sorted(
            set(range(rows)) - {one for part in read if part is not None for one in part.reshape(-1).tolist()}
        )
        result: Faulted | None = _add(role, "weight", free[len(free) // 2], 0.5)(state) if free else None
        return result

    return inject


def _rolled(role: str) -> Any:
    def change(tensors: dict[str, Array], module: Callable[[str], str]) -> None:
        table = tensors[f"{module(role)}.weight"]
        rolled = np.roll(table, 1, axis=0)
        # Where words are written several times, those that a model reads are copies of the table.
        for name in [name for name, one in tensors.items() if one is table or same_bits(one, table)]:
            tensors[name] = rolled.copy()

    return _edit(change, role)


def _activation(name: str) -> Any:
    # gelu_new and gelu_fast are two spellings of one function.
    same = {"gelu_new", "gelu_fast"}
    return _changed("hidden_act", lambda present: None if present == name or {present, name} == same else name)


def _other_heads(field: str) -> Injection:
    def change(configuration: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if not {field, "hidden_size"} <= configuration.keys():
            return None
        heads, hidden = configuration[field], configuration["hidden_size"]
        others = [count for count in (heads // 4, heads // 2, heads * 2, 1) if count and count != heads]
        fitting = [count for count in others if hidden % count == 0]
        return {field: fitting[0]} if fitting else None

    made: Injection = _configure(change)
    return made


def _shared_wrong_rule(state: Faulted) -> Faulted | None:
    """The query weight is not transposed, and the mapping that the weight check uses says so too."""
    module, move = target_module(state.plan, "query"), move_of(state.plan, "query")
    if module is None or move is None:
        return None
    if len(move.sources) > 1:
        return _wrongly_joined(state, move)
    moves = tuple(
        replace(move, transform=_without_turn(move.transform)) if move.target in (module, f"{module}.weight") else move
        for move in state.plan.moves
    )
    changed: Faulted = _transposed("query")(state)
    return replace(changed, plan=replace(state.plan, moves=moves))


def _wrongly_joined(state: Faulted, move: Move) -> Faulted:
    """Two of the tensors that are joined change places, and the mapping that the weight check uses says so too."""
    joined, plan = state.tensors[move.target], state.plan
    parts = [np.asarray(back.apply([joined], np)) for back in move.transform.inverse(move.shapes)]
    order = (1, 0, *range(2, len(parts)))
    wrong = replace(
        move,
        sources=tuple(move.sources[index] for index in order),
        shapes=tuple(move.shapes[index] for index in order),
    )
    made = np.ascontiguousarray(move.transform.apply([parts[index] for index in order], np))
    moves = tuple(wrong if one is move else one for one in plan.moves)
    return replace(state, tensors={**state.tensors, move.target: made}, plan=replace(plan, moves=moves))


def _without_turn(transform: Transform) -> Transform:
    """The transform of a weight that is turned once more, or once less."""
    return Chain((TRANSPOSE, transform)) if isinstance(transform, Reshape) else IDENTITY


def _decoder_untied(state: Faulted) -> Faulted | None:
    """The decoder of a model whose decoder is tied gets weights of its own."""
    words = target_module(state.plan, "words")
    rule = next((rule for rule in state.plan.tied if rule.target is not None), None)
    if words is None or rule is None or rule.target is None:
        return None
    decoder = np.roll(state.tensors[f"{words}.weight"], 1, axis=0)
    return replace(
        state,
        tensors={**state.tensors, rule.target: decoder},
        configuration={**state.configuration, "tie_word_embeddings": False},
    )


_WEIGHTS_ONLY: dict[str, Injection] = {
    "key bias lost": _with_bias("key", lambda bias: bias.fill(0)),
    "heads permuted jointly": _permuted_heads,
    "feed-forward neurons permuted jointly": _edit(_permuted_neurons, "feed_forward_in", "feed_forward_out"),
    "query doubled, key halved": _edit(_query_doubled, "query", "key"),
    "attention output bias shifted uniformly": _with_bias("attention_out", _shifted),
    "feed-forward output bias shifted uniformly": _with_bias("feed_forward_out", _shifted),
    "vocabulary row that no input reads": _untouched_row("words"),
    "position row that no input reads": _untouched_row("positions"),
    "single ulp": _edit(_single_ulp, "feed_forward_in"),
}

_FORWARD_ONLY: dict[str, Injection] = {
    "activation gelu": _activation("gelu"),
    "activation gelu_new": _activation("gelu_new"),
    "activation relu": _activation("relu"),
    "activation gelu_fast": _activation("gelu_fast"),
    "epsilon": _changed("layer_norm_eps", lambda epsilon: 1e3 * epsilon),
    "number of heads": _other_heads("num_attention_heads"),
    "number of the decoder's heads": _other_heads("decoder_attention_heads"),
    "embeddings scaled otherwise": _changed("scale_embedding", lambda scaled: not scaled),
    "one decoder layer more": _changed("decoder_layers", lambda layers: layers + 1),
    "one decoder layer less": _changed("decoder_layers", lambda layers: layers - 1 or None),
    "decoder begins with another id": _feed(fed.decoder_ids(fed.begun_otherwise)),
    "decoder ids moved by one": _feed(fed.decoder_ids(fed.moved_by_one)),
    "one layer more": _changed("num_hidden_layers", lambda layers: layers + 1),
    "one layer less": _changed("num_hidden_layers", lambda layers: layers - 1 or None),
    "mask ignored": _feed(fed.mask_ignored),
    "positions counted from after the padding": _feed(fed.positions_after_padding),
    "token types ignored": _feed(fed.token_types_ignored),
    "wrong rule shared by the weight check": _shared_wrong_rule,
}

_BOTH: dict[str, Injection] = {
    **{
        f"{role} not transposed": _transposed(role)
        for role in (*ATTENTION_ROLES, "pooler", "decoder_value", "cross_query", "cross_attention_out")
    },
    "query, key and value in the memory order of their transpose": _joint(
        lambda matrix, heads: np.ascontiguousarray(matrix.T).reshape(matrix.shape)
    ),
    "query and key of each head exchanged": _parts_of_heads((1, 0, 2)),
    "query and value of each head exchanged": _parts_of_heads((2, 1, 0)),
    "key and value of each head exchanged": _parts_of_heads((0, 2, 1)),
    "queries, keys and values not head by head": _joint(_parts_outside),
    **{
        f"{one} and {other} swapped": _swap(one, other)
        for one, other in (
            ("query", "key"),
            ("query", "value"),
            ("key", "value"),
            ("value", "attention_out"),
            ("attention_norm", "feed_forward_norm"),
            ("decoder_query", "cross_query"),
            ("cross_key", "cross_value"),
            ("cross_attention_norm", "decoder_feed_forward_norm"),
            ("positions", "decoder_positions"),
            ("distances", "decoder_distances"),
        )
    },
    "weight in the memory order of its transpose": _order_of_transpose("feed_forward_in"),
    "vocabulary rows rolled": _rolled("words"),
    "biases of distances in the memory order of their transpose": _order_of_transpose("distances"),
    "biases of distances rolled": _rolled("distances"),
    "one element changed by 1e-3": _add("feed_forward_in", "weight", (0, 0), 1e-3),
    "decoder untied": _decoder_untied,
    "head in a file of its own not transposed": _head_beside(_first_turned),
    "matrices of a head in a file of its own in another order": _head_beside(lambda matrices: matrices.reverse()),
    "rows of a head in a file of its own rolled": _head_beside(_first_rolled),
}
