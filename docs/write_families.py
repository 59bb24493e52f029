"""Writes docs/families.md, what every class of PaddleNLP's becomes, from the family files. Run by `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from paddle2torch.mappings.language.beside import HEAD_FILE
from paddle2torch.mappings.language.family import Family
from paddle2torch.mappings.language.images.network import Network
from paddle2torch.mappings.language.tokenizers import TokenizerClass
from paddle2torch.mappings.refused import REFUSED
from paddle2torch.mappings.registry import COMMUNITY, FAMILIES, NETWORKS, pretrained_of

HEAD = """# Families

What every class of PaddleNLP's becomes, what is known to differ, and what is refused. Made from the family files in
`mappings/` by `make docs`; a test compares the two.

A class in the left column converts to the one beside it; that the two are the same model is proven by running both, in
transformers 5.24.0 and 4.57.6, or in the latter alone where the family says so. "Declared" are differences that no
weight can express: they are named, measured and printed in every report, as is what is "not covered" because a model
cannot be given it. Names are those that `paddle2torch list` shows and `fetch`, `convert` and `gate` take; those of the
community are for the first two.
"""


def families() -> str:
    """All families, as Markdown."""
    networks = [NETWORKS_HEAD, *(_network(network) for network in NETWORKS.values())]
    parts = [HEAD, *(_section(family) for family in FAMILIES.values()), _refused(), *networks]
    return "\n".join(parts)


NETWORKS_HEAD = """## Networks that read pictures

PaddleOCR's and PaddleClas's, whose training folders and exports convert as [ocr.md](ocr.md) tells. "Constant" is one in
which Paddle's network and transformers' class differ: put into transformers' class, both compute the same to 1e-12, and
`verify` measures what each costs without that.
"""


def _network(network: Network) -> str:
    lines = [f"### {network.name}", "", f"{network.title}, trained with {network.builder}.", ""]
    lines.append(f"- becomes `{network.target}`, which `{network.auto_class}` loads, with `{network.processor_class}`")
    lines.append(f"- official names: {', '.join(network.official)}")
    lines += [f"- lost: {loss}" for loss in network.losses]
    lines += [f"- constant, {one.name}: {one.text}" for one in network.constants]
    return "\n".join([*lines, ""])


def _section(family: Family) -> str:
    lines = [f"## {family.name}", "", "| PaddleNLP | Hugging Face | |", "|---|---|---|"]
    for model in family.models:
        notes = []
        if family.pooler and not model.pooler:
            notes.append("the pooler is dropped: there is no place for it")
        if model.takes_pooler and not any(getattr(row, "former", False) for row in model.head):
            notes.append("the pooler becomes part of the head")
        if model.probabilities is not None:
            notes.append("PaddleNLP's probabilities are the sigmoids of the logits")
        if model.refuses is not None:
            notes.append("not with every configuration")
        if model.beside is not None:
            notes.append(f"{model.beside.reason}: the backbone, and its head beside it in `{HEAD_FILE}`")
        notes += [f"not covered: {line}" for line in (model.limits.lines() if model.limits is not None else ())]
        notes += dict.fromkeys(reason for row in model.head if (reason := getattr(row, "reason", None)))
        lines.append(f"| `{model.source}` | `{model.target_architecture}` | {_cell('; '.join(notes))} |")
    lines += [f"| `{name}` | refused | {_cell(reason)} |" for name, reason in family.refused.items()]
    lines += ["", *_facts(family), *_targets(family), "", *_names(family), ""]
    return "\n".join(lines)


def _names(family: Family) -> Iterator[str]:
    """A row per pretrained name."""
    entries = pretrained_of(family)
    if not entries:
        yield "No pretrained names are registered."
        return
    yield "| name | language | layers / hidden / heads | activation | parameters |"
    yield "|---|---|---|---|---|"
    for entry in entries:
        known = entry.configuration
        sizes = " / ".join(str(known.get(f"num_{n}", known.get(n, "-"))) for n in _SIZES)
        activation = known.get("hidden_act", "-")
        parameters = next(iter(entry.parameters.values()))
        yield f"| {entry.name} | {entry.language} | {sizes} | {activation} | {parameters:,} |"


_SIZES = ("hidden_layers", "hidden_size", "attention_heads")


def _targets(family: Family) -> Iterator[str]:
    if family.alternatives:
        yield f"- the usual target: {family.becomes}"
    for one in family.alternatives:
        classes = ", ".join(f"`{model.source}` becomes `{model.target_architecture}`" for model in one.models)
        yield f"- `--target {one.name}`: {classes}; {one.becomes}"
        yield f"- declared with `--target {one.name}`: {one.difference.text}"


def _facts(family: Family) -> Iterator[str]:
    if family.target_type is not None:
        yield f"- `model_type` in Hugging Face's configuration: `{family.target_type}`"
    if family.embeds_sentences:
        yield f"- with `--sentence-transformers`: {family.pooling or 'no usual pooling; name one'}"
    if family.withdrawn is not None:
        yield f"- {family.withdrawn.text()}"
    yield f"- activations: {', '.join(f'`{name}`' for name in family.activations)}"
    fixed = [entry for entry in family.fields if not callable(entry.runs) and entry.is_fixed and entry.stored_name]
    for entry in fixed:
        yield f"- `{entry.name}` is {entry.runs} whatever the configuration says"
    for entry in family.fields:
        if entry.only is not None:
            yield f"- only with `{entry.name}` {entry.only[0]!r}: {entry.only[1]}"
    for difference in family.declared_differences:
        concerned = f" ({', '.join(difference.architectures)})" if difference.architectures else ""
        yield f"- declared: {difference.text}{concerned}"
    for line in family.limits.lines():
        yield f"- not covered: {line}"
    if family.tokenizer is not None:
        for one in family.tokenizer.classes:
            yield from _tokenizer(one)
    if others := [entry.name for entry in COMMUNITY.values() if entry.family == family.name]:
        yield f"- known by name in PaddleNLP's community: {', '.join(others)}"


def _tokenizer(one: TokenizerClass) -> Iterator[str]:
    """A class with each kind of vocabulary that it reads."""
    if one.refused is not None:
        yield f"- tokenizer `{one.name}`: refused: it {one.refused}"
        return
    for conditions in dict.fromkeys(tuple(one.only_with(kind).items()) for kind in one.kinds):
        settings = ", ".join(f"`{name}` {only.value!r}" for name, only in conditions)
        yield f"- tokenizer `{one.name}`{': only with ' if settings else ''}{settings}"


def _refused() -> str:
    reasons: dict[str, list[str]] = {}
    for name, reason in REFUSED.items():
        reasons.setdefault(reason, []).append(name)
    lines = ["## Refused by name", "", "| classes, model types and names | why |", "|---|---|"]
    lines += [f"| {', '.join(f'`{name}`' for name in names)} | {_cell(reason)} |" for reason, names in reasons.items()]
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    Path(__file__).with_name("families.md").write_text(families(), "utf-8")
