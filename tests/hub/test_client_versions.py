"""Every version of the hub's client that the package allows: by its public names, with the same result.

PADDLE2TORCH_TEST_PYTHONS names the interpreters, and so the versions, that the tests of `publish` run.
"""

from __future__ import annotations

import ast
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import paddle2torch
from paddle2torch.converters.outputs.alterations import UNALTERED
from paddle2torch.converters.outputs.record import metadata_of
from paddle2torch.hub.model_card import make_card
from paddle2torch.hub.proof import examine

from .conftest import PublishHere, environment_of
from .loopback_hub import TOKEN, LoopbackHub
from .test_publish import REPO, contents

PACKAGE = Path(paddle2torch.__file__).parent

OWN_FACTORY = """
import json, sys
import huggingface_hub
import paddle2torch
from paddle2torch.hub.publish import publish_folder

session = huggingface_hub.get_session()
kind, made = type(session), []
send = kind.send

class Own(kind):
    pass

def factory():
    made.append(Own())
    return made[-1]

configure = getattr(huggingface_hub, "set_client_factory", None) or huggingface_hub.configure_http_backend
configure(factory)
intended = publish_folder(sys.argv[1], sys.argv[2], dry_run=True).intended
print(json.dumps([paddle2torch.__file__, intended, len(made), kind.send is send and Own.send is send,
                  type(huggingface_hub.get_session()) is Own]))
"""


def private_names(code: str) -> list[str]:
    """Imports of private names of huggingface_hub, and private attributes of anything but `self`."""
    found = []
    for node in ast.walk(ast.parse(code)):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found += [name for name in names if name.startswith("huggingface_hub") and "._" in name]
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            found += [] if isinstance(node.value, ast.Name) and node.value.id == "self" else [ast.unparse(node)]
    return found


@pytest.mark.parametrize("path", sorted((PACKAGE / "hub").glob("*.py")), ids=lambda path: path.name)
def test_only_public_names_of_the_client_are_used(path: Path) -> None:
    assert private_names(path.read_text()) == []


def test_a_private_name_would_be_found() -> None:
    code = (
        "from huggingface_hub.utils import _http\nfrom huggingface_hub.utils._http import x\n"
        "import huggingface_hub._commit_api\nself._client._token\nadd._upload_mode\nself._own\nfrom ._near import y\n"
    )
    assert sorted(private_names(code)) == [
        "add._upload_mode",
        "huggingface_hub._commit_api",
        "huggingface_hub.utils._http",
        "huggingface_hub.utils._http.x",
        "self._client._token",
    ]


def test_a_factory_of_the_caller_stays_in_use(converted: Path, hub: LoopbackHub, python: str, tmp_path: Path) -> None:
    child = subprocess.run(
        [python, "-c", OWN_FACTORY, str(converted), REPO],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment_of(tmp_path / "hf-home", HF_ENDPOINT=hub.endpoint, HF_TOKEN=TOKEN),
        cwd=tmp_path,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    package, *found = json.loads(child.stdout)
    assert Path(package).samefile(paddle2torch.__file__), "the interpreter has another paddle2torch"
    assert found == ["created", 1, True, True]


def test_the_card_does_not_depend_on_the_client(converted: Path, publish_here: PublishHere) -> None:
    planned, _ = publish_here(converted, REPO, dry_run=True)
    assert planned.card == make_card(examine(converted, allow_unverified=False), REPO)


def test_files_too_large_to_be_read_at_once_arrive_whole(
    converted: Path, hub: LoopbackHub, publish_here: PublishHere
) -> None:
    weights = converted / "model.safetensors"
    save_file({"weight": np.arange(5 << 20, dtype=np.float32)}, weights, metadata_of(UNALTERED))
    # What the hub keeps in git.
    (converted / "tokenizer.json").write_text(json.dumps({"model": {"vocab": "x" * (3 << 20)}}))
    publish_here(converted, REPO, allow_unverified=True)
    expected = contents(converted)
    del expected["parity.json"]
    assert hub.files(REPO) == expected
    assert [one.path for one in hub.seen if "xet" in one.path] == []
