"""Networks as trainings leave them, converted and compared bit for bit with names and values that were written down by
hand, and loaded by transformers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from paddle2torch import convert_checkpoint
from paddle2torch.converters.outputs.conversion import Conversion

from ...conftest import TORCH_PYTHON, run_child
from ...networks import SMALL, Arrays, Case, arrays_of, write_weights, write_yaml
from .conftest import SIDE, Write, characters_of, configuration_of
from .renaming import DROPPED, expected

CASES = {name: case for name, case in SMALL.items() if not case.sizes.get("fused")}
"""The small networks as they are trained."""

FUSED = {name: case for name, case in SMALL.items() if case.sizes.get("fused")}

cases = pytest.mark.parametrize("name", list(CASES))

Done = dict[str, tuple[Path, Conversion, Arrays]]


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """All small networks, converted: the folder, what was done, and the values that they were made of."""
    found = {}
    for name, case in SMALL.items():
        folder = tmp_path_factory.mktemp("network")
        source, arrays = folder / "in", arrays_of(case.shapes)
        write_weights(source / "best_accuracy.pdparams", arrays)
        general: dict[str, Any] = {}
        if case.network.task == "recognition":
            (source / "dict.txt").write_text(characters_of(case), "utf-8")
            general = {"character_dict_path": "dict.txt", "use_space_char": True}
        write_yaml(source / "config.yml", configuration_of(case, **general))
        found[name] = (folder / "out", convert_checkpoint(source, folder / "out"), arrays)
        (source / "best_accuracy.pdparams").unlink()
    return found


@pytest.fixture(scope="module")
def loaded(converted: Done) -> dict[str, Any]:
    """What transformers makes of each of them."""
    asked = [[str(converted[name][0]), case.network.auto_class, shape_for(case), True] for name, case in SMALL.items()]
    answer = run_child(Path(__file__).with_name("load_networks.py"), {"networks": asked}, python=TORCH_PYTHON)
    return dict(zip(SMALL, answer, strict=True))


def shape_for(case: Case) -> list[int]:
    height, width = {"recognition": (48, 64), "detection": (64, 32)}.get(case.network.task, (SIDE, SIDE))
    return [1, 3, height, width]


@cases
def test_every_network_bit_for_bit(name: str, converted: Done) -> None:
    folder, done, values = converted[name]
    arrays = expected(CASES[name].network.name, values)
    written = load_file(folder / "model.safetensors")
    assert written.keys() == arrays.keys()
    for one, array in arrays.items():
        assert written[one].dtype == array.dtype == np.float32
        assert written[one].shape == array.shape, one
        assert written[one].tobytes() == array.tobytes(), one
    with safe_open(folder / "model.safetensors", framework="np") as opened:
        assert opened.metadata() == {"format": "pt", "paddle2torch": "1"}
    assert done.tensors == len(arrays)
    assert done.parameters == sum(array.size for array in arrays.values())
    assert done.nbytes == sum(array.nbytes for array in arrays.values())
    assert done.dtype == "float32"
    assert set(done.dropped) == {one for one in values if DROPPED.match(one)}
    assert len(done.dropped) + done.tensors == len(values)


@pytest.mark.parametrize("name", list(SMALL))
def test_the_small_files(name: str, converted: Done) -> None:
    folder, done, _ = converted[name]
    network, sizes = SMALL[name].network, SMALL[name].sizes
    names = ["config.json", "model.safetensors", "preprocessor_config.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    config = json.loads((folder / "config.json").read_text())
    assert config.pop("architectures") == [network.target]
    assert config.pop("model_type") == name.split()[1].removesuffix("_textline")
    assert config.pop("dtype") == "float32"
    assert config == json.loads(json.dumps(network.configuration(sizes)))
    preprocessor = json.loads((folder / "preprocessor_config.json").read_text())
    assert preprocessor["image_processor_type"] == network.processor_class
    assert preprocessor["do_normalize"] is True
    if network.task == "recognition":
        characters = characters_of(SMALL[name]).split("\n")[:-1]
        assert preprocessor["character_list"] == ["blank", *characters, " "]
    else:
        assert "character_list" not in preprocessor
    assert done.family == network.name
    assert done.target_architecture == network.target
    assert done.auto_class == network.auto_class


@pytest.mark.parametrize("name", list(SMALL))
def test_transformers_loads_all_of_it_and_nothing_else(name: str, loaded: dict[str, Any]) -> None:
    found, network = loaded[name], SMALL[name].network
    assert found["problems"] == {}
    assert found["class"] == network.target
    assert found["finite"]
    assert found["dtype"] == "torch.float32"
    # The classes are behind the characters, the maps as large as the pages.
    classes = int(SMALL[name].sizes.get("classes", 1))
    assert found["shape"][-1] == (32 if network.task == "detection" else classes)


@pytest.mark.parametrize("name", list(SMALL))
def test_the_image_processor_is_the_one_that_is_named_and_keeps_its_fields(
    name: str, loaded: dict[str, Any], converted: Done
) -> None:
    written = json.loads((converted[name][0] / "preprocessor_config.json").read_text())
    assert loaded[name]["processor"] == written.pop("image_processor_type")
    assert {field: loaded[name]["fields"].get(field) for field in written} == written


@pytest.mark.parametrize("name", list(FUSED))
def test_a_fused_block_is_the_first_branch_and_nothing_else(name: str, converted: Done) -> None:
    """Behind the fused convolution stands a norm that only adds its bias, and no other branch gives anything."""
    folder, done, values = converted[name]
    written = load_file(folder / "model.safetensors")
    fused = [one.removesuffix(".reparam_conv.weight") for one in values if one.endswith(".reparam_conv.weight")]
    assert len(fused) == 28
    for place in fused:
        block, number, part = re.fullmatch(r"backbone\.blocks(\d)\.(\d)\.(dw|pw)_conv", place).groups()  # type: ignore[union-attr]
        whole = {"dw": "depthwise", "pw": "pointwise"}[part]
        here = f"model.backbone.encoder.blocks.{int(block) - 2}.layers.{number}.{whole}_convolution."
        layer = {one.removeprefix(here): array for one, array in written.items() if one.startswith(here)}
        first = "conv_symmetric.0."
        assert layer.pop(f"{first}convolution.weight").tobytes() == values[f"{place}.reparam_conv.weight"].tobytes()
        assert layer.pop(f"{first}normalization.bias").tobytes() == values[f"{place}.reparam_conv.bias"].tobytes()
        assert not layer.pop(f"{first}normalization.running_mean").any()
        gain, variance = (layer.pop(f"{first}normalization.{leaf}") for leaf in ("weight", "running_var"))
        for epsilon in (1e-5, 0.0):
            assert (gain / np.sqrt(variance + np.float32(epsilon)) == 1).all()
        for leaf, own in (("scale", "w"), ("bias", "b")):
            assert layer.pop(f"lab.{leaf}").tobytes() == values[f"{place}.{own}"].tobytes()
            activation = values.get(f"{place}.activation.{leaf}")
            found = layer.pop(f"act.lab.{leaf}")
            assert found.tobytes() == activation.tobytes() if activation is not None else found == (leaf == "scale")
        # All that is left multiplies by nothing.
        variances = [array for one, array in layer.items() if one.endswith("running_var")]
        others = [array for one, array in layer.items() if not one.endswith("running_var")]
        assert variances
        assert all((array == 1).all() for array in variances)
        assert not any(array.any() for array in others)
    assert "the blocks are fused, as exports have them" in " ".join(done.notes)
    assert len([one for one in values if "activation" in one]) == (56 if "rec" in name else 48)


def test_the_same_file_twice(write: Write, tmp_path: Path) -> None:
    """What is written follows from the source alone, with little memory too."""
    source = write("small slanet")
    convert_checkpoint(source, tmp_path / "one")
    convert_checkpoint(source, tmp_path / "two", low_memory=True)
    convert_checkpoint(source / "best_accuracy.pdparams", tmp_path / "three")
    for name in ("model.safetensors", "config.json", "preprocessor_config.json"):
        contents = {(tmp_path / folder / name).read_bytes() for folder in ("one", "two", "three")}
        assert len(contents) == 1


def test_what_the_transforms_say_is_what_is_written(write: Write, tmp_path: Path) -> None:
    transforms = [
        {"DecodeImage": {"img_mode": "BGR"}},
        {"DetResizeForTest": {"limit_side_len": 640, "limit_type": "max"}},
        {"NormalizeImage": {"scale": "1/128", "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "order": "hwc"}},
        {"ToCHWImage": None},
    ]
    source = write("small pp_ocrv5_mobile_det", changed={"Eval": {"dataset": {"transforms": transforms}}})
    convert_checkpoint(source, tmp_path / "out")
    found = json.loads((tmp_path / "out" / "preprocessor_config.json").read_text())
    assert (found["limit_side_len"], found["limit_type"], found["rescale_factor"]) == (640, "max", 1 / 128)
    assert (found["image_mean"], found["image_std"]) == ([0.3, 0.2, 0.1], [0.6, 0.5, 0.4])


def test_progress_counts_all_bytes_twice(write: Write, tmp_path: Path) -> None:
    """Once written, once read back."""
    seen: list[tuple[str, int, int]] = []
    done = convert_checkpoint(write("small slanet"), tmp_path / "out", progress=lambda *facts: seen.append(facts))
    for stage in ("write", "compare"):
        counts = [count for name, count, total in seen if name == stage]
        assert counts == sorted(counts)
        assert counts[-1] == done.nbytes
        assert {total for name, _, total in seen if name == stage} == {done.nbytes}


@pytest.mark.parametrize("name", list(CASES))
def test_the_lines_that_load_it_name_the_class(name: str, converted: Done) -> None:
    folder, done, _ = converted[name]
    lines = "\n".join(done.loading_lines())
    assert f"{SMALL[name].network.auto_class}.from_pretrained({json.dumps(str(folder))})" in lines
    assert "AutoImageProcessor" in lines
    compile(lines, "lines", "exec")
