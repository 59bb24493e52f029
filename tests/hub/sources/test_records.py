"""What reports, certificates and cards say of a source on the Hub: its name and the commit that was used."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors.numpy import load_file, save_file

from ..loopback_hub import LoopbackHub
from .conftest import Command

REPO = "someone/albert-small"


def test_the_commit_stands_in_report_certificate_and_card(
    hub: LoopbackHub, files: dict[str, bytes], command: Command, tmp_path: Path
) -> None:
    commit = hub.put(REPO, files).refs["main"]
    pinned = f"hf:{REPO}@{commit}"
    assert command("convert", f"hf:{REPO}", "out").returncode == 0
    hub.repositories[REPO].add("main", {})
    done = command("verify", pinned, "out", "--report-dir", "reports")
    assert done.returncode == 0, done.stderr + done.stdout
    assert f"out against {pinned} (AlbertForMaskedLM, hub weights)" in done.stdout
    assert pinned in (tmp_path / "reports" / "report.html").read_text("utf-8")

    certificate = json.loads((tmp_path / "out" / "parity.json").read_text("utf-8"))
    assert certificate["weights"] == "hub"
    assert (certificate["source"]["name"], certificate["source"]["commit"]) == (pinned, commit)
    digest = hashlib.sha256(files["model_state.pdparams"]).hexdigest()
    assert certificate["source"]["files"]["model_state.pdparams"]["sha256"] == digest
    assert command("verify", pinned, "out", "--certificate-only").returncode == 0

    card = json.loads(command("publish", "out", "me/albert", "--dry-run", "--json").stdout)["card"]
    assert f"the weights {REPO} of the Hugging Face Hub at the commit {commit}" in card
    assert f"paddle2torch verify {pinned} CONVERTED" in card


def test_a_foreign_folder_on_the_hub_is_certified_with_all_its_files(
    hub: LoopbackHub, files: dict[str, bytes], command: Command, converted: Path, tmp_path: Path
) -> None:
    theirs = {path.name: path.read_bytes() for path in converted.iterdir() if path.name != "parity.json"}
    save_file(load_file(converted / "model.safetensors"), tmp_path / "theirs.safetensors", {"format": "pt"})
    theirs["model.safetensors"] = (tmp_path / "theirs.safetensors").read_bytes()
    hub.put(REPO, files)
    commit = hub.put("someone/theirs", theirs).refs["main"]
    done = command("verify", f"hf:{REPO}", "hf:someone/theirs", "--report-dir", "reports", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    assert json.loads(done.stdout)["converted"] == f"hf:someone/theirs@{commit}"
    certificate = json.loads((tmp_path / "reports" / "parity.json").read_text("utf-8"))
    assert certificate["foreign"] is True
    assert certificate["output"]["files"].keys() == theirs.keys() - {"README.md"}
    assert not list((tmp_path / "hf-home").rglob("parity.json"))


def test_a_folder_for_sentence_transformers_is_fetched_with_its_pooling(
    hub: LoopbackHub, seeded: Callable[..., Path], command: Command, tmp_path: Path
) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]
    source = Path(shutil.copytree(seeded("ErnieModel", vocab_size=len(words)), tmp_path / "source"))
    (source / "vocab.txt").write_text("\n".join(words) + "\n", "utf-8")
    assert command("convert", "source", "out", "--sentence-transformers", "auto").returncode == 0
    out = tmp_path / "out"
    hub.put(REPO, {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    done = command("verify", "source", f"hf:{REPO}", "--check", "files")
    assert done.returncode == 0, done.stdout + done.stderr
