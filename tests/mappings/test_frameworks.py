"""The rules of every registered architecture against the real models of both frameworks, and wrong rules that are
noticed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import pytest

from paddle2torch.mappings.language.family import Family, Model
from paddle2torch.mappings.language.matching.inverse import make_inverse_plan
from paddle2torch.mappings.language.matching.plan import TensorFacts, make_plan
from paddle2torch.mappings.language.rules import Kind, Rule
from paddle2torch.mappings.language.transforms import IDENTITY, TRANSPOSE, Chain, Reshape, Split, Transform

from ..conftest import TARGETS, label
from .conftest import Case, Facts, cases_of, models
from .questions import QUESTIONS, exchanged_roles, mapped, module_of, torn_vectors

families = pytest.mark.parametrize("family", TARGETS.values(), ids=list(TARGETS))

Both = tuple[Facts, Facts]


def rules_of(case: Case) -> tuple[Rule, ...]:
    prefixed = not case.family.is_bare(case.model.source)
    return case.family.rules(case.model.source, case.configuration, prefixed)


def facts_of(case: Case, paddle: Facts, torch: Facts) -> Both:
    known, found = paddle["models"][case.key], torch["models"][case.key]
    return known, found if case.model.beside is None else with_head_beside(case, known, found)


def with_head_beside(case: Case, paddle: Facts, torch: Facts) -> Facts:
    """Hugging Face's class, which has no place for the head, with that beside it: PaddleNLP's layers as torch has
    them."""
    head = {name: shape for name, shape in paddle["state"].items() if not name.startswith(case.family.source_prefix)}
    kinds = {name: kind for name, kind in paddle["kinds"].items() if name in head}
    turned = {name: shape[::-1] if kinds.get(name) == "linear" else shape for name, shape in head.items()}
    assert turned.keys().isdisjoint(torch["state"])
    return {**torch, "state": {**torch["state"], **turned}, "kinds": {**torch["kinds"], **kinds}}


def tensors(facts: Facts) -> dict[str, TensorFacts]:
    return {
        name: TensorFacts("int64" if name.endswith("position_ids") else "float32", tuple(shape))
        for name, shape in facts["state"].items()
    }


@models
@pytest.mark.parametrize("question", QUESTIONS)
def test_rules_fit_both_models(
    question: str, family: Family, model: Model, paddle_facts: Facts, torch_facts: Facts
) -> None:
    for case in cases_of(family, model):
        problems = QUESTIONS[question](rules_of(case), *facts_of(case, paddle_facts, torch_facts))
        assert problems == [], case.variant


@models
def test_the_plan_accounts_for_every_tensor_and_leads_back(
    family: Family, model: Model, paddle_facts: Facts, torch_facts: Facts
) -> None:
    """From PaddleNLP's state dict to Hugging Face's, and from that to PaddleNLP's but for what was dropped."""
    for case in cases_of(family, model):
        paddle, torch = facts_of(case, paddle_facts, torch_facts)
        plan = make_plan(family, model.source, case.configuration, tensors(paddle))
        handled = [name for move in plan.moves for name in move.sources]
        handled += [rule.source for rule in (*plan.tied, *plan.dropped, *plan.ignored)]
        assert set(handled) == set(paddle["state"]), case.variant
        inverse = make_inverse_plan(family, model.source, case.configuration, tensors(torch), tie_word_embeddings=True)
        assert inverse.target_architecture == plan.target_architecture == model.target_architecture
        made = {move.target: list(move.target_shape) for move in inverse.moves}
        made |= {name: list(shape) for name, shape, _ in inverse.made}
        dropped = {rule.source for rule in plan.dropped}
        # A tensor that PaddleNLP's model shares itself may be filled all the same.
        assert made.keys() - paddle["state"].keys() <= {
            rule.source for rule in rules_of(case) if rule.is_single and rule.optional
        }
        assert {name: made.get(name) for name in paddle["state"]} == {
            name: None if name in dropped else shape for name, shape in paddle["state"].items()
        }, case.variant


@models
def test_the_auto_class_loads_the_target_architecture(family: Family, model: Model, torch_facts: Facts) -> None:
    assert torch_facts["auto_classes"][label(family, model)] == model.target_architecture


