"""Training configurations are read as plain values: anchors hold, a tag that would make an object is refused and runs
nothing, and of a file that is none the message says why."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.images import training
from paddle2torch.converters.images.training import Training, dump_training, read_training
from paddle2torch.errors import ConfigurationError, MissingDependencyError, Paddle2TorchError, UnreadableFileError

WHOLE = """
Global:
  model_name: PP-OCRv5_mobile_rec # To use static model for inference.
  character_dict_path: ./ppocr/utils/dict/ppocrv5_dict.txt
  max_text_length: &max_text_length 25
  use_space_char: true
Architecture:
  model_type: rec
  Transform:
  Backbone: &backbone
    name: PPLCNetV3
    scale: 0.95
  Head:
    <<: *backbone
    max_text_length: *max_text_length
    kernel_size: !!python/tuple [1, 3]
Train:
  dataset:
    transforms:
    - RecAug:
Eval:
  dataset:
    transforms:
    - DecodeImage:
        img_mode: BGR
    - RecResizeImg:
        image_shape: [3, 48, 320]
    - ToCHWImage:
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yml"
    path.write_text(text, "utf-8")
    return path


def read(folder: Path, text: str) -> Training:
    return read_training(written(folder, text))


def failure(folder: Path, text: str) -> Paddle2TorchError:
    path = written(folder, text)
    with pytest.raises(Paddle2TorchError) as caught:
        read_training(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 2000
    return caught.value


def test_what_a_configuration_says(tmp_path: Path) -> None:
    found = read(tmp_path, WHOLE)
    assert found.path == tmp_path / "config.yml"
    assert found.model_name == "PP-OCRv5_mobile_rec"
    assert found.dictionary == "./ppocr/utils/dict/ppocrv5_dict.txt"
    assert found.space is True
    assert found.section("") == {
        "model_type": "rec",
        "Transform": None,
        "Backbone": {"name": "PPLCNetV3", "scale": 0.95},
        # Anchors, merged mappings, and tuples as Python's own writers mark them.
        "Head": {"name": "PPLCNetV3", "scale": 0.95, "max_text_length": 25, "kernel_size": [1, 3]},
    }
    assert found.transforms == [
        {"DecodeImage": {"img_mode": "BGR"}},
        {"RecResizeImg": {"image_shape": [3, 48, 320]}},
        {"ToCHWImage": None},
    ]


def test_what_is_not_said(tmp_path: Path) -> None:
    found = read(tmp_path, "Architecture: {Backbone: {name: A}}")
    assert (found.model_name, found.dictionary, found.space, found.transforms) == (None, None, False, ())
    assert read(tmp_path, "Global: {model_name: 3}\nArchitecture: {a: 1}").model_name is None


def test_a_configuration_of_paddleclas(tmp_path: Path) -> None:
    text = "Arch: {name: PPLCNet_x1_0}\nDataLoader: {Eval: {dataset: {transform_ops: [{ResizeImage: {size: 3}}]}}}"
    found = read(tmp_path, text)
    assert found.section("") == {"name": "PPLCNet_x1_0"}
    assert found.transforms == [{"ResizeImage": {"size": 3}}]
    inferring = read(tmp_path, "Arch: {name: A}\nInfer: {transforms: [{ResizeImage: {size: 4}}]}")
    assert inferring.transforms == [{"ResizeImage": {"size": 4}}]
    both = read(tmp_path, f"{text}\nInfer: {{transforms: [{{ResizeImage: {{size: 4}}}}]}}")
    assert both.transforms == [{"ResizeImage": {"size": 3}}]


def test_the_networks_of_a_distillation(tmp_path: Path) -> None:
    """Without a prefix before the tensors, they are the student's."""
    models = "{Student: {Backbone: {name: A}}, Student2: {Backbone: {name: B}}, Teacher: {Backbone: {name: C}}}"
    found = read(tmp_path, f"Architecture: {{name: DistillationModel, Models: {models}}}")
    names = {prefix: found.section(prefix)["Backbone"]["name"] for prefix in ("Student.", "Student2.", "Teacher.", "")}
    assert names == {"Student.": "A", "Student2.": "B", "Teacher.": "C", "": "A"}
    assert found.section("Other.") == {}
    assert read(tmp_path, "Architecture: {Models: {Student: 3}}").section("Student.") == {}


TAGS = {
    "system": "!!python/object/apply:os.system ['touch {canary}']",
    "mkdir": "!!python/object/apply:os.mkdir ['{canary}']",
    "open": "!!python/object/apply:builtins.open ['{canary}', 'w']",
    "eval": "!!python/object/apply:builtins.eval [\"open('{canary}', 'w')\"]",
    "new": "!!python/object/new:os.mkdir ['{canary}']",
    "object": "!!python/object:pathlib.Path {{}}",
    "name": "!!python/name:os.system",
    "module": "!!python/module:os",
    "own": "!made_up {{a: 1}}",
}


@pytest.mark.parametrize("place", ["Architecture: {{a: {} }}", "Global: {{b: {} }}\nArchitecture: {{a: 1}}", "{}"])
@pytest.mark.parametrize("tag", list(TAGS))
def test_a_tag_that_would_make_an_object_is_refused_and_runs_nothing(tag: str, place: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    error = failure(tmp_path, place.format(TAGS[tag].format(canary=canary)))
    assert isinstance(error, UnreadableFileError)
    assert "is no YAML of plain values: could not determine a constructor for the tag" in str(error)
    assert not canary.exists()


@pytest.mark.parametrize(
    "text",
    [
        "a: b: c",
        "{",
        "a: *nothing",
        "\t- a",
        "a: \0",
        "a: !!timestamp x",
        "a: !!int ''",
        "a: !!bool x",
        "a: !!float ''",
        "a: 2001-99-99",
        "a: " + "9" * 5000,
        "a: " + "[" * 2000,
        # Numbers of base 60: two thousand of their digits are more than Python writes.
        "Architecture: {a: 1" + ":59" * 3000 + "}",
        "Architecture: {a: 99999999999999999999999999}",
    ],
)
def test_what_is_no_yaml_of_plain_values(text: str, tmp_path: Path) -> None:
    assert "is no YAML of plain values: " in str(failure(tmp_path, text))


def test_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_bytes(b"Global: \xff\xfe")
    with pytest.raises(UnreadableFileError, match=r"config\.yml: is no YAML of plain values: 'utf-8' codec"):
        read_training(path)


@pytest.mark.parametrize("text", ["", "- a\n- b", "text", "3", "~"])
def test_what_is_no_configuration(text: str, tmp_path: Path) -> None:
    assert "is no training configuration: a mapping of sections is expected" in str(failure(tmp_path, text))


@pytest.mark.parametrize("text", ["Global: {a: 1}", "Architecture:", "Architecture: {}\nArch: {}"])
def test_without_an_architecture(text: str, tmp_path: Path) -> None:
    error = failure(tmp_path, text)
    assert isinstance(error, ConfigurationError)
    assert "has no section Architecture" in str(error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Global: 3\nArchitecture: {a: 1}", "Global is 3; a section is expected"),
        ("Architecture: [a]", "Architecture is ['a']; a section is expected"),
        ("Arch: name", "Arch is 'name'; a section is expected"),
        ("Global: {character_dict_path: [a]}\nArchitecture: {a: 1}", "is ['a']; a path is expected"),
        ("Eval: {dataset: {transforms: 3}}\nArchitecture: {a: 1}", "Eval.dataset.transforms is no list of transforms"),
        ("Eval: {dataset: {transforms: [a]}}\nArchitecture: {a: 1}", "Eval.dataset.transforms is no list"),
        ("Eval: {dataset: {transforms: [{a: 1, b: 2}]}}\nArchitecture: {a: 1}", "is no list of transforms"),
        ("Eval: {dataset: {transforms: [{3: {}}]}}\nArchitecture: {a: 1}", "is no list of transforms"),
        ("Infer: {transforms: {a: 1}}\nArch: {a: 1}", "Infer.transforms is no list of transforms"),
    ],
)
def test_sections_of_another_kind(text: str, message: str, tmp_path: Path) -> None:
    error = failure(tmp_path, text)
    assert isinstance(error, ConfigurationError)
    assert message in str(error)


def test_a_configuration_that_is_too_large(tmp_path: Path) -> None:
    most = 4 << 20
    text = "Architecture: {a: 1}\n#"
    assert read(tmp_path, text.ljust(most, "x")).architecture == {"a": 1}
    assert "has 4,194,305 bytes; a training configuration has at most 4,194,304" in str(
        failure(tmp_path, text.ljust(most + 1, "x"))
    )


def bomb(levels: int) -> str:
    """Anchors that mean nine times as much with each of the levels."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, levels)]
    return "\n".join([*lines, f"Architecture: {{Backbone: {{scale: *a{levels - 1}}}}}"])


@pytest.mark.parametrize(
    "text",
    [
        bomb(8),
        bomb(60),
        f"s: &s {'x' * 100_000}\nArchitecture: {{a: [{', '.join(['*s'] * 200)}]}}",
        "Architecture: &a {b: *a}",
        "Architecture: {a: &b [1, *b]}",
    ],
    ids=["many", "beyond all numbers", "a long text often", "itself", "a list in itself"],
)
def test_anchors_that_mean_too_much(text: str, tmp_path: Path) -> None:
    assert "its anchors make it too long" in str(failure(tmp_path, text))


def test_anchors_may_mean_a_little(tmp_path: Path) -> None:
    found = read(tmp_path, bomb(3))
    assert len(str(found.section("")["Backbone"]["scale"])) > 9**3


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match=r"gone\.yml: cannot be read: No such file"):
        read_training(tmp_path / "gone.yml")
    with pytest.raises(UnreadableFileError, match="cannot be read: Is a directory"):
        read_training(tmp_path)


def test_without_pyyaml_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, WHOLE)
    real = builtins.__import__

    def without(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name == "yaml":
            raise ImportError("No module named 'yaml'")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"takes PyYAML: .* -m pip install 'pyyaml>=6'") as caught:
        read_training(path)
    assert caught.value.detail == "No module named 'yaml'"


@pytest.mark.parametrize(
    "document",
    [{"Global": {"model_name": "词"}, "Architecture": {"kernel_size": (1, 3), "scale": 0.95, "Transform": None}}],
)
def test_what_is_written_is_read(document: Mapping[str, Any], tmp_path: Path) -> None:
    dump_training(tmp_path / "config.yml", document)
    found = training.read_training(tmp_path / "config.yml")
    assert found.model_name == "词"
    assert found.architecture == {"kernel_size": [1, 3], "scale": 0.95, "Transform": None}
