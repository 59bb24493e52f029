"""What names share and how files are called: second names of one file, tokenizers of several files, names that are
others on the server than here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from paddle2torch.converters.checkpoints.cache import own_cache, read_record
from paddle2torch.converters.checkpoints.source import find_source
from paddle2torch.errors import ChangedFileError, FetchError
from paddle2torch.hub.fetch import Fetched, Fetcher
from paddle2torch.mappings.language.pretrained import Pretrained
from paddle2torch.mappings.registry import PRETRAINED

from .fetch_files import TINY, VOCABULARY, WEIGHTS, chinese_vocabulary, publish_tiny
from .file_server import FileServer

HOST = "http://files.invalid"
PARTS = {
    "/x/x.vocab.txt": b"<s>\n<pad>\n</s>\n",
    "/x/x.vocab.bpe": b"#version: 0.2\na b\n",
    "/x/x.encoder.json": b'{"a": 0}',
    "/x/sentencepiece.bpe.model": b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02",
}
"""Files of a tokenizer that is none of ALBERT's kinds."""


@pytest.fixture
def server(tiny: Path) -> Iterator[FileServer]:
    with FileServer() as running:
        publish_tiny(running, tiny)
        running.files |= PARTS
        yield running


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PADDLE2TORCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PPNLP_HOME", str(tmp_path / "paddlenlp"))


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> Pretrained:
    """A second name of TINY."""
    return register(monkeypatch, replace(PRETRAINED[TINY], name="second"))


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> Pretrained:
    """A name whose tokenizer has several files, with the weights of TINY under another name."""
    weights = f"{HOST}/x/x_v1_base.pdparams"
    urls = tuple(HOST + path for path in PARTS)
    return register(monkeypatch, replace(PRETRAINED[TINY], name="several", weights_url=weights, tokenizer_urls=urls))


def register(monkeypatch: pytest.MonkeyPatch, entry: Pretrained) -> Pretrained:
    monkeypatch.setitem(PRETRAINED, entry.name, entry)
    return entry


def fetch(server: FileServer, name: str) -> Fetched:
    return Fetcher(server.url).fetch(name)


def test_a_second_name_of_a_file_is_not_downloaded(server: FileServer, second: Pretrained) -> None:
    first, again = fetch(server, TINY), fetch(server, second.name)
    assert sorted(seen.path for seen in server.seen) == sorted([WEIGHTS, VOCABULARY])
    assert [file.downloaded for file in again.files] == [False, False]
    assert [file.path.name for file in again.files] == ["second.pdparams", "second.vocab.txt"]
    for one, other in zip(first.files, again.files, strict=True):
        assert (one.sha256, one.size, one.url) == (other.sha256, other.size, other.url)
        assert one.path.samefile(other.path)
        one.path.unlink()
    # What is deleted under one name stays under the other.
    source = find_source(second.name)
    assert source.files[0].read_bytes() == server.files[WEIGHTS]
    assert Fetcher(server.url, offline=True).fetch(TINY).files[0].size == len(server.files[WEIGHTS])


def test_a_damaged_file_of_another_name_is_not_taken(server: FileServer, second: Pretrained) -> None:
    weights = fetch(server, TINY).files[0].path
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert [file.downloaded for file in fetch(server, second.name).files] == [True, False]
    with pytest.raises(ChangedFileError):
        fetch(server, TINY)


def test_a_second_name_must_have_the_file_of_its_first_download(server: FileServer, second: Pretrained) -> None:
    fetch(server, second.name)
    (own_cache() / "second" / "second.vocab.txt").unlink()
    server.files[VOCABULARY] = chinese_vocabulary().replace(b"word7\n", b"word07\n")
    fetch(server, TINY)
    with pytest.raises(ChangedFileError, match="has changed since"):
        fetch(server, second.name)


def test_files_have_the_names_of_this_package_whatever_the_server_calls_them(
    server: FileServer, several: Pretrained
) -> None:
    server.files["/x/x_v1_base.pdparams"] = server.files[WEIGHTS]
    done = fetch(server, several.name)
    names = [f"several.{kind}" for kind in ("pdparams", "vocab.txt", "vocab.bpe", "encoder.json")]
    assert [file.path.name for file in done.files] == [*names, "several.sentencepiece.bpe.model"]
    assert set(read_record(own_cache() / "several")) == {file.path.name for file in done.files}
    assert [file.path.read_bytes() for file in done.files[1:]] == list(PARTS.values())
    assert find_source("several").files == (own_cache() / "several" / "several.pdparams",)


PAGE = b"<!DOCTYPE html><html><body>log in</body></html>"
WRONG = [
    *((path, wrong) for path in PARTS for wrong in (PAGE, b"")),
    ("/x/x.encoder.json", b'{"a": 0'),
    ("/x/x.encoder.json", b"[]"),
    ("/x/x.vocab.txt", b"\xff\xfe\x00"),
    ("/x/sentencepiece.bpe.model", b"[PAD]\n[CLS]\n"),
]


@pytest.mark.parametrize(("path", "wrong"), WRONG)
def test_a_part_of_another_kind_is_not_kept(path: str, wrong: bytes, server: FileServer, several: Pretrained) -> None:
    server.files["/x/x_v1_base.pdparams"] = server.files[WEIGHTS]
    server.files[path] = wrong
    with pytest.raises(FetchError, match=f"what came is not a tokenizer file of several: {server.url}{path}"):
        fetch(server, several.name)
    kind = next(file for file, url in several.files.items() if url.endswith(path))
    assert not (own_cache() / "several" / kind).exists()


def test_what_paddlenlp_cached_is_found_under_the_names_that_it_gives(
    server: FileServer, several: Pretrained, tmp_path: Path
) -> None:
    """PaddleNLP calls weights model_state.pdparams and leaves other files the server's names."""
    folder = tmp_path / "paddlenlp" / "models" / "several"
    folder.mkdir(parents=True)
    (folder / "model_state.pdparams").write_bytes(server.files[WEIGHTS])
    for path, content in PARTS.items():
        (folder / path.rpartition("/")[2]).write_bytes(content)
    done = fetch(server, several.name)
    assert server.seen == []
    assert all(file.url.startswith(f"PaddleNLP's cache {folder}") for file in done.files)


def test_a_recorded_address_is_asked_for_by_https() -> None:
    assert Fetcher().address("http://host/a/b.pdparams") == "https://host/a/b.pdparams"
    assert Fetcher("http://mirror").address("http://host/a/b.pdparams") == "http://mirror/a/b.pdparams"
