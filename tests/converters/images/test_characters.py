"""The characters of a recogniser: the dictionary as PaddleOCR reads it, its number against that of the classes, and
where it is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddle2torch.converters.images import characters
from paddle2torch.converters.images.characters import Characters, read_characters
from paddle2torch.converters.images.source import ImageSource
from paddle2torch.converters.images.training import Training
from paddle2torch.errors import ConfigurationError, UnreadableFileError

WEIGHTS = "best_accuracy.pdparams"


def training_in(folder: Path, dictionary: str | None = None, space: bool = False) -> Training:
    return Training(folder / "config.yml", None, {}, (), dictionary, space)


def source_in(folder: Path, dictionary: Path | None = None, training: bool = True) -> ImageSource:
    config = folder / "config.yml" if training else None
    return ImageSource(folder, folder / WEIGHTS, config, dictionary)


def write(path: Path, text: str = "a\nb\nc\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def read(
    folder: Path, classes: int, text: str = "a\nb\nc\n", space: bool = False, name: str = "dict.txt"
) -> Characters:
    """The characters of a network whose training configuration names a dictionary beside the weights."""
    write(folder / name, text)
    return read_characters(source_in(folder), training_in(folder, f"./{name}", space), classes)


@pytest.mark.parametrize(
    ("space", "texts"),
    [(False, ("blank", "a", "b", "c")), (True, ("blank", "a", "b", "c", " "))],
)
def test_the_blank_comes_first_and_the_space_last(space: bool, texts: tuple[str, ...], tmp_path: Path) -> None:
    found = read(tmp_path, len(texts), space=space)
    assert found.texts == texts
    assert found.dictionary == tmp_path / "dict.txt"
    assert found.space is space
    assert found.guess is None
    assert found.reversed is False


def test_what_was_read_in_words(tmp_path: Path) -> None:
    many = "".join(f"{chr(0x4E00 + number)}\n" for number in range(1500))
    found = read(tmp_path, 1502, many, space=True)
    assert found.line == "characters: 1,502 classes: the blank, 1,500 characters of dict.txt and the space"
    assert read(tmp_path, 4).line == "characters: 4 classes: the blank, 3 characters of dict.txt"


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("a\nb", ("a", "b")),
        ("a\r\nb\r\n", ("a", "b")),
        ("a\r\r\nb\n", ("a", "b")),
        ("a\n\nb\n", ("a", "", "b")),
        ("a\n\n", ("a", "")),
        (" \na\n", (" ", "a")),
        ("a b\n\tc\n", ("a b", "\tc")),
        # No line ends at these, though Python's own splitting into lines takes them for ends.
        ("\u2028\n\x0b\n\x85\n", ("\u2028", "\x0b", "\x85")),
        ("\ufeffa\nb\n", ("\ufeffa", "b")),
        ("词\n🙂\ne\u0301\n", ("词", "🙂", "e\u0301")),
    ],
)
def test_lines_are_read_as_paddleocr_reads_them(text: str, texts: tuple[str, ...], tmp_path: Path) -> None:
    assert read(tmp_path, 1 + len(texts), text).texts == ("blank", *texts)


@pytest.mark.parametrize(
    ("classes", "space", "message"),
    [
        (
            *(5, False),
            "dict.txt: 3 characters, the blank make 4 classes, but the network has 5; with the space (use_space_char) "
            "it would fit; name the dictionary of the training with --dict",
        ),
        (
            *(4, True),
            "dict.txt: 3 characters, the blank and the space make 5 classes, but the network has 4; without the space "
            "(use_space_char) it would fit; name the dictionary of the training with --dict",
        ),
        (
            *(18385, False),
            "dict.txt: 3 characters, the blank make 4 classes, but the network has 18,385; name the dictionary of the "
            "training with --dict",
        ),
        (3, True, "the blank and the space make 5 classes, but the network has 3; name the dictionary"),
    ],
)
def test_numbers_that_do_not_fit(classes: int, space: bool, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, classes, space=space)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}")


@pytest.mark.parametrize("space", [True, False])
def test_without_a_dictionary_digits_and_letters(space: bool, tmp_path: Path) -> None:
    """PaddleOCR adds the space to a dictionary alone."""
    training = training_in(tmp_path, None, space)
    found = read_characters(source_in(tmp_path), training, 37)
    assert found.texts == ("blank", *"0123456789abcdefghijklmnopqrstuvwxyz")
    assert found.dictionary is None
    assert found.line == "characters: 37 classes: the blank, 36 characters"
    with pytest.raises(ConfigurationError) as caught:
        read_characters(source_in(tmp_path), training, 38)
    assert str(caught.value) == (
        f"{tmp_path / 'config.yml'}: no dictionary, the digits and small letters: 36 characters, the blank make 37 "
        "classes, but the network has 38; name the dictionary of the training with --dict"
    )


@pytest.mark.parametrize(("classes", "space"), [(4, False), (5, True)])
def test_without_a_configuration_the_number_of_classes_tells(classes: int, space: bool, tmp_path: Path) -> None:
    dictionary = write(tmp_path / "mine.txt")
    found = read_characters(source_in(tmp_path, dictionary, training=False), None, classes)
    assert found.texts == ("blank", "a", "b", "c", *([" "] if space else []))
    assert found.guess == f"{'a' if space else 'no'} space behind the characters, from the number of classes"


@pytest.mark.parametrize("classes", [3, 6])
def test_without_a_configuration_other_numbers_do_not_fit(classes: int, tmp_path: Path) -> None:
    dictionary = write(tmp_path / "mine.txt")
    with pytest.raises(ConfigurationError, match=r"mine\.txt: 3 characters, the blank make 4 classes"):
        read_characters(source_in(tmp_path, dictionary, training=False), None, classes)


def test_with_neither_configuration_nor_dictionary(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no training configuration lies .*--dict.*--no-tokenizer"):
        read_characters(source_in(tmp_path, training=False), None, 4)


def test_where_the_dictionary_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the weights, beside the configuration, at its path from there, from the current folder, and in the copy of
    PaddleOCR; the one that is named comes before all."""
    stated = "./ppocr/utils/dict.txt"
    (current := tmp_path / "current").mkdir()
    monkeypatch.chdir(current)
    places = [
        tmp_path / "in" / "best_model" / "dict.txt",
        tmp_path / "in" / "dict.txt",
        tmp_path / "in" / "ppocr" / "utils" / "dict.txt",
        current / "ppocr" / "utils" / "dict.txt",
        tmp_path / "library" / "ppocr" / "utils" / "dict.txt",
    ]
    source = ImageSource(
        tmp_path / "in", tmp_path / "in" / "best_model" / "model.pdparams", tmp_path / "in" / "config.yml"
    )
    training = training_in(tmp_path / "in", stated)
    for number, place in reversed(list(enumerate(places))):
        write(place, f"{number}\n")
        assert read_characters(source, training, 2, tmp_path / "library").texts == ("blank", str(number))
        place.unlink()
    # Of those that hold the same, the nearest; with another among them, nobody knows which is meant.
    for place in places:
        write(place)
    assert read_characters(source, training, 4, tmp_path / "library").dictionary == places[0]
    for other in places:
        write(other, "a\nc\nb\n")
        with pytest.raises(ConfigurationError, match=r"may be it, and they differ; name that of the training with"):
            read_characters(source, training, 4, tmp_path / "library")
        write(other)
    named = ImageSource(source.path, source.weights, source.training, write(tmp_path / "named.txt", "named\n"))
    assert read_characters(named, training, 2, tmp_path / "library").texts == ("blank", "named")


