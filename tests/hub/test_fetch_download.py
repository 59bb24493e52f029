"""One file from a real server on loopback that breaks, lies and refuses in every way that is known."""

from __future__ import annotations

import email.utils
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from paddle2torch.errors import FetchError, UnreachableError
from paddle2torch.hub import download as module
from paddle2torch.hub.download import BLOCK, Downloaded, Patience, download

from .file_server import Fault, FileServer, make_certificate, unused_port

PATH = "/files/weights.bin"
CONTENT = random.Random(3).randbytes(700_000)
HASTE = Patience(attempts=4, backoff_seconds=0.01, longest_wait=5.0, connect_seconds=2.0, read_seconds=0.4)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as running:
        running.files[PATH] = CONTENT
        yield running


class Client:
    """`download` with what it told, against one target."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.told: list[str] = []
        self.progress: list[tuple[int, int]] = []

    def __call__(self, url: str, patience: Patience = HASTE) -> Downloaded:
        with requests.Session() as session:
            session.max_redirects = 5
            return download(
                session,
                url,
                self.target,
                patience=patience,
                progress=lambda name, done, total: self.progress.append((done, total)),
                tell=self.told.append,
            )

    @property
    def partial(self) -> Path:
        return self.target.with_name(self.target.name + ".partial")

    @property
    def notes(self) -> Path:
        return self.target.with_name(self.target.name + ".partial.json")


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path / "weights.bin")


def test_a_whole_file_comes_in_one_request(server: FileServer, client: Client) -> None:
    done = client(server.url + PATH)
    assert done.partial.read_bytes() == CONTENT
    assert (done.etag, client.told) == (server.etag(CONTENT), [])
    assert [(seen.range, seen.headers["Accept-Encoding"]) for seen in server.seen] == [(None, "identity")]
    assert client.progress[0] == (0, len(CONTENT))
    assert client.progress[-1] == (len(CONTENT), len(CONTENT))
    assert client.progress == sorted(client.progress)
    assert not client.target.exists()


@pytest.mark.parametrize("validator", ["etag", "modified"])
def test_a_broken_connection_is_continued(validator: str, server: FileServer, client: Client) -> None:
    if validator == "modified":
        server.etag = lambda content: None
        server.modified = "Wed, 01 Mar 2023 10:00:00 GMT"
    server.faults = [Fault(after=300_000), Fault(after=100_000)]
    assert client(server.url + PATH).partial.read_bytes() == CONTENT
    assert [seen.range for seen in server.seen] == [None, "bytes=300000-", "bytes=400000-"]
    expected = server.etag(CONTENT) or server.modified
    assert [seen.if_range for seen in server.seen] == [None, expected, expected]
    assert server.sent == len(CONTENT)
    assert len(client.told) == 2
    assert "at 300,000 of 700,000 bytes" in client.told[0]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_validator_nothing_is_continued(etag: str | None, server: FileServer, client: Client) -> None:
    server.etag = lambda content: etag
    server.faults = [Fault(after=300_000)]
    assert client(server.url + PATH).partial.read_bytes() == CONTENT
    assert [seen.range for seen in server.seen] == [None, None]


def test_a_server_that_ignores_ranges_is_read_from_the_beginning(server: FileServer, client: Client) -> None:
    server.faults = [Fault(after=300_000), Fault(ignore_range=True)]
    assert client(server.url + PATH).partial.read_bytes() == CONTENT
    assert [seen.range for seen in server.seen] == [None, "bytes=300000-"]


def test_a_file_that_changed_meanwhile_is_read_from_the_beginning(server: FileServer, client: Client) -> None:
    changed = random.Random(4).randbytes(650_000)
    server.faults = [Fault(after=300_000), Fault(before=lambda: server.files.update({PATH: changed}))]
    assert client(server.url + PATH).partial.read_bytes() == changed
    assert [seen.range for seen in server.seen] == [None, "bytes=300000-"]


@pytest.mark.parametrize("part", ["bytes 0-699999/700000", "bytes 300000-699999/800000", "nonsense", "bytes 1-2/*"])
def test_another_part_than_the_missing_one_is_not_taken(part: str, server: FileServer, client: Client) -> None:
    server.faults = [Fault(after=300_000), Fault(status=206, part=part)]
    assert client(server.url + PATH).partial.read_bytes() == CONTENT
    assert [seen.range for seen in server.seen] == [None, "bytes=300000-", None]
    assert part in client.told[1]


def test_a_refused_range_starts_anew(server: FileServer, client: Client) -> None:
    server.faults = [Fault(after=300_000), Fault(status=416)]
    assert client(server.url + PATH).partial.read_bytes() == CONTENT
    assert [seen.range for seen in server.seen] == [None, "bytes=300000-", None]


def test_a_later_run_continues(server: FileServer, client: Client) -> None:
    server.always = Fault(after=100_000)
    with pytest.raises(FetchError, match=r"400,000 of 700,000 bytes, after 4 attempts; .* goes on from byte 400,000"):
        client(server.url + PATH)
    assert client.partial.read_bytes() == CONTENT[:400_000]
    server.always, server.seen = None, []
    assert client(server.url + PATH).partial.read_bytes() == CONTENT
    assert [seen.range for seen in server.seen] == ["bytes=400000-"]
    # Complete but not in place yet, as when the process was killed right then: nothing is asked for.
    assert client(server.url + PATH).partial.read_bytes() == CONTENT
    assert len(server.seen) == 1


@pytest.mark.parametrize("notes", ["{broken", "[]", '{"url": "http://elsewhere/x"}', '{"url": 3, "a": 4}'])
def test_unreadable_notes_start_anew(notes: str, server: FileServer, client: Client) -> None:
    client.partial.write_bytes(b"remains of something")
    client.notes.write_text(notes)
    assert client(server.url + PATH).partial.read_bytes() == CONTENT
    assert server.seen[0].range is None


def test_notes_with_a_size_that_is_no_number_start_anew(server: FileServer, client: Client) -> None:
    client.partial.write_bytes(CONTENT[:5])
    notes = {"url": server.url + PATH, "validator": server.etag(CONTENT), "etag": None, "size": "many"}
    client.notes.write_text(json.dumps(notes))
    assert client(server.url + PATH).partial.read_bytes() == CONTENT


def test_a_part_of_another_mirror_is_not_continued(server: FileServer, client: Client) -> None:
    server.always = Fault(after=100_000)
    with pytest.raises(FetchError):
        client(server.url + PATH)
    part = client.partial.read_bytes()
    with pytest.raises(UnreachableError):
        client(f"http://127.0.0.1:{unused_port()}{PATH}")
    assert client.partial.read_bytes() == part
    server.always, server.seen = None, []
    client(server.url.replace("127.0.0.1", "localhost") + PATH)
    assert server.seen[0].range is None


def test_a_length_that_is_never_reached_is_an_error(server: FileServer, client: Client) -> None:
    server.always = Fault(lie=1000)
    with pytest.raises(FetchError, match="nothing after byte 700,000, although 700,000 of 701,000 bytes had come"):
        client(server.url + PATH)
    assert len(server.seen) <= HASTE.attempts


def test_only_what_was_announced_is_read(server: FileServer, client: Client) -> None:
    """What is missing then, the check of the content finds."""
    server.always = Fault(lie=-1000)
    assert client(server.url + PATH).partial.read_bytes() == CONTENT[:-1000]


def test_a_body_without_a_length_is_read_to_its_end(server: FileServer, client: Client) -> None:
    server.always = Fault(no_length=True)
    assert client(server.url + PATH).partial.read_bytes() == CONTENT
    assert client.progress[-1] == (len(CONTENT), 0)


def test_more_than_any_checkpoint_has_is_refused(
    server: FileServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST", 200_000)
    with pytest.raises(FetchError, match="announces 700,000 bytes"):
        client(server.url + PATH)
    server.always = Fault(no_length=True)
    with pytest.raises(FetchError, match="sends more than"):
        client(server.url + PATH)
    assert client.partial.stat().st_size <= 200_000
    assert len(server.seen) == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
def test_a_passing_trouble_is_waited_for(status: int, server: FileServer, client: Client) -> None:
    server.faults = [Fault(status=status), Fault(status=status)]
    assert client(server.url + PATH).partial.read_bytes() == CONTENT
    assert len(server.seen) == 3
    assert f"answered {status}; trying again in 0.01 s" in client.told[0]
    assert "in 0.02 s" in client.told[1]


def test_a_lasting_trouble_ends(server: FileServer, client: Client) -> None:
    server.always = Fault(status=503)
    with pytest.raises(FetchError, match=r"answered 503, after 4 attempts; try again later$"):
        client(server.url + PATH)
    assert len(server.seen) == 4
    assert not client.partial.exists()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_refusal_is_not_asked_again(status: int, server: FileServer, client: Client) -> None:
    server.always = Fault(status=status)
    with pytest.raises(FetchError, match=f"answered {status}: .*check the base URL"):
        client(server.url + PATH)
    assert len(server.seen) == 1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed(form: str, server: FileServer, client: Client) -> None:
    # A date has no fractions: two seconds ahead are at least one.
    value = "1" if form == "seconds" else email.utils.formatdate(time.time() + 2, usegmt=True)
    server.faults = [Fault(status=429, headers={"Retry-After": value})]
    started = time.monotonic()
    client(server.url + PATH)
    assert 0.9 < time.monotonic() - started < 4


def test_a_retry_after_beyond_all_patience_is_an_error(server: FileServer, client: Client) -> None:
    server.faults = [Fault(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(FetchError, match="asks to wait 3600 s"):
        client(server.url + PATH)


def test_a_retry_after_that_is_nonsense_is_left_aside(server: FileServer, client: Client) -> None:
    server.faults = [Fault(status=503, headers={"Retry-After": "soon"})]
    assert client(server.url + PATH).partial.read_bytes() == CONTENT


def test_a_stall_is_noticed_and_continued(server: FileServer, client: Client) -> None:
    server.faults = [Fault(after=4 * BLOCK, stall=3.0, headers={"X": "1"})]
    started = time.monotonic()
    assert client(server.url + PATH).partial.read_bytes() == CONTENT
    assert time.monotonic() - started < 2.5
    assert server.seen[1].range is not None
    assert client.told[0].startswith("weights.bin: stalled at")


def test_a_server_that_never_answers_is_given_up(server: FileServer, client: Client) -> None:
    server.always = Fault(before=lambda: time.sleep(1.5), status=500)
    with pytest.raises(FetchError, match=r"no answer within 0.4 s, after 4 attempts"):
        client(server.url + PATH)


def test_a_slow_server_is_not_a_stall(server: FileServer, client: Client) -> None:
    server.pause = 0.1
    started = time.monotonic()
    assert client(server.url + PATH).partial.read_bytes() == CONTENT
    assert time.monotonic() - started > HASTE.read_seconds
    assert len(server.seen) == 1


@pytest.mark.parametrize("start", [0, 200_000, 3 * BLOCK + 1])
def test_a_server_that_drips_is_given_up_and_continued_later(start: int, server: FileServer, client: Client) -> None:
    """Each byte comes within the limit on silence, so that no read of the socket ever fails."""
    server.always = Fault(after=start, drip=0.02)
    started = time.monotonic()
    with pytest.raises(FetchError) as caught:
        client(server.url + PATH, replace(HASTE, slow_seconds=0.5))
    assert time.monotonic() - started < 2.0
    assert "the server sends too slowly, less than 65,536 bytes in 0.5 s; try again later" in str(caught.value)
    assert len(server.seen) == 1
    whole = start // BLOCK * BLOCK
    assert client.partial.read_bytes() == CONTENT[:whole]
    assert str(caught.value).endswith(
        f"; {client.partial} keeps what came, and the next fetch goes on from byte {whole:,}" if whole else "later"
    )
    server.always, server.seen = None, []
    assert client(server.url + PATH).partial.read_bytes() == CONTENT
    assert server.seen[0].range == (f"bytes={whole}-" if whole else None)


def test_an_answer_that_drips_is_given_up(server: FileServer, client: Client) -> None:
    server.always = Fault(drip=0.02)
    started = time.monotonic()
    with pytest.raises(FetchError, match="sends too slowly"):
        client(server.url + PATH, replace(HASTE, slow_seconds=0.5))
    assert time.monotonic() - started < 2.0


def test_a_process_that_gave_up_ends(server: FileServer, client: Client) -> None:
    """Nothing waits for the read that was left behind."""
    server.always = Fault(after=100_000, drip=0.05)
    code = (
        "import sys, requests; from pathlib import Path; from paddle2torch.hub.download import Patience, download\n"
        "download(requests.Session(), sys.argv[1], Path(sys.argv[2]), patience=Patience(slow_seconds=0.5), "
        "progress=lambda *numbers: None, tell=print)"
    )
    command = [sys.executable, "-c", code, server.url + PATH, str(client.target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert "FetchError" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("resumed", [False, True])
def test_a_disk_without_room_is_known_before_the_download(
    resumed: bool, server: FileServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is still to come needs room."""
    if resumed:
        server.always = Fault(after=100_000)
        with pytest.raises(FetchError):
            client(server.url + PATH)
        server.always = None
    there = client.partial.stat().st_size if resumed else 0
    real = shutil.disk_usage(client.target.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real._replace(free=len(CONTENT) - there - 1))
    sent = server.sent
    with pytest.raises(FetchError) as caught:
        client(server.url + PATH)
    assert f"{len(CONTENT) - there:,} bytes are still to come" in str(caught.value)
    assert f"{client.target.parent} has {len(CONTENT) - there - 1:,} bytes free; make room there" in str(caught.value)
    assert all(done <= there for done, _ in client.progress)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real._replace(free=len(CONTENT) - there))
    assert client(server.url + PATH).partial.read_bytes() == CONTENT
    assert server.sent - sent >= len(CONTENT) - there


