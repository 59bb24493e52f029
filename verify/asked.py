"""What a verification is asked for: of a model of PaddleNLP's, or of a network that reads pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..converters.images.source import ImageSource, find_image_source
from ..errors import UnknownNameError
from ..mappings.language.pretrained import Reference
from .check import Check
from .checks import all_checks, named
from .images.job import NETWORK_CHECKS, NetworkAsked
from .inputs import Inputs
from .sides.pair import Pair

ALL_CHECKS = tuple(check.name for check in all_checks() if not check.needs.published)
"""The checks that can be asked for, in the order they are reported."""

CHECKS = tuple(check.name for check in named(*ALL_CHECKS) if check.default)
"""The checks that run unless others are asked for. Without a tokenizer in the source, `tokenizer` is reported as not
run for that reason."""

Progress = Callable[[str], None]


def silent(text: str) -> None:
    """Progress that nobody follows."""


@dataclass(frozen=True)
class Asked:
    """What a verification is asked for; see `verify_checkpoint`. Raises UnknownNameError for an unknown check.

    `published` is what is known of the weights if these are published ones: with all of CHECKS, the checks that need
    it run too. `elsewhere` is the folder of the certificate where `converted` is a foreign one, into which nothing is
    written, or read-only. `dictionary` and `paddleocr` are of networks that read pictures.
    """

    checks: tuple[str, ...] = CHECKS
    family: str | None = None
    architecture: str | None = None
    target: str | None = None
    config: Path | None = None
    seed: int = 0
    inputs: Inputs | None = None
    certificate: bool = False
    published: Reference | None = None
    progress: Progress = silent
    elsewhere: Path | None = None
    dictionary: Path | None = None
    paddleocr: Path | None = None

    def __post_init__(self) -> None:
        if unknown := [name for name in self.checks if name not in (*ALL_CHECKS, *NETWORK_CHECKS)]:
            raise UnknownNameError(f"unknown check {unknown[0]!r}; known are {', '.join(ALL_CHECKS)}")

    def of_network(self, source: str | Path) -> ImageSource | None:
        """The files of the network that `source` is, None where it is none."""
        return find_image_source(source, self.family, self.config, self.dictionary)

    @property
    def for_network(self) -> NetworkAsked:
        """The same of a network, whose checks are all asked for where those of PaddleNLP's models are."""
        return NetworkAsked(
            checks=None if set(CHECKS) <= set(self.checks) else self.checks,
            family=self.family,
            library=self.paddleocr,
            seed=self.seed,
            certificate=self.certificate,
            elsewhere=self.elsewhere,
            progress=self.progress,
        )

    @property
    def full(self) -> bool:
        """Whether all of CHECKS are among those asked for."""
        return set(CHECKS) <= set(self.checks)

    def concerned(self, pair: Pair) -> tuple[Check, ...]:
        """The checks that apply to a pair, and that are reported as not run when they are not."""
        known = self.published is not None and pair.weights == "published"
        family, architecture = pair.recognised.family, pair.plan.architecture
        return tuple(
            check
            for check in all_checks()
            if (known or not check.needs.published) and (check.applies(family, architecture) or self.names(check))
        )

    def names(self, check: Check) -> bool:
        """Whether a check is asked for by its name, and not as one of all."""
        return not self.full and check.name in self.checks

    def wants(self, check: Check) -> bool:
        """Whether a check that applies is to be run."""
        return self.full if check.needs.published else check.name in self.checks
