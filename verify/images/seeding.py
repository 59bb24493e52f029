"""Seeded networks: the folder that a training would leave, with weights that PaddleOCR's or PaddleClas's own code
made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...converters.images.training import dump_training
from ...converters.outputs.folder import new_folder
from ...converters.outputs.hashes import hash_files
from ...converters.outputs.record import SEED_FILE, weight_files
from ...mappings.language.images.network import Network, Sizes
from ..runners.client import RunnerProcess
from .pair import builder_at

WEIGHTS, TRAINING, DICTIONARY = "best_accuracy.pdparams", "config.yml", "dict.txt"

FIRST = 0x4E00
"""Characters of made-up dictionaries begin here: tens of thousands follow that are letters each."""


def seed_network(
    name: str,
    network: Network,
    sizes: Sizes,
    output: Path,
    *,
    seed: int = 0,
    library: Path | None = None,
    overwrite: bool = False,
    runner: RunnerProcess,
) -> dict[str, Any]:
    """Let the library of a network write seeded weights of these sizes into the new folder `output`, with the training
    configuration and the dictionary that a training under the official `name` would leave. Every norm, gain and scale
    is moved from what changes nothing. Returns the runner's answer, with `parameters`. Raises OutputError,
    MissingDependencyError, ConfigurationError or RunnerError."""
    library = builder_at(network, library)
    with new_folder(output, overwrite) as folder:
        answer = runner.request(
            {
                "operation": "seed",
                "seed": seed,
                "builder": network.builder,
                "library": str(library) if library is not None else None,
                "architecture": network.architecture(sizes),
                "picture": list(network.pictures(sizes)[0]),
                "output": str(folder.resolve() / WEIGHTS),
            }
        )
        document: dict[str, Any] = {"Global": {"model_name": name}}
        if network.task == "recognition":
            count = int(sizes["classes"]) - 2
            (folder / DICTIONARY).write_text("".join(chr(FIRST + one) + "\n" for one in range(count)), "utf-8")
            document["Global"] |= {"character_dict_path": f"./{DICTIONARY}", "use_space_char": True}
        section = "Architecture" if network.builder == "PaddleOCR" else "Arch"
        document[section] = network.architecture(sizes)
        dump_training(folder / TRAINING, document)
        files = hash_files(weight_files(folder))
        mark = {"name": name, "architecture": network.name, "seed": seed, "files": files}
        (folder / SEED_FILE).write_text(json.dumps(mark, indent=2) + "\n", "utf-8")
    return answer
