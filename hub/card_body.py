"""The text of a model card below its front matter."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ..converters.images.documents import PREPROCESSOR
from ..converters.outputs.card import head_section, whole_model_note
from ..converters.outputs.certificate import CERTIFICATE
from .evidence import Evidence, RecordedCheck, RecordedFile
from .markdown import fenced, plain, table
from .proof import Proof

TOKENIZER_FILES = frozenset({"tokenizer.json", "tokenizer_config.json"})
"""With one of these a folder can be given to AutoTokenizer."""


def card_body(proof: Proof, repo_id: str, text: str | None = None, license: str | None = None) -> list[str]:
    """The lines of the card of a folder as it will be at `repo_id`; every text that others chose is escaped. `text` is
    the publisher's own, in Markdown, and `license` the one that the publisher states."""
    return [
        f"# {plain(repo_id.split('/')[-1])}",
        "",
        *_warnings(proof),
        *_what_it_is(proof),
        "",
        *([] if text is None else [*text.splitlines(), ""]),
        "## Use",
        "",
        *fenced(proof.kind.loading_lines(proof.model, repo_id, _is_prepared(proof)), "python"),
        *head_section(proof.model).splitlines(),
        *([""] if proof.model.beside is not None else []),
        *([f"{plain(withdrawn.text())}.", ""] if (withdrawn := proof.kind.withdrawn) is not None else []),
        *_conversion(proof, license),
        *_proof(proof),
        "## Files",
        "",
        *_file_table(proof.files),
        *_citation(proof),
    ]


def _what_it_is(proof: Proof) -> list[str]:
    model = proof.model
    if model.beside is None:
        return [
            f"{plain(model.target_architecture)} for PyTorch and transformers, converted from {_source(proof)} by "
            "paddle2torch."
        ]
    return [
        f"{plain(model.source)} of PaddleNLP for PyTorch, converted from {_source(proof)} by paddle2torch. "
        f"{whole_model_note(model)}"
    ]


def has_tokenizer(proof: Proof) -> bool:
    """Whether AutoTokenizer can be given the folder."""
    return not TOKENIZER_FILES.isdisjoint(file.name for file in proof.files)


def _warnings(proof: Proof) -> list[str]:
    if not proof.doubts:
        return []
    lines = []
    if proof.seeded:
        lines.append("> **The weights are random.** They were seeded to test the conversion and know nothing.")
    else:
        lines.append("> **Not verified.** It is not proven that this is the model it was converted from.")
    return [*lines, ">", *(f"> - {plain(doubt)}" for doubt in proof.doubts), ""]


def _source(proof: Proof) -> str:
    evidence = proof.evidence
    if evidence is None or evidence.source_name is None:
        return f"a {proof.kind.library} checkpoint"
    name = plain(evidence.source_name)
    if evidence.pretrained is not None:
        return f"PaddleNLP's published weights {name}"
    if evidence.community is not None:
        return f"the weights {plain(evidence.community)} of PaddleNLP's community"
    if (hub := evidence.hub) is not None:
        return f"the weights {plain(hub.output)} of the Hugging Face Hub at the commit {plain(hub.revision or '')}"
    kind = "random (seeded) weights" if evidence.weights == "seeded" else f"a local checkpoint of {proof.kind.library}"
    return f"{kind}, {name}"


def _license(evidence: Evidence, stated: str | None) -> str | None:
    """What the card says of the license, None where its front matter says enough."""
    if stated is not None:
        return f"License: {stated}, as whoever published this repository says."
    if evidence.pretrained is not None:
        known = evidence.pretrained.license is not None
        return None if known else "No license is stated for these weights, and this card claims none."
    if evidence.community is not None:
        return "License: that of these weights in PaddleNLP's community, which is not known here."
    if evidence.hub is not None:
        return "License: that of the repository from which they came; this card claims none."
    return "License: that of the checkpoint, which is not known here." if evidence.weights in ("local", "hub") else None


def _conversion(proof: Proof, license: str | None) -> list[str]:
    evidence = proof.evidence
    if evidence is None:
        return []
    lines = ["## What was converted", ""]
    pretrained = evidence.pretrained
    if pretrained is not None:
        lines += [f"- Weights published at <{pretrained.weights_url}>"]
        if has_tokenizer(proof):
            lines += [f"- Tokenizer published at {' '.join(f'<{url}>' for url in pretrained.tokenizer_urls)}"]
        if pretrained.counterpart is not None:
            lines += [f"- The same model on the hub: {plain(pretrained.counterpart)}"]
    lines += [*([f"- {line}"] if (line := _license(evidence, license)) is not None else [])]
    lines += [
        f"- {plain(evidence.model.source)} of {evidence.kind.library}, {evidence.model.target_architecture} of Hugging "
        f"Face, {evidence.tensors} tensors",
        *(f"- {plain(note)}" for note in evidence.kind.notes),
        *([f"- Tied, bit-equal to their twins: {plain(', '.join(evidence.tied))}"] if evidence.tied else []),
        *(f"- Dropped: {plain(name)}: {plain(reason)}" for name, reason in _dropped(evidence)),
        *(f"- Altered: {plain(line)}" for line in proof.alterations.lines()),
        "",
        *_file_table(evidence.source_files),
    ]
    source = _as_argument(evidence)
    options = f"CONVERTED --family {evidence.kind.name}"
    if evidence.kind.network is None:
        options += f" --architecture {evidence.model.source}"
    commands = [
        " ".join(["paddle2torch convert", source, options, *_altering(proof)]),
        f"paddle2torch verify {source} {options}",
    ]
    return [*lines, *fenced(commands, "sh")]


