"""Names of PaddleNLP's community from a server on loopback: what is asked for, what is refused, and how it is used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.checkpoints.cache import own_cache, read_record
from paddle2torch.converters.checkpoints.source import find_source
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.converters.outputs.certificate import read_certificate
from paddle2torch.errors import (
    AbsentFileError,
    ConfigurationError,
    FetchError,
    Paddle2TorchError,
    UnknownNameError,
)
from paddle2torch.hub.download import Patience
from paddle2torch.hub.fetch import VARIABLE, Fetched, Fetcher
from paddle2torch.hub.model_card import make_card
from paddle2torch.hub.proof import examine
from paddle2torch.mappings.language.pretrained import TOKENIZER
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.runners.forward import Runners

from .file_server import Fault, FileServer

ROOT = "/paddlenlp/models/community"
NAME = "community:some/model"
PLACE = f"{ROOT}/some/model"
JAPANESE = "cl-tohoku/bert-base-japanese-char"
FOLDER = "community--some--model"
OWN = ("config.json", "model_state.pdparams", "vocab.txt")
HASTE = Patience(attempts=2, backoff_seconds=0.01, connect_seconds=2.0, read_seconds=2.0)
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


@pytest.fixture
def files(seeded: Callable[..., Path]) -> dict[str, bytes]:
    """A small BERT with a vocabulary, as PaddleNLP's community holds them."""
    source = seeded("BertForSequenceClassification")
    size = json.loads((source / "config.json").read_text())["vocab_size"]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{index}" for index in range(size - 5))]
    weights = (source / "model_state.pdparams").read_bytes()
    return dict(zip(OWN, ((source / "config.json").read_bytes(), weights, "\n".join(words).encode()), strict=True))


