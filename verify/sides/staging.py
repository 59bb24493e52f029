"""The folder from which PaddleNLP loads its side."""

from __future__ import annotations

import json
from pathlib import Path

from ...converters.checkpoints.checkpoint import Checkpoint, Recognised
from ...converters.formats.pdparams_writer import write_pdparams
from ...converters.formats.piecewise import Entry
from ...converters.outputs.links import link
from ...mappings.language.fields import as_stored


def stage_source(checkpoint: Checkpoint, recognised: Recognised, folder: Path) -> Path:
    """A folder from which PaddleNLP's `from_pretrained` loads the source: links to its files under the names that
    PaddleNLP expects, and its configuration. Where it does not find the tensors in the files by itself, a file that has
    them under the names of its model."""
    folder.mkdir()
    files = checkpoint.source.files
    if not recognised.plan.loads_as_stored:
        entries = [Entry(name, (tensor,)) for name, tensor in checkpoint.tensors.items()]
        write_pdparams(folder / "model_state.pdparams", entries, lambda count: None)
    elif len(files) == 1:
        name = "model.safetensors" if files[0].suffix == ".safetensors" else "model_state.pdparams"
        link(files[0], folder / name)
    else:
        for path in (*files, *files[0].parent.glob("*.index.json")):
            link(path, folder / path.name)
    configuration = checkpoint.source.configuration
    file = configuration.file if configuration is not None else None
    if file is not None and file.name == "config.json" and not recognised.measured:
        link(file, folder / "config.json")
    else:
        document = {
            **as_stored(recognised.family.fields, recognised.configuration),
            "architectures": [recognised.plan.architecture],
            "model_type": recognised.family.source_type or recognised.family.name,
        }
        (folder / "config.json").write_text(json.dumps(document), "utf-8")
    return folder
