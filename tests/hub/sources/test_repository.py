"""Sources on the Hub, fetched by the real client from a hub on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from ..loopback_hub import TOKEN, LoopbackHub
from .conftest import Command

REPO = "someone/albert-small"

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 44\n"


def commit_of(hub: LoopbackHub, repo_id: str = REPO) -> str:
    return hub.repositories[repo_id].refs["main"]


def sent(hub: LoopbackHub) -> list[str]:
    """The names of the files that the hub was asked for, each time."""
    return [one.path.rpartition("/")[2] for one in hub.asked("GET", "/resolve/")]


def in_cache(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "hf-home").rglob("*.pdparams") if path.is_file()]


def test_a_repository_converts_as_its_folder_does(
    hub: LoopbackHub, files: dict[str, bytes], command: Command, seeded: Callable[..., Path], tmp_path: Path
) -> None:
    hub.put(REPO, files)
    done = command("convert", f"hf:{REPO}", "out", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["source"] == f"hf:{REPO}@{commit_of(hub)}"
    assert {*sent(hub)} == files.keys() - {"README.md", "optimizer.pdopt", "flax_model.msgpack"}
    # One copy of the weights, which is the cache's.
    assert [path.is_symlink() for path in in_cache(tmp_path)] == [True]
    assert command("convert", seeded("AlbertForMaskedLM"), "local").returncode == 0
    for path in (tmp_path / "local").iterdir():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()

    asked = len(sent(hub))
    again = command("convert", f"hf:{REPO}", "again")
    assert f"converted from hf:{REPO}@{commit_of(hub)}" in again.stdout
    assert len(sent(hub)) == asked


def test_a_revision_and_a_folder_or_file_in_it_are_taken(
    hub: LoopbackHub, files: dict[str, bytes], command: Command, tmp_path: Path
) -> None:
    old = hub.put(REPO, {f"models/small/{name}": content for name, content in files.items()}).refs["main"]
    hub.put("someone/other", {"README.md": b""})
    repository = hub.repositories[REPO]
    repository.add("main", {})
    repository.refs |= {"v1": old, "refs/pr/3": old}
    for revision in ("v1", old, "refs/pr/3"):
        for inner in ("models/small", "models/small/", "models/small/model_state.pdparams"):
            done = command("inspect", f"hf:{REPO}@{revision}/{inner}", "--json")
            assert done.returncode == 0, done.stderr
            assert len(json.loads(done.stdout)["tensors"]) > 20
    listed = tmp_path / "list.txt"
    listed.write_text(f"hf:{REPO}@v1/models/small\nhf:someone/other\nhf:{REPO}@{old}/models/small\tnamed\n")
    done = command("convert", "--list", listed, "all", "--json")
    document = json.loads(done.stdout)
    assert [entry["source"] for entry in document["converted"]] == [f"hf:{REPO}@{old}/models/small"] * 2
    assert (tmp_path / "all" / REPO / "models" / "small" / "config.json").is_file()
    assert (tmp_path / "all" / "named" / "config.json").is_file()
    (failed,) = document["failed"]
    assert failed["source"] == "hf:someone/other"
    assert failed["error"].startswith("hf:someone/other: holds no weights")
    done = command("gate", "--list", listed, "--check", "weights", "--json")
    assert done.returncode == 2, done.stderr
    results = {entry["name"]: entry for entry in json.loads(done.stdout)["models"]}
    assert results["named"]["report"]["source"] == f"hf:{REPO}@{old}/models/small"
    assert results["hf:someone/other"]["error"].startswith("hf:someone/other: holds no weights")


def test_what_broke_off_is_continued(hub: LoopbackHub, tiny: Path, command: Command) -> None:
    hub.put(REPO, {"model_state.pdparams": (tiny / "model_state.pdparams").read_bytes()})
    # The client keeps what came in pieces of 10 MiB.
    hub.cut = 12 << 20
    done = command("inspect", f"hf:{REPO}")
    if done.returncode:
        # From 1 on the client itself asks again.
        assert "no connection" in done.stderr
        done = command("inspect", f"hf:{REPO}")
    assert done.returncode == 0, done.stderr
    assert [one.headers.get("Range") for one in hub.asked("GET", "/resolve/")] == [None, f"bytes={10 << 20}-"]


@pytest.mark.parametrize("way", ["--offline", "PADDLE2TORCH_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_the_cache_is_taken_and_nothing_asked(
    hub: LoopbackHub, files: dict[str, bytes], command: Command, refused: Callable[..., str], way: str
) -> None:
    arguments, variables = (("--offline",), {}) if way == "--offline" else ((), {way: "1"})
    hub.put(REPO, files)
    line = refused("inspect", f"hf:{REPO}", *arguments, **variables)
    assert f"hf:{REPO}: is not in the Hub's cache" in line
    assert hub.seen == []
    assert command("inspect", f"hf:{REPO}").returncode == 0
    asked = len(hub.seen)
    for name in (f"hf:{REPO}", f"hf:{REPO}@main/model_state.pdparams", f"hf:{REPO}@{commit_of(hub)}"):
        done = command("inspect", name, *arguments, **variables)
        # A commit that was only asked for as a branch is there as itself.
        assert done.returncode == 0, done.stderr
    assert "is not in the Hub's cache" in refused("inspect", f"hf:{REPO}@v2", *arguments, **variables)
    assert len(hub.seen) == asked


def put_strange(hub: LoopbackHub, files: dict[str, bytes]) -> None:
    """Repositories that cannot be taken, each in its own way."""
    hub.put("someone/gated", files)
    hub.gated.add("someone/gated")
    hub.put("someone/private", files, private=True)
    hub.put("someone/new", files)
    hub.renamed["someone/old"] = "someone/new"
    hub.put("someone/empty", {"README.md": b"", "flax_model.msgpack": b""})
    hub.put("someone/folders", {f"{name}/model_state.pdparams": b"" for name in "ab"})
    hub.put("someone/pointer", {**files, "model_state.pdparams": POINTER})
    hub.put("someone/both", {**files, "model.safetensors": b""})
    hub.put(REPO, files)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("hf:someone/gated", "hf:someone/gated: is gated; accept its conditions on {hub}/someone/gated: log in with"),
        ("hf:someone/absent", "hf:someone/absent: the Hub has no repository someone/absent that can be seen without"),
        ("hf:someone/private", "hf:someone/private: the Hub has no repository someone/private that can be seen"),
        ("hf:someone/old@main", "someone/old is now called someone/new on the Hub; give hf:someone/new@main"),
        (f"hf:{REPO}@v9", f"hf:{REPO}@v9: {REPO} has no revision v9 on the Hub"),
        (f"hf:{REPO}/deep", f"hf:{REPO}/deep: {REPO} holds no file or folder deep at that revision"),
        ("hf:someone/empty", "hf:someone/empty: holds no weights, neither *.pdparams nor model.safetensors"),
        ("hf:someone/folders", "but its folders a, b do: name the one that is meant"),
        ("hf:someone/pointer", "hf:someone/pointer: its model_state.pdparams is only a Git LFS pointer"),
        ("hf:someone/both", "(model_state.pdparams, model.safetensors); name the file that is meant, such as hf:"),
        ("hf:albert", "hf:albert: is not the name of a repository on the Hub; expected is hf:OWNER/NAME"),
        (f"hf:{REPO}/../x", "is not the name of a repository on the Hub"),
    ],
)
def test_what_cannot_be_had_is_said_in_one_line(
    hub: LoopbackHub, files: dict[str, bytes], refused: Callable[..., str], source: str, said: str
) -> None:
    put_strange(hub, files)
    assert said.format(hub=hub.endpoint) in refused("convert", source, "out")


def test_a_token_opens_a_private_repository_and_is_never_shown(
    hub: LoopbackHub, files: dict[str, bytes], command: Command, refused: Callable[..., str]
) -> None:
    put_strange(hub, files)
    assert command("inspect", "hf:someone/private", HF_TOKEN=TOKEN).returncode == 0
    assert "the token is not let in yet" in refused("inspect", "hf:someone/gated", HF_TOKEN=TOKEN)
    assert "that the token may see" in refused("inspect", "hf:someone/absent", HF_TOKEN=TOKEN)


def test_without_the_client_the_command_that_installs_it_is_shown(refused: Callable[..., str], tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "huggingface_hub.py").write_text("raise ImportError('no huggingface_hub')\n")
    line = refused("inspect", f"hf:{REPO}", PYTHONPATH=str(hidden))
    assert f"hf:{REPO} needs libraries that are not installed" in line
    assert "-m pip install" in line


def test_an_unreachable_hub_is_said(refused: Callable[..., str]) -> None:
    assert "no connection" in refused("inspect", f"hf:{REPO}", HF_ENDPOINT="http://127.0.0.1:9")


def test_the_way_back_takes_hugging_faces_weights(
    hub: LoopbackHub, files: dict[str, bytes], command: Command, converted: Path, tmp_path: Path
) -> None:
    theirs = {path.name: path.read_bytes() for path in converted.iterdir()}
    weights = load_file(converted / "model.safetensors")
    halves = [dict(list(weights.items())[part::2]) for part in range(2)]
    places: dict[str, str] = {}
    for number, half in enumerate(halves, 1):
        shard = f"model-0000{number}-of-00002.safetensors"
        save_file(half, tmp_path / shard, {"format": "pt"})
        theirs[shard] = (tmp_path / shard).read_bytes()
        places |= dict.fromkeys(half, shard)
    del theirs["model.safetensors"]
    theirs["model.safetensors.index.json"] = json.dumps({"metadata": {}, "weight_map": places}).encode()
    hub.put(REPO, {**theirs, "model_state.pdparams": b"not theirs", "pytorch_model.bin": b"older"})
    done = command("convert", f"hf:{REPO}", "back", "--to", "paddle")
    assert done.returncode == 0, done.stderr
    assert not {"model_state.pdparams", "pytorch_model.bin"} & {*sent(hub)}
    done = command("verify", f"hf:{REPO}", "back", "--check", "weights", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    document = json.loads(done.stdout)
    assert (document["source"], document["weights"]) == (f"hf:{REPO}@{commit_of(hub)}", "hub")


def test_a_converted_folder_may_lie_on_the_hub(
    hub: LoopbackHub, files: dict[str, bytes], command: Command, converted: Path, tmp_path: Path
) -> None:
    published = {path.name: path.read_bytes() for path in converted.iterdir()}
    hub.put(REPO, files)
    hub.put("someone/converted", published)
    pair = (f"hf:{REPO}", "hf:someone/converted")
    names = [f"hf:{REPO}@{commit_of(hub)}", f"hf:someone/converted@{commit_of(hub, 'someone/converted')}"]
    done = command("verify", *pair, "--check", "weights,files", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    document = json.loads(done.stdout)
    assert [document["source"], document["converted"], document["weights"]] == [*names, "hub"]
    hub.put("someone/converted", {**published, "vocab.json": b"{}"})
    done = command("verify", *pair, "--check", "weights,files", "--json")
    assert done.returncode == 1, done.stderr
    assert "vocab.json: is in the folder and should not be" in done.stdout