def _dropped(evidence: Evidence) -> list[tuple[str, str]]:
    """What was dropped, tensor by tensor; of a network, whose heads for training have many, by its parts."""
    if evidence.kind.network is None:
        return list(evidence.dropped)
    return list(dict.fromkeys((".".join(name.split(".")[:2]), reason) for name, reason in evidence.dropped))


def _is_prepared(proof: Proof) -> bool:
    """Whether what prepares a model's inputs lies in the folder: the tokenizer, or the image processor."""
    if proof.kind.network is not None:
        return any(file.name == PREPROCESSOR for file in proof.files)
    return has_tokenizer(proof)


def _altering(proof: Proof) -> list[str]:
    """The options of the conversion that altered values or left something out."""
    done = proof.alterations
    cast = [f"--dtype {done.dtype.name}"] if done.dtype is not None else []
    row = ["--zero-padding-row"] if done.zero_padding_row is not None else []
    target = [f"--target {proof.kind.target}"] if proof.kind.target is not None else []
    pooling = [f"--sentence-transformers {done.pooling}"] if done.pooling is not None else []
    return [*target, *cast, *row, *(["--no-tokenizer"] if done.no_tokenizer else []), *pooling]


def _as_argument(evidence: Evidence) -> str:
    """The source as the commands name it; a place on someone's machine is not shown."""
    if evidence.hub is not None:
        return shlex.quote(str(evidence.hub))
    return evidence.source_name if evidence.weights == "published" and evidence.source_name else "SOURCE"


def _proof(proof: Proof) -> list[str]:
    evidence = proof.evidence
    if evidence is None:
        return []
    versions = ", ".join(f"{name} {version}" for name, version in evidence.versions.items())
    lines = [
        "## Proof",
        "",
        f"{plain(evidence.tool)} ran both frameworks on the same inputs on {plain(evidence.created)}"
        + (f" ({plain(versions)})" if versions else "")
        + f". The file {CERTIFICATE} holds the certificate: the hash of each file and tensor, the mapping, the checks.",
        "",
        *table(
            ("check", "verdict", "worst", "limit", "measure", "where"),
            [_check_row(check) for check in evidence.checks],
            right=(2, 3),
        ),
    ]
    if len(evidence.environments) > 1:
        rows = [
            [
                plain(one.name),
                plain(", ".join(f"{name} {version}" for name, version in one.versions.items())),
                plain(", ".join(f"{check.name}{'' if check.passed else ' FAILED'}" for check in one.checks) or "-"),
            ]
            for one in evidence.environments
        ]
        lines += ["### Environments", "", *table(("environment", "versions", "checks there"), rows)]
    if evidence.accidents:
        lines += [*(f"- {plain(line)}" for line in evidence.accidents), ""]
    if evidence.not_run:
        lines += [f"Not run: {plain(', '.join(evidence.not_run))}.", ""]
    for what in evidence.not_covered:
        lines += [f"Not covered: {plain(what)}.", ""]
    if evidence.differences:
        rows = [[plain(name), _number(measured), plain(text)] for name, text, measured in evidence.differences]
        lines += ["### Declared differences", "", *table(("name", "size here", "what"), rows, right=(1,))]
    return lines


def _check_row(check: RecordedCheck) -> list[str]:
    return [
        plain(check.name),
        "passed" if check.passed else "**FAILED**",
        _number(check.worst),
        _number(check.limit),
        plain(check.measure),
        plain(check.where),
    ]


def _number(value: float | str | None) -> str:
    if value is None:
        return "not measured"
    return value if isinstance(value, str) else f"{value:.2g}"


def _file_table(files: Sequence[RecordedFile]) -> list[str]:
    rows = [[plain(file.name), f"{file.nbytes:,}", f"`{file.sha256}`"] for file in files]
    return table(("file", "bytes", "sha256"), rows, right=(1,))


def _citation(proof: Proof) -> list[str]:
    entry = proof.kind.citation
    return ["## Citation", "", *fenced(entry, "bibtex")] if entry else []
