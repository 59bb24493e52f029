"""Converted networks as people use them, with a path alone: rendered text is read and found, as it is by PaddleOCR's
own preparation and network and by the trained export's own program, and what `convert` prints runs as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle2torch.converters.images.source import find_image_source
from paddle2torch.verify.images.check import GIVEN, NetworkContext
from paddle2torch.verify.images.pair import open_network_pair
from paddle2torch.verify.runners.forward import Runners

from ...conftest import TORCH_PYTHON, run_child
from .conftest import LINE, Converted, Seeded
from .pictures import save, text_picture

HERE = Path(__file__).parent

YELLOW, BLUE, RED, GREEN = (250, 220, 40), (30, 60, 170), (200, 30, 30), (70, 150, 90)

LINES = {
    "Hello World 2026": text_picture("Hello World 2026", 333),
    "Invoice 4711": text_picture("Invoice 4711", 250, YELLOW, BLUE),
    "Total: 12.50 EUR": text_picture("Total: 12.50 EUR", 310, RED, GREEN),
    "The quick brown fox jumps over 13 lazy dogs": text_picture(
        "The quick brown fox jumps over 13 lazy dogs", 1150, BLUE, YELLOW, height=72, at=(12, 8), points=48
    ),
}
"""What is rendered by what is to be read: in black and in colours, wider than is usual and higher."""

PAGES = {
    "in colours": text_picture("Invoice 4711", 736, YELLOW, BLUE, height=736, at=(96, 160)),
    "resized": text_picture("Invoice 4711", 368, height=368, at=(96, 160)),
}

WORDS = "Invoice 4711"

AUTO_CLASSES = {
    "recogniser": "AutoModelForTextRecognition",
    "detector": "AutoModelForObjectDetection",
    "classifier": "AutoModelForImageClassification",
    "table": "AutoModelForTableRecognition",
}

PICTURES: dict[str, Mapping[str, Any]] = {
    "recogniser": LINES,
    "detector": PAGES,
    # Of a size that is not resized, so that all numbers are compared.
    "classifier": {"line": text_picture(WORDS, 160, YELLOW, BLUE, height=80, at=(2, 20))},
    "table": {"table": text_picture(WORDS, 488, YELLOW, BLUE, height=300, at=(96, 160))},
}

EXPORTS = ("recogniser", "detector")


@dataclass(frozen=True)
class Answers:
    """What one network answers: `paddle` is PaddleOCR's network, or PaddleClas's, behind the library's own preparation,
    `export` the trained export's own program behind the same, `torch` transformers' class behind its image processor,
    and `words` what that makes of it. `given` are the pictures as Paddle and as torch prepared them."""

    paddle: Mapping[str, Any]
    export: Mapping[str, Any]
    torch: Mapping[str, Any]
    given: Mapping[str, tuple[Any, Any]]
    words: Mapping[str, Any]
    characters: tuple[str, ...]


@pytest.fixture(scope="module")
def networks(recogniser: Converted, detector: Converted, seeded: Seeded) -> dict[str, Converted]:
    classifier, table = seeded(LINE), seeded("SLANet_plus")
    return {"recogniser": recogniser, "detector": detector, "classifier": classifier, "table": table}


@pytest.fixture(scope="module")
def child(networks: dict[str, Converted], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What transformers makes of all pictures, and what the lines print that `convert` prints, in one process."""
    place = tmp_path_factory.mktemp("used")
    runs = []
    for name, one in networks.items():
        np.savez(place / f"{name}.npz", **PICTURES[name])
        runs.append([str(one.folder), AUTO_CLASSES[name], str(place / f"{name}.npz"), str(place / f"{name}.out.npz")])
    save(LINES[WORDS], place / "line.png")
    save(PAGES["resized"], place / "page.png")
    save(PICTURES["table"]["table"], place / "table.png")
    # In the folder where people have their pictures.
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        lines = ["\n".join(one.conversion.loading_lines()) for one in networks.values()]
        found: dict[str, Any] = run_child(
            HERE / "read_pictures.py", {"runs": runs, "lines": lines}, python=TORCH_PYTHON
        )
    return {**found, "place": place}


@pytest.fixture(scope="module")
def answers(
    networks: dict[str, Converted],
    child: dict[str, Any],
    runners: Runners,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Answers]:
    return {
        name: _answers(
            name, one, child["runs"][number], np.load(child["place"] / f"{name}.out.npz"), runners,
            tmp_path_factory.mktemp(name),
        )
        for number, (name, one) in enumerate(networks.items())
    }  # fmt: skip


def _answers(
    name: str, one: Converted, words: Mapping[str, Any], torch: Mapping[str, Any], runners: Runners, scratch: Path
) -> Answers:
    source = find_image_source(one.source, dictionary=one.dictionary)
    assert source is not None
    processes = runners.networks
    with open_network_pair(source, one.folder) as pair:
        asking = NetworkContext(pair, processes.paddle, processes.torches[0], scratch)
        steps = [dict(step) for step in pair.found.preparation.transforms]
        wanted = {"operation": "preprocess", "pictures": GIVEN, "transforms": steps, **asking.of_library()}
        prepared = asking.exchange(processes.paddle, dict(PICTURES[name]), wanted)
        context = NetworkContext(pair, processes.paddle, processes.torches[0], scratch, inputs=prepared)
        paddle = context.paddle_run("float32")
        characters = pair.found.characters.texts if pair.found.characters is not None else ()
    export = _export(one, prepared, scratch) if name in EXPORTS else {}
    given = {key: (prepared[key], torch[f"{key}.given"]) for key in prepared}
    return Answers(paddle, export, {key: torch[f"{key}.answer"] for key in prepared}, given, words, characters)


