"""Gives a live model of torch's the constants of Paddle's network, each on its own, so that what is left of a
difference is that of the weights; and takes them back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

Told = Mapping[str, Any]
"""A constant as a request tells it: `kind`, `where`, `value` and `own`."""


class Aligned:
    """A model whose constants are Paddle's while `align` says so."""

    def __init__(self, torch: Any, model: Any) -> None:
        self._torch = torch
        self._model = model
        self._undo: list[Callable[[], None]] = []

    def align(self, constants: Sequence[Told]) -> tuple[list[str], list[str]]:
        """Set these constants, and no others; the names of those that concern no module of the model, and a line for
        each epsilon of the model's that is none that a constant says it may have."""
        while self._undo:
            self._undo.pop()()
        idle, unlike = [], []
        epsilons: dict[int, float] = {}
        double = any(tensor.dtype is self._torch.float64 for tensor in self._model.parameters())
        within: list[tuple[Any, Told]] = []
        for constant in constants:
            pattern = re.compile(constant["where"])
            found = {
                name: module
                for name, module in self._model.named_modules()
                if pattern.search(f"{name} ({type(module).__name__})")
            }
            if not found:
                idle.append(str(constant["name"]))
            for name, module in found.items():
                if constant["kind"] == "epsilon":
                    # Of a module that two constants concern, the second finds what the first has set.
                    own = epsilons.setdefault(id(module), float(module.eps))
                    if not _may_be(own, constant):
                        allowed = " or ".join(f"{one:g}" for one in _allowed(constant))
                        unlike.append(f"the epsilon of {name} is {own:g} in torch, {allowed} is expected")
                    self._set_epsilon(module, float(constant["value"]))
                elif constant["kind"] != "double":
                    within.append((module, constant))
                elif double:
                    self._lift(module)
                    within.append((module, constant))
        for module in {id(module): module for module, _ in within}.values():
            self._run_within(module, [constant for one, constant in within if one is module])
        return idle, unlike

    def _set_epsilon(self, module: Any, value: float) -> None:
        before = module.eps
        module.eps = value
        self._undo.append(lambda: setattr(module, "eps", before))

    def _lift(self, module: Any) -> None:
        """Let a module hold in double what it keeps in single, whatever the model computes in."""
        for tensor in module.parameters():
            if tensor.dtype is self._torch.float32:
                before, tensor.data = tensor.data, tensor.data.double()
                self._undo.append(partial(setattr, tensor, "data", before))

    def _run_within(self, module: Any, constants: Sequence[Told]) -> None:
        """Let a module compute with other functions than its code calls."""
        forward, mode = module.forward, self._mode(constants)

        def within(*arguments: Any, **keywords: Any) -> Any:
            with mode():
                return forward(*arguments, **keywords)

        module.forward = within
        self._undo.append(lambda: vars(module).pop("forward"))

    def _mode(self, constants: Sequence[Told]) -> Callable[[], Any]:
        torch = self._torch

        class Mode(torch.overrides.TorchFunctionMode):  # type: ignore[misc,name-defined]
            def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                kwargs = dict(kwargs or {})
                for constant in constants:
                    function, args, kwargs = _replaced(torch, constant, function, args, kwargs)
                return function(*args, **kwargs)

        return Mode


def _allowed(constant: Told) -> Sequence[float]:
    return constant["own"] or [float(constant["value"])]


def _may_be(epsilon: float, constant: Told) -> bool:
    """Whether a constant may stand in the place of this epsilon of torch's: Paddle's kernels have it as a float32."""
    return any(np.float32(epsilon) == np.float32(one) for one in _allowed(constant))


def _replaced(
    torch: Any, constant: Told, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """What is called in place of a function with these arguments."""
    if constant["kind"] == "slope" and function is torch.nn.functional.hardsigmoid:
        slope = float(constant["value"])
        return (lambda values, *rest, **more: torch.clamp(values * slope + 0.5, 0.0, 1.0)), args, kwargs
    if constant["kind"] == "factor":
        value = float(constant["value"])
        args = tuple(value if isinstance(one, float) and one in constant["own"] else one for one in args)
    if constant["kind"] == "double":
        if function is torch.Tensor.float:
            function = torch.Tensor.double
        swap = {torch.float32: torch.float64}
        args = tuple(swap.get(one, one) if isinstance(one, torch.dtype) else one for one in args)
        kwargs = {name: swap.get(one, one) if isinstance(one, torch.dtype) else one for name, one in kwargs.items()}
    return function, args, kwargs