def test_what_cannot_be_continued_is_not_left_behind(server: FileServer, client: Client) -> None:
    server.etag = lambda content: None
    server.always = Fault(after=100_000)
    with pytest.raises(FetchError, match=r"after 4 attempts; try again later$"):
        client(server.url + PATH)
    assert not client.partial.exists()
    assert not client.notes.exists()


def test_a_server_that_hangs_up_has_been_reached(server: FileServer, client: Client) -> None:
    server.always = Fault(hang_up=True)
    with pytest.raises(FetchError) as caught:
        client(server.url + PATH)
    assert not isinstance(caught.value, UnreachableError)
    assert len(server.seen) == HASTE.attempts


def test_nobody_listens(client: Client) -> None:
    with pytest.raises(UnreachableError, match=r"Connection refused\), after 3 attempts; check the network"):
        client(f"http://127.0.0.1:{unused_port()}{PATH}")
    assert len(client.told) == 2


def test_redirects_are_followed_but_not_for_ever(server: FileServer, client: Client) -> None:
    server.faults = [Fault(status=302, headers={"Location": "/files/moved.bin"})]
    server.files["/files/moved.bin"] = CONTENT
    assert client(server.url + PATH).partial.read_bytes() == CONTENT
    server.always = Fault(status=302, headers={"Location": PATH})
    client.partial.unlink()
    with pytest.raises(FetchError, match="redirects without end"):
        client(server.url + PATH)