@pytest.fixture
def server(files: dict[str, bytes]) -> Iterator[FileServer]:
    with FileServer() as running:
        publish(running, PLACE, files)
        yield running


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches and no settings; returns where NAME is to be."""
    monkeypatch.setenv("PADDLE2TORCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PPNLP_HOME", str(tmp_path / "paddlenlp"))
    for variable in ("PADDLE2TORCH_OFFLINE", "PADDLE2TORCH_BASE_URL", VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    return own_cache() / FOLDER


def publish(server: FileServer, place: str, files: dict[str, bytes]) -> None:
    server.files |= {f"{place}/{name}": content for name, content in files.items()}


def fetch(server: FileServer, name: str = NAME, **settings: Any) -> Fetched:
    return Fetcher(server.url, patience=HASTE, **settings).fetch(name)


def asked(server: FileServer) -> list[str]:
    return [seen.path.rpartition("/")[2] for seen in server.seen]


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


def test_a_folder_is_fetched_once_and_its_weights_last(server: FileServer, caches: Path) -> None:
    done = fetch(server)
    assert asked(server) == ["config.json", *TOKENIZER, "model_state.pdparams"]
    assert (done.folder, sorted(file.path.name for file in done.files)) == (caches, sorted(OWN))
    assert all(file.downloaded and file.url == f"{server.url}{PLACE}/{file.path.name}" for file in done.files)
    assert set(read_record(caches)) == set(OWN)
    asks = len(server.seen)
    assert not any(file.downloaded for file in fetch(server).files)
    assert len(fetch(server, offline=True).files) == len(OWN)
    Fetcher(server.url).make_available(NAME)
    assert len(server.seen) == asks
    source = find_source(NAME)
    assert (source.path, source.pretrained, source.looked_up) == (caches, NAME, True)
    # What came once is brought again, and what never was there is not missed.
    (caches / "vocab.txt").unlink()
    assert [file.path.name for file in fetch(server).files if file.downloaded] == ["vocab.txt"]


def test_the_commands_take_it_and_say_what_it_is(server: FileServer, caches: Path, tmp_path: Path) -> None:
    done = command("convert", NAME, "out", "--base-url", server.url, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "config.json").read_text())["architectures"] == [
        "BertForSequenceClassification"
    ]
    (tmp_path / "list.txt").write_text(f"{NAME}\n{NAME}\tagain\n")
    done = command("convert", "list.txt", "many", "--list", "--offline", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    weights = [tmp_path / folder / "model.safetensors" for folder in ("out", "many/some/model", "many/again")]
    assert len({path.read_bytes() for path in weights}) == 1
    for words in (["gate", NAME, "--seeded"], ["seed", NAME, "seeded"]):
        done = command(*words, cwd=tmp_path)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
        assert f"{NAME}: is a name of PaddleNLP's community" in done.stderr
    done = command("fetch", NAME, "-o", "copies", "--offline", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "copies").iterdir()) == sorted(OWN)


def test_its_certificate_and_card_name_it(server: FileServer, runners: Runners, tmp_path: Path) -> None:
    fetch(server)
    convert_checkpoint(NAME, tmp_path / "out")
    verify_checkpoint(NAME, tmp_path / "out", runners=runners, certificate=True).assert_passed()
    certificate = read_certificate(tmp_path / "out")
    assert (certificate["weights"], certificate["source"]["name"]) == ("published", NAME)
    card = make_card(examine(tmp_path / "out", allow_unverified=False), "owner/model")
    assert "the weights some/model of PaddleNLP's community" in card
    assert f"paddle2torch convert {NAME} CONVERTED" in card
    assert "license:" not in card.partition("\n---\n")[0]


def test_a_name_that_is_not_there_is_one_line(server: FileServer, caches: Path, tmp_path: Path) -> None:
    for words in (["fetch", "community:some/modle"], ["convert", "community:modle", "out"]):
        done = command(*words, "--base-url", server.url, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        lines = [line for line in done.stderr.splitlines() if ": downloading " not in line]
        assert len(lines) == 1
        assert "has neither config.json nor model_config.json, so PaddleNLP's community has no model" in lines[0]
    assert asked(server) == ["config.json", "model_config.json"] * 2
    assert list(own_cache().glob("[!.]*")) == []


def test_what_is_no_name_is_not_asked_for(server: FileServer) -> None:
    wrong = ["", "../albert", "a/../b", "/etc", "a/b/c", "a//b", "a b", "a?x=1", ".a", "a--b", "https://host/x", "ä"]
    for name in wrong:
        with pytest.raises(UnknownNameError, match="is no name of the form"):
            fetch(server, f"community:{name}")
    with pytest.raises(UnknownNameError, match="leave out community:"):
        fetch(server, "community:albert-base-v1")
    # Without the mark nothing is asked for either.
    with pytest.raises(UnknownNameError, match=r"PaddleNLP's community is asked by community:some/model$"):
        fetch(server, "some/model")
    assert server.seen == []


def test_without_weights_in_one_file(server: FileServer) -> None:
    del server.files[f"{PLACE}/model_state.pdparams"]
    with pytest.raises(AbsentFileError, match=r"has a configuration and no model_state\.pdparams"):
        fetch(server)
    with pytest.raises(FetchError, match=r"^community:some/model: tokenizer_config\.json is in no cache"):
        fetch(server, offline=True)


def test_the_older_configuration_is_taken(server: FileServer, files: dict[str, bytes], tmp_path: Path) -> None:
    fields = json.loads(server.files.pop(f"{PLACE}/config.json"))
    older = {"init_class": fields.pop("architectures")[0], "init_args": [{**fields, "init_class": "BertModel"}]}
    server.files[f"{PLACE}/model_config.json"] = json.dumps(older).encode()
    fetch(server)
    assert asked(server)[:2] == ["config.json", "model_config.json"]
    convert_checkpoint(NAME, tmp_path / "out")


WRONG: list[tuple[str, bytes, type[Paddle2TorchError], str]] = [
    ("config.json", PAGE, FetchError, "not the configuration of some/model: .*web page"),
    ("config.json", b"[]", FetchError, "a JSON object is expected"),
    ("config.json", b'{"model_type": "gpt2-en"}', UnknownNameError, "unknown family .*; nothing was kept$"),
    ("config.json", b'{"architectures": ["ErnieDocModel"]}', ConfigurationError, "is refused.*; nothing was kept$"),
    ("config.json", b"{}", ConfigurationError, "names neither model_type nor architectures"),
    ("tokenizer_config.json", PAGE, FetchError, "not a tokenizer file of some/model"),
    ("vocab.txt", PAGE, FetchError, "not a tokenizer file of some/model"),
    ("model_state.pdparams", PAGE, FetchError, "not the checkpoint some/model: .*web page"),
]


@pytest.mark.parametrize(("file", "content", "error", "message"), WRONG)
def test_what_is_no_such_file_is_not_kept(
    file: str, content: bytes, error: type[Paddle2TorchError], message: str, server: FileServer, caches: Path
) -> None:
    server.files[f"{PLACE}/{file}"] = content
    with pytest.raises(error, match=message) as caught:
        fetch(server)
    assert f"{server.url}{PLACE}/{file}" in str(caught.value)
    assert ".partial" not in str(caught.value)
    assert not (caches / file).exists()
    # Nothing large came for what cannot be converted.
    assert ("model_state.pdparams" in asked(server)) == (file == "model_state.pdparams")
    assert not (caches / "model_state.pdparams").exists()


def test_weights_of_another_size_are_not_kept(server: FileServer, caches: Path, seeded: Callable[..., Path]) -> None:
    other = seeded("BertForSequenceClassification", num_hidden_layers=2)
    server.files[f"{PLACE}/model_state.pdparams"] = (other / "model_state.pdparams").read_bytes()
    with pytest.raises(FetchError, match="not the checkpoint some/model"):
        fetch(server)
    assert not (caches / "model_state.pdparams").exists()


def test_a_broken_download_goes_on(server: FileServer) -> None:
    server.faults = [Fault()] * (len(TOKENIZER) + 1) + [Fault(after=2000)]
    server.always = Fault(status=403)
    with pytest.raises(FetchError, match="403"):
        fetch(server)
    server.faults, server.always, server.seen = [], None, []
    fetch(server)
    assert asked(server)[-1] == "model_state.pdparams"
    assert server.seen[-1].range == "bytes=2000-"
    assert {"config.json", "vocab.txt"}.isdisjoint(asked(server))


def test_paddlenlps_variable_leads_elsewhere(
    server: FileServer, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is: over http where it says so."""
    publish(server, "/mine/some/model", files)
    monkeypatch.setenv(VARIABLE, f"{server.url}/mine/")
    done = Fetcher(patience=HASTE).fetch(NAME)
    assert {file.url.rpartition("/")[0] for file in done.files} == {f"{server.url}/mine/some/model"}
    for wrong in ("mine", "ftp://host", "https://host/?a=b"):
        monkeypatch.setenv(VARIABLE, wrong)
        with pytest.raises(FetchError, match=r"COMMUNITY_MODEL_PREFIX is none of the form http"):
            Fetcher(patience=HASTE).fetch("community:other/model")


