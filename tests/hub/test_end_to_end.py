"""From the published files to a published result and back: every step as a user takes it, all of it on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from safetensors.numpy import load_file

from ..conftest import TORCH_PYTHON
from .fetch_files import TINY, WEIGHTS, publish_tiny
from .file_server import FileServer
from .loopback_hub import TOKEN, LoopbackHub

REPO = "me/albert-chinese-tiny"


@pytest.fixture
def server(tiny: Path) -> Iterator[FileServer]:
    """Serves seeded weights under the real path of the published ones."""
    with FileServer() as running:
        publish_tiny(running, tiny)
        yield running


def test_from_published_weights_to_a_published_model_and_back(
    server: FileServer, hub: LoopbackHub, tmp_path: Path
) -> None:
    unwanted = ("HF_", "HUGGING", "http_", "https_", "all_proxy", "HTTP_", "HTTPS_", "ALL_PROXY", "PADDLE2TORCH_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    environment |= {
        "PADDLE2TORCH_BASE_URL": server.url,
        "PADDLE2TORCH_CACHE": str(tmp_path / "cache"),
        "PPNLP_HOME": str(tmp_path / "paddlenlp"),
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "hf-home"),
        "HF_TOKEN": TOKEN,
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "paddle2torch", *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            env=environment,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    run("fetch", TINY)
    run("convert", TINY, "converted")
    assert "published weights" in run("verify", TINY, "converted").stdout
    assert "would create" in run("publish", "converted", REPO, "--dry-run").stdout
    assert hub.repositories == {}
    published = json.loads(run("publish", "converted", REPO, "--json").stdout)
    assert (published["action"], published["verified"]) == ("created", True)

    converted = {path.name: path.read_bytes() for path in (tmp_path / "converted").iterdir()}
    assert hub.files(REPO) == converted
    assert {"README.md", "parity.json", "config.json", "model.safetensors"} <= set(converted)
    card = converted["README.md"].decode()
    front = yaml.safe_load(card.split("---")[1])
    assert (front["language"], front["base_model"]) == ("zh", "voidful/albert_chinese_tiny")
    assert "license" not in front
    assert hashlib.sha256(server.files[WEIGHTS]).hexdigest() in card
    assert f"{TINY}.pdparams>" in card

    code = re.search("```python\n(.*?)```", card, re.DOTALL)
    assert code is not None
    child = subprocess.run(
        [TORCH_PYTHON, str(Path(__file__).with_name("load_published.py"))],
        input=json.dumps({"repo_id": REPO, "code": code[1], "folder": str(tmp_path / "downloaded")}),
        capture_output=True,
        text=True,
        timeout=300,
        # The model is public.
        env={**environment, "HF_TOKEN": "", "CUDA_VISIBLE_DEVICES": ""},
        cwd=tmp_path,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-4000:]
    found = json.loads(child.stdout.splitlines()[-1])
    downloaded = Path(found["folder"])
    assert {path.name: path.read_bytes() for path in downloaded.iterdir() if path.name[0] != "."} == converted
    weights = {
        name: [f"torch.{array.dtype}", list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
        for name, array in load_file(tmp_path / "converted" / "model.safetensors").items()
    }
    assert len(weights) == 25
    assert found["loaded"] == {"card": weights, "folder": weights}
    if "tokenizer.json" in converted:
        assert found["ids"][0] == 101
        assert found["ids"][-1] == 102
        assert 103 in found["ids"]

    again = run("publish", "converted", REPO)
    assert again.stdout.splitlines()[-1].startswith("unchanged, nothing sent (verified weights)")
