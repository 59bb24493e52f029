"""The model card: true, complete, the same each time, and no one else's Markdown."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from paddle2torch import convert_checkpoint
from paddle2torch.converters.outputs.card import loading_lines
from paddle2torch.errors import PublishError, UnreadableFileError
from paddle2torch.hub.card_body import has_tokenizer
from paddle2torch.hub.evidence import Evidence, kind_of_family
from paddle2torch.hub.markdown import fenced, plain, table
from paddle2torch.hub.model_card import LANGUAGES, PIPELINE_TAGS, Additions, front_matter, make_card
from paddle2torch.hub.proof import Proof, examine
from paddle2torch.mappings.registry import FAMILIES, PRETRAINED

from ..conftest import TORCH_PYTHON, run_child

REPO = "me/albert-tiny"

ALL_MODELS = [(family, model) for family in FAMILIES.values() for model in family.models]


@pytest.fixture(scope="module")
def proof(certified: Path) -> Proof:
    return examine(certified, allow_unverified=False)


def as_if(proof: Proof, **fields: Any) -> Proof:
    """The same proof with another story of the source."""
    assert proof.evidence is not None
    return replace(proof, evidence=replace(proof.evidence, **fields))


def evidence_of(proof: Proof) -> Evidence:
    assert proof.evidence is not None
    return proof.evidence


def sections(card: str) -> list[str]:
    return re.findall("^##+ (.+)$", card, re.MULTILINE)


def test_the_card_tells_what_was_proven(proof: Proof, certified: Path) -> None:
    card = make_card(proof, REPO)
    certificate = json.loads((certified / "parity.json").read_text())
    assert sections(card) == ["Use", "What was converted", "Proof", "Declared differences", "Files", "Citation"]
    assert "a local checkpoint of PaddleNLP, my\\_finetuned \\[model\\]" in card
    for check in certificate["checks"]:
        row = next(line for line in card.splitlines() if line.startswith(f"| {plain(check['name'])} | passed |"))
        assert f"| {check['worst']:.2g} | {check['limit']:.2g} |" in row
    for difference in certificate["declared_differences"]:
        assert difference["text"].split(",")[0] in card.replace("\\", "")
        if difference["measured"] is not None:
            assert f"| {difference['measured']:.2g} |" in card
    assert "gradients" in certificate["not_run"]
    assert f"Not run: {plain(', '.join(certificate['not_run']))}." in card
    for side in ("source", "output"):
        for name, file in certificate[side]["files"].items():
            assert f"| {plain(name)} | {file['bytes']:,} | `{file['sha256']}` |" in card
    for name, version in certificate["versions"].items():
        assert f"{name} {version}" in card.replace("\\", "")
    assert plain(certificate["created"]) in card
    assert "transformer.pooler.weight" in card
    assert "Lan, Zhenzhong" in card
    assert "unverified" not in card


def test_nothing_of_this_machine_is_published(proof: Proof, certified: Path) -> None:
    published = make_card(proof, REPO) + (certified / "parity.json").read_text()
    assert "/tmp" not in published
    assert str(certified.parent) not in published
    assert sys.prefix not in published


def test_the_card_follows_from_the_certificate_alone(proof: Proof, certified: Path, tmp_path: Path) -> None:
    shutil.copytree(certified, tmp_path / "elsewhere")
    assert make_card(examine(tmp_path / "elsewhere", False), REPO) == make_card(proof, REPO)


@pytest.mark.parametrize("name", PRETRAINED)
def test_published_weights_state_license_and_counterpart_where_known(proof: Proof, name: str) -> None:
    pretrained = PRETRAINED[name]
    published = as_if(proof, weights="published", source_name=name)
    data = front_matter(published)
    card = make_card(published, REPO)
    assert data.get("base_model") == pretrained.counterpart
    assert data["language"] == {"Chinese": "zh", "English": "en", "multilingual": "multilingual"}[pretrained.language]
    assert data.get("license") == pretrained.license
    if pretrained.license is None:
        assert "license:" not in card
        assert "apache" not in card
        assert "No license is stated for these weights" in card
    assert f"<{pretrained.weights_url}>" in card
    assert f"paddle2torch convert {name} CONVERTED --family albert --architecture AlbertForMaskedLM\n" in card
    shown = name.replace("_", "\\_")
    assert f"PaddleNLP's published weights {shown}" in card


def test_no_counterpart_is_claimed_where_none_is_known(proof: Proof, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = PRETRAINED["albert-base-v2"]
    urls = (*entry.tokenizer_urls, "https://host/x.vocab.txt")
    monkeypatch.setitem(PRETRAINED, entry.name, replace(entry, counterpart=None, tokenizer_urls=urls))
    published = as_if(proof, weights="published", source_name=entry.name)
    assert "base_model" not in front_matter(published)
    card = make_card(published, REPO)
    assert "The same model on the hub" not in card
    assert "None" not in card


@pytest.mark.parametrize("weights", ["local", "seeded"])
def test_a_name_alone_makes_no_claim(proof: Proof, weights: str) -> None:
    """A folder may be called like published weights and hold anything."""
    data = front_matter(as_if(proof, weights=weights, source_name="albert-base-v2"))
    assert not {"license", "language", "base_model"} & data.keys()


@pytest.mark.parametrize(("family", "model"), ALL_MODELS, ids=lambda value: getattr(value, "source", ""))
def test_the_front_matter_reads_back(proof: Proof, family: Any, model: Any) -> None:
    card = make_card(replace(proof, kind=kind_of_family(family, model), model=model), REPO)
    data: dict[str, Any] = ModelCard(card).data.to_dict()  # type: ignore[no-untyped-call]
    assert data == yaml.safe_load(card.split("---")[1])
    # A folder whose head lies beside the model is not called transformers'.
    assert data.get("library_name") == ("transformers" if model.beside is None else None)
    assert data["tags"] == [family.name, "paddlepaddle", "paddlenlp", "paddle2torch", "converted"]
    without = {f"AutoModelFor{task}" for task in ("MultipleChoice", "NextSentencePrediction")}
    writes = {"AutoModelForCausalLM": "text-generation", "AutoModelForSeq2SeqLM": "text2text-generation"}
    if model.generation is not None:
        assert data["pipeline_tag"] == writes[model.auto_class]
    elif model.beside is not None or model.auto_class in {*without, *writes}:
        assert "pipeline_tag" not in data
    else:
        assert data["pipeline_tag"] == PIPELINE_TAGS[model.auto_class]
    assert "\n".join(family.citation) in card


def test_every_language_is_known() -> None:
    assert {pretrained.language for pretrained in PRETRAINED.values()} <= set(LANGUAGES)


def test_the_lines_of_the_card_load_the_model(proof: Proof, certified: Path, tmp_path: Path) -> None:
    """They are run as they stand, where REPO leads to the folder."""
    card = make_card(proof, REPO)
    code = re.search("```python\n(.*?)```", card, re.DOTALL)
    assert code is not None
    assert code[1].splitlines() == loading_lines(proof.model.auto_class, REPO, has_tokenizer(proof))
    assert len(code[1].splitlines()) <= 3
    shutil.copytree(certified, tmp_path / REPO)
    script = tmp_path / "run.py"
    script.write_text(
        f"import json, os, sys\nos.chdir({str(tmp_path)!r})\n{code[1]}"
        "print(json.dumps([type(model).__name__, sum(p.numel() for p in model.parameters())]))\n"
    )
    name, parameters = run_child(script, {}, python=TORCH_PYTHON)
    assert name == "AlbertForMaskedLM"
    assert parameters > 5000


def test_the_tokenizer_is_loaded_where_there_is_one(proof: Proof) -> None:
    with_tokenizer = replace(proof, files=(*proof.files, replace(proof.files[0], name="tokenizer.json")))
    code = re.search("```python\n(.*?)```", make_card(with_tokenizer, REPO), re.DOTALL)
    assert code is not None
    assert code[1].splitlines() == [
        "from transformers import AutoModelForMaskedLM, AutoTokenizer",
        'model = AutoModelForMaskedLM.from_pretrained("me/albert-tiny")',
        'tokenizer = AutoTokenizer.from_pretrained("me/albert-tiny")',
    ]


HOSTILE = [
    "[click](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "`code` **bold** _it_ ~~no~~",
    "a | b | c",
    "# heading",
    "<!-- comment",
    "http://evil.example www.evil.example someone@evil.example",
    "$$x$$ \\(y\\) &lt;",
    "line\n\n# broken\r\n---\nlicense: mit",
    "control \x1b[31m \x00 \u202e",
    "-->",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_name_is_no_markdown(proof: Proof, text: str) -> None:
    quiet = make_card(as_if(proof, source_name="quiet", not_run=("quiet",)), REPO)
    loud = make_card(as_if(proof, source_name=text, not_run=(text,)), REPO)
    assert sections(loud) == sections(quiet)
    assert loud.count("\n") == quiet.count("\n")
    assert loud.split("---")[1] == quiet.split("---")[1]
    from markdown_it import MarkdownIt

    def structure(card: str) -> list[str]:
        tokens = MarkdownIt("commonmark", {"linkify": False}).enable("table").parse(card.split("---", 2)[2])
        return [inner.type for token in tokens for inner in (token.children or [token]) if inner.type != "text"]

    def words(card: str) -> str:
        tokens = MarkdownIt("commonmark").enable("table").parse(card.split("---", 2)[2])
        return "".join(inner.content for token in tokens for inner in (token.children or []) if inner.type == "text")

    assert structure(loud) == structure(quiet)
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in " ".join(text.split())
    )
    assert shown in words(loud)


@pytest.mark.parametrize(
    "change",
    [
        lambda evidence: {"checks": (replace(evidence.checks[0], name="a | b", where="`x` <b>"), *evidence.checks[1:])},
        lambda evidence: {"versions": {"evil | <b>": "1"}},
        lambda evidence: {"source_files": (replace(evidence.source_files[0], name="a|b](x)"),)},
        lambda evidence: {"differences": (("a|b", "<script>", None),)},
        lambda evidence: {"dropped": (("<b>", "# why"),)},
        lambda evidence: {"tied": ("<b>", "|")},
        lambda evidence: {"tool": "<b>|", "created": "<i>|"},
    ],
)
def test_a_certificate_is_no_markdown(proof: Proof, change: Callable[[Evidence], dict[str, Any]]) -> None:
    card = make_card(as_if(proof, **change(evidence_of(proof))), REPO)
    body = re.sub(r"```.*?```|`[0-9a-f]{64}`|<!-- written by.*?-->", "", card, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)[<`]", body)
    for line in body.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (4, 7)


def test_numbers_that_are_none(proof: Proof) -> None:
    evidence = evidence_of(proof)
    odd = replace(evidence.checks[0], worst="nan", limit=None, passed=False)
    card = make_card(as_if(proof, checks=(odd,)), REPO)
    assert "| weights | **FAILED** | nan | not measured |" in card


def test_altered_values_are_named(proof: Proof, certified: Path, tmp_path: Path) -> None:
    assert "Altered" not in make_card(proof, REPO)
    assert "--dtype" not in make_card(proof, REPO)
    source = certified.parent / "my_finetuned [model]"
    convert_checkpoint(source, tmp_path / "converted", dtype="float16", zero_padding_row=True)
    altered = examine(tmp_path / "converted", allow_unverified=True)
    card = make_card(replace(proof, alterations=altered.alterations), REPO)
    assert "- Altered: cast to float16" in card
    assert "- Altered: row 0 of the word embeddings" in card
    assert " --dtype float16 --zero-padding-row\n" in card
    assert card.count("--dtype") == 1


def test_the_pieces_of_markdown() -> None:
    assert table(("a",), []) == []
    assert fenced(["```", "````x"], "sh") == ["`````sh", "```", "````x", "`````", ""]
    assert plain("albert-base-v2, 1.5e-3: 12 (of 13)") == "albert-base-v2, 1.5e-3: 12 (of 13)"


def test_what_a_publisher_adds_stands_in_the_card(proof: Proof, tmp_path: Path) -> None:
    text = tmp_path / "about.md"
    text.write_text("## About us\n\nTrained on *our* letters.\n", "utf-8")
    added = Additions.read("apache-2.0", ["zh", "en"], text)
    card = make_card(proof, REPO, added)
    data: dict[str, Any] = ModelCard(card).data.to_dict()  # type: ignore[no-untyped-call]
    assert (data["license"], data["language"]) == ("apache-2.0", ["zh", "en"])
    assert sections(card)[:2] == ["About us", "Use"]
    assert "Trained on *our* letters." in card
    # Nothing else is another, but for the hash of all, and what is said of the license where none is stated.
    gone = set(make_card(proof, REPO).splitlines()) - set(card.splitlines())
    assert all("sha256 of the text above" in line or line.startswith("- License: that of") for line in gone)


@pytest.mark.parametrize(
    ("license", "languages", "text", "message"),
    [
        ("MIT License", [], None, "'MIT License' is no license"),
        (None, ["Chinese"], None, "'Chinese' is no language"),
        (None, [], "---\nlicense: mit\n---\n", "begins with front matter"),
    ],
)
def test_what_the_hub_would_misread_is_refused(
    license: str | None, languages: list[str], text: str | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "about.md"
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(PublishError, match=message):
        Additions.read(license, languages, path if text is not None else None)
    with pytest.raises(UnreadableFileError, match="cannot be read as text"):
        Additions.read(None, [], tmp_path / "absent.md")
