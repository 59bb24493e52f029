"""A coverage-guided fuzzer of the .pdparams reader: `make fuzz`.

Each input is a file. The reader must return tensors that can be read or raise an error of the package; anything else
(another exception, a crash, executed code) ends the run with the input that did it.
"""

from __future__ import annotations

import pickle
import sys
import tempfile
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["paddle2torch"]):
    from paddle2torch.converters.formats.pdparams import open_pdparams
    from paddle2torch.errors import Paddle2TorchError

MOST_BYTES = 1 << 20
"""Tensors larger than this are not read: the fuzzer's inputs are small, so they can only be Fortran or empty tricks."""


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
                    if tensor.nbytes <= MOST_BYTES:
                        assert tensor.read().shape == tensor.shape
            except Paddle2TorchError:
                return
            finally:
                opened.close()

        atheris.Setup([sys.argv[0], str(corpus), *sys.argv[1:]], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
