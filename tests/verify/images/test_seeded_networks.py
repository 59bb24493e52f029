"""Every network that can be seeded is converted and the same to 1e-12, with weights that PaddleOCR's and PaddleClas's
own code wrote."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from paddle2torch import validate_certificate
from paddle2torch.converters.images.source import find_image_source
from paddle2torch.converters.images.training import dump_training
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import RunnerAccidentError
from paddle2torch.mappings.registry import NETWORKS, seeded_networks
from paddle2torch.verify.images.certificate import check_network_certificate
from paddle2torch.verify.images.job import NETWORK_CHECKS
from paddle2torch.verify.images.seeding import TRAINING, WEIGHTS, seed_network
from paddle2torch.verify.runners.forward import Runners

from .conftest import LINE, Converted, Seeded, red, sizes_of, small, worst

ALIGNED = 1e-12

LIBRARY = os.environ.get("PADDLE2TORCH_PADDLEOCR")
"""A copy of PaddleOCR, for what the installed one does not build; of many gigabytes with all that lies around it."""

NEEDS_A_COPY = frozenset({"PP-OCRv5_server_det", "PP-OCRv5_server_rec"})
"""The installed PaddleOCR has an older backbone of theirs."""

MEASURED = frozenset({"PP-OCRv5_mobile_det", "SLANet_plus", "PP-LCNet_x1_0_doc_ori", LINE, *NEEDS_A_COPY})
"""Networks for which it is measured what each constant costs. It takes long: those of the recogniser are measured with
trained weights."""


def test_every_kind_is_tested() -> None:
    assert {network.name for network, _ in seeded_networks().values()} == set(NETWORKS)
    assert {name for network in NETWORKS.values() for name in network.seeded} == set(seeded_networks())
    assert all(set(network.seeded) <= set(network.official) for network in NETWORKS.values())


def tensors_of(path: Path) -> dict[str, Any]:
    """The tensors of a file that Paddle wrote; such a file of the tests' own is safe to unpickle."""
    state = pickle.loads(path.read_bytes())
    return {
        name: value[1] if isinstance(value, tuple) else value
        for name, value in state.items()
        if name != "StructuredToParameterName@@"
    }


@pytest.mark.parametrize("name", sorted(seeded_networks()))
def test_a_seeded_network_is_the_same(name: str, seeded: Seeded, runners: Runners, tmp_path: Path) -> None:
    if name in NEEDS_A_COPY and LIBRARY is None:
        pytest.skip("PADDLE2TORCH_PADDLEOCR names no copy of PaddleOCR, whose server networks the installed one lacks")
    library = Path(LIBRARY) if LIBRARY is not None and name in NEEDS_A_COPY else None
    network, _ = seeded_networks()[name]
    one = small(seeded, name, library)
    left_out = () if name in MEASURED else ("as_shipped",)
    wanted = [check for check in NETWORK_CHECKS if check != "decoding" or network.task == "recognition"]
    checks = [check for check in wanted if check not in left_out]
    report = one.verify(runners, *checks, paddleocr=library).assert_passed()
    assert [check.name for check in report.checks] == checks
    assert report.architecture == name
    assert report.weights == "seeded"
    assert one.conversion.target_architecture == network.target
    aligned = report.check("aligned")
    assert aligned is not None
    assert worst(report, "aligned") <= ALIGNED
    # Every constant that concerns the network, on every picture, before and behind the last function.
    applying = [constant.name for constant in network.constants if constant.applies(sizes_of(name))]
    assert aligned.details["constants"] == applying
    pictures = len(network.inputs)
    assert len(aligned.details["shares"]) == pictures * (2 if network.logits is not None else 1)
    if "as_shipped" in checks:
        # Left as they are, they show, but for what a number of these very weights may hide.
        causes = {seen.name: seen.measured or 0.0 for seen in report.declared_differences if seen.name in applying}
        assert list(causes) == applying
        assert max(causes.values()) > 100 * worst(report, "aligned")


def test_the_epsilon_of_a_backbone_is_not_hidden(seeded: Seeded, runners: Runners, tmp_path: Path) -> None:
    """Alignment gives these norms Paddle's epsilon, which a user's folder must have too."""
    one = small(seeded, "SLANeXt_wired")
    folder = one.changed(tmp_path / "out", lambda t, config, p: config["vision_config"].update(layer_norm_eps=1e-5))
    aligned = one.verify(runners, "aligned", folder=folder).check("aligned")
    assert aligned is not None
    assert not aligned.passed
    norm = "backbone.vision_tower.layers.0.layer_norm1"
    assert aligned.problems[0] == f"the epsilon of {norm} is 1e-05 in torch, 1e-06 is expected"


