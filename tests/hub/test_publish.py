"""`publish` against a hub on loopback: what arrives, what is refused, and what is left alone."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint, recognise
from paddle2torch.errors import MissingDependencyError, PublishError
from paddle2torch.hub.publish import check_repo_id, publish_folder
from paddle2torch.verify.certificate import make_certificate, write_certificate

from .conftest import Publish, PublishHere
from .loopback_hub import TOKEN, LoopbackHub

REPO = "me/albert-tiny"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def error_of(done: subprocess.CompletedProcess[str], status: int = 2) -> str:
    """The one line of error of a run that failed as it should."""
    assert done.returncode == status, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return errors[0]


def writes(hub: LoopbackHub) -> list[str]:
    return [f"{one.method} {one.path}" for one in hub.seen if one.method not in ("GET", "HEAD")]


def test_a_new_repository_holds_the_very_bytes(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    done = publish(converted, REPO)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == f"published in a new repository (verified weights): {hub.endpoint}/{REPO}"
    assert hub.files(REPO) == contents(converted)
    assert set(hub.files(REPO)) == {"README.md", "config.json", "model.safetensors", "parity.json"}
    assert not hub.repositories[REPO].private
    assert len(hub.repositories[REPO].commits) == 2
    main = hub.repositories[REPO].at("main") or {}
    stored = {name for name, file in main.items() if file.large}
    assert stored == {"model.safetensors"}
    # From 1 on the client also asks for something of its own, without the token.
    ours = [one for one in hub.seen if re.match("/api/(models|repos)/", one.path)]
    assert all(one.headers["user-agent"].startswith("paddle2torch/") for one in ours)
    assert {one.path for one in hub.asked("GET", "") if one not in ours} <= {"/api/agent-harnesses"}
    assert all("authorization" not in one.headers for one in hub.asked("GET", "/agent-harnesses"))


def test_a_private_repository_stays_private(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    done = publish(converted, REPO, "--private")
    assert done.returncode == 0, done.stderr
    assert hub.repositories[REPO].private
    assert hub.files(REPO) == contents(converted)
    assert publish(converted, REPO, "--private").stdout.splitlines()[-1].startswith("unchanged, nothing sent")


def test_private_is_refused_where_the_repository_is_public(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    hub.put(REPO, {})
    before = hub.state()
    assert "exists and is public" in error_of(publish(converted, REPO, "--private"))
    assert hub.state() == before


def test_nothing_is_sent_when_nothing_changed(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    publish(converted, REPO)
    before, seen = hub.state(), len(writes(hub))
    done = publish(converted, REPO, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["action"] == "unchanged"
    assert [file["changed"] for file in document["files"]] == [False] * 4
    assert hub.state() == before
    assert len(writes(hub)) == seen


def test_an_empty_repository_takes_the_files_directly(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    hub.put(REPO, {})
    done = publish(converted, REPO, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["action"] == "committed"
    assert hub.files(REPO) == contents(converted)


def test_other_content_gets_a_pull_request(converted: Path, hub: LoopbackHub, publish_here: PublishHere) -> None:
    others = {"README.md": b"mine", "notes.txt": b"mine too", "model.safetensors": b"other weights"}
    hub.put(REPO, others)
    done, _ = publish_here(converted, REPO)
    assert (done.action, done.url) == ("pull_request", f"{hub.endpoint}/{REPO}/discussions/1")
    assert hub.files(REPO) == others
    assert hub.files(REPO, "refs/pr/1") == {"notes.txt": b"mine too", **contents(converted)}
    # The same again finds the open request.
    before = hub.state()
    again, notes = publish_here(converted, REPO)
    assert (again.action, again.url) == ("unchanged", done.url)
    assert notes == ["an open pull request holds these files already"]
    assert hub.state() == before
    # A closed one does not count, nor does one with another title.
    hub.repositories[REPO].requests[0]["status"] = "closed"
    assert publish_here(converted, REPO)[0].action == "pull_request"
    hub.repositories[REPO].requests[1]["title"] = "something else"
    assert publish_here(converted, REPO)[0].action == "pull_request"
    assert len(hub.repositories[REPO].requests) == 3
    # Nor does an open one with other bytes.
    hub.repositories[REPO].add("refs/pr/3", hub.repositories[REPO].at("main") or {})
    assert publish_here(converted, REPO)[0].action == "pull_request"


def test_a_pull_request_is_named(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    hub.put(REPO, {"notes.txt": b"mine"})
    done = publish(converted, REPO)
    assert done.stdout.splitlines()[-1].startswith("opened a pull request (verified weights): http")
    assert hub.files(REPO, "refs/pr/1") == {"notes.txt": b"mine", **contents(converted)}


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_one_bit_is_other_content(converted: Path, hub: LoopbackHub, publish_here: PublishHere, name: str) -> None:
    publish_here(converted, REPO)
    there = contents(converted)
    hub.put(REPO, {**there, name: there[name][:-2] + bytes([there[name][-2] ^ 1]) + there[name][-1:]})
    done, _ = publish_here(converted, REPO)
    assert (done.action, done.changed) == ("pull_request", (name,))
    assert hub.files(REPO, "refs/pr/1") == there


def test_a_pull_request_of_someone_without_write_permission(
    converted: Path, hub: LoopbackHub, publish_here: PublishHere
) -> None:
    hub.put("others/model", {"README.md": b"theirs"})
    assert publish_here(converted, "others/model")[0].action == "pull_request"
    assert hub.files("others/model") == {"README.md": b"theirs"}
    assert hub.files("others/model", "refs/pr/1") == contents(converted)


def test_weights_that_would_be_loaded_instead_are_removed(
    converted: Path, hub: LoopbackHub, publish_here: PublishHere
) -> None:
    stale = {"model-00001-of-00002.safetensors": b"1", "model.safetensors.index.json": b"{}", "pytorch_model.bin": b"b"}
    hub.put(REPO, {**contents(converted), **stale})
    planned, _ = publish_here(converted, REPO, dry_run=True)
    assert planned.intended == "pull_request"
    assert planned.removed == ("model-00001-of-00002.safetensors", "model.safetensors.index.json")
    publish_here(converted, REPO)
    assert set(hub.files(REPO, "refs/pr/1")) == {*contents(converted), "pytorch_model.bin"}


def test_shards_take_the_place_of_one_file(
    certified: Path, hub: LoopbackHub, publish_here: PublishHere, tmp_path: Path
) -> None:
    source, sharded = certified.parent / "my_finetuned [model]", tmp_path / "sharded"
    convert_checkpoint(source, sharded, max_shard_size=20_000)
    report = verify_checkpoint(source, sharded, checks=("weights",))
    with open_checkpoint(source) as checkpoint:
        write_certificate(sharded, make_certificate(report, recognise(checkpoint).plan, source, sharded))
    publish_here(sharded, "me/sharded")
    assert hub.files("me/sharded") == contents(sharded)
    assert sum(name.startswith("model-0000") for name in hub.files("me/sharded")) > 1
    hub.put(REPO, contents(certified))
    done, _ = publish_here(sharded, REPO)
    assert (done.action, done.removed) == ("pull_request", ("model.safetensors",))
    assert hub.files(REPO, "refs/pr/1") == contents(sharded)


def test_without_the_client_there_is_advice(converted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["huggingface_hub", *(name for name in sys.modules if name.startswith("huggingface_hub."))]:
        monkeypatch.setitem(sys.modules, name, None)
    before, notes = contents(converted), list[str]()
    with pytest.raises(MissingDependencyError, match="pip install filelock huggingface-hub requests"):
        publish_folder(converted, REPO)
    planned = publish_folder(converted, REPO, dry_run=True, tell=notes.append)
    assert (planned.action, planned.intended, planned.verified, planned.card) == ("dry_run", None, True, "")
    assert {file.name for file in planned.files} == before.keys() == set(planned.changed)
    assert len(notes) == 1
    assert re.search("card is not made, and .* is not known: .*pip install filelock huggingface-hub requests", notes[0])
    assert contents(converted) == before
    with pytest.raises(PublishError, match="names no owner"):
        publish_folder(converted, "albert", dry_run=True)


def test_a_dry_run_sends_nothing(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    before = contents(converted)
    done = publish(converted, REPO, "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {name: document[name] for name in ("repo_id", "url", "action", "intended", "verified")} == {
        "repo_id": REPO,
        "url": f"{hub.endpoint}/{REPO}",
        "action": "dry_run",
        "intended": "created",
        "verified": True,
    }
    listed = {file["name"]: (file["bytes"], file["sha256"]) for file in document["files"]}
    expected = {**before, "README.md": document["card"].encode()}
    assert listed == {name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in expected.items()}
    assert contents(converted) == before
    assert writes(hub) == []
    assert hub.repositories == {}
    text = publish(converted, REPO, "--dry-run").stdout
    assert f"dry run (verified weights): would create {hub.endpoint}/{REPO}" in text
    assert all(digest in text for _, digest in listed.values())
    assert text.endswith(f"README.md would be:\n\n{document['card']}")


@pytest.mark.parametrize("with_token", [True, False])
def test_a_dry_run_of_what_is_there(
    converted: Path, hub: LoopbackHub, publish_here: PublishHere, with_token: bool
) -> None:
    publish_here(converted, REPO)
    token = TOKEN if with_token else None
    before, written = hub.state(), len(writes(hub))
    assert publish_here(converted, REPO, token=token, dry_run=True)[0].intended == "unchanged"
    hub.put("me/other", {**contents(converted), "config.json": b"{}"})
    before = hub.state()
    # The card names the repository.
    planned, _ = publish_here(converted, "me/other", token=token, dry_run=True)
    assert (planned.intended, planned.changed) == ("pull_request", ("README.md", "config.json"))
    hub.put("me/empty", {})
    assert publish_here(converted, "me/empty", token=token, dry_run=True)[0].intended == "committed"
    del hub.repositories["me/empty"]
    assert hub.state() == before
    assert len(writes(hub)) == written


@pytest.mark.parametrize(
    "variables", [{"HF_ENDPOINT": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}], ids=["unreachable", "offline"]
)
def test_a_dry_run_without_a_network(converted: Path, publish: Publish, variables: dict[str, str]) -> None:
    done = publish(converted, REPO, "--dry-run", "--json", token=None, **variables)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["action"], document["intended"], len(document["files"])) == ("dry_run", None, 4)
    assert "what the hub holds is not known" in done.stderr


@pytest.mark.parametrize(
    "repo_id",
    ["albert", "a/b/c", "me/", "/name", "me/a--b", "me/a..b", "me/-a", "me/a b", "me/x.git", "", "me/" + "x" * 99],
)
def test_a_wrong_name_is_refused_before_the_network(hub: LoopbackHub, repo_id: str) -> None:
    with pytest.raises(PublishError, match=f"^{re.escape(repr(repo_id))} ") as caught:
        check_repo_id(repo_id)
    assert "\n" not in str(caught.value)
    assert hub.seen == []


def test_a_wrong_name_is_one_line(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    assert error_of(publish(converted, "albert")).startswith("Error: 'albert' names no owner")
    assert hub.seen == []
    assert not (converted / "README.md").exists()


def test_the_token_of_a_login_is_taken(converted: Path, hub: LoopbackHub, publish: Publish, tmp_path: Path) -> None:
    (tmp_path / "hf-home").mkdir()
    (tmp_path / "hf-home" / "token").write_text(TOKEN + "\n")
    assert publish(converted, REPO, token=None).returncode == 0
    assert hub.files(REPO) == contents(converted)


def test_without_a_token_nothing_is_asked(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    assert "hf auth login" in error_of(publish(converted, REPO, token=None))
    assert hub.seen == []


@pytest.mark.parametrize("token", ["hf_secret blank", "hf_sécret", "hf_secret\x01"])
def test_a_broken_token_is_not_shown(converted: Path, hub: LoopbackHub, publish: Publish, token: str) -> None:
    done = publish(converted, REPO, token=token)
    assert "blanks or letters" in error_of(done)
    assert "cret" not in done.stderr
    assert hub.seen == []


def test_the_storage_gets_no_token(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    publish(converted, REPO)
    assert [one.headers.get("authorization") for one in hub.asked("PUT", "/storage/")] == [None]
    assert TOKEN.encode() not in b"".join(one.body for one in hub.seen)
