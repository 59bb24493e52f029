"""Which files of a folder are a network's: the best weights before the last ones, the training configuration beside
them, and what is PaddleNLP's or nobody's is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddle2torch.converters.images.source import ImageSource, find_image_source
from paddle2torch.errors import UnreadableFileError

from ...networks import arrays_of, write_weights

OF_NETWORK = arrays_of({"backbone.conv1.conv.weight": (2, 3, 1, 1), "head.fc.weight": (2, 2)})

OF_PADDLENLP = arrays_of({"albert.embeddings.weight": (2, 3), "classifier.weight": (2, 2), "encoder.fc.weight": (2,)})


def make(folder: Path, *names: str) -> Path:
    """A folder with files of these names; those with weights have a network's tensors."""
    folder.mkdir(exist_ok=True)
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if path.suffix == ".pdparams":
            write_weights(path, OF_NETWORK)
        else:
            path.write_bytes(b"{}")
    return folder


def found(path: Path, **options: object) -> ImageSource:
    source = find_image_source(path, **options)  # type: ignore[arg-type]
    assert source is not None
    return source


EVERYTHING = (
    *("best_accuracy.pdparams", "best_model/model.pdparams", "best_model.pdparams", "latest.pdparams"),
    *("model.pdparams", "inference.pdiparams", "iter_epoch_10.pdparams", "iter_epoch_9.pdparams", "a.pdparams"),
)
"""Weights in the order in which they are taken."""


@pytest.mark.parametrize("config", ["config.yml", None])
@pytest.mark.parametrize("number", range(len(EVERYTHING)))
def test_the_best_weights_are_taken(number: int, config: str | None, tmp_path: Path) -> None:
    folder = make(tmp_path / "in", *EVERYTHING[number:], *([config] if config is not None else []))
    source = found(folder)
    assert source.weights == folder / EVERYTHING[number]
    assert source.passed_over == tuple(sorted(EVERYTHING[number + 1 :]))
    assert source.training == (folder / "config.yml" if config is not None else None)
    assert source.path == folder


@pytest.mark.parametrize("stem", ["iter_epoch_", "epoch_", "iter_"])
def test_of_several_epochs_the_last(stem: str, tmp_path: Path) -> None:
    folder = make(tmp_path / "in", *(f"{stem}{number}.pdparams" for number in (2, 100, 20)))
    assert found(folder).weights.name == f"{stem}100.pdparams"


def test_what_else_a_training_leaves_is_set_aside(tmp_path: Path) -> None:
    names = ("best_accuracy.pdopt", "best_accuracy.states", "train.log", "latest.pdema")
    folder = make(tmp_path / "in", "best_accuracy.pdparams", "notes.txt", *names)
    assert found(folder).set_aside == tuple(sorted(names))


@pytest.mark.parametrize("config", ["config.yml", "config.yaml"])
def test_the_folder_best_model_has_its_configuration_above(config: str, tmp_path: Path) -> None:
    """Whichever of the two is named, and the file too."""
    folder = make(tmp_path / "in", "best_model/model.pdparams", config)
    weights = folder / "best_model" / "model.pdparams"
    for named in (folder, folder / "best_model", weights):
        source = found(named)
        assert source.weights == weights
        assert source.training == folder / config
        assert source.folder == folder / "best_model"
    (folder / "best_model" / "config.yml").write_text("{}")
    assert found(weights).training == folder / "best_model" / "config.yml"


def test_a_configuration_above_another_folder_is_not_taken(tmp_path: Path) -> None:
    folder = make(tmp_path / "in", "epochs/latest.pdparams", "config.yml")
    assert found(folder / "epochs").training is None


@pytest.mark.parametrize("suffix", ["pdopt", "states", "txt"])
def test_a_folder_without_weights(suffix: str, tmp_path: Path) -> None:
    folder = make(tmp_path / "in", f"best_accuracy.{suffix}")
    assert find_image_source(folder) is None
    expected = "holds no weights: best_accuracy.pdparams, as PaddleOCR's training leaves it, or another .pdparams file"
    with pytest.raises(UnreadableFileError, match=expected):
        find_image_source(folder, family="slanet")
    make(folder, "config.yml")
    with pytest.raises(UnreadableFileError, match=expected):
        find_image_source(folder)


