"""The verifier verified: every fault turns a check red that can see it."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.checkpoints.configuration import complete_fields
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import ParityError, UnreadableFileError
from paddle2torch.mappings.language.family import JOINT_ROLE, Family, Model
from paddle2torch.mappings.language.rows import Tied
from paddle2torch.mappings.language.tokenizers import VOCABULARY_FILES, WORDPIECE
from paddle2torch.verify.faults.known import all_faults
from paddle2torch.verify.faults.runs import FaultResult, run_faults
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.seeding import seed_checkpoint

from ...conftest import TARGETS, fitting, label
from ...tokenizer_files import SPIECES, special_tokens, tiny_spiece, write_lines
from ..conftest import Seed

pytestmark = pytest.mark.long

OBEYED = "another class of tokenizer that is obeyed"
ONLY_WITH_A_TIED_DECODER = {"decoder untied"}
ONLY_WITH_A_HEAD_BESIDE = {
    "head in a file of its own not transposed",
    "matrices of a head in a file of its own in another order",
    "rows of a head in a file of its own rolled",
}
ONLY_WITH_A_TOKENIZER = {
    "fewer inputs of the tokenizer",
    "another class of tokenizer",
    OBEYED,
    "special tokens split",
    "decoded text not cleaned",
    "code for the tokenizer",
    "a word read as another",
    "a word made an added token",
    "another decoder",
    "padding on the other side",
    "another token as separator",
}
ONLY_WITH_GENERATION = {"another end of a text"}
ONLY_WITH_SHARDS = {"an index to another file"}
TWO_SPELLINGS = ("gelu_new", "gelu_fast")
ONLY_WITH_A_JOINT_MATRIX = {
    "query, key and value in the memory order of their transpose",
    "query and key of each head exchanged",
    "query and value of each head exchanged",
    "key and value of each head exchanged",
    "queries, keys and values not head by head",
}
ONLY_WITH_ROLES = {
    **{
        f"{role} not transposed": {role}
        for role in (
            *("query", "key", "value", "attention_out", "pooler"),
            *("decoder_value", "cross_query", "cross_attention_out"),
        )
    },
    "key bias lost": {"key"},
    "heads permuted jointly": {"query", "key", "value", "attention_out"},
    "feed-forward neurons permuted jointly": {"feed_forward_in", "feed_forward_out"},
    "query doubled, key halved": {"query", "key"},
    "attention output bias shifted uniformly": {"attention_out"},
    "feed-forward output bias shifted uniformly": {"feed_forward_out"},
    "vocabulary row that no input reads": {"words"},
    "position row that no input reads": {"positions"},
    "single ulp": {"feed_forward_in"},
    "wrong rule shared by the weight check": {"query"},
    **{name: {JOINT_ROLE} for name in ONLY_WITH_A_JOINT_MATRIX},
    "query and key swapped": {"query", "key"},
    "query and value swapped": {"query", "value"},
    "key and value swapped": {"key", "value"},
    "value and attention_out swapped": {"value", "attention_out"},
    "attention_norm and feed_forward_norm swapped": {"attention_norm", "feed_forward_norm"},
    "decoder_query and cross_query swapped": {"decoder_query", "cross_query"},
    "cross_key and cross_value swapped": {"cross_key", "cross_value"},
    "cross_attention_norm and decoder_feed_forward_norm swapped": {
        *("cross_attention_norm", "decoder_feed_forward_norm")
    },
    "positions and decoder_positions swapped": {"positions", "decoder_positions"},
    "distances and decoder_distances swapped": {"distances", "decoder_distances"},
    "biases of distances in the memory order of their transpose": {"distances"},
    "biases of distances rolled": {"distances"},
    "weight in the memory order of its transpose": {"feed_forward_in"},
    "vocabulary rows rolled": {"words"},
    "one element changed by 1e-3": {"feed_forward_in"},
}
ONLY_WITH_BIASES = {
    "key bias lost": "key",
    "attention output bias shifted uniformly": "attention_out",
    "feed-forward output bias shifted uniformly": "feed_forward_out",
}
ONLY_WITH_FIELDS = {
    "epsilon": "layer_norm_eps",
    "number of heads": "num_attention_heads",
    "one layer more": "num_hidden_layers",
    "one layer less": "num_hidden_layers",
    "number of the decoder's heads": "decoder_attention_heads",
    "embeddings scaled otherwise": "scale_embedding",
    "one decoder layer more": "decoder_layers",
    "one decoder layer less": "decoder_layers",
    "positions counted from after the padding": "max_position_embeddings",
    "token types ignored": "type_vocab_size",
    **{f"activation {name}": "hidden_act" for name in ("gelu", "gelu_new", "relu", "gelu_fast")},
}
ONLY_WITH_ARGUMENTS = {
    "mask ignored": "attention_mask",
    "positions counted from after the padding": "position_ids",
    "token types ignored": "token_type_ids",
    "decoder begins with another id": "decoder_input_ids",
    "decoder ids moved by one": "decoder_input_ids",
}


ONLY_WITH_A_DECODER = {
    *(
        fault
        for fault, roles in ONLY_WITH_ROLES.items()
        if any(one.startswith(("decoder_", "cross_")) for one in roles)
    ),
    *(fault for fault, field in ONLY_WITH_FIELDS.items() if field.startswith("decoder_")),
    *(fault for fault, argument in ONLY_WITH_ARGUMENTS.items() if argument.startswith("decoder_")),
    "embeddings scaled otherwise",
}


def assert_all_caught(results: list[FaultResult], placeless: set[str]) -> None:
    assert [result.name for result in results] == [fault.name for fault in all_faults()]
    escaped = [f"{result.name}: caught by {result.caught_by}" for result in results if result.escaped]
    assert escaped == []
    assert {result.name for result in results if not result.injected} == placeless
    assert all(result.where != "nowhere" for result in results)


def no_other_spelling(activation: str) -> set[str]:
    """The faults that would change nothing with this activation."""
    return {f"activation {name}" for name in (TWO_SPELLINGS if activation in TWO_SPELLINGS else (activation,))}


def without_place(family: Family, model: Model, tokenizer: bool) -> set[str]:
    """The faults that a small model of this class has no place for."""
    fields = {entry.name for entry in family.fields}
    names = {name for name, roles in ONLY_WITH_ROLES.items() if not roles <= family.roles.keys()}
    biases = {name for row in family.rows(family.samples()[0]) for name in row.source_shapes()}
    names |= {name for name, role in ONLY_WITH_BIASES.items() if f"{family.roles.get(role)}.bias" not in biases}
    names |= {name for name, field in ONLY_WITH_FIELDS.items() if field not in fields}
    if "hidden_act" in fields:
        (entry,) = (one for one in family.fields if one.name == "hidden_act")
        present = entry.of_target(complete_fields(family, family.small)["hidden_act"])
        names |= no_other_spelling(present) & ONLY_WITH_FIELDS.keys()
    names |= set() if model.pooler and not model.takes_pooler else {"pooler not transposed"}
    # What PaddleNLP's model does not take is handed to the other as zeros, if at all.
    arguments = {*family.arguments_of("torch", family.limits_of(model.source))} & {*family.arguments}
    names |= {name for name, taken in ONLY_WITH_ARGUMENTS.items() if taken not in arguments}
    # Without padding, every position is attended.
    names |= {"mask ignored"} if family.limits_of(model.source).padding is not None else set()
    tied = any(isinstance(row, Tied) and row.untied is not None and row.optional for row in model.head)
    names |= set() if tied else ONLY_WITH_A_TIED_DECODER
    names |= set() if model.beside else ONLY_WITH_A_HEAD_BESIDE
    names |= set() if model.generation else ONLY_WITH_GENERATION
    names |= set() if family.tokenizer is not None and family.tokenizer.obeyed else {OBEYED}
    return names | (set() if tokenizer else ONLY_WITH_A_TOKENIZER)


def give_words(source: Path, family: Family) -> bool:
    """Put a vocabulary beside the weights, where the family's tokenizer reads a plain one."""
    if family.name in SPIECES:
        tiny_spiece(source, family)
        return True
    known = family.tokenizer is not None and WORDPIECE in family.tokenizer.default_class.kinds
    if known:
        write_lines(source / VOCABULARY_FILES[WORDPIECE], [*special_tokens(family), *"abcdefgh"])
    return known


