"""docs/compare.md: what `verify` says of a conversion on the Hub that somebody else made."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

from safetensors.numpy import load_file, save_file

from paddle2torch import convert_checkpoint

from ..loopback_hub import LoopbackHub
from .conftest import Command

PAGE = Path(__file__).parents[3] / "docs" / "compare.md"
FENCE = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MEASURED = re.compile(r"\d\.\d\de[+-]\d\d")


def put_foreign(hub: LoopbackHub, repo_id: str, made: Path, folder: Path, **fields: object) -> None:
    """A repository with the weights of a converted folder and nothing of this package's record, and a configuration
    with these fields."""
    folder.mkdir()
    save_file(load_file(made / "model.safetensors"), folder / "model.safetensors", {"format": "pt"})
    config = json.loads((made / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, **fields}), "utf-8")
    hub.put(repo_id, {path.name: path.read_bytes() for path in folder.iterdir()})


def test_the_page_prints_what_it_says(
    hub: LoopbackHub, seeded: Callable[..., Path], command: Command, tmp_path: Path
) -> None:
    source, made = seeded("ErnieForSequenceClassification"), tmp_path / "made"
    convert_checkpoint(source, made)
    files = {path.name: path.read_bytes() for path in source.iterdir() if path.name != "seeded_weights.json"}
    hub.put("someone/ernie-paddle", files)
    put_foreign(hub, "someone/ernie-torch", made, tmp_path / "right")
    put_foreign(hub, "someone/ernie-epsilon", made, tmp_path / "epsilon", layer_norm_eps=1e-5)

    blocks = FENCE.findall(PAGE.read_text("utf-8"))
    assert [kind for kind, _ in blocks] == ["sh", "text"] * 2
    for (_, line), (_, shown) in zip(blocks[::2], blocks[1::2], strict=True):
        done = command(*shlex.split(line)[1:])
        assert done.returncode == ("FAILED" in shown), done.stderr + done.stdout
        for expected in shown.splitlines():
            assert re.search(line_as_printed(expected), done.stdout, re.MULTILINE), f"{expected}\n{done.stdout}"


def line_as_printed(line: str) -> str:
    """A pattern for a line of the page: other machines may measure other values, commits differ, and `...` ends a line
    that is cut."""
    parts = re.split(rf"{MEASURED.pattern}|COMMIT", line.removesuffix("...").rstrip())
    pattern = "[^ ,:]+".join(map(re.escape, parts))
    return f"^{pattern}" if line.endswith("...") else f"^{pattern} *$"
