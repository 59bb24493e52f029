"""Folders that are not the network, or not all of it: every check that has to see it turns red, and nothing passes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import Paddle2TorchError
from paddle2torch.verify.reports.text import report_verdict
from paddle2torch.verify.runners.forward import Runners

from .conftest import LINE, PROCESSOR, TURNED, WEIGHTS, Converted, Edit, Seeded, Tensors, red

Config = dict[str, Any]

PROJECTION = "head.encoder.svtr_block.0.self_attn.projection.weight"
STEM = "backbone.encoder.convolution.convolution.weight"


def configured(**fields: Any) -> Edit:
    return lambda tensors, config, processor: config.update(fields)


def processed(**fields: Any) -> Edit:
    return lambda tensors, config, processor: processor.update(fields)


def transposed(tensors: Tensors, config: Config, processor: Config) -> None:
    tensors[PROJECTION] = tensors[PROJECTION].T


def without_a_tensor(tensors: Tensors, config: Config, processor: Config) -> None:
    del tensors["head.encoder.norm.weight"]


def with_a_tensor(tensors: Tensors, config: Config, processor: Config) -> None:
    tensors["head.more.weight"] = np.zeros(3, np.float32)


def colours_swapped(tensors: Tensors, config: Config, processor: Config) -> None:
    """What a network would need that is given red, green and blue in place of blue, green and red."""
    (name,) = [name for name in tensors if name.endswith(STEM)]
    tensors[name] = tensors[name][:, ::-1]


def one_number(tensors: Tensors, config: Config, processor: Config) -> None:
    tensors["head.head.weight"].reshape(-1).view(np.uint32)[5] ^= 1


def unused_number(tensors: Tensors, config: Config, processor: Config) -> None:
    """A gain that is multiplied by zero: nothing that is computed shows it."""
    name = next(one for one in tensors if one.endswith("conv_symmetric.1.normalization.running_mean"))
    tensors[name][0] = 1.0


def stride(tensors: Tensors, config: Config, processor: Config) -> None:
    block = config["backbone_config"]["block_configs"][1][1]
    assert block[3] == 1
    block[3] = [1, 2]


def characters_swapped(tensors: Tensors, config: Config, processor: Config) -> None:
    held = processor["character_list"]
    held[1000], held[1001] = held[1001], held[1000]


def space_left_out(tensors: Tensors, config: Config, processor: Config) -> None:
    assert processor["character_list"].pop() == " "


OF_READERS: dict[str, tuple[Edit, set[str]]] = {
    "another epsilon": (configured(layer_norm_eps=1e-6), {"files"}),
    "a square matrix transposed": (transposed, {"weights", "aligned"}),
    "another stride": (stride, {"files", "aligned"}),
    "fewer heads": (configured(num_attention_heads=4), {"files", "aligned"}),
    "the channels of the stem in another order": (colours_swapped, {"weights", "aligned"}),
    "a tensor left out": (without_a_tensor, {"files", "weights", "aligned"}),
    "a tensor more": (with_a_tensor, {"files", "weights"}),
    "the last bit of one number": (one_number, {"weights"}),
    "a number that nothing shows": (unused_number, {"weights"}),
    "two characters swapped": (characters_swapped, {"files", "decoding"}),
    "the space left out": (space_left_out, {"files", "decoding"}),
    "means of another kind": (processed(image_mean=[0.485, 0.456, 0.406]), {"files", "preprocessing"}),
    "another height": (processed(size={"height": 32, "width": 320}), {"files", "preprocessing"}),
    "no picture is filled up": (processed(do_pad=False), {"files", "preprocessing"}),
    # It does the same steps and leaves red, green and blue as they are.
    "an image processor of another network": (
        processed(image_processor_type="PPOCRV5ServerRecImageProcessor"),
        {"files", "preprocessing"},
    ),
}
"""Changes of a recogniser's folder, and the checks that have to see each."""


@pytest.mark.parametrize("change", OF_READERS)
def test_a_changed_folder_does_not_pass(change: str, recogniser: Converted, runners: Runners, tmp_path: Path) -> None:
    edit, seen_by = OF_READERS[change]
    folder = recogniser.changed(tmp_path / "changed", edit)
    report = recogniser.verify(runners, *_asked(seen_by), folder=folder)
    assert not report.passed
    assert seen_by <= red(report)
    assert report_verdict(report) == "FAILED"


