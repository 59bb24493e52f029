"""When the hub refuses, fails or falls silent: one clear error, a hub as it was before, and a second run that works."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from paddle2torch.errors import PublishError
from paddle2torch.hub.errors import ask

from .conftest import Publish, PublishHere, environment_of
from .loopback_hub import TOKEN, LoopbackHub
from .test_publish import REPO, contents, error_of

OTHERS = {"README.md": b"mine", "config.json": b"{}"}

ALWAYS = 100
"""Times that a fault happens: more often than any version of the client tries."""

REFUSALS = [
    ("GET", "/api/models/", 401, "hf auth login"),
    ("GET", "/api/models/", 403, "write permission"),
    ("GET", "/api/models/", 429, "too many requests"),
    ("GET", "/api/models/", 500, "a problem of its own"),
    # Once, because what was created is removed after a look at it. No version of the client tries again after a 501.
    ("GET", "/tree/", 501, "a problem of its own"),
    ("POST", "/api/validate-yaml", 400, "does not accept"),
    ("POST", "/preupload/", 403, "write permission"),
    ("POST", "/preupload/", 429, "too many requests"),
    ("POST", "/objects/batch", 404, "check REPO_ID"),
    ("POST", "/objects/batch", 500, "a problem of its own"),
    ("PUT", "/storage/", 403, "write permission"),
    ("POST", "/verify", 500, "a problem of its own"),
    ("POST", "/commit/", 401, "hf auth login"),
    ("POST", "/commit/", 409, "another change"),
    ("POST", "/commit/", 412, "changed meanwhile"),
    ("POST", "/commit/", 413, "does not take files of this size"),
    ("POST", "/commit/", 500, "a problem of its own"),
]
CREATION_REFUSALS = [
    ("POST", "/api/repos/create", 401, "hf auth login"),
    ("POST", "/api/repos/create", 403, "write permission"),
    ("POST", "/api/repos/create", 404, "check REPO_ID"),
    ("POST", "/api/repos/create", 409, "another change"),
    ("POST", "/api/repos/create", 500, "a problem of its own"),
]


@pytest.mark.parametrize(("method", "path", "status", "advice"), [*REFUSALS, *CREATION_REFUSALS])
def test_a_refusal_leaves_no_trace_and_can_be_repeated(
    converted: Path, hub: LoopbackHub, publish_here: PublishHere, method: str, path: str, status: int, advice: str
) -> None:
    hub.fail(method, path, status, times=1 if status == 501 else ALWAYS, message="refused on purpose, {token}")
    with pytest.raises(PublishError, match=advice) as caught:
        publish_here(converted, REPO)
    shown = "" if method == "PUT" else " Bearer <token>"
    assert f"the hub answered {status} (refused on purpose,{shown})" in str(caught.value)
    assert hub.state() == {}
    hub.faults.clear()
    done, notes = publish_here(converted, REPO)
    assert (done.action, notes) == ("created", [])
    assert hub.files(REPO) == contents(converted)


@pytest.mark.parametrize(("method", "path", "status", "advice"), REFUSALS)
def test_a_refused_pull_request_leaves_no_trace(
    converted: Path, hub: LoopbackHub, publish_here: PublishHere, method: str, path: str, status: int, advice: str
) -> None:
    hub.put(REPO, OTHERS)
    before = hub.state()
    hub.fail(method, path, status, times=ALWAYS)
    with pytest.raises(PublishError, match=advice):
        publish_here(converted, REPO)
    assert hub.state() == before
    hub.faults.clear()
    assert publish_here(converted, REPO)[0].action == "pull_request"
    assert hub.files(REPO, "refs/pr/1") == contents(converted)


def test_a_refusal_is_one_line(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    hub.fail("POST", "/commit/", 500, message="sent: {token}")
    done = publish(converted, REPO)
    assert "the hub answered 500 (sent: Bearer <token>)" in error_of(done)
    assert done.stderr.count("\n") == 1
    assert hub.state() == {}
    assert publish(converted, REPO).returncode == 0


def test_a_broken_upload_is_tried_again(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    hub.fail("PUT", "/storage/", None, read=1000, times=2)
    hub.fail("PUT", "/storage/", 500)
    done = publish(converted, REPO)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert hub.files(REPO) == contents(converted)


@pytest.mark.parametrize("status", [None, 500])
def test_an_upload_that_stays_broken_is_an_error(
    converted: Path, hub: LoopbackHub, publish: Publish, status: int | None
) -> None:
    hub.fail("PUT", "/storage/", status, read=1000, times=100)
    error = error_of(publish(converted, REPO))
    assert ("the hub answered 500" if status else "no connection (") in error
    assert "SIGNATURE" not in error
    assert 100 - hub.faults[0].times <= 6
    assert hub.state() == {}
    hub.faults.clear()
    assert publish(converted, REPO).returncode == 0
    assert hub.files(REPO) == contents(converted)


@pytest.mark.parametrize("path", ["/api/repos/create", "/preupload/", "/objects/batch", "/commit/"])
def test_a_dropped_connection_is_an_error(
    converted: Path, hub: LoopbackHub, publish_here: PublishHere, path: str
) -> None:
    hub.fail("POST", path, None, times=ALWAYS, read=10)
    with pytest.raises(PublishError, match=r"no connection \(.*check the network"):
        publish_here(converted, REPO)
    assert hub.state() == {}
    hub.faults.clear()
    assert publish_here(converted, REPO)[0].action == "created"
    assert hub.files(REPO) == contents(converted)


def test_a_commit_whose_answer_is_lost_is_not_thrown_away(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    hub.fail("POST", "/commit/", None, after=True)
    done = publish(converted, REPO)
    error_of(done)
    assert f"{hub.endpoint}/{REPO} was created and is still there" in done.stderr
    assert hub.files(REPO) == contents(converted)
    again = publish(converted, REPO)
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1].startswith("unchanged")


def test_a_repository_that_cannot_be_removed_is_named_and_filled_later(
    converted: Path, hub: LoopbackHub, publish: Publish
) -> None:
    hub.fail("POST", "/commit/", 500)
    hub.fail("DELETE", "/api/repos/delete", 403)
    done = publish(converted, REPO)
    error_of(done)
    assert f"{hub.endpoint}/{REPO} was created and is still there" in done.stderr
    assert hub.files(REPO) == {}
    again = publish(converted, REPO)
    assert again.stdout.splitlines()[-1].startswith("published (verified weights)"), again.stderr
    assert hub.files(REPO) == contents(converted)


def test_what_someone_else_puts_into_the_new_repository_is_kept(
    converted: Path, hub: LoopbackHub, publish_here: PublishHere
) -> None:
    hub.fail("POST", "/commit/", action=lambda: hub.put(REPO, {"theirs.txt": b"theirs"}))
    with pytest.raises(PublishError, match="changed meanwhile"):
        publish_here(converted, REPO)
    assert hub.files(REPO) == {"theirs.txt": b"theirs"}


def test_a_change_meanwhile_stops_a_direct_commit(converted: Path, hub: LoopbackHub, publish_here: PublishHere) -> None:
    hub.put(REPO, {})
    hub.fail("POST", "/commit/", action=lambda: hub.put(REPO, {"theirs.txt": b"theirs"}))
    with pytest.raises(PublishError, match=re.escape("changed meanwhile")):
        publish_here(converted, REPO)
    assert hub.files(REPO) == {"theirs.txt": b"theirs"}
    assert publish_here(converted, REPO)[0].action == "pull_request"


def test_a_file_that_changes_while_it_is_published_is_an_error(
    converted: Path, hub: LoopbackHub, publish_here: PublishHere
) -> None:
    config = converted / "config.json"
    hub.fail("POST", "/api/repos/create", action=lambda: config.write_text(config.read_text() + " "))
    with pytest.raises(PublishError, match=re.escape("config.json: changed while it was being published")):
        publish_here(converted, REPO)
    assert hub.state() == {}


def test_large_files_that_change_during_the_upload_are_not_committed(
    converted: Path, hub: LoopbackHub, publish_here: PublishHere
) -> None:
    weights = converted / "model.safetensors"
    # Above the size that is read once.
    save_file({"weight": np.zeros(5 << 20, np.float32)}, weights)

    def flip() -> None:
        with weights.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\xff")

    hub.fail("POST", "/objects/batch", action=flip)
    with pytest.raises(PublishError, match=re.escape("the bytes are not those that were announced")):
        publish_here(converted, REPO, allow_unverified=True)
    assert hub.state() == {}


def test_a_file_that_the_repository_ignores_is_an_error(
    converted: Path, hub: LoopbackHub, publish_here: PublishHere
) -> None:
    hub.put(REPO, {".gitignore": b"*.json\n", "theirs.txt": b"theirs"})
    with pytest.raises(PublishError, match=r"does not hold config\.json as it was sent.*\.gitignore"):
        publish_here(converted, REPO)


def test_a_renamed_repository_is_named(converted: Path, hub: LoopbackHub, publish_here: PublishHere) -> None:
    hub.put(REPO, OTHERS)
    hub.renamed[REPO] = "me/new-name"
    with pytest.raises(PublishError, match=re.escape("is now called me/new-name on the hub")):
        publish_here(converted, REPO)


def test_a_busy_hub_is_not_asked_forever(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    message = "Cannot create repo: another conflicting operation is in progress"
    hub.fail("POST", "/api/repos/create", 409, times=1000, message=message)
    assert "busy with another change" in error_of(publish(converted, REPO))
    assert 1000 - hub.faults[0].times <= 4
    hub.faults.clear()
    hub.fail("POST", "/api/repos/create", 409, times=2, message=message)
    assert publish(converted, REPO).returncode == 0


@pytest.mark.parametrize(("status", "code"), [(403, "GatedRepo"), (401, "RepoNotFound")])
def test_a_repository_that_may_not_be_seen_is_not_taken_for_absent(
    converted: Path, hub: LoopbackHub, publish_here: PublishHere, status: int, code: str
) -> None:
    hub.fail("GET", "/api/models/", status, code=code)
    with pytest.raises(PublishError, match=f"looking at {REPO} failed: the hub answered {status}"):
        publish_here(converted, REPO)
    assert hub.state() == {}


def test_no_secret_is_in_an_error() -> None:
    def fail() -> None:
        raise ValueError(f"{TOKEN} is no good for https://storage.example/x?X-Signature=abc&name=b in this place")

    with pytest.raises(PublishError) as caught:
        ask("publishing", TOKEN, fail)
    assert str(caught.value) == "publishing failed: <token> is no good for https://storage.example/x?... in this place"


def test_a_wrong_token_is_an_error_that_does_not_show_it(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    done = publish(converted, REPO, token="hf_someOtherSecret")
    assert "the hub answered 401 (Invalid credentials" in error_of(done)
    assert "someOtherSecret" not in done.stderr
    assert hub.state() == {}


def test_a_foreign_namespace_is_refused(converted: Path, hub: LoopbackHub, publish_here: PublishHere) -> None:
    with pytest.raises(PublishError, match=re.escape("the hub answered 403")):
        publish_here(converted, "someone-else/model")
    assert hub.state() == {}


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "no connection (Connection refused)"),
        ({"HF_ENDPOINT": "http://no-such-host.invalid"}, "no connection ("),
        (
            {"HTTP_PROXY": "http://127.0.0.1:9", "HF_ENDPOINT": "http://hub.invalid"},
            "no connection (Connection refused)",
        ),
        ({"HF_HUB_OFFLINE": "1"}, "unset HF_HUB_OFFLINE"),
    ],
    ids=["refused", "no such host", "proxy", "offline"],
)
def test_without_a_network_there_is_one_line(
    converted: Path, publish: Publish, variables: dict[str, str], reason: str
) -> None:
    done = publish(converted, REPO, **variables)
    assert reason in error_of(done)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("method", "path"), [("POST", "/preupload/"), ("PUT", "/storage/"), ("POST", "/commit/")])
def test_a_hub_that_falls_silent_is_an_error(
    converted: Path, hub: LoopbackHub, publish: Publish, method: str, path: str
) -> None:
    hub.fail(method, path, None, times=ALWAYS, stall=30)
    assert "no answer in time" in error_of(publish(converted, REPO))
    assert ALWAYS - hub.faults[0].times <= 2
    assert hub.state() == {}


@pytest.mark.parametrize("answer", ["{}", "[]", "<html>Please log in to this network</html>"])
def test_an_answer_of_something_else_is_an_error(
    converted: Path, hub: LoopbackHub, publish_here: PublishHere, answer: str
) -> None:
    hub.fail("GET", "/api/models/", 200, message=answer)
    with pytest.raises(PublishError, match="is HF_ENDPOINT right"):
        publish_here(converted, REPO)
    assert hub.state() == {}


def test_warnings_of_the_hub_are_passed_on(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    hub.warnings.append("empty or missing yaml metadata")
    done = publish(converted, REPO, "--json")
    assert done.returncode == 0
    assert "the hub's client warns" in done.stderr
    assert "empty or missing yaml metadata" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_upload_leaves_no_trace(
    converted: Path, hub: LoopbackHub, python: str, tmp_path: Path, number: signal.Signals
) -> None:
    hub.fail("PUT", "/storage/", None, stall=30)
    environment = environment_of(tmp_path / "hf-home", HF_ENDPOINT=hub.endpoint, HF_TOKEN=TOKEN)
    command = [python, "-m", "paddle2torch", "publish", str(converted), REPO]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as child:
        deadline = time.monotonic() + 30
        while hub.faults[0].times and time.monotonic() < deadline:
            time.sleep(0.05)
        child.send_signal(number)
        _, errors = child.communicate(timeout=30)
    assert child.returncode == 128 + number
    assert errors.strip() == "Error: interrupted; unfinished output was removed"
    assert hub.state() == {}
