"""The tutorial, run as it is written: a server on loopback stands for the one of the weights, a hub for the hub."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from .fetch_files import TINY, publish_tiny
from .file_server import FileServer
from .loopback_hub import TOKEN, LoopbackHub

ROOT = Path(__file__).parents[2]

FENCE = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_tutorial_runs_from_top_to_bottom(tiny: Path, hub: LoopbackHub, tmp_path: Path) -> None:
    blocks = FENCE.findall((ROOT / "docs" / "tutorial.md").read_text("utf-8"))
    assert [kind for kind, _ in blocks].count("sh") >= 7
    unwanted = ("HF_", "HUGGING", "http_", "https_", "all_proxy", "HTTP_", "HTTPS_", "ALL_PROXY", "PADDLE2TORCH_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    with FileServer() as server:
        publish_tiny(server, tiny)
        environment |= {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PADDLE2TORCH_BASE_URL": server.url,
            "PADDLE2TORCH_CACHE": str(tmp_path / "cache"),
            "PPNLP_HOME": str(tmp_path / "paddlenlp"),
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path / "hf-home"),
            "HF_TOKEN": TOKEN,
        }
        printed = []
        for kind, block in blocks:
            command = ["bash", "-euc", block] if kind == "sh" else [sys.executable, "-c", block]
            done = subprocess.run(
                command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False
            )
            assert done.returncode == 0, f"{block}{done.stderr}"
            printed.append(done.stdout)
    output = "".join(printed)
    assert "torch.Size([1, 8, 312])" in output
    assert output.count("checks passed") == 2
    assert {"README.md", "config.json", "model.safetensors", "parity.json", "tokenizer.json"} <= set(
        hub.files(f"me/{TINY}")
    )
    assert (tmp_path / "report" / "report.html").is_file()
    assert (tmp_path / "paddle_again" / "model_state.pdparams").is_file()
