"""What a runner answers when a tokenizer fails: what lies in the files is an answer, what lies in a library is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from paddle2torch.errors import RunnerError
from paddle2torch.verify.runners import client
from paddle2torch.verify.runners.client import RunnerProcess

STUB = """
import sys, types
sys.modules["torch"] = types.ModuleType("torch")
transformers = sys.modules["transformers"] = types.ModuleType("transformers")
transformers.PreTrainedModel = None
class AutoTokenizer:
    @staticmethod
    def from_pretrained(folder, **options):
        raise {error}
transformers.AutoTokenizer = AutoTokenizer
"""


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunnerProcess:
    """A torch runner whose transformers is a stub."""
    scripts = tmp_path / "scripts"
    shutil.copytree(client.SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(client, "SCRIPTS", scripts)
    return RunnerProcess("torch")


def ask(runner: RunnerProcess, error: str) -> dict[str, object]:
    script = client.SCRIPTS / "torch_runner.py"
    text = script.read_text("utf-8")
    script.write_text(
        text.replace("\nimport argparse\n", f"\n{STUB.format(error=error)}\nimport argparse\n", 1), "utf-8"
    )
    with runner:
        return runner.request({"operation": "tokenize", "folder": str(client.SCRIPTS), "cases": "none"})


@pytest.mark.parametrize(
    "error", ["ValueError('no such class')", "OSError('no\\\\nsuch file')", "Exception('bad JSON')"]
)
def test_what_the_files_are_refused_for_is_an_answer(error: str, runner: RunnerProcess) -> None:
    refused = ask(runner, error)["refused"]
    assert isinstance(refused, str)
    assert refused.startswith(error.partition("(")[0])


@pytest.mark.parametrize("error", ["AttributeError('gone')", "ImportError('tiktoken')", "NotImplementedError('no')"])
def test_what_a_library_lacks_is_no_answer(error: str, runner: RunnerProcess) -> None:
    with pytest.raises(RunnerError, match=error.partition("(")[0]):
        ask(runner, error)