def _asked(seen_by: set[str]) -> set[str]:
    """The checks that have to see a change; all that is compared by running costs seconds."""
    return seen_by | {"weights"}


OF_CLASSIFIERS: dict[str, tuple[Edit, set[str]]] = {
    "a mean that is a little larger": (processed(image_mean=[0.486, 0.456, 0.406]), {"preprocessing"}),
    "a deviation that is a little larger": (processed(image_std=[0.229, 0.224, 0.23]), {"preprocessing"}),
    "deviations of blue, green and red": (processed(image_std=[0.225, 0.224, 0.229]), {"preprocessing"}),
    "another scale": (processed(rescale_factor=1 / 256), {"preprocessing"}),
    "another interpolation": (processed(resample=0), {"preprocessing"}),
    # transformers has it for such networks; it hands them blue, green and red.
    "the usual image processor": (processed(image_processor_type="PPLCNetImageProcessor"), {"preprocessing"}),
    "another dropout": (configured(hidden_dropout_prob=0.1), {"aligned"}),
    "another activation": (configured(hidden_act="relu"), {"aligned"}),
    "another first stride": (configured(stem_stride=1), {"aligned"}),
}
"""Changes of a classifier's folder that the checks of the computation see, where the files are another program's and no
check compares these."""


@pytest.mark.parametrize("change", OF_CLASSIFIERS)
def test_a_changed_folder_of_another_program_does_not_pass(
    change: str, line: Converted, runners: Runners, tmp_path: Path
) -> None:
    edit, seen_by = OF_CLASSIFIERS[change]
    folder = line.changed(tmp_path / "changed", edit, foreign=True)
    report = line.verify(runners, folder=folder)
    assert report.foreign
    assert "files" in report.not_run_reasons
    assert seen_by <= red(report)


def test_the_same_folder_of_another_program_passes(line: Converted, runners: Runners, tmp_path: Path) -> None:
    """With how many batches each norm has seen, which nothing is computed with and transformers saves."""

    def edit(tensors: Tensors, config: Config, processor: Config) -> None:
        norms = [name for name in tensors if name.endswith("running_mean")]
        tensors |= {name.replace("running_mean", "num_batches_tracked"): np.zeros((), np.int64) for name in norms}

    report = line.verify(runners, folder=line.changed(tmp_path / "saved", edit, foreign=True)).assert_passed()
    assert report.foreign
    # In a folder of this package's, such a tensor has no business.
    assert "weights" in red(line.verify(runners, "weights", folder=line.changed(tmp_path / "own", edit)))


@pytest.mark.parametrize(
    ("epsilon", "seen_by"), [(1e-4, {"aligned", "as_shipped"}), (2e-5, {"aligned"}), (1e-6, set())]
)
def test_an_epsilon_of_another_program_is_seen(
    epsilon: float, seen_by: set[str], recogniser: Converted, runners: Runners, tmp_path: Path
) -> None:
    """Alignment puts Paddle's own in its place, but not in place of any: of PaddleOCR's two, transformers has one by
    default."""
    folder = recogniser.changed(tmp_path / "saved", configured(layer_norm_eps=epsilon), foreign=True)
    report = recogniser.verify(runners, "aligned", "as_shipped", folder=folder)
    assert red(report) == seen_by
    if seen_by:
        aligned = report.check("aligned")
        assert aligned is not None
        expected = f"the epsilon of head.encoder.norm is {epsilon:g} in torch, 1e-05 or 1e-06 is expected"
        assert expected in aligned.problems


def another_file(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"anything")


def another_configuration_file(folder: Path) -> None:
    (folder / "processor_config.json").write_text("{}")


def other_text(folder: Path) -> None:
    path = folder / PROCESSOR
    path.write_text(path.read_text() + "\n")


def cut_short(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[:-4])


@pytest.mark.parametrize("change", [another_file, another_configuration_file, other_text])
def test_other_files_are_seen(
    change: Callable[[Path], None], line: Converted, runners: Runners, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(line.folder, tmp_path / "converted"))
    change(folder)
    assert red(line.verify(runners, folder=folder)) == {"files"}


def test_weights_that_are_cut_short_do_not_pass(line: Converted, runners: Runners, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(line.folder, tmp_path / "converted"))
    cut_short(folder)
    with pytest.raises(Paddle2TorchError, match=WEIGHTS):
        line.verify(runners, folder=folder)


