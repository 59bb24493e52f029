"""paddle2torch converts PaddleNLP checkpoints to PyTorch safetensors and proves that the result is the same model.

`open_checkpoint`, `convert_checkpoint` and `verify_checkpoint` are the Python interface, with `convert_many` and
`verify_many` for what `find_checkpoints` and `read_checkpoint_list` find, `fetch_repository` for folders on the
Hugging Face Hub, and `validate_certificate` for whoever has a
converted folder with its parity.json and nothing else; each documents its errors, all of which derive from
`Paddle2TorchError`.
"""

from __future__ import annotations

TYPE_CHECKING = False
"""True for type checkers. `typing` takes a moment to import, in which an interrupt would be a traceback."""

if TYPE_CHECKING:
    from typing import Any

    from .converters.batch.conversions import convert_many
    from .converters.batch.finding import find_checkpoints, read_checkpoint_list
    from .converters.checkpoints.checkpoint import open_checkpoint
    from .converters.job import convert_checkpoint
    from .converters.outputs.certificate import validate_certificate
    from .errors import Paddle2TorchError
    from .hub.sources.repository import fetch_repository
    from .verify.job import verify_checkpoint
    from .verify.many import verify_many

__version__ = "0.2.0"

__all__ = [
    "Paddle2TorchError",
    "convert_checkpoint",
    "convert_many",
    "fetch_repository",
    "find_checkpoints",
    "open_checkpoint",
    "read_checkpoint_list",
    "validate_certificate",
    "verify_checkpoint",
    "verify_many",
]

_MODULES = {
    "Paddle2TorchError": "errors",
    "convert_checkpoint": "converters.job",
    "convert_many": "converters.batch.conversions",
    "fetch_repository": "hub.sources.repository",
    "find_checkpoints": "converters.batch.finding",
    "open_checkpoint": "converters.checkpoints.checkpoint",
    "read_checkpoint_list": "converters.batch.finding",
    "validate_certificate": "converters.outputs.certificate",
    "verify_checkpoint": "verify.job",
    "verify_many": "verify.many",
}


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def __getattr__(name: str) -> Any:
    # Imported when first used: the command line starts without numpy.
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f".{_MODULES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
