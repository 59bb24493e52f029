"""What tensors are recognised as: the network and its official name, prefixes and distillations, what is left out and
said aloud, and what is refused with what it belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from paddle2torch import convert_checkpoint
from paddle2torch.converters.images.recognition import OpenedNetwork, RecognisedNetwork, recognise_network
from paddle2torch.converters.images.source import find_image_source
from paddle2torch.errors import ConfigurationError, Paddle2TorchError, UnmatchedTensorsError
from paddle2torch.mappings.refused import REFUSED_BACKBONES

from ...conftest import Run
from ...networks import SMALL, Arrays, arrays_of
from .conftest import Write, configuration_of
from .renaming import expected

DETECTOR, TABLE, LINE = "small pp_ocrv5_mobile_det", "small slanet", "small pp_ocrv5_mobile_rec"


def recognise(path: Path, **options: Any) -> RecognisedNetwork:
    source = find_image_source(path, options.get("family"))
    assert source is not None
    with OpenedNetwork(source) as opened:
        return recognise_network(opened, **options)


def prefixed(prefix: str, arrays: Arrays) -> Arrays:
    return {f"{prefix}{name}": array for name, array in arrays.items()}


@pytest.mark.parametrize("name", list(SMALL))
def test_every_network_is_told_by_its_tensors(name: str, write: Write) -> None:
    """Two have the same tensors, which a configuration tells apart."""
    case = SMALL[name]
    found = recognise(write(name, training=not case.sizes.get("fused")), no_characters=True)
    assert found.network is case.network
    assert found.sizes == case.sizes
    assert found.name == case.network.name
    assert found.guesses == (f"{case.network.name}, from the names and shapes of the tensors",)


def test_an_official_name_is_what_it_is_called(write: Write) -> None:
    source = write(DETECTOR, changed={"Global": {"model_name": "PP-OCRv4_mobile_det"}})
    found = recognise(source)
    assert found.name == "PP-OCRv4_mobile_det"
    assert found.guesses == ()
    other = recognise(write(DETECTOR, changed={"Global": {"model_name": "PP-OCRv5_mobile_rec"}}, folder="other"))
    assert other.name == "pp_ocrv5_mobile_det"
    assert other.guesses


@pytest.mark.parametrize("name", ["small pp_lcnet", "small pp_lcnet_textline"])
def test_without_a_configuration_two_classifiers_are_alike(name: str, write: Write, tmp_path: Path) -> None:
    source = write(name, training=False)
    with pytest.raises(UnmatchedTensorsError, match="the tensors fit pp_lcnet and pp_lcnet_textline; choose"):
        convert_checkpoint(source, tmp_path / "out")
    for family in ("pp_lcnet", "pp_lcnet_textline"):
        assert convert_checkpoint(source, tmp_path / family, family=family).family == family


def test_a_family_that_it_is_not(write: Write) -> None:
    source = write(DETECTOR)
    with pytest.raises(UnmatchedTensorsError) as caught:
        recognise(source, family="slanet")
    assert str(caught.value).startswith(f"{source / 'best_accuracy.pdparams'}: the tensors are not those of slanet, ")
    assert "(they belong to backbone.blocks2, backbone.blocks3" in str(caught.value)


@pytest.mark.parametrize("prefix", ["_layers.", "module.", "a.b."])
def test_a_prefix_is_left_out(prefix: str, write: Write, tmp_path: Path) -> None:
    arrays = arrays_of(SMALL[TABLE].shapes)
    done = convert_checkpoint(write(TABLE, prefixed(prefix, arrays)), tmp_path / "out")
    assert f"the names of the tensors begin with {prefix}, which is left out" in done.notes
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert written.keys() == expected("slanet", arrays).keys()


@pytest.mark.parametrize("others", [("Teacher.",), ("Student2.",), ("Student2.", "Teacher."), ()])
def test_of_a_distillation_the_student(others: tuple[str, ...], write: Write, tmp_path: Path) -> None:
    arrays = arrays_of(SMALL[DETECTOR].shapes)
    opposite = {name: -array for name, array in arrays.items()}
    together = prefixed("Student.", arrays)
    for other in others:
        together = {**prefixed(other, opposite), **together}
    own = configuration_of(SMALL[DETECTOR])["Architecture"]
    models = {"Student": own, "Student2": {"Backbone": {"name": "B"}}, "Teacher": {"Backbone": {"name": "C"}}}
    architecture = {"name": "DistillationModel", "algorithm": "Distillation", "Models": models}
    done = convert_checkpoint(write(DETECTOR, together, changed={"Architecture": architecture}), tmp_path / "out")
    assert "the names of the tensors begin with Student., which is left out" in done.notes
    left_out = f"{len(arrays) * len(others)} tensors of the distillation's other networks are left out"
    assert (left_out in done.notes) is bool(others)
    written = load_file(tmp_path / "out" / "model.safetensors")
    for name, array in expected("pp_ocrv5_mobile_det", arrays).items():
        assert written[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("prefix", ["Student.", "Teacher.", ""])
def test_the_configuration_of_a_distillation_is_that_of_the_network_in_the_file(prefix: str, write: Write) -> None:
    """A student that was taken out has no prefix any more."""
    own = configuration_of(SMALL[DETECTOR])["Architecture"]
    other = {**own, "Neck": {**own["Neck"], "out_channels": 96}}
    models = {"Student": own, "Teacher": own if prefix == "Teacher." else other}
    if prefix == "Teacher.":
        models["Student"] = other
    arrays = prefixed(prefix, arrays_of(SMALL[DETECTOR].shapes))
    assert recognise(write(DETECTOR, arrays, changed={"Architecture": {"Models": models}})).sizes["neck"] == 16
    swapped = {"Student": models["Teacher"], "Teacher": models["Student"]}
    source = write(DETECTOR, arrays, changed={"Architecture": {"Models": swapped}}, folder="swapped")
    with pytest.raises(ConfigurationError, match=r"Neck\.out_channels is 96, but the tensors are those of a network"):
        recognise(source)


def test_several_networks_that_are_no_distillation(write: Write) -> None:
    arrays = arrays_of(SMALL[DETECTOR].shapes)
    source = write(DETECTOR, {**prefixed("A.", arrays), **prefixed("B.", arrays)})
    with pytest.raises(UnmatchedTensorsError) as caught:
        recognise(source)
    assert str(caught.value) == (
        f"{source / 'best_accuracy.pdparams'}: the tensors have the prefixes 'A.', 'B.': one network is expected, or a "
        "distillation with Student"
    )


@pytest.mark.parametrize("other", ["Other.", "", "Student.Student."])
def test_a_student_beside_something_else_is_no_distillation(other: str, write: Write) -> None:
    arrays = arrays_of(SMALL[DETECTOR].shapes)
    with pytest.raises(UnmatchedTensorsError, match="one network is expected, or a distillation with Student"):
        recognise(write(DETECTOR, {**prefixed("Student.", arrays), **prefixed(other, arrays)}))


def test_tensors_of_no_known_network(write: Write) -> None:
    source = write(DETECTOR, arrays_of({"backbone.layer1.0.conv.weight": (2, 2), "neck.fpn.weight": (2,)}))
    with pytest.raises(UnmatchedTensorsError) as caught:
        recognise(source)
    message = str(caught.value)
    assert message.startswith(f"{source / 'best_accuracy.pdparams'}: the tensors are those of no known network")
    assert "(they belong to backbone.layer1, neck.fpn); known are pp_lcnet, pp_lcnet_textline, pp_ocr" in message


def test_many_parts_are_not_all_listed(write: Write) -> None:
    source = write(DETECTOR, arrays_of({f"backbone.part{number}.weight": (1,) for number in range(12)}))
    with pytest.raises(UnmatchedTensorsError, match=r"backbone\.part4, backbone\.part5 and 4 more\)"):
        recognise(source)


def test_a_tensor_without_a_rule_and_a_missing_one(write: Write) -> None:
    arrays = arrays_of(SMALL[DETECTOR].shapes)
    arrays["backbone.odd.weight"] = arrays.pop("head.binarize.conv3.bias")
    source = write(DETECTOR, arrays)
    with pytest.raises(UnmatchedTensorsError) as caught:
        recognise(source)
    message = str(caught.value)
    assert f"{source / 'best_accuracy.pdparams'}: the tensors do not fit pp_ocrv5_mobile_det: " in message
    assert "no rule for backbone.odd.weight" in message
    assert "missing head.binarize.conv3.bias" in message


@pytest.mark.parametrize("shape", [(), (7,), (1, 2, 3)])
def test_a_tensor_of_another_rank(shape: tuple[int, ...], write: Write) -> None:
    arrays = arrays_of(SMALL[DETECTOR].shapes)
    arrays["backbone.conv1.conv.weight"] = np.zeros(shape, np.float32)
    with pytest.raises(Paddle2TorchError):
        recognise(write(DETECTOR, arrays))


def test_whole_numbers_are_no_weights(write: Write) -> None:
    arrays = arrays_of(SMALL[DETECTOR].shapes)
    arrays["head.binarize.conv3.bias"] = np.zeros(1, np.int64)
    with pytest.raises(UnmatchedTensorsError, match="holds int64, a floating-point type is expected"):
        recognise(write(DETECTOR, arrays))


@pytest.mark.parametrize("name", [LINE, DETECTOR, TABLE, "small slanext"])
def test_what_is_dropped_is_said_with_the_reason(name: str, write: Write, tmp_path: Path) -> None:
    done = convert_checkpoint(write(name), tmp_path / "out", dry_run=True)
    lines = done.lines()
    assert done.dropped
    assert set(done.dropped) == {one for names in done.drop_reasons.values() for one in names}
    for reason, names in done.drop_reasons.items():
        assert f"dropped, {reason}: {', '.join(names)}" in lines


@pytest.mark.parametrize("name", [TABLE, "small slanext"])
def test_that_cells_lose_their_boxes_is_a_caution(name: str, write: Write, tmp_path: Path, paddle2torch: Run) -> None:
    """Even where nothing else is said."""
    source = write(name)
    finished = paddle2torch("convert", source, tmp_path / "out", "--quiet", "--json")
    assert finished.returncode == 0, finished.stderr
    assert "caution: THE BOXES OF THE CELLS ARE LOST" in finished.stderr
    without = {one: array for one, array in arrays_of(SMALL[name].shapes).items() if "loc_generator" not in one}
    other = write(name, without, training=False, folder="without")
    assert not any("BOXES" in caution for caution in recognise(other, no_characters=True).cautions)


@pytest.mark.parametrize(("classes", "cautioned"), [(7, True), (50, False)])
def test_tokens_that_transformers_does_not_know_are_a_caution(classes: int, cautioned: bool, write: Write) -> None:
    shapes = {
        **SMALL[TABLE].shapes,
        "head.structure_generator.1.weight": (12, classes),
        "head.structure_generator.1.bias": (classes,),
        "head.structure_attention_cell.rnn.weight_ih": (36, 16 + classes),
    }
    found = recognise(write(TABLE, arrays_of(shapes), training=False))
    assert found.sizes["classes"] == classes
    assert any(f"the network has {classes} tokens" in caution for caution in found.cautions) is cautioned


def test_an_arabic_dictionary_is_a_caution(write: Write) -> None:
    source = write(LINE, changed={"Global": {"character_dict_path": "arabic_dict.txt", "use_space_char": True}})
    (source / "dict.txt").rename(source / "arabic_dict.txt")
    (caution,) = recognise(source).cautions
    assert "turns texts around that it reads with an Arabic dictionary" in caution
    assert recognise(source, no_characters=True).cautions == ()


def test_weights_that_are_passed_over_are_named(write: Write) -> None:
    source = write(DETECTOR)
    (source / "latest.pdparams").write_bytes(b"")
    note = "best_accuracy.pdparams is read, and not latest.pdparams beside it; pass the file if that is meant"
    assert note in recognise(source).notes


@pytest.mark.parametrize("backbone", ["PPHGNet_small", "MobileNetV3", "SVTRNet", "PPLCNetV4"])
def test_a_backbone_that_has_no_class_is_refused_by_name(backbone: str, write: Write) -> None:
    source = write(DETECTOR, changed={"Architecture": {"Backbone": {"name": backbone}}})
    with pytest.raises(ConfigurationError) as caught:
        recognise(source)
    assert str(caught.value) == (
        f"{source / 'config.yml'}: the backbone {backbone} is refused: {REFUSED_BACKBONES[backbone]}"
    )


def test_a_configuration_of_another_training(write: Write) -> None:
    architecture = configuration_of(SMALL[DETECTOR])["Architecture"]
    architecture["Backbone"]["scale"] = 0.5
    source = write(DETECTOR, changed={"Architecture": architecture})
    with pytest.raises(ConfigurationError) as caught:
        recognise(source)
    assert f"{source / 'config.yml'}: Backbone.scale is 0.5, but the tensors are those of a network with 0.25" in str(
        caught.value
    )
    assert "is it the configuration of this training?" in str(caught.value)


def test_pictures_of_another_size_than_the_networks(write: Write) -> None:
    """A network of squares cannot take others."""
    source = write("small slanext", changed={"Eval": None})
    with pytest.raises(ConfigurationError) as caught:
        recognise(source)
    assert "pictures are prepared 512 pixels high, and the network takes squares of 64 alone" in str(caught.value)
    assert recognise(source, no_characters=True).network.name == "slanext"


def test_a_file_without_tensors(write: Write) -> None:
    with pytest.raises(Paddle2TorchError, match="holds no tensor"):
        recognise(write(DETECTOR, {}))
