"""Files written by Paddle itself, in one child process for all tests."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def paddle_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files saved by Paddle; beside each, `NAME.npz` holds the values that were saved."""
    if importlib.util.find_spec("paddle") is None:
        pytest.skip("Paddle is not installed")
    folder = tmp_path_factory.mktemp("paddle")
    script = Path(__file__).with_name("write_with_paddle.py")
    child = subprocess.run([sys.executable, str(script), str(folder)], capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stderr
    return folder