PADDLENLPS = ("config.json", "model_config.json", "model_state.pdparams", "model.safetensors")


@pytest.mark.parametrize("name", PADDLENLPS)
def test_what_has_a_file_of_paddlenlps_is_paddlenlps(name: str, tmp_path: Path) -> None:
    """Unless the user says that it is a network."""
    folder = make(tmp_path / "in", "best_accuracy.pdparams", "config.yml", name)
    weights, dictionary = folder / "best_accuracy.pdparams", make(tmp_path, "dict.txt") / "dict.txt"
    for path in (folder, weights):
        assert find_image_source(path) is None
        for told in ({"family": "slanet"}, {"dictionary": dictionary}, {"config": folder / "config.yml"}):
            assert found(path, **told).weights == weights


@pytest.mark.parametrize("told", [{"family": "bert"}, {"config": Path("config.json")}])
def test_what_is_said_to_be_paddlenlps_is(told: dict[str, object], tmp_path: Path) -> None:
    folder = make(tmp_path / "in", "best_accuracy.pdparams", "config.yml")
    assert find_image_source(folder) is not None
    assert find_image_source(folder, **told) is None  # type: ignore[arg-type]


def test_tensors_of_paddlenlps_are_no_network(tmp_path: Path) -> None:
    """Without a configuration, names of tensors tell."""
    path = write_weights(tmp_path / "in" / "best_accuracy.pdparams", OF_PADDLENLP)
    assert find_image_source(path) is None
    assert find_image_source(path.parent) is None
    write_weights(path, OF_NETWORK)
    assert found(path).weights == found(path.parent).weights == path


def test_a_single_file(tmp_path: Path) -> None:
    folder = make(tmp_path / "in", "a.pdparams", "best_accuracy.pdparams")
    source = found(folder / "a.pdparams")
    assert (source.weights, source.training, source.passed_over) == (folder / "a.pdparams", None, ())
    make(folder, "config.yml")
    assert found(folder / "a.pdparams").training == folder / "config.yml"


@pytest.mark.parametrize("suffix", ["yml", "yaml"])
def test_the_configuration_that_is_named_comes_before_the_one_beside(suffix: str, tmp_path: Path) -> None:
    folder, config = make(tmp_path / "in", "a.pdparams", "config.yml"), tmp_path / f"train.{suffix}"
    for path in (folder, folder / "a.pdparams"):
        source = found(path, config=config)
        assert source.training == config
        assert source.weights == folder / "a.pdparams"


def test_the_dictionary_that_is_named(tmp_path: Path) -> None:
    dictionary = make(tmp_path, "dict.txt") / "dict.txt"
    assert found(make(tmp_path / "in", "a.pdparams"), dictionary=dictionary).dictionary == dictionary


def test_an_export(tmp_path: Path) -> None:
    folder = make(tmp_path / "in", "inference.pdiparams", "inference.pdmodel", "inference.pdiparams.info")
    for path in (folder, folder / "inference.pdiparams"):
        source = found(path)
        assert source.is_export
        assert source.files == (
            *(folder / "inference.pdiparams", folder / "inference.pdmodel", folder / "inference.pdiparams.info"),
        )
    assert found(make(tmp_path / "other", "a.pdparams")).files == (tmp_path / "other" / "a.pdparams",)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    path = make(tmp_path / "in", "weights.bin", "config.yml") / "weights.bin"
    assert find_image_source(path) is None
    with pytest.raises(UnreadableFileError, match=r"weights\.bin: is neither a \.pdparams file, as training leaves it"):
        find_image_source(path, family="slanet")


def test_nothing_is_there(tmp_path: Path) -> None:
    assert find_image_source(tmp_path / "gone") is None
    assert find_image_source(tmp_path / "gone.pdparams", family="slanet") is None
    assert find_image_source("bert-base-chinese") is None


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x80\x04}."])
def test_what_cannot_be_read_is_left_to_whoever_reads_it(content: bytes, tmp_path: Path) -> None:
    path = make(tmp_path / "in") / "best_accuracy.pdparams"
    path.write_bytes(content)
    assert find_image_source(path) is None
    assert find_image_source(path.parent) is None