def test_compressed_bytes_are_refused(server: FileServer, client: Client) -> None:
    server.always = Fault(headers={"Content-Encoding": "gzip"})
    with pytest.raises(FetchError, match=r"comes compressed \(gzip\)"):
        client(server.url + PATH)


def test_credentials_and_parameters_are_in_no_message_and_no_file(server: FileServer, client: Client) -> None:
    server.faults = [Fault(after=300_000)]
    server.files[PATH + "?signature=hidden"] = CONTENT
    address = server.url.replace("//", "//user:hidden@") + PATH + "?signature=hidden"
    client(address)
    assert server.seen[0].headers["Authorization"].startswith("Basic ")
    assert "hidden" not in client.notes.read_text() + "".join(client.told)
    server.always = Fault(status=404)
    client.partial.unlink()
    with pytest.raises(FetchError) as caught:
        client(address)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/x", "http://127.0.0.1:port/x"])
def test_an_address_that_is_none(address: str, client: Client) -> None:
    with pytest.raises(FetchError, match="cannot be asked for: "):
        client(address)


def test_a_proxy_that_is_none(server: FileServer, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "nonsense://user:hidden@127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(FetchError) as caught:
        client(server.url + PATH)
    assert "hidden" not in str(caught.value)
    assert server.seen == []


def test_a_server_that_speaks_no_tls(server: FileServer, client: Client) -> None:
    with pytest.raises(FetchError, match=r"no secure connection \(.*after 4 attempts"):
        client(server.url.replace("http:", "https:") + PATH)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_certificate_that_does_not_hold_is_not_asked_again(client: Client, tmp_path: Path) -> None:
    with FileServer(*make_certificate(tmp_path)) as server:
        server.files[PATH] = CONTENT
        with pytest.raises(FetchError, match=r"no secure connection \(.*certificate.*REQUESTS_CA_BUNDLE"):
            client(server.url + PATH)
        assert client.told == []


def test_a_full_disk_is_not_a_broken_connection(
    server: FileServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def full(path: Path, mode: str = "r", **options: object) -> object:
        return open("/dev/full", "ab") if mode == "ab" else real(path, mode, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space left"):
        client(server.url + PATH)
    assert len(server.seen) == 1


def test_an_interrupt_leaves_what_can_be_continued(server: FileServer, client: Client) -> None:
    def interrupted(name: str, done: int, total: int) -> None:
        if done > 200_000:
            raise KeyboardInterrupt

    with requests.Session() as session, pytest.raises(KeyboardInterrupt):
        download(
            session, server.url + PATH, client.target, patience=HASTE, progress=interrupted, tell=client.told.append
        )
    kept = client.partial.stat().st_size
    assert 200_000 < kept < 300_000
    server.seen = []
    assert client(server.url + PATH).partial.read_bytes() == CONTENT
    assert server.seen[0].range == f"bytes={kept}-"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
@pytest.mark.parametrize("back", [False, True])
def test_a_redirect_away_from_encryption_is_refused(
    back: bool, server: FileServer, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another one leads back to it."""
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with FileServer(certificate, key) as secure:
        secure.files[PATH] = CONTENT
        assert client(secure.url + PATH).partial.read_bytes() == CONTENT
        client.partial.unlink()
        secure.faults = [Fault(status=302, headers={"Location": f"{server.url}{PATH}?token=hidden"})]
        server.files[PATH + "?token=hidden"] = CONTENT
        server.faults = [Fault(status=302, headers={"Location": secure.url + PATH})] if back else []
        with pytest.raises(FetchError, match=rf"redirects to {server.url}{PATH}, which is not encrypted"):
            client(secure.url + PATH)
        assert not client.partial.exists()
