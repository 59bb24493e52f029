"""What may not be published: anything but the bytes that were verified, and what --allow-unverified makes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch import convert_checkpoint
from paddle2torch.converters.outputs.hashes import hash_files
from paddle2torch.errors import OutputError, ParityError, PublishError, UnreadableFileError
from paddle2torch.hub.model_card import make_card, write_card
from paddle2torch.hub.proof import examine
from paddle2torch.hub.publish import publish_folder

from .conftest import Publish
from .loopback_hub import LoopbackHub
from .test_publish import REPO, contents, error_of


def edit(converted: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = converted / "parity.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def fail_float64(document: dict[str, Any]) -> None:
    check = next(check for check in document["checks"] if check["name"] == "float64")
    check.update(passed=False, worst=0.25, where="first diverging state: hidden state 3")
    document["passed"] = False


def fail_float64_but_pass(document: dict[str, Any]) -> None:
    fail_float64(document)
    document["passed"] = True


def flip_weights(converted: Path) -> None:
    path = converted / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))


LOST = {"sha256": "0" * 64, "bytes": 1}

UNRUN = {"tokenizer": "there is no sentencepiece"}


def add_environment(document: dict[str, Any], **changes: Any) -> None:
    """A second torch environment, in which something else was found."""
    first = {
        name: document[name]
        for name in ("passed", "versions", "checks", "not_run", "could_not_run", "declared_differences")
    }
    document["environments"] = [{"name": "transformers 4", **first}, {"name": "transformers 5", **first, **changes}]


def fail_float32_in_one(document: dict[str, Any]) -> None:
    checks = [
        {**check, "passed": False, "where": "logits"} if check["name"] == "float32" else check
        for check in document["checks"]
    ]
    add_environment(document, checks=checks, passed=False)


REFUSALS: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "no certificate": (lambda folder: (folder / "parity.json").unlink(), 2, "one that could not be run leaves none"),
    "not JSON": (lambda folder: (folder / "parity.json").write_text("{"), 2, "cannot be read as JSON"),
    "other format": (lambda folder: edit(folder, lambda d: d.update(format=1)), 2, "is a certificate of format 1, "),
    "no checks": (lambda folder: edit(folder, lambda d: d.pop("checks")), 2, "the document lacks 'checks'"),
    "empty checks": (lambda folder: edit(folder, lambda d: d.update(checks=[])), 2, "the certificate records no check"),
    "odd weights": (lambda folder: edit(folder, lambda d: d.update(weights="fine")), 2, 'weights is "fine"; '),
    "odd hash": (
        lambda folder: edit(folder, lambda d: d["source"]["files"].update({"x": {"sha256": "`a`", "bytes": 1}})),
        2,
        'source/files/x/sha256 is "`a`", which does not look like',
    ),
    "changed weights": (flip_weights, 2, "converted file model.safetensors is not what was verified"),
    "changed configuration": (
        lambda folder: (folder / "config.json").write_text((folder / "config.json").read_text() + " "),
        2,
        "converted file config.json is not what was verified",
    ),
    "a new file": (
        lambda folder: (folder / "vocab.txt").write_text("[PAD]"),
        2,
        "converted file vocab.txt is not in the certificate",
    ),
    "a lost file": (
        lambda folder: edit(folder, lambda d: d["output"]["files"].update({"vocab.txt": LOST})),
        2,
        "converted file vocab.txt is missing",
    ),
    "a failed check": (lambda folder: edit(folder, fail_float64), 1, "the check float64 found a difference"),
    "failed without a check": (
        lambda folder: edit(folder, lambda d: d.update(passed=False)),
        2,
        "the certificate records a verification that failed",
    ),
    "passed against its checks": (
        lambda folder: edit(folder, fail_float64_but_pass),
        1,
        "the check float64 found a difference",
    ),
    "a check that could not be run": (
        lambda folder: edit(folder, lambda d: add_environment(d, could_not_run=UNRUN)),
        2,
        "the check tokenizer could not be run with transformers 5: there is no sentencepiece",
    ),
    "the only environment could not run": (
        lambda folder: edit(folder, lambda d: d.update(could_not_run=UNRUN)),
        2,
        "the check tokenizer could not be run: there is no sentencepiece",
    ),
    "an environment that failed": (
        lambda folder: edit(folder, fail_float32_in_one),
        1,
        "the check float32 found a difference with transformers 5: logits",
    ),
    "another mapping": (
        lambda folder: edit(folder, lambda d: d["mapping"]["moves"].pop()),
        2,
        "the recorded mapping does not lead to the recorded tensors",
    ),
    "seeded weights": (lambda folder: edit(folder, lambda d: d.update(weights="seeded")), 2, "seeded, that is random"),
}


ABOUT_THESE_BYTES = (
    "a failed check",
    "failed without a check",
    "passed against its checks",
    "seeded weights",
    "empty checks",
    "a check that could not be run",
    "the only environment could not run",
    "an environment that failed",
)
"""Cases in which the certificate was made for the very bytes."""


@pytest.mark.parametrize("case", REFUSALS)
@pytest.mark.parametrize("dry_run", [False, True])
def test_what_is_not_proven_is_refused(converted: Path, case: str, dry_run: bool) -> None:
    break_it, status, text = REFUSALS[case]
    break_it(converted)
    before = contents(converted)
    with pytest.raises(ParityError if status == 1 else PublishError, match=re.escape(text)) as caught:
        publish_folder(converted, REPO, dry_run=dry_run)
    assert str(caught.value).startswith(f"{converted}: ")
    assert contents(converted) == before


@pytest.mark.parametrize("case", ["no certificate", "a failed check", "seeded weights"])
def test_a_refusal_asks_the_hub_nothing(converted: Path, hub: LoopbackHub, publish: Publish, case: str) -> None:
    break_it, status, text = REFUSALS[case]
    break_it(converted)
    assert text in error_of(publish(converted, REPO), status)
    assert hub.seen == []


@pytest.mark.parametrize("case", REFUSALS)
def test_the_card_of_unverified_weights_says_so(converted: Path, case: str) -> None:
    break_it, _, text = REFUSALS[case]
    break_it(converted)
    proof = examine(converted, allow_unverified=True)
    card = make_card(proof, REPO)
    # A certificate of something else is neither cited nor published.
    about_these = case in ABOUT_THESE_BYTES
    assert ("## Proof" in card) == ("parity.json" in {file.name for file in proof.files}) == about_these
    assert "\n- unverified\n" in card
    warning = "The weights are random." if case == "seeded weights" else "Not verified."
    assert f"> **{warning}**" in card
    assert text in card.replace("\\", "")
    assert str(converted.parent) not in card
    assert ("**FAILED**" in card) == (case in ("a failed check", "passed against its checks"))
    assert ("could not be run" in card) == (
        case in ("a check that could not be run", "the only environment could not run", "no certificate")
    )
    assert ("float32 FAILED" in card) == (case == "an environment that failed")


@pytest.mark.parametrize("case", ["no certificate", "changed weights", "a failed check"])
def test_unverified_weights_are_published_when_that_is_wanted(
    converted: Path, hub: LoopbackHub, publish: Publish, case: str
) -> None:
    REFUSALS[case][0](converted)
    done = publish(converted, REPO, "--allow-unverified", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verified"] is False
    expected = contents(converted)
    if case == "changed weights":
        del expected["parity.json"]
    assert hub.files(REPO) == expected
    assert b"> **Not verified.**" in expected["README.md"]


FOREIGN_FILES = [
    "notes.txt",
    "modeling_x.py",
    "pytorch_model.bin",
    "report.html",
    "adapter_config.json",
    "adapter_model.safetensors",
    "other.safetensors",
    "config.4.57.0.json",
    ".env",
    ".cache.json",
    "model.safetensors~",
]


@pytest.mark.parametrize("name", FOREIGN_FILES)
@pytest.mark.parametrize("allow_unverified", [False, True])
@pytest.mark.parametrize("recorded", [False, True])
def test_a_foreign_file_is_never_published(converted: Path, name: str, allow_unverified: bool, recorded: bool) -> None:
    """Hidden or not, and whether a certificate knows it or not."""
    (converted / name).write_text("secret")
    if recorded:
        edit(converted, lambda document: document["output"]["files"].update(hash_files([converted / name])))
    with pytest.raises(PublishError, match=re.escape(f"{converted / name}: no conversion wrote this file")):
        examine(converted, allow_unverified)


@pytest.mark.parametrize("name", ["onnx", ".git", ".cache", "README.md"])
def test_folders_are_refused(converted: Path, name: str) -> None:
    (converted / name).mkdir()
    with pytest.raises(PublishError, match=rf"{re.escape(name)}: is not a regular file"):
        examine(converted, allow_unverified=True)


@pytest.mark.parametrize("name", ["vocab.txt", "config.json", ".gitattributes", "parity.json"])
@pytest.mark.parametrize("dangling", [False, True])
def test_links_are_refused(converted: Path, name: str, dangling: bool, tmp_path: Path) -> None:
    """What a link leads to can be changed without a trace in the folder."""
    target = tmp_path / "elsewhere"
    if (converted / name).exists():
        (converted / name).rename(target)
    elif not dangling:
        target.write_text("[PAD]")
    if dangling:
        target.unlink(missing_ok=True)
    (converted / name).symlink_to(target)
    with pytest.raises((PublishError, UnreadableFileError), match=re.escape(name)):
        examine(converted, allow_unverified=True)


def test_what_git_keeps_stays_at_home(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    (converted / ".gitattributes").write_text("* -text\n")
    assert publish(converted, REPO).returncode == 0
    certified = json.loads((converted / "parity.json").read_text())["output"]["files"]
    assert hub.files(REPO).keys() == {*certified, "parity.json", "README.md"}


@pytest.mark.parametrize("certificate", ["its own", "another's", "none"])
@pytest.mark.parametrize("allow_unverified", [False, True])
def test_a_foreign_folder_is_refused(converted: Path, certificate: str, allow_unverified: bool) -> None:
    """The same weights, saved by somebody else's program."""
    weights = converted / "model.safetensors"
    save_file(load_file(weights), weights, {"format": "pt"})
    if certificate == "its own":
        edit(converted, lambda d: d["output"]["files"].update(hash_files([weights])))
        edit(converted, lambda d: d.update(foreign=True))
    elif certificate == "none":
        (converted / "parity.json").unlink()
    with pytest.raises(PublishError, match="is a foreign folder, one that this package did not write"):
        examine(converted, allow_unverified)


