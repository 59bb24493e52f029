"""The real command line: what it prints, its exit statuses, and bad usage."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from paddle2torch.mappings.registry import COMMUNITY, FAMILIES, NETWORKS, PRETRAINED, names_of_family

from ..conftest import Run
from .outcomes import Seeded, error_line, refused


def test_no_arguments(paddle2torch: Run) -> None:
    finished = paddle2torch()
    assert "convert" in finished.stdout
    assert error_line(finished) == "Error: paddle2torch: a command is missing; those above are known"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convrt"], "No such command 'convrt'"),
        (["convert"], "Missing argument 'SOURCE'"),
        (["convert", "a"], "Missing argument 'OUTPUT'"),
        (["convert", "a", "b", "c"], "unexpected extra argument"),
        (["convert", "a", "b", "--nope"], "No such option"),
        (["list", "--family", "brt"], "unknown family 'brt'; did you mean bert"),
        (["list", "--family", "albert-base-v2"], "unknown family 'albert-base-v2': it is a name of the family albert"),
        (["families", "roberta-base"], "it is a name of the family roberta"),
        (["gate", "--family", "PP-OCRv4_mobile_rec"], "it is a name of the family pp_ocrv5_mobile_rec"),
        (["gate"], "give pretrained names, --family or --all"),
        (["gate", "--all", "albert-base-v1"], "give pretrained names, --family or --all"),
        (["gate", "albert-base-v1", "--check", ","], "names no check"),
        (["gate", "albert-base-v1", "--seeded", "--check", "nope"], "unknown check 'nope'"),
        (["gate", "albert-base-v1", "--jobs", "0"], "--jobs"),
        (["gate", "albert-base-v1", "albert-large-v1"], "of albert-base-v1, albert-large-v1 are neither in the"),
        (["verify", "a", "b"], "a: no such file or folder"),
        (["seed", "albert-chinese-tiny", "out", "--architecture", "AlbertForNothing"], "AlbertForNothing"),
    ],
)
def test_bad_usage(arguments: list[str], message: str, paddle2torch: Run, work: Path) -> None:
    assert message in refused(paddle2torch, work, *arguments)


def test_an_unknown_check_lists_the_known(paddle2torch: Run, source: Path) -> None:
    line = refused(paddle2torch, source.parent, "verify", "source", "out", "--check", "weights,wieghts")
    assert "unknown check 'wieghts'; known are weights, files, config, " in line


def test_verify_without_a_converted_folder(paddle2torch: Run, source: Path) -> None:
    assert "out: no such folder" in refused(paddle2torch, source.parent, "verify", "source", "out")


def test_errors_leave_standard_output_empty_with_json(paddle2torch: Run, work: Path) -> None:
    for arguments in (["inspect", "x.pdparams"], ["convert", "x.pdparams", "out"], ["gate", "albert-base-v1"]):
        refused(paddle2torch, work, *arguments, "--json")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["convert", "--help"], ["--version"]])
def test_help_and_version(arguments: list[str], paddle2torch: Run) -> None:
    finished = paddle2torch(*arguments)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "paddle2torch" in finished.stdout


def test_list(paddle2torch: Run) -> None:
    finished = paddle2torch("list")
    assert finished.returncode == 0
    lines = finished.stdout.splitlines()
    groups = {name: [entry.name for entry in PRETRAINED.values() if entry.family == name] for name in FAMILIES}
    groups |= {name: list(network.official) for name, network in NETWORKS.items()}
    expected = [line for name, names in groups.items() if names for line in (name, *(f"  {one}" for one in names))]
    heading = lines.index("PaddleNLP's community; what such a name is shows when it is fetched:")
    assert [re.findall(r"^ *\S+", line)[0] for line in lines[1:heading]] == expected
    assert lines[heading + 1 : -1] == [f"  {one.name} ({one.family}, {one.language})" for one in COMMUNITY.values()]
    assert lines[-1].startswith("Networks of PaddleOCR's and PaddleClas's are not fetched")
    assert all(line == line.rstrip() and len(line) <= 80 for line in lines[:-1])
    assert lines[1] == "albert (14; English, Chinese)"
    assert lines[2].split() == ["albert-base-v1", "12", "x", "768", "11,683,584", "no"]
    document = json.loads(paddle2torch("list", "--json", "--family", "albert").stdout)
    assert [model["name"] for model in document["models"]] == names_of_family("albert")
    assert not any(model["cached"] for model in document["models"])
    assert document["community"] == []
    assert document["networks"] == []
    document = json.loads(paddle2torch("list", "--json", "--family", "slanet").stdout)
    assert [entry["name"] for entry in document["networks"]] == ["SLANet_plus", "SLANet"]
    assert document["models"] == document["community"] == []
    assert paddle2torch("list", "--family", "SLANet").stdout == paddle2torch("list", "--family", "slanet").stdout
    document = json.loads(paddle2torch("list", "--json", "--family", "bert").stdout)
    assert [model["name"] for model in document["models"]] == names_of_family("bert")
    assert [entry["name"] for entry in document["community"]] == [
        name for name, entry in COMMUNITY.items() if entry.family == "bert"
    ]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("bert-base-uncase", "bert-base-uncased"),
        ("uer/chinese-roberta-tny", "uer/chinese-roberta-tiny"),
        ("ernie-3.0-nano-z", "ernie-3.0-nano-zh"),
    ],
)
@pytest.mark.parametrize("words", ["convert {} out", "fetch {}", "gate {}", "inspect {}"])
def test_a_typo_is_one_line_with_the_near_names(
    words: str, typed: str, meant: str, paddle2torch: Run, tmp_path: Path
) -> None:
    finished = paddle2torch(*words.format(typed).split(), cwd=tmp_path)
    assert (finished.returncode, finished.stdout, len(finished.stderr.splitlines())) == (2, "", 1)
    assert f"did you mean {meant}" in finished.stderr
    # Nothing was downloaded or begun.
    assert list(tmp_path.iterdir()) == []


def test_convert_and_inspect_print_one_json_document(paddle2torch: Run, source: Path) -> None:
    finished = paddle2torch("convert", "source", "out", "--json", cwd=source.parent)
    assert (finished.returncode, finished.stderr) == (0, "")
    document = json.loads(finished.stdout)
    assert (document["architecture"], document["family"]) == ("BertModel", "bert")
    written = load_file(source.parent / "out" / "model.safetensors")
    assert document["tensors"] == len(written)
    assert document["parameters"] == sum(array.size for array in written.values())
    assert document["nbytes"] == sum(array.nbytes for array in written.values())
    finished = paddle2torch("inspect", "out", "--json", "--hash", cwd=source.parent)
    assert (finished.returncode, finished.stderr) == (0, "")
    tensors = json.loads(finished.stdout)["tensors"]
    assert {tensor["name"] for tensor in tensors} == set(written)
    assert all(set(tensor) == {"name", "dtype", "shape", "nbytes", "sha256"} for tensor in tensors)


def test_convert_says_what_it_did(paddle2torch: Run, work: Path, seeded: Seeded) -> None:
    finished = paddle2torch("convert", seeded("AlbertForMaskedLM"), "out", cwd=work)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "out: AlbertForMaskedLM" in finished.stdout
    assert "dropped, AlbertForMaskedLM of Hugging Face has no pooler: transformer.pooler.{bias,weight}" in (
        finished.stdout.replace(
            "transformer.pooler.weight, transformer.pooler.bias", "transformer.pooler.{bias,weight}"
        )
    )


def test_a_cached_name_converts(paddle2torch: Run, work: Path, tiny: Path) -> None:
    home = work / "home"
    folder = home / "models" / "albert-chinese-tiny"
    folder.mkdir(parents=True)
    shutil.copy(tiny / "model_state.pdparams", folder / "albert-chinese-tiny.pdparams")
    finished = paddle2torch("convert", "albert-chinese-tiny", "out", cwd=work, home=home)
    assert finished.returncode == 0, finished.stderr
    assert "4,080,520 parameters" in finished.stdout
    assert finished.stderr == "guessed: architecture AlbertModel, from the names of the tensors\n"
    document = json.loads(paddle2torch("list", "--json", home=home).stdout)
    assert [model["name"] for model in document["models"] if model["cached"]] == ["albert-chinese-tiny"]


def test_inspect_reads_tensors_beside_a_broken_configuration(paddle2torch: Run, source: Path) -> None:
    (source / "config.json").write_text("broken")
    for given in (source, source / "model_state.pdparams"):
        finished = paddle2torch("inspect", given)
        assert finished.returncode == 0, finished.stderr
        assert "embeddings.word_embeddings.weight" in finished.stdout


def test_seed_overwrite_keeps_foreign_files(paddle2torch: Run, work: Path) -> None:
    (work / "out").mkdir()
    (work / "out" / "thesis.docx").write_text("mine")
    line = refused(paddle2torch, work, "seed", "albert-chinese-tiny", "out", "--overwrite")
    assert "out: holds thesis.docx" in line
