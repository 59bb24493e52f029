"""What only Linux has is missed by nothing: the commands in processes from which it is hidden.

They were never run on Windows or macOS. The frameworks' own processes are left alone: they know on which system they
are.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

HIDING = """
import sys

if not any(one.endswith("_runner.py") for one in sys.orig_argv):
    import builtins, io, os, signal

    for module, names in {
        os: ("preadv", "pwritev", "pread", "pwrite", "killpg", "fork", "forkpty", "getuid", "geteuid", "wait4"),
        # SIGKILL is missing there too, but the subprocess module of this system needs it.
        signal: ("pthread_sigmask", "SIGHUP", "SIGALRM"),
    }.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)

    sys.modules["fcntl"] = sys.modules["resource"] = sys.modules["pwd"] = None

    def refused(*arguments, **keywords):
        raise OSError(1314, "a required privilege is not held by the client")

    # A second name would do on Windows, and does not touch the time of creation there, as it does the ctime here.
    os.symlink = os.link = refused

    def without_proc(function):
        def call(path, *arguments, **keywords):
            if str(path).startswith("/proc"):
                raise FileNotFoundError(2, "no such file", path)
            return function(path, *arguments, **keywords)

        return call

    for module, name in ((builtins, "open"), (io, "open"), (os, "listdir"), (os, "readlink"), (os, "stat")):
        setattr(module, name, without_proc(getattr(module, name)))
    os.environ["HIDDEN"] = "yes"
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that misses them."""
    folder = tmp_path_factory.mktemp("hiding")
    (folder / "sitecustomize.py").write_text(HIDING)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


def run(environment: dict[str, str], *arguments: object) -> str:
    command = [sys.executable, "-m", "paddle2torch", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_they_are_hidden(elsewhere: dict[str, str]) -> None:
    script = (
        "import os, signal, importlib.util\n"
        "assert os.environ['HIDDEN'] == 'yes'\n"
        "assert not any(hasattr(os, name) for name in ('preadv', 'pwrite', 'fork', 'killpg'))\n"
        "assert not os.path.exists('/proc') and not hasattr(signal, 'pthread_sigmask')\n"
        "try:\n    import resource\nexcept ImportError:\n    print('none')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], env=elsewhere, capture_output=True, text=True)
    assert done.stdout == "none\n", done.stderr


def test_the_same_files_come_out(elsewhere: dict[str, str], work: Path, source: Path, tmp_path: Path) -> None:
    """There and back, and a tree in two workers."""
    plain = dict(os.environ)
    for name, environment in (("here", plain), ("there", elsewhere)):
        folder = tmp_path / name
        run(environment, "convert", source, folder / "torch")
        run(environment, "convert", folder / "torch", folder / "back", "--to", "paddle")
        run(environment, "convert", "--tree", work, folder / "tree", "--jobs", "2")
        assert "BertModel" in run(environment, "inspect", source)
    here, there = (
        {path.relative_to(tmp_path / name): digest(path) for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in ("here", "there")
    )
    assert here == there
    assert {path.suffix for path in here} >= {".safetensors", ".pdparams"}


def test_verify_runs(elsewhere: dict[str, str], source: Path, tmp_path: Path) -> None:
    run(elsewhere, "convert", source, tmp_path / "torch")
    printed = run(elsewhere, "verify", source, tmp_path / "torch")
    assert "passed" in printed
    assert "FAILED" not in printed