def test_other_weights_do_not_pass(line: Converted, seeded: Seeded, runners: Runners) -> None:
    other = seeded(LINE, seed=1)
    report = line.verify(runners, folder=other.folder)
    # Its files are laid out alike.
    assert red(report) == {"weights", "aligned", "as_shipped"}


def test_another_network_with_tensors_of_the_same_shapes_does_not_pass(
    seeded: Seeded, runners: Runners, tmp_path: Path
) -> None:
    """Classifiers of pages and of lines have the same tensors, and other strides."""
    one, other = seeded(TURNED), seeded("PP-LCNet_x1_0_table_cls")
    folder = Path(shutil.copytree(one.folder, tmp_path / "converted"))
    shutil.copy(other.folder / "config.json", folder)
    report = one.verify(runners, folder=folder)
    assert red(report) == {"files", "aligned", "as_shipped"}
    assert {"files", "aligned"} <= red(one.verify(runners, folder=other.folder))


def test_a_folder_of_another_kind_of_network_does_not_pass(
    recogniser: Converted, detector: Converted, line: Converted, runners: Runners
) -> None:
    for one, other in ((recogniser, detector), (detector, recogniser), (line, detector)):
        report = one.verify(runners, folder=other.folder)
        assert red(report) >= {"files", "weights", "aligned", "as_shipped"}


def test_a_source_that_changed_does_not_pass(line: Converted, seeded: Seeded, runners: Runners, tmp_path: Path) -> None:
    """Weights that were trained on since they were converted."""
    source = Path(shutil.copytree(line.source, tmp_path / "source"))
    shutil.copy(seeded(LINE, seed=1).source / "best_accuracy.pdparams", source)
    later = Converted(source, line.folder, line.conversion)
    report = later.verify(runners)
    assert {"weights", "aligned"} <= red(report)
    # They are not those that were seeded, whatever the mark beside them says.
    assert report.weights == "local"
    assert line.verify(runners, "files").weights == "seeded"


def test_fused_and_trained_blocks_are_told_apart(detector: Converted, seeded: Seeded, runners: Runners) -> None:
    """transformers has one class for both, so that either folder loads."""
    trained = seeded("PP-OCRv5_mobile_det")
    assert {"weights", "aligned"} <= red(detector.verify(runners, "weights", "aligned", folder=trained.folder))


def test_other_characters_do_not_pass(recogniser: Converted, runners: Runners, tmp_path: Path) -> None:
    """A dictionary of as many lines, of which the folder's is not made."""
    assert recogniser.dictionary is not None
    lines = recogniser.dictionary.read_text("utf-8").split("\n")
    lines[10], lines[11] = lines[11], lines[10]
    other = tmp_path / "other.txt"
    other.write_text("\n".join(lines), "utf-8")
    report = Converted(recogniser.source, recogniser.folder, recogniser.conversion, other).verify(
        runners, "files", "decoding"
    )
    assert red(report) == {"files", "decoding"}


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
def test_dictionaries_are_read_as_paddleocr_reads_them(
    ending: str, recogniser: Converted, runners: Runners, tmp_path: Path
) -> None:
    """With carriage returns, blanks of many kinds, texts of several characters, and one that stands there twice."""
    assert recogniser.dictionary is not None
    lines = recogniser.dictionary.read_text("utf-8").split("\n")[:6623]
    lines[:9] = ["\u3000", "\u2028", " a", "\t", "é", "e\u0301", "blank", "中中", "\x85"]
    lines[9] = lines[10]
    path = tmp_path / "dict.txt"
    path.write_bytes((ending.join(lines) + ending).encode())
    folder = tmp_path / "converted"
    conversion = convert_checkpoint(recogniser.source, folder, dictionary=path)
    odd = Converted(recogniser.source, folder, conversion, path)
    odd.verify(runners, "files", "decoding").assert_passed()


@pytest.mark.parametrize(("name", "dtype"), [("detector", "bfloat16"), ("line", "float16")])
def test_weights_that_were_cast_are_compared_as_such(
    name: str, dtype: str, request: pytest.FixtureRequest, runners: Runners, tmp_path: Path
) -> None:
    one: Converted = request.getfixturevalue(name)
    folder = tmp_path / dtype
    cast = Converted(one.source, folder, convert_checkpoint(one.source, folder, dtype=dtype))
    report = cast.verify(runners, "files", "weights", "aligned").assert_passed()
    weights = report.check("weights")
    assert weights is not None
    # That they are not the source's own numbers is said.
    assert weights.where.endswith(f"tensors bit-equal to the source cast to {dtype}")
