"""How PaddleNLP makes and fills a model while a runner loads it, and in which type it computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import protocol
else:
    # Run beside the scripts, this file is in no package.
    import protocol

PART_ELEMENTS = 1 << 20
"""At least so many elements are cast and assigned at a time."""

TABLE_ELEMENTS = 1 << 26
"""Before so many are, what the allocator kept of others goes back to the system."""


@contextmanager
def initial_values(paddle: ModuleType, value: float) -> Iterator[None]:
    """Let models start from one value instead of random ones, which take longer to draw than a file to load.

    PaddleNLP's own initialisation still runs: in some families it sets more than values.
    """
    tensors = paddle.Tensor
    drawn, plain = paddle.tensor.normal, tensors.set_value
    last: list[Any] = []

    def constant(mean: float = 0.0, std: float = 1.0, shape: Any = None, name: Any = None) -> Any:
        if shape is None:
            return drawn(mean, std, shape, name)
        # One number, seen from everywhere: a tensor of its own would be as large as the parameter that it is for.
        sizes = [int(length) for length in shape]
        last[:] = [paddle.as_strided(paddle.full([1], value, paddle.get_default_dtype()), sizes, [0] * len(sizes))]
        return last[0]

    def set_value(tensor: Any, given: Any) -> None:
        if not last or given is not last[0] or tensor.dtype != given.dtype or tensor.shape != given.shape:
            # PaddleNLP's own, which says what does not fit.
            plain(tensor, given)
            return
        # In place.
        initializer(tensor)

    initializer = paddle.nn.initializer.Constant(value)
    paddle.nn.initializer.set_global_initializer(initializer, initializer)
    paddle.tensor.normal, tensors.set_value = constant, set_value
    try:
        yield
    finally:
        paddle.tensor.normal, tensors.set_value = drawn, plain
        paddle.nn.initializer.set_global_initializer(None)


@contextmanager
def doubling(paddle: ModuleType) -> Iterator[None]:
    """Let PaddleNLP make a float64 model where it would fail or take twice the memory.

    `one_hot` follows the default type; what PaddleNLP multiplies it with is a float32 table in any case.
    """
    functional = paddle.nn.functional
    original = functional.one_hot
    functional.one_hot = lambda *arguments, **keywords: original(*arguments, **keywords).astype("float32")
    try:
        with casting_in_parts():
            yield
    finally:
        functional.one_hot = original


@contextmanager
def lifting(paddle: ModuleType) -> Iterator[None]:
    """Let casts of tensors to float32 be casts to float64."""
    plain = paddle.Tensor.astype

    def astype(tensor: Any, dtype: Any) -> Any:
        return plain(tensor, "float64" if dtype in (paddle.float32, "float32") else dtype)

    paddle.Tensor.astype = astype
    try:
        yield
    finally:
        paddle.Tensor.astype = plain


def widen_layers(paddle: ModuleType, model: Any) -> None:
    """Make float64 the parameters of layers that are made in float32 whatever the default type is: so would their
    gradients be."""
    for layer in model.sublayers():
        own = layer.parameters(include_sublayers=False)
        if any(parameter.dtype == paddle.float32 for parameter in own):
            layer.to(dtype="float64")


def widen_buffers(paddle: ModuleType, model: Any) -> None:
    """Make float64 the buffers that layers of a float64 model computed in float32."""
    for layer in model.sublayers(include_self=True):
        for name, _ in layer.named_buffers(include_sublayers=False):
            buffer = getattr(layer, name)
            if buffer.dtype == paddle.float32:
                setattr(layer, name, buffer.astype("float64"))


@contextmanager
def casting_in_parts() -> Iterator[None]:
    """Let PaddleNLP cast and assign the tensors of a file a few at a time instead of all at once.

    Otherwise a float64 model is in memory twice while it is loaded: as cast tensors and as parameters. A PaddleNLP
    that loads in another way is left alone.
    """
    from paddlenlp.transformers import model_utils

    original = getattr(model_utils, "_load_state_dict_into_model", None)
    if original is None:
        yield
        return

    def in_parts(model: Any, state: dict[str, Any], *arguments: Any, **keywords: Any) -> list[str]:
        messages: list[str] = []
        part: dict[str, Any] = {}
        size = 0
        # The large ones last, when little else is left, and those of one size in their order.
        for name in sorted(state, key=lambda name: int(state[name].size)):
            part[name] = state.pop(name)
            size += int(part[name].size)
            if size >= TABLE_ELEMENTS:
                protocol.return_free_memory()
            if size >= PART_ELEMENTS or not state:
                messages += original(model, part, *arguments, **keywords)
                part, size = {}, 0
        return messages

    model_utils._load_state_dict_into_model = in_parts
    try:
        yield
    finally:
        model_utils._load_state_dict_into_model = original
