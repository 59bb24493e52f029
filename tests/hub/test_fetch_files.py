"""What names share and how files are called: second names of one file, tokenizers of several files, names that are
others on the server than here, names with a slash."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from paddle2torch.converters.checkpoints.cache import own_cache, read_record
from paddle2torch.converters.checkpoints.source import cached_folder, find_source
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import ChangedFileError, FetchError
from paddle2torch.hub.content import check_tokenizer
from paddle2torch.hub.download import Patience
from paddle2torch.hub.fetch import Fetched, Fetcher, copy_to
from paddle2torch.mappings.language.pretrained import Pretrained
from paddle2torch.mappings.registry import PRETRAINED
from paddle2torch.verify.runners.client import RunnerProcess

from ..tokenizer_files import SPIECES, train_spiece
from .fetch_files import TINY, VOCABULARY, WEIGHTS, chinese_vocabulary, publish_tiny
from .file_server import FileServer, make_certificate

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


SLASHED = "uer/chinese-roberta-tiny"
STEM = "uer--chinese-roberta-tiny"


@pytest.fixture(scope="module")
def slashed(paddle_runner: RunnerProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What stands in for the published files of a name with a slash, by their true paths."""
    folder = tmp_path_factory.mktemp("slashed") / "source"
    paddle_runner.request(
        {"operation": "seed", "architecture": "BertModel", "name": SLASHED, "folder": str(folder), "seed": 5}
    )
    weights, vocabulary = (urlsplit(url).path for url in PRETRAINED[SLASHED].files.values())
    return {weights: (folder / "model_state.pdparams").read_bytes(), vocabulary: chinese_vocabulary()}


def test_a_name_with_a_slash_is_a_folder_of_one_part(
    server: FileServer, slashed: dict[str, bytes], tmp_path: Path
) -> None:
    server.files |= slashed
    done = fetch(server, SLASHED)
    assert done.folder == own_cache() / STEM
    assert [file.path.name for file in done.files] == [f"{STEM}.pdparams", f"{STEM}.vocab.txt"]
    assert len(Fetcher(server.url, offline=True).fetch(SLASHED).files) == 2
    assert [entry.name for entry in PRETRAINED.values() if cached_folder(entry.name) is not None] == [SLASHED]
    # Copies tell the name, and with it the configuration and that the tokenizer lower-cases.
    copy_to(done, tmp_path / "copies")
    theirs = tmp_path / "paddlenlp" / "models" / SLASHED
    theirs.mkdir(parents=True)
    for file, name in zip(done.files, ("model_state.pdparams", "vocab.txt"), strict=True):
        shutil.copy(file.path, theirs / name)
    shutil.copytree(theirs, tmp_path / "elsewhere" / SLASHED)
    sources: tuple[str | Path, ...] = (SLASHED, tmp_path / "copies", theirs, tmp_path / "elsewhere" / SLASHED)
    for number, source in enumerate(sources):
        assert find_source(source).pretrained == SLASHED
        converted = tmp_path / str(number)
        convert_checkpoint(source, converted)
        assert '"type": "Lowercase"' in (converted / "tokenizer.json").read_text()
        for made in ("model.safetensors", "tokenizer.json", "tokenizer_config.json"):
            assert (converted / made).read_bytes() == (tmp_path / "0" / made).read_bytes()
    shutil.rmtree(done.folder)
    assert cached_folder(SLASHED) == theirs


def test_a_folder_of_the_last_part_alone_is_not_that_name(slashed: dict[str, bytes], tmp_path: Path) -> None:
    folder = tmp_path / "chinese-roberta-tiny"
    folder.mkdir()
    (folder / "model_state.pdparams").write_bytes(next(iter(slashed.values())))
    assert find_source(folder).pretrained is None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_what_the_tables_give_as_http_comes_encrypted_or_not(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with FileServer(certificate, key) as secure:
        secure.files |= server.files
        for name, host in (("secure", secure), ("plain", server)):
            at = f"http://127.0.0.1:{host.port}"
            entry = replace(PRETRAINED[TINY], name=name, weights_url=at + WEIGHTS, tokenizer_urls=(at + VOCABULARY,))
            register(monkeypatch, entry)
        done = Fetcher().fetch("secure")
        assert [file.url for file in done.files] == [secure.url + WEIGHTS, secure.url + VOCABULARY]
        with pytest.raises(FetchError, match=rf"https://127\.0\.0\.1:{server.port}.*no secure connection"):
            Fetcher(patience=Patience(attempts=2, backoff_seconds=0.01)).fetch("plain")
    assert server.seen == []


def test_the_vocabulary_of_a_t5_holds_its_three_special_tokens(tmp_path: Path) -> None:
    entry = PRETRAINED["t5-small"]
    # As many embeddings as this vocabulary has tokens, with those behind the pieces and some to spare.
    entry = replace(entry, configuration={**entry.configuration, "vocab_size": 828})
    check_tokenizer(train_spiece(tmp_path / "t5.model", **SPIECES["t5"]), entry)
    with pytest.raises(FetchError, match=r"not the vocabulary of t5-small: .* lacks <pad>"):
        check_tokenizer(train_spiece(tmp_path / "mbart.model", **SPIECES["mbart"]), entry)