@pytest.mark.parametrize("stated", ["./ppocr/utils/dict.txt", ".", "a" * 300, "a\0b", ""])
def test_a_dictionary_that_is_not_to_be_found(stated: str, tmp_path: Path) -> None:
    (tmp_path / "dict.txt").mkdir()
    with pytest.raises(ConfigurationError) as caught:
        read_characters(source_in(tmp_path), training_in(tmp_path, stated), 4, tmp_path / "library")
    assert f"config.yml: names the dictionary {stated}, which lies neither beside the weights nor" in str(caught.value)
    assert "name it with --dict, or the folder from which that path leads with --paddleocr" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "turned"), [("arabic_dict.txt", True), ("ppocr_arabic.txt", True), ("fa_dict.txt", False)]
)
def test_an_arabic_dictionary_is_read_from_behind(name: str, turned: bool, tmp_path: Path) -> None:
    assert read(tmp_path, 4, name=name).reversed is turned
    dictionary = write(tmp_path / name)
    assert read_characters(source_in(tmp_path, dictionary, training=False), None, 4).reversed is turned


def test_a_folder_called_arabic_counts_where_the_configuration_names_it(tmp_path: Path) -> None:
    write(tmp_path / "arabic" / "dict.txt")
    found = read_characters(source_in(tmp_path), training_in(tmp_path, "arabic/dict.txt"), 4)
    assert found.reversed is True


def test_a_dictionary_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_bytes(b"a\n\xe8\xaf\x8d\n\xff\n")
    with pytest.raises(UnreadableFileError, match=r"mine\.txt: is not text in UTF-8: byte 6 is none of it"):
        read_characters(source_in(tmp_path, tmp_path / "mine.txt"), training_in(tmp_path), 4)


def test_a_dictionary_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match=r"gone\.txt: cannot be read: No such file"):
        read_characters(source_in(tmp_path, tmp_path / "gone.txt"), training_in(tmp_path), 4)


def test_a_dictionary_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(characters, "MOST_BYTES", 5)
    with pytest.raises(UnreadableFileError, match=r"dict\.txt: has 6 bytes; a dictionary has at most 5"):
        read(tmp_path, 4)


def test_an_empty_dictionary(tmp_path: Path) -> None:
    assert read(tmp_path, 1, "").texts == ("blank",)
