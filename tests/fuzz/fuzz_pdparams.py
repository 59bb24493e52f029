"""A coverage-guided fuzzer of the .pdparams reader: `make fuzz`.

Each input is a file. The reader must return tensors that can be read or raise an error of the package; anything else
(another exception, a crash, executed code) ends the run with the input that did it. The guards' limits are lowered, so
that an input that reaches them, or that is kept, is too small to exhaust any reader.
"""

from __future__ import annotations

import pickle
import sys
import tempfile
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["paddle2torch"]):
    from paddle2torch.converters.formats import pdparams, pickle_index, pickle_objects
    from paddle2torch.converters.formats.pdparams import open_pdparams
    from paddle2torch.errors import Paddle2TorchError

LIMITS = (
    (pickle_index, "MAX_OPERATIONS", 1000),
    (pickle_objects, "MAX_TEXT_BYTES", 200),
    (pickle_objects, "MAX_ARRAY_BYTES", 1 << 20),
    (pdparams, "MAX_DEPTH", 10),
    (pdparams, "MAX_NAME_CHARACTERS", 200),
    (pdparams, "MAX_ALL_NAMES_CHARACTERS", 10_000),
    (pdparams, "MAX_SHARED_NODES", 1000),
)


def write_seeds(folder: Path) -> None:
    """Small genuine files in every protocol, for the fuzzer to start from."""
    state = {
        "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "a.bias": np.asfortranarray(np.ones((2, 2))),
        "n": np.int64(3) * np.ones((), np.int64),
        "StructuredToParameterName@@": {"a.weight": "linear_0.w_0"},
    }
    for protocol in (2, 3, 4, 5):
        (folder / f"plain_{protocol}").write_bytes(pickle.dumps(state, protocol))
        (folder / f"nested_{protocol}").write_bytes(
            pickle.dumps({"m": {"x": [state["a.weight"]] * 2}, "e": 1}, protocol)
        )


def main() -> None:
    """Fuzz until libFuzzer's own limits (`-max_total_time`, `-runs`) are reached."""
    for module, limit, value in LIMITS:
        setattr(module, limit, value)
    with tempfile.TemporaryDirectory(prefix="paddle2torch-fuzz-") as scratch:
        corpus = Path(scratch) / "corpus"
        corpus.mkdir()
        write_seeds(corpus)
        path = Path(scratch) / "input.pdparams"

        def one_input(data: bytes) -> None:
            path.write_bytes(data)
            try:
                opened = open_pdparams(path)
            except Paddle2TorchError:
                return
            try:
                for tensor in opened.tensors.values():
                    assert tensor.read().shape == tensor.shape
            except Paddle2TorchError:
                return
            finally:
                opened.close()

        atheris.Setup([sys.argv[0], str(corpus), *sys.argv[1:]], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
