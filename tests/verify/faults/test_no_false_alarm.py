"""The verifier verified: without a fault every check stays green, whatever the weights are."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.mappings.language.family import Family
from paddle2torch.mappings.language.rows import Tied
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.runners.forward import Runners

from ...conftest import TARGETS, fitting
from ..conftest import Seed

pytestmark = pytest.mark.long

SEEDS = 20


@pytest.mark.parametrize("family", TARGETS.values(), ids=list(TARGETS))
def test_without_a_fault_every_check_stays_green(
    family: Family, seed_small: Seed, tmp_path: Path, both: Runners
) -> None:
    """Of the first class with a decoder, which has norms of its own, or else of the backbone."""
    tied = (model.source for model in family.models if any(isinstance(row, Tied) for row in model.head))
    architecture, runners = next(tied, family.base), fitting(both, family).sides()[0]
    for seed in range(SEEDS):
        source, converted = seed_small(architecture, seed=seed, folder=f"source{seed}"), tmp_path / f"converted{seed}"
        convert_checkpoint(source, converted, target=family.target)
        verify_checkpoint(source, converted, seed=seed, runners=runners).assert_passed()
