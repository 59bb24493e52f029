"""Where a certificate is put: only into a folder of this package's own, and never the wrong way round."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.converters.outputs.certificate import CERTIFICATE
from paddle2torch.converters.to_paddle import convert_to_paddle
from paddle2torch.errors import ConfigurationError
from paddle2torch.verify.certificate import check_certificate
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.text import report_lines
from paddle2torch.verify.runners.forward import Runners

from ..conftest import Run
from .conftest import Seed


def save_again(folder: Path) -> None:
    """What is left of the record when somebody else's program saves the weights."""
    path = folder / "model.safetensors"
    save_file(load_file(path), path, {"format": "pt"})


@pytest.fixture
def pair(seed_small: Seed, tmp_path: Path) -> tuple[Path, Path]:
    source, converted = seed_small("AlbertModel"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    return source, converted


def test_a_report_says_where_the_certificate_lies(pair: tuple[Path, Path], runners: Runners, tmp_path: Path) -> None:
    report = verify_checkpoint(*pair, runners=runners, certificate=True, elsewhere=tmp_path / "elsewhere")
    assert report.to_json()["certificate"] == str(pair[1] / CERTIFICATE)
    assert f"  certificate: {pair[1] / CERTIFICATE}" in report_lines(report)
    assert check_certificate(*pair).passed
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_nothing_is_written_into_a_foreign_folder(
    elsewhere: bool, pair: tuple[Path, Path], runners: Runners, tmp_path: Path
) -> None:
    save_again(pair[1])
    before = sorted(os.listdir(pair[1]))
    notes: list[str] = []
    place = tmp_path / "elsewhere" if elsewhere else None
    report = verify_checkpoint(*pair, runners=runners, certificate=True, elsewhere=place, progress=notes.append)
    assert sorted(os.listdir(pair[1])) == before
    if place is None:
        assert report.certificate is None
        assert any("nothing is written into it" in note for note in notes)
    else:
        assert report.certificate == str(place / CERTIFICATE)
        assert json.loads((place / CERTIFICATE).read_text())["foreign"] is True


def test_swapped_arguments_are_recognised(pair: tuple[Path, Path], tmp_path: Path) -> None:
    source, converted = pair
    with pytest.raises(ConfigurationError, match=f"the arguments are swapped: .* verify {source} {converted}`"):
        verify_checkpoint(converted, source, checks=("weights",), certificate=True)
    assert not (source / CERTIFICATE).exists()
    # The file of weights in place of its folder.
    with pytest.raises(ConfigurationError, match="the arguments are swapped"):
        verify_checkpoint(converted / "model.safetensors", source, checks=("weights",))
    save_again(converted)
    convert_to_paddle(converted, tmp_path / "paddle")
    with pytest.raises(ConfigurationError, match="the arguments are swapped"):
        verify_checkpoint(tmp_path / "paddle", converted, checks=("weights",))


def test_a_conversion_of_a_conversion_is_not_swapped(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Both sides carry the record."""
    convert_to_paddle(pair[1], tmp_path / "paddle")
    for source, converted in ((pair[1], tmp_path / "paddle"), (tmp_path / "paddle", pair[1])):
        assert verify_checkpoint(source, converted, checks=("weights",)).passed


def test_the_command(pair: tuple[Path, Path], paddle2torch: Run, tmp_path: Path) -> None:
    source, converted = pair
    swapped = paddle2torch("verify", converted, source, "--no-certificate")
    assert swapped.returncode == 2
    assert swapped.stderr.startswith("Error: ")
    assert swapped.stderr.count("\n") == 1
    done = paddle2torch("verify", source, converted, "--no-certificate", "--report-dir", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    assert not (converted / CERTIFICATE).exists()
    assert not (tmp_path / "report" / CERTIFICATE).exists()
    assert f"reports: {tmp_path / 'report'}" in done.stdout.splitlines()
    refused = paddle2torch("verify", source, converted, "--certificate-only", "--no-certificate")
    assert "--certificate-only goes with no other check" in refused.stderr