def test_paddlenlps_cache_is_used(server: FileServer, files: dict[str, bytes], tmp_path: Path) -> None:
    theirs = tmp_path / "paddlenlp" / "models" / "some" / "model"
    theirs.mkdir(parents=True)
    for name, content in files.items():
        (theirs / name).write_bytes(content)
    Fetcher(server.url, offline=True).make_available(NAME)
    assert find_source(NAME).path == theirs
    done = fetch(server)
    assert set(asked(server)) == set(TOKENIZER) - set(OWN)
    assert all(file.url.startswith(f"PaddleNLP's cache {theirs}") for file in done.files)


def test_a_tokenizer_that_only_the_name_tells_is_not_guessed(
    server: FileServer, files: dict[str, bytes], tmp_path: Path
) -> None:
    """Its folder holds vocab.txt alone, which BertTokenizer reads, and PaddleNLP takes another class by the name."""
    publish(server, f"{ROOT}/{JAPANESE}", files)
    done = command("convert", JAPANESE, "out", "--base-url", server.url, cwd=tmp_path)
    assert done.returncode == 2
    assert "BertJapaneseTokenizer cuts words by MeCab" in done.stderr
    assert "--no-tokenizer" in done.stderr
    done = command("convert", f"community:{JAPANESE}", "out", "--no-tokenizer", "--offline", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    listed = json.loads(command("list", "--family", "bert", "--json", cwd=tmp_path).stdout)["community"]
    assert [entry["name"] for entry in listed if entry["cached"]] == [JAPANESE]
    assert f"  {JAPANESE} (bert, Japanese, cached)" in command("list", cwd=tmp_path).stdout.splitlines()
