"""A family is one file: a copy of the package with a single family gets one more, with a table of names, and converts
and verifies with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import paddle2torch
from paddle2torch.mappings.registry import FAMILIES

ROOT = Path(paddle2torch.__file__).parent

FAMILY = '''
"""ERNIE, as far as a test needs it: BERT's rows under other names of classes."""

from .bert import BERT
from .language.family import DeclaredDifference, Defaults, Family, Model
from .language.fields import Field
from .language.rows import Embedding, Linear, When, is_set
from .language.tokenizers import WORDPIECE, TokenizerClass, TokenizerFacts

TASKS = Embedding("embeddings.task_type_embeddings", "task_type_vocab_size", "hidden_size")

ERNIE = Family(
    name="ernie",
    base="ErnieModel",
    source_prefix="ernie.",
    target_prefix="ernie.",
    repeat={"layer": "num_hidden_layers"},
    backbone=(
        *BERT.backbone,
        When(is_set("use_task_id"), (TASKS,)),
    ),
    pooler=BERT.pooler,
    models=(
        Model("ErnieModel"),
        Model(
            "ErnieForSequenceClassification",
            head=(Linear("classifier", "hidden_size", "num_labels"),),
            auto_class="AutoModelForSequenceClassification",
        ),
    ),
    fields=(*BERT.fields, Field("task_type_vocab_size", 3), Field("use_task_id", False)),
    constants={},
    activations=BERT.activations,
    check_configuration=lambda configuration: None,
    declared_differences=(
        DeclaredDifference("padding_row", "PaddleNLP makes the embedding of the padding id zero", padding=True),
    ),
    roles=BERT.roles,
    defaults=Defaults(masks_padding=True),
    tokenizer=TokenizerFacts((TokenizerClass("ErnieTokenizer", (WORDPIECE,)),), "ErnieTokenizer", {}),
    small={**BERT.small, "use_task_id": True},
    citation=("@misc{ernie}",),
)
'''

NAMES = {
    "name": "ernie-small",
    "language": "Chinese",
    "num_hidden_layers": "6",
    "hidden_size": "768",
    "num_attention_heads": "12",
    "intermediate_size": "3072",
    "vocab_size": "21128",
    "parameters of ErnieModel": "87000000",
    "weights": "https://example.invalid/ernie.pdparams",
    "tokenizer": "https://example.invalid/vocab.txt",
    "counterpart": "none",
    "license": "",
}

SCRIPT = """
import json, sys
from pathlib import Path

import paddle2torch
from paddle2torch.mappings.registry import FAMILIES, PRETRAINED, get_family
from paddle2torch.verify.runners.forward import Runners

assert Path(paddle2torch.__file__).is_relative_to(Path.cwd()), paddle2torch.__file__
family, folder, answer = get_family("ernie"), Path.cwd(), {}
with Runners() as runners:
    for model in family.models:
        source = folder / model.source
        request = {"operation": "seed", "architecture": model.source, "configuration": dict(family.small), "seed": 3}
        runners.paddle32.request({**request, "folder": str(source)})
        paddle2torch.convert_checkpoint(source, folder / "torch" / model.source)
        report = paddle2torch.verify_checkpoint(source, folder / "torch" / model.source, runners=runners)
        answer[model.source] = report.to_json()
known = {"families": list(FAMILIES), "names": list(PRETRAINED), "open": family.unanswered()}
print(json.dumps({**known, "reports": answer}))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a copy of the package with one family more."""
    folder = tmp_path_factory.mktemp("copy")
    left_out = shutil.ignore_patterns("tests", ".*", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT, folder / "paddle2torch", ignore=left_out)
    # One family stays, so that the one that comes is new whatever is registered by now.
    for path in (folder / "paddle2torch" / "mappings").glob("**/*"):
        if path.suffix == ".csv" or (path.stem in FAMILIES and path.stem != "bert"):
            path.unlink()
    (folder / "paddle2torch" / "mappings" / "ernie.py").write_text(FAMILY)
    (folder / "paddle2torch" / "mappings" / "names" / "ernie.csv").write_text(
        f"{','.join(NAMES)}\n{','.join(NAMES.values())}\n"
    )
    return folder


def run(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PPNLP_HOME": str(folder / "none")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_two_files_add_a_family_that_converts_and_is_verified(copy: Path) -> None:
    answer = json.loads(run(copy, "-c", SCRIPT).splitlines()[-1])
    assert answer["families"] == ["bert", "ernie"]
    assert answer["names"] == ["ernie-small"]
    assert answer["open"] == []
    for architecture in ("ErnieModel", "ErnieForSequenceClassification"):
        report = answer["reports"][architecture]
        assert report["passed"], report["checks"]
        assert len(report["checks"]) >= 6
    assert report["tensors"] == 56 + 2
    configuration = json.loads((copy / "torch" / "ErnieForSequenceClassification" / "config.json").read_text())
    assert (configuration["model_type"], configuration["architectures"]) == (
        "ernie",
        ["ErnieForSequenceClassification"],
    )


def test_the_command_line_knows_it(copy: Path) -> None:
    listed = json.loads(run(copy, "-m", "paddle2torch", "list", "--family", "ernie", "--json"))
    assert [model["name"] for model in listed["models"]] == ["ernie-small"]
    assert listed["models"][0]["parameters"] == {"ErnieModel": 87000000}