def test_the_certificate_of_a_foreign_folder_is_none_of_ones_own(converted: Path) -> None:
    edit(converted, lambda document: document.update(foreign=True))
    with pytest.raises(PublishError, match="the certificate is that of a foreign folder"):
        examine(converted, allow_unverified=False)


def test_a_paddlenlp_folder_is_refused(converted: Path, tmp_path: Path) -> None:
    """What it is, and the commands that lead to what can be published; a way back of this package's own is known."""
    back, theirs = tmp_path / "back", tmp_path / "theirs"
    convert_checkpoint(converted, back, to="paddle")
    theirs.mkdir()
    (theirs / "model_state.pdparams").touch()
    for folder, kind in ((back, "that `convert --to paddle` wrote"), (theirs, "of Paddle's weights")):
        with pytest.raises(PublishError) as caught:
            examine(folder, allow_unverified=True)
        assert str(caught.value) == (
            f"{folder}: is a folder {kind}, and what is published is a Hugging Face folder with its proof: "
            f"`paddle2torch convert {folder} OUTPUT`, `paddle2torch verify {folder} OUTPUT`, then publish OUTPUT"
        )


def test_weights_of_both_kinds_are_refused(converted: Path) -> None:
    (converted / "model_state.pdparams").touch()
    with pytest.raises(PublishError, match=r"model_state.pdparams: lies beside weights in safetensors, .*remove it"):
        examine(converted, allow_unverified=True)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_is_no_folder(name: str, converted: Path) -> None:
    with pytest.raises(PublishError, match=f"{name}: is a file; what is published is the folder that holds it"):
        examine(converted / name, allow_unverified=True)