STRUCK = [
    (family, model)
    for family in TARGETS.values()
    for model in family.models
    if model.source == family.base
    or (
        family.target is None
        and not without_place(family, family.model(family.base), False) <= without_place(family, model, False)
    )
    or (family.target is None and any(isinstance(row, Tied) for row in model.head))
]
"""The backbone of each family, its classes with a decoder, and those with a place for faults that the backbone has none
for; with another target, the backbone alone."""


@pytest.mark.parametrize(("family", "model"), STRUCK, ids=[label(*pair) for pair in STRUCK])
def test_every_fault_is_caught_on_a_small_model(
    family: Family, model: Model, seed_small: Seed, tmp_path: Path, both: Runners
) -> None:
    runners = fitting(both, family).sides()[0]
    # Longer than the inputs, so that some rows are read by none.
    longer = {"max_position_embeddings": 60} if "max_position_embeddings" in family.small else {}
    longer |= {"vocab_size": 2000} if family.reach else {}
    source = seed_small(model.source, **longer)
    tokenizer = give_words(source, family)
    convert_checkpoint(source, tmp_path / "converted", target=family.target, max_shard_size="8KB")
    results = run_faults(source, tmp_path / "converted", runners=runners)
    assert_all_caught(results, without_place(family, model, tokenizer))


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
    placeless = ONLY_WITH_A_TIED_DECODER | ONLY_WITH_A_HEAD_BESIDE | ONLY_WITH_A_JOINT_MATRIX
    placeless |= ONLY_WITH_A_TOKENIZER | ONLY_WITH_SHARDS | ONLY_WITH_GENERATION | ONLY_WITH_A_DECODER
    placeless |= {name for name, roles in ONLY_WITH_ROLES.items() if "distances" in roles}
    assert_all_caught(results, placeless | no_other_spelling(activation))


def test_faults_are_not_injected_into_a_pair_that_differs(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    convert_checkpoint(seed_small("AlbertModel", folder="other", seed=1), tmp_path / "converted")
    with pytest.raises(ParityError, match="without any the check weights fails already"):
        run_faults(seed_small("AlbertModel"), tmp_path / "converted", runners=runners)
