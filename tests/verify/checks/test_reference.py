"""The check against published values, on seeded weights: what Paddle computes plays the part of what is published."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from paddle2torch import convert_checkpoint
from paddle2torch.mappings.albert import ALBERT
from paddle2torch.mappings.language.pretrained import HiddenSlice, Reference, TextIds, TopWords
from paddle2torch.mappings.registry import PRETRAINED, names_of_family
from paddle2torch.verify.checks.reference import check_reference, run_reference
from paddle2torch.verify.job import CHECKS, Asked, verify_asked
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.runners.forward import Runners

from ...conftest import checks_of
from ...known_values import IDS, TEXT, known_values

NAME = "albert-chinese-tiny"
TOKENS = [
    *("[PAD]", *(f"[unused{index}]" for index in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *"今天情很好心感",
    *(f"word{index}" for index in range(21128 - 111)),
]

USUAL = checks_of("AlbertModel")

Converted = tuple[Path, Reference]


@pytest.fixture(scope="module", params=["AlbertModel", "AlbertForMaskedLM", "AlbertForPretraining"])
def converted(
    request: pytest.FixtureRequest, runners: Runners, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Reference]:
    """A class, its converted folder, and what Paddle says of the source. With dropout zero and true sizes."""
    return make(request.param, runners, tmp_path_factory.mktemp("reference"))


@pytest.fixture(scope="module")
def backbone(runners: Runners, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    return make("AlbertModel", runners, tmp_path_factory.mktemp("backbone"))[1:]


def make(architecture: str, runners: Runners, folder: Path) -> tuple[str, Path, Reference]:
    source = folder / "source"
    seed = {"operation": "seed", "architecture": architecture, "name": NAME, "folder": str(source), "seed": 7}
    runners.paddle32.request(seed)
    # As the published files lie: weights and vocabulary under the pretrained name.
    (folder / "published").mkdir()
    shutil.copy(source / "model_state.pdparams", folder / "published" / f"{NAME}.pdparams")
    (folder / "published" / f"{NAME}.vocab.txt").write_text("\n".join(TOKENS) + "\n", "utf-8")
    convert_checkpoint(folder / "published", folder / "converted")
    reference = known_values(runners.paddle32, source, architecture, folder, TOKENS)
    return architecture, folder / "converted", reference


def outcomes(reference: Reference, folder: Path, runners: Runners) -> dict[str, str]:
    return {part.name: part.outcome for part in run_reference(reference, folder, runners)}


def test_what_is_known_holds(converted: tuple[str, Path, Reference], runners: Runners) -> None:
    architecture, folder, reference = converted
    words = "not run" if architecture == "AlbertModel" else "passed"
    assert outcomes(reference, folder, runners) == {"hidden state": "passed", "token ids": "passed", "words": words}


# AlbertModel has no words.
@pytest.mark.parametrize("converted", ["AlbertForMaskedLM", "AlbertForPretraining"], indirect=True)
def test_words_in_another_order_fail(converted: tuple[str, Path, Reference], runners: Runners) -> None:
    _, folder, reference = converted
    first, second, *rest = reference.words[0].words
    changed = replace(reference, words=(TopWords(TEXT, (second, first, *rest)),))
    assert outcomes(changed, folder, runners)["words"] == "FAILED"
    # Seeded weights are not those that the true acceptance data is of.
    assert outcomes(ALBERT.references[NAME], folder, runners)["words"] == "FAILED"
    more = replace(reference, words=(*reference.words, TopWords("[MASK][MASK]", ("x",))))
    problems = [part.problem for part in run_reference(more, folder, runners) if part.problem]
    assert len(problems) == 1
    assert "has 2 masks" in problems[0]


def moved(known: HiddenSlice | None, by: float) -> HiddenSlice:
    assert known is not None
    rows = [list(row) for row in known.values]
    rows[2][1] += by
    return replace(known, values=tuple(map(tuple, rows)))


WRONG: dict[str, tuple[Callable[[Reference], Reference], str]] = {
    "a value": (lambda known: replace(known, hidden=moved(known.hidden, 3e-4)), "state at position 4, channel 2 is"),
    "ids": (lambda known: replace(known, ids=(TextIds(TEXT, IDS[:-1], True),)), "has the ids"),
    "ids without the special ones": (lambda known: replace(known, ids=(TextIds(TEXT, IDS, False),)), "has the ids"),
    "pieces": (lambda known: replace(known, pieces=30000), "21,128 pieces, 30,000 are published"),
    "a special id": (lambda known: replace(known, special_ids={"mask": 104}), "mask token has the id 103, 104 is"),
    "a value that is no number": (
        lambda known: replace(known, hidden=moved(known.hidden, float("nan"))),
        "state at position 4, channel 2 is",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_other_values_fail(kind: str, backbone: Converted, runners: Runners) -> None:
    change, message = WRONG[kind]
    problems = [part.problem for part in run_reference(change(backbone[1]), backbone[0], runners) if part.problem]
    assert len(problems) == 1
    assert message in problems[0]


def test_a_model_that_does_not_run_fails(backbone: Converted, runners: Runners, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(backbone[0], tmp_path / "converted"))
    (folder / "model.safetensors").unlink()
    (folder / "tokenizer.json").write_text("{}")
    found = outcomes(backbone[1], folder, runners)
    assert found == {"hidden state": "FAILED", "token ids": "FAILED", "words": "not run"}


def test_a_tokenizer_that_is_absent_is_not_run(backbone: Converted, runners: Runners, tmp_path: Path) -> None:
    folder = tmp_path / "converted"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(backbone[0] / name, folder / name)
    found = outcomes(backbone[1], folder, runners)
    assert found == {"hidden state": "passed", "token ids": "not run", "words": "not run"}


def test_the_outcome_says_what_ran(backbone: Converted, runners: Runners) -> None:
    folder, reference = backbone
    outcome = check_reference(reference, folder, runners)
    result = outcome.result
    assert result is not None
    assert result.worst is not None
    assert (result.name, result.passed, result.limit) == ("reference", True, 1e-4)
    assert 0 < result.worst < 1e-4
    absent = "reference words: the published file holds no masked language model head"
    assert outcome.parts_not_run == (absent,)


def test_nothing_known_is_not_run(backbone: Converted, runners: Runners) -> None:
    outcome = check_reference(Reference(), backbone[0], runners)
    assert outcome.result is None
    assert outcome.parts_not_run == (
        "reference hidden state: none is known",
        "reference token ids: none are known",
        "reference words: none are known",
    )


def test_a_verification_of_published_weights_says_what_ran(
    backbone: Converted, runners: Runners, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only with all default checks, only where something is known, and never for weights that are not published."""
    folder, reference = backbone
    shutil.copytree(folder.parent / "published", tmp_path / "models" / NAME)
    monkeypatch.setenv("PPNLP_HOME", str(tmp_path))
    monkeypatch.setenv("PADDLE2TORCH_CACHE", str(tmp_path / "none"))

    def verify(known: Reference | None, source: str | Path = NAME, checks: tuple[str, ...] = CHECKS) -> Report:
        return verify_asked(source, folder, Asked(checks, published=known), runners)

    report = verify(reference)
    assert report.weights == "published"
    assert tuple(check.name for check in report.checks) == (*USUAL, "reference")
    assert "reference" in report.seconds
    absent = "reference words: the published file holds no masked language model head"
    assert report.not_run == ("gradients", absent)
    report = verify(Reference())
    assert tuple(check.name for check in report.checks) == USUAL
    assert report.not_run[1:] == (
        "reference hidden state: none is known",
        "reference token ids: none are known",
        "reference words: none are known",
    )
    assert verify(reference, checks=("weights",)).not_run == (*USUAL[1:], "gradients", "reference")
    assert verify(None, checks=("weights",)).not_run == (*USUAL[1:], "gradients")
    local = verify(reference, tmp_path / "models" / NAME, ("weights",))
    assert (local.weights, local.not_run) == ("local", (*USUAL[1:], "gradients"))


def test_the_acceptance_data_is_of_all_names() -> None:
    assert set(ALBERT.references) == set(names_of_family("albert"))
    known = {name for name, reference in ALBERT.references.items() if reference.hidden is not None}
    assert known == {"albert-base-v2"}
    assert {name for name, reference in ALBERT.references.items() if reference.words} == {
        "albert-base-v2",
        *(f"albert-chinese-{size}" for size in ("tiny", "small", "base", "large")),
    }
    for name, reference in ALBERT.references.items():
        size = PRETRAINED[name].configuration["vocab_size"]
        assert reference.pieces in (None, size)
        assert all(index < size for text in reference.ids for index in text.ids)
        assert bool(reference.special_ids) == (PRETRAINED[name].language == "Chinese")
