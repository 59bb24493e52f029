"""Where a certificate is put: only into a folder of this package's own, and never the wrong way round."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable
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

pytestmark = pytest.mark.long


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
    place = tmp_path / "elsewhere" if elsewhere else None
    report = verify_checkpoint(*pair, runners=runners, certificate=True, elsewhere=place)
    assert sorted(os.listdir(pair[1])) == before
    if place is None:
        assert report.certificate is None
        said = f"nothing is written into {pair[1]}, which is not this package's; --report-dir gives it a place"
        assert report.to_json()["no_certificate"] == said
        assert f"  no certificate: {said}" in report_lines(report)
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


def test_swapped_arguments_are_one_line_whatever_is_asked(
    pair: tuple[Path, Path], paddle2torch: Run, tmp_path: Path
) -> None:
    source, converted = pair
    before = sorted(os.listdir(source))
    right = f"`paddle2torch verify {source} {converted}`"
    for first, second, options, suggested in (
        (converted, source, ("--certificate-only",), right),
        (converted, source, ("--faults",), right),
        (converted, source, ("--report-dir", tmp_path / "report"), right),
        (converted / "model.safetensors", source, (), right),
        (converted, "albert-base-v1", (), f"`paddle2torch verify albert-base-v1 {converted}`"),
    ):
        done = paddle2torch("verify", first, second, *options)
        assert (done.returncode, done.stdout) == (2, "")
        assert "the arguments are swapped" in done.stderr
        assert suggested in done.stderr
        assert done.stderr.count("\n") == 1
    assert sorted(os.listdir(source)) == before


def test_a_failed_verification_writes_into_no_foreign_folder(
    pair: tuple[Path, Path], runners: Runners, tmp_path: Path
) -> None:
    path = pair[1] / "model.safetensors"
    weights = load_file(path)
    weights["pooler.bias"][3] += 1
    save_file(weights, path, {"format": "pt"})
    before = sorted(os.listdir(pair[1]))
    report = verify_checkpoint(*pair, runners=runners, certificate=True, elsewhere=tmp_path / "elsewhere")
    assert not report.passed
    assert sorted(os.listdir(pair[1])) == before
    assert json.loads((tmp_path / "elsewhere" / CERTIFICATE).read_text())["passed"] is False


def limited() -> None:
    """Take from root the right to write into folders that are read-only for it; nobody else has it."""
    drop_from_bounding_set, override_permissions = 24, 1
    ctypes.CDLL(None).prctl(drop_from_bounding_set, override_permissions, 0, 0, 0)


def test_a_folder_that_is_read_only(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Said before the checks run, unless there is another place or none is wanted."""
    source, converted = pair
    converted.chmod(0o555)

    def verify(*options: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "paddle2torch", "verify", str(source), str(converted), *map(str, options)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, preexec_fn=limited, check=False)

    refused = verify()
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        f"Error: {converted}: is read-only, and {CERTIFICATE} would be written into it; --report-dir DIR gives it "
        "another place, --no-certificate leaves it\n"
    )
    done = verify("--report-dir", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    assert f"  certificate: {tmp_path / 'report' / CERTIFICATE}" in done.stdout.splitlines()
    for options, expected in ((("--no-certificate",), 0), (("--check", "weights,files"), 1)):
        done = verify(*options)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("no certificate: it is written when no default check is left out") == expected
    assert not (converted / CERTIFICATE).exists()


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


def test_two_folders_of_paddlenlp_are_no_pair(seeded: Callable[..., Path], tmp_path: Path) -> None:
    source, other = seeded("AlbertModel"), seeded("BertModel")
    for one in (source, source / "model_state.pdparams"):
        with pytest.raises(ConfigurationError, match=f"^{other}: is a PaddleNLP folder, as {one} is"):
            verify_checkpoint(one, other, checks=("weights",))
