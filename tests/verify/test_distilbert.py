"""What is special in DistilBERT: renamed fields, a projector that PaddleNLP trains by itself, positions that are only
counted, and a tokenizer without token types."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint
from paddle2torch.converters.checkpoints.configuration import complete_fields
from paddle2torch.converters.formats.pdparams_writer import write_pdparams
from paddle2torch.converters.formats.piecewise import Entry
from paddle2torch.converters.formats.safetensors_file import open_safetensors
from paddle2torch.errors import ConfigurationError
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.inputs import inputs_for
from paddle2torch.verify.job import ALL_CHECKS
from paddle2torch.verify.runners.forward import Runners

from ..checkpoint_files import change, document
from ..conftest import small_of
from ..tokenizer_files import SPECIAL, write_config, write_lines
from .conftest import Seed

WORDS, PROJECTOR = "distilbert.embeddings.word_embeddings.weight", "vocab_projector.weight"


def tie(source: Path, turn: bool = True) -> None:
    """Make the projector the embeddings turned, as in weights that were once Hugging Face's."""
    with open_checkpoint(source) as opened:
        arrays = {name: np.array(tensor.read()) for name, tensor in opened.tensors.items()}
    arrays[PROJECTOR] = arrays[WORDS].T if turn else arrays[WORDS].reshape(arrays[PROJECTOR].shape)
    path = source / "arrays.safetensors"
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    tensors = open_safetensors(path).tensors
    (source / "model_state.pdparams").unlink()
    write_pdparams(
        source / "model_state.pdparams", [Entry(name, (tensors[name],)) for name in arrays], lambda count: None
    )
    path.unlink()


def test_a_projector_that_is_the_embeddings_turned_is_left_out(seed_small: Seed, both: Runners, tmp_path: Path) -> None:
    source, converted = seed_small("DistilBertForMaskedLM"), tmp_path / "converted"
    tie(source)
    convert_checkpoint(source, converted)
    assert PROJECTOR not in load_file(converted / "model.safetensors")
    assert document(converted)["tie_word_embeddings"] is True
    verify_checkpoint(source, converted, runners=both, checks=ALL_CHECKS).assert_passed()
    convert_checkpoint(converted, tmp_path / "back", to="paddle")
    with open_checkpoint(source) as before, open_checkpoint(tmp_path / "back") as after:
        assert before.tensors.keys() == after.tensors.keys()
        for name, tensor in before.tensors.items():
            assert tensor.read().tobytes() == after.tensors[name].read().tobytes(), name
    verify_checkpoint(converted, tmp_path / "back", runners=both).assert_passed()


def test_the_same_bytes_in_another_shape_are_not_tied(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    source, converted = seed_small("DistilBertForMaskedLM", vocab_size=24), tmp_path / "converted"
    tie(source, turn=False)
    convert_checkpoint(source, converted)
    written = load_file(converted / "model.safetensors")
    assert np.array_equal(written[PROJECTOR], written[WORDS].T)
    assert document(converted)["tie_word_embeddings"] is False
    verify_checkpoint(source, converted, runners=runners).assert_passed()


def test_fields_have_hugging_faces_names(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """And each is compared in the live models."""
    source, converted = seed_small("DistilBertModel", hidden_act="relu"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    written = document(converted)
    renamed = {"dim": 24, "n_layers": 3, "n_heads": 4, "hidden_dim": 36, "activation": "relu", "dropout": 0.1}
    assert renamed.items() <= written.items()
    assert not {"hidden_size", "num_hidden_layers", "intermediate_size", "hidden_act", "layer_norm_eps"} & set(written)
    for field, value in (("n_heads", 2), ("activation", "gelu")):
        shutil.copytree(converted, tmp_path / field)
        change(tmp_path / field, **{field: value})
        report = verify_checkpoint(source, tmp_path / field, runners=runners)
        assert {"config", "float64", "float32", "files"} <= {one.name for one in report.checks if not one.passed}


def test_an_epsilon_that_paddlenlp_ignores(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    source = seed_small("DistilBertForSequenceClassification", layer_norm_eps=1e-3)
    convert_checkpoint(source, tmp_path / "converted")
    verify_checkpoint(source, tmp_path / "converted", runners=runners).assert_passed()


def test_another_activation_in_the_masked_head_is_refused(seed_small: Seed, tmp_path: Path) -> None:
    """What the line advises is written by PaddleNLP, and converts."""
    with pytest.raises(
        ConfigurationError, match=r"head applies gelu whatever .* hidden_act, which is relu; .*model\.distilbert"
    ):
        convert_checkpoint(seed_small("DistilBertForMaskedLM", hidden_act="relu"), tmp_path / "out")
    convert_checkpoint(seed_small("DistilBertModel", hidden_act="relu", folder="backbone"), tmp_path / "out")


def test_positions_are_counted_in_rows_as_long_as_their_table(
    seed_small: Seed, runners: Runners, tmp_path: Path
) -> None:
    """The class takes none: only the embeddings' check reaches those behind the rows of the other checks."""
    sizes, family = {"max_position_embeddings": 60, "vocab_size": 90}, FAMILIES["distilbert"]
    source, converted = seed_small("DistilBertModel", **sizes), tmp_path / "converted"
    convert_checkpoint(source, converted)
    report = verify_checkpoint(source, converted, runners=runners).assert_passed()
    complete = complete_fields(family, {**small_of("DistilBertModel"), **sizes})
    given = inputs_for(family, "DistilBertModel", complete)
    check = next(one for one in report.checks if one.name == "embeddings")
    assert check.details["coverage"] == {
        "vocabulary": {"rows": 90, "forward": len(np.unique(given.input_ids[given.attention_mask == 1])), "check": 90},
        "positions": {"rows": 60, "forward": 20, "check": 60},
    }
    path = converted / "model.safetensors"
    tensors = load_file(path)
    tensors["embeddings.position_embeddings.weight"][57, 0] += np.float32(0.5)
    save_file(tensors, path, {"format": "pt"})
    report = verify_checkpoint(source, converted, runners=runners, checks=("float64", "embeddings"))
    assert [one.name for one in report.checks if not one.passed] == ["embeddings"]
    assert "positions row 57" in next(one for one in report.checks if not one.passed).problems[0]


def test_the_tokenizer_gives_no_token_types(seed_small: Seed, both: Runners, tmp_path: Path) -> None:
    """In transformers, too: the model refuses them."""
    source, converted = seed_small("DistilBertModel"), tmp_path / "converted"
    write_lines(source / "vocab.txt", [*SPECIAL, *"abcdefgh"])
    write_config(source, tokenizer_class="DistilBertTokenizer", do_lower_case=False)
    convert_checkpoint(source, converted)
    assert document(converted, "tokenizer_config.json")["model_input_names"] == ["input_ids", "attention_mask"]
    report = verify_checkpoint(source, converted, runners=both, checks=("tokenizer", "as_loaded")).assert_passed()
    assert [one.name for one in report.checks] == ["tokenizer", "as_loaded"]
