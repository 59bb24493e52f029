"""The processes that run a network: PaddleOCR's or PaddleClas's in Paddle's environment, transformers' in torch's."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from ....errors import MissingDependencyError
from ..client import RunnerProcess
from ..environments import Kind, find_interpreters

PACKAGES: Mapping[Kind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "paddle": (
        ("paddlepaddle==3.3.1", "opencv-python-headless==4.11.0.86"),
        ("unstructured-paddleocr==2.10.0", "paddleclas==2.6.0"),
    ),
    "torch": (
        ("torch==2.13.0", "torchvision==0.28.0", "transformers==5.24.0", "opencv-python-headless==5.0.0.93"),
        (),
    ),
}
"""What each side needs for networks that read pictures, in the versions that were tested together, and what of it is to
be installed without the packages that it asks for: of the two libraries of networks, nothing else is used."""


NETWORKS: Mapping[Kind, str] = {
    "paddle": "networks of PaddleOCR's and PaddleClas's",
    "torch": "transformers' networks that read pictures",
}
"""What each side runs, in words."""

OTHERWISE = ("--paddleocr", "from one index")
"""Words of what a process says where the packages above are no remedy, as it says one itself."""


class NetworkProcess(RunnerProcess):
    """A process for networks, which says what it lacks of their packages."""

    def lacks(self, versions: Mapping[str, str]) -> tuple[str, ...]:
        """The packages that are not among those whose versions it told; OpenCV has several, each as good."""
        opencv = any(name.startswith("opencv-") for name in versions)
        names = (package.partition("==")[0] for packages in PACKAGES[self.kind] for package in packages)
        return tuple(name for name in names if name not in versions and not (opencv and name.startswith("opencv-")))

    def mending(self) -> tuple[str, ...]:
        """The shell commands that give its interpreter these packages."""
        python = shlex.quote(self.python)
        needed, alone = PACKAGES[self.kind]
        commands = (f"{python} -m pip install {' '.join(needed)}",)
        return (*commands, f"{python} -m pip install --no-deps {' '.join(alone)}") if alone else commands

    def _missing(self, detail: str) -> MissingDependencyError:
        if any(words in detail for words in OTHERWISE):
            return MissingDependencyError(f"{self.title}: {detail}", detail)
        return MissingDependencyError(
            f"{NETWORKS[self.kind]} cannot be run with {self.python} ({detail}): {' && '.join(self.mending())}", detail
        )


class PaddleNetworkProcess(NetworkProcess):
    """A process with one library at a time: it starts anew for another, whose modules may have the same names."""

    _library: tuple[str, str | None] | None = None

    def _request(self, payload: dict[str, Any]) -> dict[str, Any]:
        if "builder" in payload:
            wanted = (str(payload["builder"]), payload.get("library"))
            if self._library not in (None, wanted):
                self.close()
            self._library = wanted
        return super()._request(payload)


class NetworkRunners:
    """One process for Paddle's side and one for each torch environment; they start when they are first asked. Use it as
    a context manager."""

    def __init__(self, paddle_python: str | None = None, torch_python: str | Sequence[str] | None = None) -> None:
        """The interpreters are found as `find_interpreters` finds them."""
        found = find_interpreters(paddle_python, torch_python)
        self.paddle = PaddleNetworkProcess("paddle", found.paddle.python, script="networks/paddle_networks.py")
        self.torches = tuple(
            NetworkProcess("torch", one.python, script="networks/torch_networks.py") for one in found.torch
        )

    @property
    def all(self) -> tuple[NetworkProcess, ...]:
        """Every process."""
        return (self.paddle, *self.torches)

    def close(self) -> None:
        """End the processes."""
        for runner in self.all:
            runner.close()

    def __enter__(self) -> NetworkRunners:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
