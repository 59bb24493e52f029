"""paddle2torch converts PaddleNLP checkpoints to PyTorch safetensors and proves that the result is the same model.

`open_checkpoint`, `convert_checkpoint` and `verify_checkpoint` are the Python interface; each documents its errors,
all of which derive from `Paddle2TorchError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .converters.checkpoint import open_checkpoint
    from .converters.job import convert_checkpoint
    from .mappings.errors import Paddle2TorchError
    from .verify.job import verify_checkpoint

__version__ = "0.1.0"

__all__ = ["Paddle2TorchError", "convert_checkpoint", "open_checkpoint", "verify_checkpoint"]


def __getattr__(name: str) -> Any:
    # Imported when first used: the command line starts without numpy.
    if name == "open_checkpoint":
        from .converters.checkpoint import open_checkpoint

        return open_checkpoint
    if name == "convert_checkpoint":
        from .converters.job import convert_checkpoint

        return convert_checkpoint
    if name == "verify_checkpoint":
        from .verify.job import verify_checkpoint

        return verify_checkpoint
    if name == "Paddle2TorchError":
        from .mappings.errors import Paddle2TorchError

        return Paddle2TorchError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