@pytest.mark.parametrize("named", [["BertForMaskedLM"], ["AlbertModel"], [], None, "AlbertForMaskedLM"])
@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("allow_unverified", [False, True])
def test_the_class_is_that_of_the_conversion(
    converted: Path, named: object, edited: bool, allow_unverified: bool
) -> None:
    """Another class in the configuration is refused, even by a certificate that was edited with it."""
    path = converted / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "architectures": named}))
    if edited:
        edit(converted, lambda document: document["output"]["files"].update(hash_files([path])))
    with pytest.raises(PublishError, match=r"names the architectures .*; the weights were converted for AlbertFor"):
        examine(converted, allow_unverified)


def test_a_certificate_that_invents_a_class_is_none(converted: Path) -> None:
    path = converted / "config.json"
    path.write_text(path.read_text().replace("AlbertForMaskedLM", "AlbertForPreTraining"))
    edit(converted, lambda document: document["mapping"].update(target_architecture="AlbertForPreTraining"))
    with pytest.raises(PublishError, match="says that AlbertForMaskedLM becomes AlbertForPreTraining"):
        examine(converted, allow_unverified=False)


def test_the_model_card_does_not_invalidate_the_certificate(
    converted: Path, hub: LoopbackHub, publish: Publish
) -> None:
    before = contents(converted)
    planned = json.loads(publish(converted, REPO, "--dry-run", "--json").stdout)
    assert contents(converted) == before
    assert publish(converted, REPO).returncode == 0
    card = (converted / "README.md").read_bytes()
    assert contents(converted) == {**before, "README.md": card}
    # Written from the certificate alone: the same at any time.
    assert publish(converted, REPO).returncode == 0
    assert (converted / "README.md").read_bytes() == card == hub.files(REPO)["README.md"] == planned["card"].encode()


