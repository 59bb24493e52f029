"""The check of the configuration: what both live models say of themselves, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...mappings.language.family import DeclaredDifference
from ...mappings.language.matching.plan import Plan
from ..check import Check, Context, Needs, Outcome
from ..reports.result import CheckResult


def check_configuration(
    plan: Plan,
    fields: Mapping[str, Any],
    paddle: Mapping[str, Any],
    torch: Mapping[str, Any],
    declared: tuple[DeclaredDifference, ...],
) -> CheckResult:
    """Compare the live models' sizes, labels, heads, activation functions (by what they compute) and LayerNorm
    epsilons.

    `fields` are PaddleNLP's, complete; `paddle` and `torch` are the answers of the runners. Every LayerNorm of the plan
    must be found in both.
    """
    entries = {entry.name: entry for entry in plan.family.fields}
    # PaddleNLP's modules may hold no function to look at: then the configurations are compared in it.
    unseen = "hidden_act" in _told(plan) and not paddle["activations"]
    problems, compared = _fields(plan, fields, paddle, torch)
    in_use, asked = _in_use(plan, paddle, torch, activation=not unseen)
    problems += in_use
    compared += asked
    if "num_labels" in _head_sizes(plan):
        compared += 1
        if paddle["labels"] != torch["labels"]:
            problems.append(f"the labels are {paddle['labels']} in Paddle and {torch['labels']} in torch")
    epsilon_problems, epsilons = _epsilons(plan, paddle["layer_norm_eps"], torch["layer_norm_eps"], declared)
    problems += epsilon_problems
    if not epsilons and "layer_norm_eps" in entries:
        # None to look at: what the configurations say of it.
        entry = entries["layer_norm_eps"]
        sides = paddle["configuration"].get(entry.stored_name), torch["configuration"].get(entry.target_name)
        compared += 1
        if None in sides or sides[0] != sides[1]:
            problems.append(f"layer_norm_eps is {sides[0]} in Paddle and {sides[1]} in torch")
    return CheckResult(
        name="config",
        passed=not problems,
        worst=float(len(problems)),
        limit=0.0,
        where=problems[0] if problems else f"{compared} fields and {epsilons} epsilons equal",
        measure="fields that differ between the live models",
        problems=tuple(problems),
        details={
            "activation": fields["hidden_act"] if unseen else paddle["activation"],
            "heads": paddle["heads"],
            "epsilons": epsilons,
        },
    )


def _told(plan: Plan) -> list[str]:
    """The fields that live models are compared in although no size follows from them."""
    return [entry.name for entry in plan.family.fields if entry.compared]


def _fields(
    plan: Plan, fields: Mapping[str, Any], paddle: Mapping[str, Any], torch: Mapping[str, Any]
) -> tuple[list[str], int]:
    """Problems of what the live configurations say, and how many fields were compared."""
    problems: list[str] = []
    compared = 0
    entries = {entry.name: entry for entry in plan.family.fields}
    # What torch's says of the others, where one follows from them.
    live = {entry.name: torch["configuration"].get(entry.target_name) for entry in plan.family.fields}
    for name in dict.fromkeys((*plan.family.sizes(), *_told(plan), "pad_token_id", "num_labels")):
        entry = entries.get(name)
        stored, target = (name, name) if entry is None else (entry.stored_name, entry.target_name)
        sides = paddle["configuration"].get(stored), torch["configuration"].get(target)
        if sides[1] is None and entry is not None and entry.target_like is not None:
            sides = sides[0], entry.unstated(live)
        if entry is not None and entry.compared:
            # What a live configuration does not have, or has as null, is what both libraries take then.
            sides = (
                entry.formed(fields[name] if sides[0] is None else sides[0]),
                entry.formed(entry.default_of_target if sides[1] is None else sides[1]),
            )
        if name == "num_labels" and "num_labels" not in _head_sizes(plan):
            continue
        if sides == (None, None) and (entry is None or entry.default is None or name == "pad_token_id"):
            # No field of this family, or one that says nothing.
            continue
        if sides[1] is None and entry is not None and entry.default_of_target is None and callable(entry.runs):
            # It says nothing: the value follows from others.
            continue
        compared += 1
        if sides == (None, None):
            problems.append(f"{name} is in neither model's configuration")
            continue
        expected = sides[0]
        if entry is not None and (sides[0] is not None or entry.is_fixed):
            # What the live configuration of Paddle's says does not run where the family fixes the value.
            expected = entry.of_target(entry.running({**fields, name: sides[0]}))
        if expected != sides[1]:
            problems.append(f"{name} is {expected} in Paddle and {sides[1]} in torch")
    return problems, compared


def _in_use(
    plan: Plan, paddle: Mapping[str, Any], torch: Mapping[str, Any], *, activation: bool
) -> tuple[list[str], int]:
    """Problems of heads in use and, where it is to be seen, of the `activation`, and how many were compared."""
    problems: list[str] = []
    compared = 0
    entries = {entry.name: entry for entry in plan.family.fields}
    for name, what, field in (
        ("heads", "number of attention heads in use", "num_attention_heads"),
        ("decoder_heads", "number of the decoder's attention heads in use", "decoder_attention_heads"),
        ("activation", "activation function in use", None),
    ):
        if field is not None and field not in entries:
            continue
        if name == "activation" and not activation:
            continue
        compared += 1
        expected = paddle[name]
        if name == "activation" and "hidden_act" in entries:
            # PaddleNLP may ask the function for another form of itself in each call.
            expected = entries["hidden_act"].of_target(expected)
        if expected is None or expected != torch[name]:
            problems.append(f"{what} is {expected} in Paddle and {torch[name]} in torch")
    return problems, compared


def _head_sizes(plan: Plan) -> set[str]:
    rows = plan.family.model(plan.architecture).head
    return {size for row in rows for size in (getattr(row, "inputs", None), getattr(row, "outputs", None)) if size}


def _epsilons(
    plan: Plan,
    paddle: Mapping[str, float],
    torch: Mapping[str, float],
    declared: tuple[DeclaredDifference, ...],
) -> tuple[list[str], int]:
    """Problems, and how many LayerNorms were compared. Paddle holds an epsilon as float32."""
    hard_coded = {difference.epsilon[0]: difference.epsilon[1] for difference in declared if difference.epsilon}
    modules = layer_norms(plan, paddle)
    problems = [f"LayerNorm {name} of Paddle has no counterpart" for name in sorted(paddle.keys() - modules.keys())]
    problems += [f"LayerNorm {name} of torch has no counterpart" for name in sorted(torch.keys() - modules.values())]
    for source, target in modules.items():
        if target not in torch:
            problems.append(f"LayerNorm {target} is not in torch's model")
        elif source in hard_coded:
            if np.float32(paddle[source]) != np.float32(hard_coded[source]):
                problems.append(f"epsilon of {source} is {paddle[source]:g}, declared is {hard_coded[source]:g}")
        elif np.float32(paddle[source]) != np.float32(torch[target]):
            problems.append(f"epsilon of {source} is {paddle[source]:g} in Paddle and {torch[target]:g} in torch")
    return problems, len(modules)


def layer_norms(plan: Plan, paddle: Mapping[str, float]) -> dict[str, str]:
    """Paddle's LayerNorm modules by the plan's moves: source module -> target module."""
    return {
        source.removesuffix(".weight"): move.target.removesuffix(".weight")
        for move in plan.moves
        for source in move.sources
        if source.endswith(".weight") and source.removesuffix(".weight") in paddle
    }


def _run(context: Context) -> Outcome:
    runs = context.runs
    # With its epsilons as they are, where there is such a run.
    torch = runs.torch64_as_is or runs.torch64 or context.torch("float32")
    paddle = context.paddle("float32")
    pair = context.pair
    result = check_configuration(pair.plan, pair.configuration, paddle.answer, torch.answer, pair.declared)
    # Of a folder that this package wrote, the check of the files compares every field.
    stated = pair.foreign.problems(pair.recognised) if pair.foreign is not None else []
    return Outcome(result.with_problems(stated))


CHECK = Check(
    name="config",
    order=20,
    establishes="both live models have the same sizes, labels, heads, layers, activation function (found by evaluating "
    "it) and LayerNorm epsilons",
    limit="equal",
    needs=Needs(dtypes=("float32",)),
    sees_faults=True,
    look_at="config.json in {converted}, beside the one that `paddle2torch convert {source} {new}` writes",
    run=_run,
)
