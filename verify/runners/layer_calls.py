"""Watches a running model call by call: feeds its layers given states, and records what its modules take and give.

A layer is what the encoder calls once per hidden state. Layers that share their weights are one module that is called
several times, so calls are counted, not modules. Both frameworks call a hook in the same way; only the method that
adds a hook after a module has two names, so the runners hand it over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from . import protocol
else:
    # Run beside the scripts, this file is in no package.
    import protocol

AddHook = Callable[[Any, Callable[..., Any]], Any]


class LayerCalls:
    """Replaces the input of each layer call, and the output of the last one, by given states.

    `states` are the hidden states of the reference, [batch, tokens, hidden] each: state i goes into call i, the last
    one is what follows the layers gets to see. `own` holds what the model itself made: the input that the first call
    would have had, then the output of every call. `stage` is 0 before the first call, i within call i - 1 and one
    more than the number of calls after the last.
    """

    def __init__(
        self, states: Sequence[protocol.Array], to_array: Callable[[Any], Any], from_array: Callable[[Any], Any]
    ) -> None:
        self.states = states
        self.own: list[protocol.Array] = []
        self.stage = 0
        self._to_array = to_array
        self._from_array = from_array

    @contextmanager
    def feeding(self, layers: Sequence[Any], add_hook: AddHook) -> Iterator[None]:
        """Feed these layer modules while the model runs within this context."""
        hooks = [hook for layer in layers for hook in self._hooks(layer, add_hook)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _hooks(self, layer: Any, add_hook: AddHook) -> tuple[Any, Any]:
        return layer.register_forward_pre_hook(self._before), add_hook(layer, self._after)

    def _before(self, layer: Any, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not given:
            raise protocol.RequestError("a layer is called without its input as the first argument")
        call = max(len(self.own) - 1, 0)
        if call == 0:
            self.own.append(copied(self._to_array(given[0])))
        self.stage = call + 1
        # One call too many has nothing to be fed; counting the states shows it.
        return None if call >= len(self.states) - 1 else (self._fed(call, given[0]), *given[1:])

    def _after(self, layer: Any, given: Any, result: Any) -> Any:
        whole = isinstance(result, (tuple, list))
        state = result[0] if whole else result
        self.own.append(copied(self._to_array(state)))
        if len(self.own) != len(self.states):
            return None
        self.stage += 1
        fed = self._fed(len(self.states) - 1, state)
        return (fed, *result[1:]) if whole else fed

    def _fed(self, index: int, replaced: Any) -> Any:
        wanted, found = self.states[index].shape, tuple(replaced.shape)
        if wanted != found:
            raise protocol.RequestError(
                f"hidden state {index} has shape {list(wanted)} in Paddle and {list(found)} in torch"
            )
        return self._from_array(self.states[index])


class ModuleRecorder:
    """Records what modules take and give during one stage of the layer calls, floating-point tensors only."""

    def __init__(self, calls: LayerCalls, stage: int, to_array: Callable[[Any], Any]) -> None:
        self.calls = calls
        self.stage = stage
        self.order: list[str] = []
        self.arrays: dict[str, protocol.Array] = {}
        self._to_array = to_array

    @contextmanager
    def recording(self, modules: Mapping[str, Any], add_hook: AddHook) -> Iterator[None]:
        """Record these modules, by name, while the model runs within this context."""
        hooks = [add_hook(module, self._hook(name)) for name, module in modules.items()]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _hook(self, name: str) -> Callable[..., None]:
        def record(module: Any, given: Any, result: Any) -> None:
            if self.calls.stage != self.stage or name in self.order:
                return
            self.order.append(name)
            for label, value in (("input", given[0] if given else None), ("output", result)):
                if hasattr(value, "shape") and (array := self._to_array(value)).dtype.kind == "f":
                    self.arrays[f"{name}.{label}"] = copied(array)

        return record


def copied(array: protocol.Array) -> protocol.Array:
    """A copy, because a framework may go on to change a tensor in place."""
    copy: protocol.Array = np.array(array)
    return copy


def read_states(arrays: Mapping[str, protocol.Array]) -> list[protocol.Array]:
    """The hidden states among a run's outputs, in order."""
    prefix = "hidden_state."
    names = [name for name in arrays if name.startswith(prefix)]
    return [arrays[name] for name in sorted(names, key=lambda name: int(name.removeprefix(prefix)))]