def test_the_student_of_a_distillation_is_the_same(seeded: Seeded, runners: Runners, tmp_path: Path) -> None:
    """Its tensors stand beside the teacher's, whose are left out, under names with a prefix."""
    student, teacher = seeded("PP-OCRv5_mobile_det"), seeded("PP-OCRv5_mobile_det", seed=1)
    source, folder = tmp_path / "source", tmp_path / "converted"
    source.mkdir()
    tensors = {
        f"{prefix}.{name}": array
        for prefix, one in (("Teacher", teacher), ("Student", student))
        for name, array in tensors_of(one.source / WEIGHTS).items()
    }
    (source / WEIGHTS).write_bytes(pickle.dumps(tensors, protocol=4))
    training = yaml.safe_load((student.source / TRAINING).read_text("utf-8"))
    models = dict.fromkeys(("Teacher", "Student"), training["Architecture"])
    architecture = {"name": "DistillationModel", "algorithm": "Distillation", "model_type": "det", "Models": models}
    dump_training(source / TRAINING, {**training, "Architecture": architecture})
    distilled = Converted(source, folder, convert_checkpoint(source, folder))
    report = distilled.verify(runners, certificate=True).assert_passed()
    assert report.weights == "local"
    assert any("the names of the tensors begin with Student." in note for note in report.notes)
    assert validate_certificate(folder) == []
    found = find_image_source(source)
    assert found is not None
    check = check_network_certificate(found, folder)
    assert check.passed, check.problems
    # What is written is what the student alone becomes.
    assert (folder / "model.safetensors").read_bytes() == (student.folder / "model.safetensors").read_bytes()
    assert "weights" in red(teacher.verify(runners, "weights", folder=folder))


@pytest.fixture
def seeded_with_another_scale(runners: Runners, tmp_path: Path) -> Converted:
    """A classifier of 7 classes at a scale of its own, with the configuration of a training that prepares pictures in
    its own way."""
    network, sizes = seeded_networks()["PP-LCNet_x0_25"]
    sizes = {**sizes, "scale": 0.6, "classes": 7}
    source, folder = tmp_path / "source", tmp_path / "converted"
    seed_network("PP-LCNet_x0_5", network, sizes, source, runner=runners.networks.paddle)
    (source / "config.yml").unlink()
    transforms = [
        {"DecodeImage": {"to_rgb": True}},
        {"ResizeImage": {"resize_short": 70, "interpolation": "bicubic"}},
        {"CropImage": {"size": [61, 64]}},
        {"NormalizeImage": {"scale": "1.0/255.0", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "order": ""}},
        {"ToCHWImage": None},
    ]
    arch = {"name": "PPLCNet", "scale": 0.6, "class_num": 7, "pretrained": False}
    dump_training(
        source / "config.yml",
        {"Arch": arch, "DataLoader": {"Eval": {"dataset": {"transform_ops": transforms}}}},
    )
    return Converted(source, folder, convert_checkpoint(source, folder))


def test_a_training_of_ones_own_is_the_same(seeded_with_another_scale: Converted, runners: Runners) -> None:
    report = seeded_with_another_scale.verify(runners).assert_passed()
    preparing = report.check("preprocessing")
    assert preparing is not None
    assert {tuple(one["shape"]) for one in preparing.details["pictures"].values()} == {(1, 3, 64, 61)}
    assert worst(report, "aligned") <= ALIGNED


def test_a_table_that_ends_at_once_is_not_proven(seeded: Seeded, runners: Runners, tmp_path: Path) -> None:
    """Of a head that writes by steps, the first shows nothing of what it remembers."""
    usual, source = seeded("SLANet_plus"), tmp_path / "source"
    shutil.copytree(usual.source, source)
    tensors = tensors_of(source / WEIGHTS)
    ends = tensors["head.structure_generator.1.bias"].copy()
    ends[-1] = 1000.0
    tensors["head.structure_generator.1.bias"] = ends
    (source / WEIGHTS).write_bytes(pickle.dumps(tensors, protocol=4))
    ending = Converted(source, tmp_path / "converted", convert_checkpoint(source, tmp_path / "converted"))
    with pytest.raises(RunnerAccidentError, match="ends every picture's table after its first step"):
        ending.verify(runners, "weights", "aligned")
    # A difference that shows all the same is one.
    assert red(ending.verify(runners, "weights", "aligned", folder=usual.folder)) == {"weights", "aligned"}
