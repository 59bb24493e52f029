"""Pretrained names from a server on loopback into the cache: content, hashes, locks, caches, and the command line."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.checkpoints.cache import RECORD, fetched_folder, sha256_of
from paddle2torch.converters.checkpoints.source import find_source
from paddle2torch.errors import (
    ChangedFileError,
    FetchError,
    OutputError,
    UnknownNameError,
    UnreachableError,
    UnreadableFileError,
)
from paddle2torch.hub.download import Patience
from paddle2torch.hub.fetch import Fetched, Fetcher, copy_to

from .fetch_files import TINY, VOCABULARY, WEIGHTS, chinese_vocabulary, publish_tiny
from .file_server import Fault, FileServer, LoopbackProxy, unused_port

HASTE = Patience(attempts=3, backoff_seconds=0.01, longest_wait=2.0, connect_seconds=2.0, read_seconds=2.0)
FILES = (f"{TINY}.pdparams", f"{TINY}.vocab.txt")
PAGE = b"<!DOCTYPE html><html><body>Please log in to the wireless network</body></html>" * 40


@pytest.fixture
def server(tiny: Path) -> Iterator[FileServer]:
    with FileServer() as running:
        publish_tiny(running, tiny)
        yield running


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches and no network settings; returns the folder of TINY in this package's cache."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("PADDLE2TORCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PPNLP_HOME", str(tmp_path / "paddlenlp"))
    monkeypatch.delenv("PADDLE2TORCH_OFFLINE", raising=False)
    return tmp_path / "cache" / "models" / TINY


def fetcher(server: FileServer, **settings: Any) -> Fetcher:
    return Fetcher(server.url, patience=HASTE, **settings)


def fetch(server: FileServer) -> Fetched:
    return fetcher(server).fetch(TINY)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def command(*arguments: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "paddle2torch", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **variables},
        cwd=cwd,
        check=False,
    )


def test_a_name_is_fetched_once(server: FileServer, caches: Path) -> None:
    first = fetch(server)
    assert (first.folder, names_in(caches)) == (caches, sorted([*FILES, RECORD]))
    assert [(file.path.name, file.downloaded) for file in first.files] == [(name, True) for name in FILES]
    for file, path in zip(first.files, (WEIGHTS, VOCABULARY), strict=True):
        assert file.path.read_bytes() == server.files[path]
        assert (file.sha256, file.size) == (sha256_of(file.path), len(server.files[path]))
    record = json.loads((caches / RECORD).read_text())
    assert record["files"][FILES[0]]["url"] == server.url + WEIGHTS
    assert record["files"][FILES[0]]["etag"] == server.etag(server.files[WEIGHTS])
    again = fetch(server)
    assert not any(file.downloaded for file in again.files)
    assert len(server.seen) == 2
    source = find_source(TINY)
    assert (source.path, source.files, source.looked_up) == (caches, (caches / FILES[0],), True)


@pytest.mark.parametrize("broken", FILES)
def test_what_was_interrupted_is_completed(broken: str, server: FileServer, caches: Path) -> None:
    server.faults = [Fault(after=10_000)] if broken == FILES[0] else [Fault(), Fault(status=404)]
    if broken == FILES[0]:
        server.always = Fault(status=404)
    with pytest.raises(FetchError, match="404"):
        fetch(server)
    assert not (caches / broken).exists()
    server.faults, server.always, server.seen = [], None, []
    fetch(server)
    expected = ["bytes=10000-", None] if broken == FILES[0] else [None]
    assert [seen.range for seen in server.seen] == expected
    assert (caches / FILES[0]).read_bytes() == server.files[WEIGHTS]
    assert names_in(caches) == sorted([*FILES, RECORD])


WRONG_WEIGHTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a page": (lambda content: PAGE, "looks like a web page"),
    "an error in JSON": (lambda content: b'{"error": "no such key"}', "plain text"),
    "nothing": (lambda content: b"", "is empty"),
    "half of it": (lambda content: content[: len(content) // 2], "is truncated|ends|beyond"),
    "random bytes": (lambda content: bytes(range(256)) * 90, "does not begin like anything"),
}


@pytest.mark.parametrize("kind", WRONG_WEIGHTS)
def test_what_is_no_checkpoint_is_not_kept(kind: str, server: FileServer, caches: Path) -> None:
    make, message = WRONG_WEIGHTS[kind]
    server.files[WEIGHTS] = make(server.files[WEIGHTS])
    with pytest.raises(FetchError, match=message) as caught:
        fetch(server)
    assert f"what came is not the checkpoint {TINY}" in str(caught.value)
    assert server.url + WEIGHTS in str(caught.value)
    assert ".partial" not in str(caught.value)
    assert names_in(caches) == []
    assert fetched_folder(TINY) is None


def test_the_checkpoint_of_another_name_is_not_kept(
    server: FileServer, caches: Path, seeded: Callable[..., Path]
) -> None:
    server.files[WEIGHTS] = (seeded("AlbertModel") / "model_state.pdparams").read_bytes()
    with pytest.raises(FetchError, match=rf"not the checkpoint {TINY}: .* has shape .* the configuration says"):
        fetch(server)
    assert names_in(caches) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PAGE, "looks like a web page"),
        (b"\n".join(b"<p>%d" % line for line in range(21128)), r"lacks \[UNK\].*"),
        (b"", "is empty"),
        (b"\xff\xfe" * 5000, "not UTF-8"),
        (chinese_vocabulary(5000), "holds 5,000 tokens, the model has 21,128"),
        (chinese_vocabulary(21128 + 212), "holds 21,340 tokens"),
        (chinese_vocabulary().replace(b"[MASK]", b"[MUSK]"), r"lacks \[MASK\]"),
    ],
)
def test_what_is_no_vocabulary_is_not_kept(content: bytes, message: str, server: FileServer, caches: Path) -> None:
    server.files[VOCABULARY] = content
    with pytest.raises(FetchError, match=message):
        fetch(server)
    assert names_in(caches) == sorted([FILES[0], RECORD])


def test_a_page_is_no_sentencepiece_model(server: FileServer, tmp_path: Path) -> None:
    from paddle2torch.hub.content import check_tokenizer
    from paddle2torch.mappings.registry import PRETRAINED

    (tmp_path / "page").write_bytes(PAGE)
    with pytest.raises(FetchError, match=r"not the vocabulary of albert-base-v1.*web page"):
        check_tokenizer(tmp_path / "page", PRETRAINED["albert-base-v1"])


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("size_stays", [True, False])
def test_a_damaged_cache_is_noticed_by_all_who_use_it(
    file: str, size_stays: bool, server: FileServer, caches: Path
) -> None:
    recorded = {one.path.name: one.sha256 for one in fetch(server).files}[file]
    content = bytearray((caches / file).read_bytes())
    content[len(content) // 2] ^= 1
    (caches / file).write_bytes(bytes(content) if size_stays else bytes(content[:-10]))
    found = sha256_of(caches / file)
    for use in (lambda: find_source(TINY), lambda: fetch(server)):
        with pytest.raises(ChangedFileError) as caught:
            use()
        assert recorded in str(caught.value)
        assert found in str(caught.value)
        assert "delete the file and run `paddle2torch fetch`" in str(caught.value)
    # What the message says to do.
    (caches / file).unlink()
    fetch(server)
    assert find_source(TINY).looked_up


def test_a_hash_is_computed_anew_when_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    first = sha256_of(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(0, 0))
    assert sha256_of(path) != first
    assert sha256_of(path) == hashlib.sha256(b"two").hexdigest()


def test_a_file_that_changed_on_the_server_is_an_error(server: FileServer, caches: Path) -> None:
    recorded = fetch(server).files[1].sha256
    (caches / FILES[1]).unlink()
    server.files[VOCABULARY] = chinese_vocabulary().replace(b"word7\n", b"WORD7\n")
    with pytest.raises(ChangedFileError, match=rf"{recorded} was recorded at the first download") as caught:
        fetch(server)
    assert "delete the folder" in str(caught.value)
    assert names_in(caches) == sorted([FILES[0], RECORD])
    shutil.rmtree(caches)
    assert fetch(server).files[1].sha256 != recorded


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_no_record_names_is_not_trusted(file: str, server: FileServer, caches: Path) -> None:
    caches.mkdir(parents=True)
    (caches / file).write_bytes(b"who knows")
    assert all(one.downloaded for one in fetch(server).files)
    assert (caches / FILES[0]).read_bytes() == server.files[WEIGHTS]


def test_a_damaged_record_is_an_error(server: FileServer, caches: Path) -> None:
    fetch(server)
    for damage in ("{", "[]", '{"format": 1, "files": {"a": 3}}', '{"format": 2, "files": {}}'):
        (caches / RECORD).write_text(damage)
        with pytest.raises(UnreadableFileError, match=r"is damaged; delete the folder"):
            find_source(TINY)


def test_paddlenlps_cache_is_used(server: FileServer, caches: Path, tiny: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "paddlenlp" / "models" / TINY
    theirs.mkdir(parents=True)
    shutil.copy(tiny / "model_state.pdparams", theirs / FILES[0])
    offline = fetcher(server, offline=True)
    offline.make_available(TINY)
    assert not caches.exists()
    fetched = fetch(server)
    assert [seen.path for seen in server.seen] == [VOCABULARY]
    assert (caches / FILES[0]).resolve() == (theirs / FILES[0]).resolve()
    assert fetched.files[0].url == f"PaddleNLP's cache {theirs / FILES[0]}"
    # Checked ever after too, and downloaded when it is gone there.
    content = (theirs / FILES[0]).read_bytes()
    (theirs / FILES[0]).write_bytes(content[:-1] + b"x")
    with pytest.raises(ChangedFileError):
        find_source(TINY)
    (theirs / FILES[0]).unlink()
    assert [file.downloaded for file in fetch(server).files] == [True, False]
    assert not (caches / FILES[0]).is_symlink()


def test_a_bad_file_in_paddlenlps_cache_is_named(server: FileServer, tmp_path: Path) -> None:
    theirs = tmp_path / "paddlenlp" / "models" / TINY
    theirs.mkdir(parents=True)
    (theirs / FILES[0]).write_bytes(PAGE)
    with pytest.raises(FetchError, match=rf"{theirs}.*web page"):
        fetch(server)


def test_offline_never_asks(server: FileServer, caches: Path) -> None:
    offline = fetcher(server, offline=True)
    for use in (offline.fetch, offline.make_available):
        with pytest.raises(FetchError, match=r"is in no cache .*offline mode .*forbids to download it from"):
            use(TINY)
    assert server.seen == []
    assert not caches.exists()
    fetch(server)
    assert len(offline.fetch(TINY).files) == 2
    assert len(server.seen) == 2


def test_a_server_out_of_reach_is_not_asked_for_the_next_name() -> None:
    told: list[str] = []
    one = Fetcher(f"http://127.0.0.1:{unused_port()}", patience=HASTE, tell=told.append)
    with pytest.raises(UnreachableError, match="after 3 attempts"):
        one.fetch(TINY)
    before = len(told)
    with pytest.raises(UnreachableError, match="not tried, because"):
        one.fetch("albert-base-v2")
    assert len(told) == before


@pytest.mark.parametrize("base", ["/mirror", "/mirror/"])
def test_a_mirror_keeps_the_path(base: str, server: FileServer) -> None:
    for path in (WEIGHTS, VOCABULARY):
        server.files["/mirror" + path] = server.files.pop(path)
    assert Fetcher(server.url + base, patience=HASTE).fetch(TINY).files[0].url == server.url + "/mirror" + WEIGHTS


@pytest.mark.parametrize(
    "base",
    [
        "ftp://host",
        "host",
        "https://",
        "https://host/?a=b",
        "https://host/#a",
        "file:///etc",
        "http://[host",
        "http://host:port",
    ],
)
def test_a_base_that_is_no_web_address(base: str) -> None:
    with pytest.raises(FetchError, match=r"none of the form http"):
        Fetcher(base).fetch(TINY)


def test_unknown_names_are_not_asked_for(server: FileServer) -> None:
    with pytest.raises(UnknownNameError):
        fetcher(server).fetch("albert-bse-v2")
    fetcher(server).make_available("some/folder")
    assert server.seen == []


def test_copies_are_a_source(server: FileServer, tmp_path: Path) -> None:
    fetched = fetch(server)
    copy_to(fetched, tmp_path / "copies")
    assert names_in(tmp_path / "copies") == sorted(FILES)
    source = find_source(tmp_path / "copies")
    assert (source.pretrained, source.looked_up) == (TINY, False)
    with pytest.raises(OutputError, match="exists already"):
        copy_to(fetched, tmp_path / "copies")
    fetched.files[0].path.write_bytes(b"changed meanwhile")
    with pytest.raises(ChangedFileError, match="changed while it was copied"):
        copy_to(fetched, tmp_path / "more")
    assert not (tmp_path / "more").exists()


# The command line


def test_the_command_fetches_converts_and_lists(server: FileServer, caches: Path, tmp_path: Path) -> None:
    server.faults = [Fault(after=1_000_000)]
    done = command("fetch", TINY, "-o", "here", "--base-url", server.url, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith(f"{caches / FILES[0]}: 16,3")
    assert done.stdout.splitlines()[2] == "here: copies of these files"
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [FILES[0], FILES[0], FILES[1]]
    assert "the connection broke at 1,000,000 of" in done.stderr
    asked = len(server.seen)
    done = command("convert", TINY, "converted", "--base-url", server.url, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(server.seen) == asked
    done = command("convert", "here", "converted-too", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("converted", "converted-too")]
    assert weights[0] == weights[1]
    listed = json.loads(command("list", "--json", cwd=tmp_path).stdout)["models"]
    assert [model["name"] for model in listed if model["cached"]] == [TINY]


@pytest.mark.parametrize("first", ["convert", "verify", "fetch --json"])
def test_a_name_is_fetched_where_a_source_stands(first: str, server: FileServer, caches: Path, tmp_path: Path) -> None:
    rest = {"convert": ["out", "--json"], "verify": ["missing"], "fetch --json": []}[first]
    done = command(*first.split(), TINY, *rest, cwd=tmp_path, PADDLE2TORCH_BASE_URL=server.url)
    assert done.returncode == (2 if first == "verify" else 0), done.stderr
    assert fetched_folder(TINY) == caches
    if first != "verify":
        document = json.loads(done.stdout)
        assert document[{"convert": "parameters", "fetch --json": "name"}[first]] in (4_080_520, TINY)
        assert "downloading" not in done.stderr


@pytest.mark.parametrize("how", ["--offline", "variable"])
def test_the_command_offline(how: str, server: FileServer, tmp_path: Path) -> None:
    arguments = ["--offline"] if how == "--offline" else []
    variables = {} if arguments else {"PADDLE2TORCH_OFFLINE": "1"}
    for words in (["fetch", TINY], ["convert", TINY, "out"], ["gate", TINY]):
        done = command(*words, "--base-url", server.url, *arguments, cwd=tmp_path, **variables)
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1
        assert ("offline" in done.stderr) or ("not run: " in done.stderr)
    assert server.seen == []


def test_the_command_refuses_an_output_before_it_downloads(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for words in (["fetch", TINY, "-o", "out"], ["convert", TINY, "out"]):
        done = command(*words, "--base-url", server.url, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("Error: out: exists already")
    assert server.seen == []


def test_two_processes_download_once(server: FileServer, tmp_path: Path) -> None:
    server.pause = 0.01
    words = [sys.executable, "-m", "paddle2torch", "fetch", TINY, "--base-url", server.url]
    both = [
        subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "12"
    ]
    answers = [child.communicate(timeout=60) for child in both]
    assert [child.returncode for child in both] == [0, 0], answers
    assert sorted(seen.path for seen in server.seen) == sorted([WEIGHTS, VOCABULARY])
    assert sum("another process is fetching it; waiting" in errors for _, errors in answers) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_fetch_that_ends_early_is_continued(
    number: signal.Signals, server: FileServer, caches: Path, tmp_path: Path
) -> None:
    server.pause = 0.02
    words = [sys.executable, "-m", "paddle2torch", "fetch", TINY, "--base-url", server.url]
    child = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while server.sent < 2_000_000:
        time.sleep(0.01)
    child.send_signal(number)
    _, errors = child.communicate(timeout=20)
    assert child.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert names_in(caches) == [f"{FILES[0]}.partial", f"{FILES[0]}.partial.json"]
    partial = caches / f"{FILES[0]}.partial"
    if number != signal.SIGKILL:
        assert errors.splitlines()[-1] == (
            f"Error: interrupted; {partial} keeps what came, and the next fetch goes on from byte "
            f"{partial.stat().st_size:,}"
        )
    server.pause = 0
    assert command("fetch", TINY, "--base-url", server.url, cwd=tmp_path).returncode == 0
    begun = server.asked(WEIGHTS)[1].range
    assert begun is not None
    assert int(begun.removeprefix("bytes=").removesuffix("-")) > 1_000_000
    assert (caches / FILES[0]).read_bytes() == server.files[WEIGHTS]


def test_an_interrupt_before_anything_came_says_so(server: FileServer, caches: Path, tmp_path: Path) -> None:
    server.always = Fault(before=lambda: time.sleep(10))
    words = [sys.executable, "-m", "paddle2torch", "convert", TINY, "out", "--base-url", server.url]
    child = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not server.seen:
        time.sleep(0.01)
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=20)
    assert child.returncode == 143
    assert errors.splitlines()[-1] == f"Error: interrupted; nothing is kept of {server.url}{WEIGHTS}"
    assert names_in(caches) == []


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_the_proxy_of_the_environment_is_used(variable: str, server: FileServer, tmp_path: Path) -> None:
    with LoopbackProxy(server) as proxy:
        done = command("fetch", TINY, "--base-url", "http://mirror.invalid", cwd=tmp_path, **{variable: proxy.url})
        assert done.returncode == 0, done.stderr
        assert proxy.asked == [f"http://mirror.invalid{path}" for path in (WEIGHTS, VOCABULARY)]


def test_a_name_without_its_extra_still_comes_from_the_cache(server: FileServer, tmp_path: Path) -> None:
    fetch(server)
    blocked = tmp_path / "blocked"
    for name in ("requests", "filelock"):
        (blocked / name).mkdir(parents=True)
        (blocked / name / "__init__.py").write_text("raise ImportError('not installed')")
    done = command("convert", TINY, "out", cwd=tmp_path, PYTHONPATH=str(blocked))
    assert done.returncode == 0, done.stderr
    done = command("convert", "albert-base-v2", "out-too", cwd=tmp_path, PYTHONPATH=str(blocked))
    assert done.returncode == 2
    assert "-m pip install filelock huggingface-hub requests" in done.stderr


def test_the_bar_moves_on_a_terminal(server: FileServer, caches: Path, tmp_path: Path) -> None:
    """Lines about attempts stand above the bar, and nothing of it is left when all is there."""
    server.pause, server.faults = 0.005, [Fault(after=6_000_000)]
    leader, follower = os.openpty()
    words = [sys.executable, "-m", "paddle2torch", "fetch", TINY, "--base-url", server.url]
    with subprocess.Popen(
        words,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=follower,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    ) as child:
        os.close(follower)
        shown = b""
        with contextlib.suppress(OSError):  # how the end of a terminal reads
            while block := os.read(leader, 1 << 16):
                shown += block
        assert child.wait(timeout=30) == 0
    os.close(leader)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert len(set(re.findall(r"([0-9.]+)/16\.3 MB", text))) > 3
    assert text.count("the connection broke at") == 1
    assert names_in(caches) == sorted([*FILES, RECORD])
