"""The verifier verified: every fault turns a check red that can see it, and without a fault all stay green."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.checkpoints.configuration import complete_fields
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import ParityError, UnreadableFileError
from paddle2torch.mappings.language.rows import Tied
from paddle2torch.mappings.registry import FAMILIES, family_of_architecture
from paddle2torch.verify.faults.known import all_faults
from paddle2torch.verify.faults.runs import FaultResult, run_faults
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.seeding import seed_checkpoint

from ...tokenizer_files import SPECIAL, write_lines
from ..conftest import Seed

ONLY_WITH_A_TIED_DECODER = {"decoder untied"}
ONLY_WITH_A_TOKENIZER = {
    "fewer inputs of the tokenizer",
    "another class of tokenizer",
    "special tokens split",
    "decoded text not cleaned",
    "code for the tokenizer",
    "a word read as another",
    "a word made an added token",
    "another decoder",
    "padding on the other side",
    "another token as separator",
}
ONLY_WITH_SHARDS = {"an index to another file"}
ONLY_WITH_A_POOLER = {"pooler not transposed"}
NO_OTHER_SPELLING = {"gelu": {"activation gelu"}, "relu": {"activation relu"}}
NO_OTHER_SPELLING["gelu_new"] = {"activation gelu_new", "activation gelu_fast"}

CONTROL_SEEDS = 20


def assert_all_caught(results: list[FaultResult], placeless: set[str]) -> None:
    assert [result.name for result in results] == [fault.name for fault in all_faults()]
    escaped = [f"{result.name}: caught by {result.caught_by}" for result in results if result.escaped]
    assert escaped == []
    assert {result.name for result in results if not result.injected} == placeless
    assert all(result.where != "nowhere" for result in results)


def without_place(architecture: str) -> set[str]:
    """The faults that a small model of this class has no place for."""
    family = family_of_architecture(architecture)
    assert family is not None
    model = family.model(architecture)
    tied = any(isinstance(row, Tied) and row.untied is not None and row.optional for row in model.head)
    names = set(NO_OTHER_SPELLING[complete_fields(family, family.small)["hidden_act"]])
    names |= set() if tied else ONLY_WITH_A_TIED_DECODER
    return names | (set() if family.pooler and model.pooler else ONLY_WITH_A_POOLER)


STRUCK = [
    model.source
    for family in FAMILIES.values()
    for model in family.models
    if model.source == family.base or any(isinstance(row, Tied) for row in model.head)
]
"""The backbone of each family, and its classes with a decoder."""


@pytest.mark.parametrize("architecture", STRUCK)
def test_every_fault_is_caught_on_a_small_model(
    architecture: str, seed_small: Seed, tmp_path: Path, runners: Runners
) -> None:
    # Longer than the inputs, so that some rows are read by none.
    source = seed_small(architecture, max_position_embeddings=60)
    write_lines(source / "vocab.txt", [*SPECIAL, *"abcdefgh"])
    convert_checkpoint(source, tmp_path / "converted", max_shard_size="8KB")
    assert_all_caught(run_faults(source, tmp_path / "converted", runners=runners), without_place(architecture))


def test_faults_are_injected_only_where_this_package_wrote(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source, converted = seed_small("BertModel"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    save_file(load_file(converted / "model.safetensors"), converted / "model.safetensors", {"format": "pt"})
    with pytest.raises(UnreadableFileError, match="this is a foreign folder"):
        run_faults(source, converted, runners=runners)


@pytest.mark.parametrize("name", ["albert-chinese-tiny", "albert-base-v2"])
def test_every_fault_is_caught_at_the_true_size(name: str, tmp_path: Path, runners: Runners) -> None:
    seed_checkpoint(name, tmp_path / "source", runner=runners.paddle32)
    convert_checkpoint(tmp_path / "source", tmp_path / "converted")
    results = run_faults(tmp_path / "source", tmp_path / "converted", runners=runners)
    activation = "gelu" if name == "albert-chinese-tiny" else "gelu_new"
    assert_all_caught(
        results, ONLY_WITH_A_TIED_DECODER | ONLY_WITH_A_TOKENIZER | ONLY_WITH_SHARDS | NO_OTHER_SPELLING[activation]
    )


@pytest.mark.parametrize("architecture", [*(family.base for family in FAMILIES.values()), "BertForMaskedLM"])
def test_without_a_fault_every_check_stays_green(
    architecture: str, seed_small: Seed, tmp_path: Path, runners: Runners
) -> None:
    for seed in range(CONTROL_SEEDS):
        source = seed_small(architecture, seed=seed, folder=f"source{seed}")
        convert_checkpoint(source, tmp_path / f"converted{seed}")
        verify_checkpoint(source, tmp_path / f"converted{seed}", seed=seed, runners=runners).assert_passed()


def test_faults_are_not_injected_into_a_pair_that_differs(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    convert_checkpoint(seed_small("AlbertModel", folder="other", seed=1), tmp_path / "converted")
    with pytest.raises(ParityError, match="without any the check weights fails already"):
        run_faults(seed_small("AlbertModel"), tmp_path / "converted", runners=runners)
