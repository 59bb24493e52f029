"""Watches a running model call by call: feeds its layers given states, and records what its modules take and give.

A layer is what the encoder calls once per hidden state. Layers that share their weights are one module that is called
several times, so calls are counted, not modules. What is watched is a layer's `forward`, which some encoders call
without the module's hooks. Both frameworks call a hook in the same way; only the method that adds a hook after a module
has two names, so the runners hand it over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from . import protocol
else:
    # Run beside the scripts, this file is in no package.
    import protocol


AddHook = Callable[[Any, Callable[..., Any]], Any]


@dataclass(frozen=True)
class LayerForm:
    """How states go through layers, by default as [batch, tokens, hidden], alone or before other things: with
    `channels_first` as [batch, hidden, tokens], with `tokens_first` as [tokens, batch, hidden], with `output` as an
    entry of a dictionary. `after_first` is the encoder's module, where there is one, that what the first layer gives
    goes through to be a hidden state."""

    channels_first: bool = False
    tokens_first: bool = False
    output: str | None = None
    after_first: str | None = None

    def state(self, result: Any) -> Any:
        """The state in what a layer gives."""
        if self.output is not None:
            return result[self.output]
        return result[0] if isinstance(result, (tuple, list)) else result

    def replaced(self, result: Any, state: Any) -> Any:
        """What a layer gives with another state in it."""
        if self.output is not None:
            return {**result, self.output: state}
        return (state, *result[1:]) if isinstance(result, (tuple, list)) else state

    def turned(self, array: protocol.Array) -> protocol.Array:
        """A layer's array as [batch, tokens, hidden], and back."""
        if self.tokens_first:
            return np.ascontiguousarray(array.swapaxes(0, 1))
        return np.ascontiguousarray(array.swapaxes(1, 2)) if self.channels_first else array


Step = tuple[Any, Any]
"""The modules that a hidden state is made from another one by, the first and the last: mostly one layer."""


@contextmanager
def watching(
    steps: Sequence[Step], before: Callable[[tuple[Any, ...]], tuple[Any, ...]], after: Callable[[Any], Any]
) -> Iterator[None]:
    """Let `before` replace the positional arguments of each call of these steps, and `after` what it gives."""

    def watched(plain: Callable[..., Any], begins: bool, ends: bool) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            result = plain(*(before(given) if begins else given), **named)
            return after(result) if ends else result

        return call

    with ExitStack() as undone:
        for first, last in steps:
            modules: list[Any] = [first] if first is last else [first, last]
            for module in modules:
                # Not by assignment, which PaddleNLP intercepts.
                undone.callback(vars(module).pop, "forward")
                vars(module)["forward"] = watched(module.forward, module is first, module is last)
        yield


def running_within(
    modules: Iterable[tuple[str, Any]], classes: Sequence[str], context: Callable[[], AbstractContextManager[Any]]
) -> list[Any]:
    """Let the modules of these classes run within what `context` makes, until their own `forward` is deleted; the
    modules. Raises RequestError for a class that none is of."""

    def wrapped(plain: Callable[..., Any]) -> Callable[..., Any]:
        def forward(*given: Any, **named: Any) -> Any:
            with context():
                return plain(*given, **named)

        return forward

    found = [module for _, module in modules if type(module).__name__ in classes]
    if absent := sorted({*classes} - {type(module).__name__ for module in found}):
        raise protocol.RequestError(f"no module is a {', '.join(absent)}")
    for module in found:
        # Not by assignment, which PaddleNLP intercepts.
        vars(module)["forward"] = wrapped(module.forward)
    return found


class _ReachedError(Exception):
    """Layers were reached, and were not to be run: `state` is what the first one was given."""

    def __init__(self, state: protocol.Array) -> None:
        super().__init__("the first layer was reached")
        self.state = state


def first_given(
    call: Callable[[], Any], steps: Sequence[Step], form: LayerForm, to_array: Callable[[Any], Any]
) -> protocol.Array:
    """What the first of these steps is given when `call` runs the model, which goes no further."""

    def stop(given: tuple[Any, ...]) -> tuple[Any, ...]:
        raise _ReachedError(copied(form.turned(to_array(_input(given)))))

    try:
        with watching(steps[:1], stop, lambda result: result):
            call()
    except _ReachedError as reached:
        return reached.state
    raise protocol.RequestError("a model does not call its layers")


def _input(given: tuple[Any, ...]) -> Any:
    if not given:
        raise protocol.RequestError("a layer is called without its input as the first argument")
    return given[0]


class LayerCalls:
    """Replaces the input of each layer call, and the output of the last one, by given states.

    `states` are the hidden states of the reference, [batch, tokens, hidden] each: state i goes into call i, the last
    one is what follows the layers gets to see. Without any, the calls are recorded alone. `own` holds what the model
    itself made: the input that the first call would have had, then the output of every call. `stage` is 0 before the
    first call, i within call i - 1 and one more than the number of calls after the last.
    """

    def __init__(
        self,
        states: Sequence[protocol.Array],
        form: LayerForm,
        to_array: Callable[[Any], Any],
        from_array: Callable[[Any], Any],
    ) -> None:
        self.states = states
        self.own: list[protocol.Array] = []
        self.stage = 0
        self._form = form
        self._to_array = to_array
        self._from_array = from_array

    @property
    def is_done(self) -> bool:
        """Whether every call was fed."""
        return self.stage > len(self.states) - 1

    def feeding(self, steps: Sequence[Step]) -> AbstractContextManager[None]:
        """Feed these layers while the model runs within this context."""
        return watching(steps, self._before, self._after)

    def _before(self, given: tuple[Any, ...]) -> tuple[Any, ...]:
        state = _input(given)
        call = max(len(self.own) - 1, 0)
        if call == 0:
            self.own.append(self._copied(state))
        self.stage = call + 1
        # One call too many has nothing to be fed; counting the states shows it.
        return given if call >= len(self.states) - 1 else (self._fed(call, state), *given[1:])

    def _after(self, result: Any) -> Any:
        state = self._form.state(result)
        self.own.append(self._copied(state))
        if len(self.own) != len(self.states):
            return result
        self.stage += 1
        return self._form.replaced(result, self._fed(len(self.states) - 1, state))

    def _copied(self, tensor: Any) -> protocol.Array:
        return copied(self._form.turned(self._to_array(tensor)))

    def _fed(self, index: int, replaced: Any) -> Any:
        state = self._form.turned(self.states[index])
        if state.shape != tuple(replaced.shape):
            raise protocol.RequestError(
                f"hidden state {index} has shape {list(state.shape)} in Paddle and {list(replaced.shape)} in torch"
            )
        return self._from_array(state)


class ModuleRecorder:
    """Records what modules take and give during one stage of the layer calls, floating-point tensors only, and not
    until the calls `before` these are done, if there are any."""

    def __init__(
        self, calls: LayerCalls, stage: int, to_array: Callable[[Any], Any], before: LayerCalls | None = None
    ) -> None:
        self.calls = calls
        self.before = before
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
            waits = self.before is not None and not self.before.is_done
            if waits or self.calls.stage != self.stage or name in self.order:
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


def read_states(arrays: Mapping[str, protocol.Array], stack: str = "") -> list[protocol.Array]:
    """The hidden states among a run's outputs, in order; with a `stack`, those whose names begin so."""
    prefix = f"{stack}hidden_state."
    names = [name for name in arrays if name.startswith(prefix)]
    return [arrays[name] for name in sorted(names, key=lambda name: int(name.removeprefix(prefix)))]