@models
def test_query_key_and_value_are_not_exchanged(
    family: Family, model: Model, paddle_facts: Facts, torch_facts: Facts
) -> None:
    case = Case(family, model, "small")
    assert exchanged_roles(family, rules_of(case), facts_of(case, paddle_facts, torch_facts)[0]) == []


def wrong_rules(rules: tuple[Rule, ...], case: Case, paddle: Facts) -> Iterator[tuple[str, list[Rule]]]:
    """Lists of rules with one mistake each, and which."""
    prefix = case.family.source_prefix

    def changed(rule: Rule, **fields: object) -> list[Rule]:
        return [replace(one, **fields) if one is rule else one for one in rules]  # type: ignore[arg-type]

    for rule in mapped(rules, paddle):
        # The backbone is the same in every model: it is struck in the base.
        if not case.family.is_bare(case.model.source) and any(name.startswith(prefix) for name in rule.sources):
            continue
        names = ", ".join(rule.targets)
        yield f"{names} is forgotten", [one for one in rules if one is not rule]
        for number, shape in enumerate(rule.shapes):
            longer = (*rule.shapes[:number], (shape[0] + 1, *shape[1:]), *rule.shapes[number + 1 :])
            if not isinstance(rule.transform, Split):
                yield f"{names} is too large", changed(rule, shapes=longer)
        if rule.is_single:
            yield f"{names} goes elsewhere", changed(rule, targets=(f"{rule.target}.elsewhere",))
            yield f"{names} is dropped", changed(rule, kind=Kind.DROPPED, targets=(), reason="x", spare=rule.target)


@families
def test_wrong_rules_are_noticed(family: Family, paddle_facts: Facts, torch_facts: Facts) -> None:
    for model in family.models:
        case = Case(family, model, "small")
        rules, facts = rules_of(case), facts_of(case, paddle_facts, torch_facts)
        unseen = [
            mistake
            for mistake, wrong in wrong_rules(rules, case, facts[0])
            if all(question(wrong, *facts) == [] for question in QUESTIONS.values())
        ]
        assert unseen == [], model.source


@families
def test_a_missing_transpose_and_an_exchange_are_noticed(
    family: Family, paddle_facts: Facts, torch_facts: Facts
) -> None:
    """Both keep every shape where a matrix is square; one that is reshaped is transposed before, and of several that
    become one the order is exchanged."""
    case = Case(family, family.model(family.base), "small")
    rules, facts = rules_of(case), facts_of(case, paddle_facts, torch_facts)
    seen = 0
    for rule in mapped(rules, facts[0]):
        # Of a class whose linear layers hold them as PaddleNLP does, a needless one.
        kept = rule.is_single and facts[1]["kinds"].get(rule.target) == "turned linear"
        turned = rule.is_single and (rule.transform != IDENTITY or kept)
        if turned and len(rule.shape) > 1 and len(set(rule.shape)) == 1:
            wrong: Transform = Chain((TRANSPOSE, rule.one_to_one)) if isinstance(rule.transform, Reshape) else IDENTITY
            wrong = TRANSPOSE if kept else wrong
            flat = [replace(one, transform=wrong) if one is rule else one for one in rules]
            assert torn_vectors(flat, *facts), rule.source
            seen += 1
    assert seen > 0
    names = [module_of(family, role) for role in ("query", "key", "value") if role in family.roles]
    for pair in combinations(names, 2):
        first, second = (next(rule for rule in rules if {name, f"{name}.weight"} & set(rule.sources)) for name in pair)
        if first.is_single and second.is_single:
            targets = {first.source: second.targets, second.source: first.targets}
            exchanged = [
                replace(rule, targets=targets.get(rule.sources[0], rule.targets)) for rule in rules if rule.sources
            ]
            assert len(exchanged_roles(family, exchanged, facts[0])) == 2
        if first is second and not first.is_single:
            places = {name: place for place, name in enumerate(first.sources)}
            one, other = (next(place for source, place in places.items() if name in source) for name in pair)
            sources = list(first.sources)
            sources[one], sources[other] = sources[other], sources[one]
            joined = [replace(rule, sources=tuple(sources)) if rule is first else rule for rule in rules]
            assert exchanged_roles(family, joined, facts[0])