def _export(one: Converted, prepared: Mapping[str, Any], scratch: Path) -> Mapping[str, Any]:
    pictures, outputs = scratch / "pictures.npz", scratch / "outputs.npz"
    np.savez(pictures, **prepared)
    request = {"export": str(one.source / "inference"), "pictures": str(pictures), "outputs": str(outputs)}
    run_child(HERE / "run_export.py", request)
    found: Mapping[str, Any] = np.load(outputs)
    return found


def read(probabilities: Any, characters: tuple[str, ...]) -> str:
    """The best path of [steps, classes] without what is repeated and without blanks."""
    numbers = probabilities.argmax(-1)
    kept = [now for before, now in zip([0, *numbers], numbers, strict=False) if now and now != before]
    return "".join(characters[number] for number in kept)


@pytest.mark.parametrize("text", LINES)
def test_rendered_text_is_read(text: str, answers: dict[str, Answers]) -> None:
    found = answers["recogniser"]
    (line,) = found.words[text]
    # A blank behind the last word is the network's own, whoever runs it.
    assert line["text"].rstrip(" ") == text
    assert line["score"] > 0.9


@pytest.mark.parametrize("text", LINES)
def test_paddleocr_reads_the_same(text: str, answers: dict[str, Answers]) -> None:
    """Its own network behind its own preparation, and the export as it is: to the last blank."""
    found = answers["recogniser"]
    (line,) = found.words[text]
    assert read(found.paddle[text][0], found.characters) == line["text"]
    assert read(found.export[text][0], found.characters) == line["text"]
    assert read(found.torch[text][0], found.characters) == line["text"]


@pytest.mark.parametrize(
    ("name", "picture", "limit"),
    [
        ("recogniser", WORDS, 1e-3),
        ("detector", "in colours", 1e-3),
        ("classifier", "line", 1e-4),
        ("table", "table", 1e-4),
    ],
)
def test_what_is_not_resized_gives_the_same_numbers(
    name: str, picture: str, limit: float, answers: dict[str, Answers]
) -> None:
    """From the picture to the probabilities, each library with its own code alone. Colours in another order show."""
    found = answers[name]
    paddle, torch = found.paddle[picture], found.torch[picture]
    assert paddle.shape == torch.shape
    assert float(np.ptp(paddle)) > 10 * limit
    assert np.abs(paddle - torch).max() < limit
    if name in EXPORTS:
        assert np.abs(found.export[picture] - torch).max() < limit
    one, other = found.given[picture]
    # The channels of a coloured picture are no copies of each other.
    assert np.abs(one - one[:, ::-1]).max() > 0.5
    turned = other[:, ::-1] if name == "table" else other
    assert np.abs(one - turned).max() < 1e-5


@pytest.mark.parametrize("page", PAGES)
def test_rendered_text_is_found(page: str, answers: dict[str, Answers]) -> None:
    found, picture = answers["detector"], PAGES[page]
    (box,) = found.words[page]
    rows, columns = np.nonzero((picture != picture[0, 0]).any(-1))
    left, top, right, bottom = columns.min(), rows.min(), columns.max(), rows.max()
    corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    # Within a few points of the ink.
    assert np.abs(np.asarray(box) - corners).max() <= 6, (box, corners)


@pytest.mark.parametrize("page", PAGES)
def test_paddleocr_finds_the_same(page: str, answers: dict[str, Answers]) -> None:
    found = answers["detector"]
    torch = found.torch[page][0, 0] > 0.3
    for map_of_text in (found.paddle[page], found.export[page]):
        paddle = map_of_text[0, 0] > 0.3
        assert paddle.shape == torch.shape
        assert paddle.sum() > 500
        # Where a page is resized, a point at the edge may be on either side.
        assert (paddle != torch).sum() <= 0.02 * paddle.sum()


def test_the_lines_that_convert_prints_run(child: dict[str, Any], answers: dict[str, Answers]) -> None:
    reading, detecting, classifying, table = child["printed"]
    assert WORDS in reading
    (printed,) = answers["recogniser"].words[WORDS]
    assert json.dumps(printed["text"], ensure_ascii=False).strip('"') in reading
    (box,) = answers["detector"].words["resized"]
    numbers = [int(number) for number in "".join(one if one.isdigit() else " " for one in detecting).split()]
    assert {number for corner in box for number in corner} <= set(numbers)
    assert classifying.startswith("tensor([[")
    assert table.startswith("tensor([[")
    (structure,) = answers["table"].torch.values()
    first = structure.argmax(-1)[0, :3]
    assert str([int(number) for number in first]).strip("[]") in " ".join(table.split()).replace("  ", " ")