def test_a_stated_license_is_not_contradicted(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    card = json.loads(publish(converted, REPO, "--dry-run", "--json", "--license", "apache-2.0").stdout)["card"]
    assert "license: apache-2.0" in card
    assert "- License: apache-2.0, as whoever published this repository says." in card
    assert "claims none" not in card
    assert "not known here" not in card


def test_without_a_token_nothing_is_written(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    before = contents(converted)
    assert "no token" in error_of(publish(converted, REPO, token=None))
    assert contents(converted) == before


def test_the_text_of_a_license_goes_along(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    (converted / "LICENSE").write_text("What you may do.\n")
    (converted / "NOTICE.txt").write_text("Who made it.\n")
    done = publish(converted, REPO)
    assert done.returncode == 0, done.stderr
    assert hub.files(REPO)["LICENSE"] == b"What you may do.\n"
    assert contents(converted) == hub.files(REPO)
    # Of another name it might be anything.
    (converted / "LICENSE.json").write_text("{}")
    assert "LICENSE.json" in error_of(publish(converted, REPO))


@pytest.mark.parametrize("text", ["# My model\n", "", "---\nlicense: mit\n---\nmine"])
def test_a_card_of_the_user_is_not_overwritten(converted: Path, hub: LoopbackHub, publish: Publish, text: str) -> None:
    (converted / "README.md").write_text(text)
    assert "README.md: was not written by paddle2torch or was edited" in error_of(publish(converted, REPO))
    assert (converted / "README.md").read_text() == text
    assert hub.seen == []


def test_an_edited_card_is_not_overwritten(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    assert publish(converted, REPO).returncode == 0
    path = converted / "README.md"
    written = path.read_text()
    for edited in (written.replace("# albert", "# My albert", 1), written + "\nmore\n"):
        path.write_text(edited)
        for options in ([], ["--dry-run"]):
            assert "or was edited since" in error_of(publish(converted, REPO, *options))
            assert path.read_text() == edited
    # Its own card, for another repository, is replaced.
    path.write_text(written)
    assert publish(converted, "my-org/other").returncode == 0
    assert 'from_pretrained("my-org/other")' in path.read_text()


def test_a_folder_that_cannot_be_published_is_an_error(
    converted: Path, hub: LoopbackHub, publish: Publish, tmp_path: Path
) -> None:
    assert "no such folder" in error_of(publish(tmp_path / "absent", REPO))
    (tmp_path / "empty").mkdir()
    assert "holds no model.safetensors" in error_of(publish(tmp_path / "empty", REPO))
    (converted / "parity.json").unlink()
    (converted / "config.json").write_text(
        re.sub("AlbertForMaskedLM", "ReformerModel", (converted / "config.json").read_text())
    )
    assert "which belong to no known family" in error_of(publish(converted, REPO, "--allow-unverified"))
    (converted / "config.json").unlink()
    assert "config.json" in error_of(publish(converted, REPO, "--allow-unverified"))
    assert hub.seen == []


def test_a_folder_that_cannot_take_the_card_is_an_error(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    (converted / ".README.md.partial").mkdir()
    with pytest.raises(OutputError, match=r"README\.md: cannot be written"):
        write_card(converted, "card")
    assert ".README.md.partial: is not a regular file" in error_of(publish(converted, REPO))
    assert hub.seen == []
