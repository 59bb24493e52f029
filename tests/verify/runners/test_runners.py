"""The framework runners on small models; no framework is imported in this process."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.errors import RunnerError
from paddle2torch.verify.runners import client
from paddle2torch.verify.runners.client import RunnerProcess

from ...conftest import PADDLE_PYTHON, TORCH_PYTHON

LAYERS, HIDDEN, VOCABULARY = 3, 24, 50
BASE = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 20,
    "type_vocab_size": 2,
}
CONFIGURATIONS: dict[str, dict[str, Any]] = {"Albert": {**BASE, "embedding_size": 16}, "Bert": BASE}
"""One family with a head that PaddleNLP shapes its own way, and one whose layers are the usual ones."""

TASKS = {
    "Model": {"pooler_output"},
    "ForPretraining": {"pooler_output", "mlm_logits", "sequence_relationship_logits"},
    "ForMaskedLM": {"mlm_logits"},
    "ForSequenceClassification": {"pooler_output", "logits"},
    "ForTokenClassification": {"logits"},
    "ForQuestionAnswering": {"qa_logits", "start_logits", "end_logits"},
    "ForMultipleChoice": {"pooler_output", "logits"},
}
STATES = {f"hidden_state.{index:02d}" for index in range(LAYERS + 1)} | {"last_hidden_state"}

# Writes one folder per (architecture, configuration, folder) line; runs where torch may be imported.
TORCH_WRITER = """
import json, sys
import torch, transformers
torch.manual_seed(7)
for line in sys.stdin:
    architecture, configuration, folder = json.loads(line)
    model_class = getattr(transformers, architecture)
    model = model_class(model_class.config_class(**configuration))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter.data, 0.0, 0.2)
    model.save_pretrained(folder)
"""


@pytest.fixture(scope="module")
def paddle() -> Iterator[RunnerProcess]:
    with RunnerProcess("paddle", timeout_seconds=120) as runner:
        yield runner


@pytest.fixture(scope="module")
def paddle64() -> Iterator[RunnerProcess]:
    with RunnerProcess("paddle", arguments=["--dtype", "float64"], timeout_seconds=120) as runner:
        yield runner


@pytest.fixture(scope="module")
def torch() -> Iterator[RunnerProcess]:
    with RunnerProcess("torch", timeout_seconds=120) as runner:
        yield runner


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    ids = random.integers(1, VOCABULARY, (3, 8))
    mask = np.ones((3, 8), dtype=np.int64)
    ids[1, 6:] = mask[1, 6:] = 0
    path = tmp_path_factory.mktemp("inputs") / "inputs.safetensors"
    arrays = {
        "input_ids": ids,
        "attention_mask": mask,
        "token_type_ids": random.integers(0, 2, (3, 8)),
        "position_ids": np.tile(np.arange(8), (3, 1)),
    }
    save_file(arrays, path)
    return path


def configuration_of(architecture: str) -> dict[str, Any]:
    return next(fields for name, fields in CONFIGURATIONS.items() if architecture.startswith(name))


def torch_name(architecture: str) -> str:
    return architecture.replace("ForPretraining", "ForPreTraining")


@pytest.fixture(scope="module")
def torch_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("torch")
    folders = {f"{family}{task}": root / f"{family}{task}" for family in CONFIGURATIONS for task in TASKS}
    jobs = [[torch_name(name), configuration_of(name), str(folder)] for name, folder in folders.items()]
    folders["untied"] = root / "untied"
    jobs.append(["AlbertForMaskedLM", {**CONFIGURATIONS["Albert"], "tie_word_embeddings": False}, str(root / "untied")])
    lines = "".join(json.dumps(job) + "\n" for job in jobs)
    subprocess.run([TORCH_PYTHON, "-c", TORCH_WRITER], input=lines, text=True, check=True, capture_output=True)
    return folders


def seed(runner: RunnerProcess, architecture: str, folder: Path, number: int = 1, **more: Any) -> dict[str, Any]:
    configuration = configuration_of(architecture)
    return runner.request(
        {
            "operation": "seed",
            "architecture": architecture,
            "configuration": {**configuration, **more},
            "folder": str(folder),
            "seed": number,
            "digests": True,
        }
    )


def forward(
    runner: RunnerProcess, architecture: str, folder: Path, inputs: Path, dtype: str = "float32", **options: Any
) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    outputs = folder / f"outputs-{dtype}.tensors"
    answer = runner.request(
        {
            "operation": "forward",
            "folder": str(folder),
            "architecture": architecture,
            "dtype": dtype,
            "inputs": str(inputs),
            "outputs": str(outputs),
            "digests": True,
            "options": options,
        }
    )
    return answer, load_file(outputs)


def write_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def check_outputs(answer: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]], task: str, dtype: str) -> None:
    assert answer["outputs"] == sorted(arrays)
    assert set(arrays) - {"pooler_output"} == (STATES | TASKS[task]) - {"pooler_output"}
    assert TASKS[task] <= set(arrays)
    assert {str(array.dtype) for array in arrays.values()} == {dtype}
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert arrays["hidden_state.00"].shape == (3, 8, HIDDEN)
    np.testing.assert_array_equal(arrays["last_hidden_state"], arrays[f"hidden_state.{LAYERS:02d}"])
    if task == "ForMultipleChoice":
        assert arrays["logits"].shape == (1, 3)
    if task == "ForQuestionAnswering":
        np.testing.assert_array_equal(arrays["qa_logits"][..., 0], arrays["start_logits"])


def test_versions(paddle: RunnerProcess, torch: RunnerProcess) -> None:
    assert set(paddle.request({"operation": "versions"})["versions"]) == {
        "python",
        "numpy",
        "paddlepaddle",
        "paddlenlp",
    }
    assert {"python", "numpy", "torch", "transformers"} <= set(torch.request({"operation": "versions"})["versions"])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", CONFIGURATIONS)
def test_paddle_architectures(
    paddle: RunnerProcess, paddle64: RunnerProcess, tmp_path: Path, inputs: Path, family: str, task: str
) -> None:
    written = seed(paddle, family + task, tmp_path)
    results = {}
    for runner, dtype in ((paddle, "float32"), (paddle64, "float64")):
        answer, arrays = forward(runner, family + task, tmp_path, inputs, dtype)
        check_outputs(answer, arrays, task, dtype)
        assert answer["digests"] == written["digests"]
        assert answer["loading"] == {"missing": [], "unexpected": [], "mismatched": []}
        assert answer["parameters"] == written["parameters"]
        assert answer["heads"] == 4
        assert answer["activation"] == "gelu"
        results[dtype] = arrays
    for name, wide in results["float64"].items():
        narrow = results["float32"][name].astype(np.float64)
        difference = float(np.max(np.abs(wide - narrow)))
        # Exactly equal would mean that one of the two did not compute in its own type.
        assert 0 < difference < 1e-4, name


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", CONFIGURATIONS)
def test_torch_architectures(
    torch: RunnerProcess, torch_folders: dict[str, Path], inputs: Path, family: str, task: str
) -> None:
    folder = torch_folders[family + task]
    stored = load_file(folder / "model.safetensors")
    results = {}
    for dtype in ("float32", "float64"):
        answer, arrays = forward(torch, torch_name(family + task), folder, inputs, dtype)
        check_outputs(answer, arrays, task, dtype)
        for name, array in stored.items():
            assert answer["digests"][name] == {
                "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
                "dtype": "float32",
                "shape": list(array.shape),
            }
        assert answer["heads"] == 4
        assert answer["activation"] == ("gelu_new" if family == "Albert" else "gelu")
        assert answer["configuration"]["num_hidden_layers"] == LAYERS
        # The value may have been rounded to float32, the precision in which Paddle holds it.
        assert {np.float32(value) for value in answer["layer_norm_eps"].values()} == {np.float32(1e-12)}
        results[dtype] = arrays
    for name, wide in results["float64"].items():
        assert 0 < float(np.max(np.abs(wide - results["float32"][name].astype(np.float64)))) < 1e-4, name


def test_attentions_and_epsilons(
    paddle: RunnerProcess, torch: RunnerProcess, torch_folders: dict[str, Path], inputs: Path, tmp_path: Path
) -> None:
    seed(paddle, "AlbertForMaskedLM", tmp_path)
    sides = (
        (paddle, tmp_path, "predictions.layer_norm", 1e-5),
        (torch, torch_folders["AlbertForMaskedLM"], "predictions.LayerNorm", 1e-12),
    )
    for runner, folder, name, own in sides:
        answer, arrays = forward(runner, "AlbertForMaskedLM", folder, inputs, attentions=True)
        assert answer["layer_norm_eps"][name] == own
        assert {key for key in arrays if key.startswith("attention.")} == {f"attention.{i:02d}" for i in range(LAYERS)}
        assert arrays["attention.00"].shape == (3, 4, 8, 8)
        changed, other = forward(runner, "AlbertForMaskedLM", folder, inputs, layer_norm_eps={name: 1e-3})
        assert changed["layer_norm_eps"] == {**answer["layer_norm_eps"], name: 1e-3}
        assert np.max(np.abs(other["mlm_logits"] - arrays["mlm_logits"])) > 1e-4
        np.testing.assert_array_equal(other["last_hidden_state"], arrays["last_hidden_state"])
        last_part = name.rpartition(".")[2]
        changed, _ = forward(runner, "AlbertForMaskedLM", folder, inputs, layer_norm_eps={last_part: 5e-4})
        assert changed["layer_norm_eps"][name] == 5e-4
        with pytest.raises(RunnerError, match="no LayerNorm is called 'nowhere'"):
            forward(runner, "AlbertForMaskedLM", folder, inputs, layer_norm_eps={"nowhere": 1e-3})


def test_activations_are_named_by_what_they_compute(paddle: RunnerProcess, inputs: Path, tmp_path: Path) -> None:
    for activation in ("gelu", "gelu_new", "relu"):
        seed(paddle, "AlbertModel", tmp_path / activation, hidden_act=activation)
        answer, _ = forward(paddle, "AlbertModel", tmp_path / activation, inputs)
        assert answer["activation"] == activation
        assert answer["activations"]["pooler_activation"] == "tanh"


def test_seeds(paddle: RunnerProcess, tmp_path: Path) -> None:
    answers = [seed(paddle, "AlbertForPretraining", tmp_path / str(i), number) for i, number in enumerate((5, 5, 6))]
    digests = [{name: entry["sha256"] for name, entry in answer["digests"].items()} for answer in answers]
    files = [(tmp_path / str(i) / "model_state.pdparams").read_bytes() for i in range(3)]
    assert files[0] == files[1]
    assert files[0] != files[2]
    same = {name for name in digests[0] if digests[0][name] == digests[2][name]}
    assert same == {"transformer.embeddings.position_ids"}
    # Except for the bias that has two names, no two tensors share their values.
    assert len(set(digests[0].values())) == len(digests[0]) - 1


def test_seeded_values_are_far_from_trivial(tmp_path: Path) -> None:
    # Reads the values where Paddle may be imported.
    script = """
import json, sys
sys.path.insert(0, sys.argv[1])
import paddle_runner
paddle, transformers = (runner := paddle_runner.PaddleRunner("float32")).frameworks()
runner.seed({"architecture": "BertForMaskedLM", "configuration": json.loads(sys.argv[3]), "folder": sys.argv[2],
             "seed": 3})
state = paddle.load(sys.argv[2] + "/model_state.pdparams")
print(json.dumps({name: [float(v.min()), float(v.mean()), float(v.std())] for name, v in state.items()}))
words = state["bert.embeddings.word_embeddings.weight"]
print(float(abs(words[0]).max()))
print(bool((words == state["cls.predictions.decoder.weight"]).all()))
model = transformers.BertForMaskedLM.from_pretrained(sys.argv[2])
print(model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight)
"""
    runners = str(Path(client.__file__).parent)
    run = subprocess.run(
        [PADDLE_PYTHON, "-c", script, runners, str(tmp_path), json.dumps(BASE)],
        capture_output=True,
        text=True,
        check=True,
    )
    values, padding, equal, tied = [line for line in run.stdout.splitlines() if line][-4:]
    for name, (smallest, mean, spread) in json.loads(values).items():
        gain = "norm" in name and name.endswith("weight")
        assert mean == pytest.approx(1.0 if gain else 0.0, abs=0.3 if gain else 0.1), name
        assert smallest < (1.0 if gain else 0.0), name
        wanted = 0.3 if gain else 0.1 if name.endswith("bias") else 0.02
        # The shortest vectors have 24 elements.
        assert wanted / 2 < spread < wanted * 2, name
    assert float(padding) > 1e-3
    assert (equal, tied) == ("True", "True")


def test_seed_from_a_pretrained_name_and_refusals(
    paddle: RunnerProcess, paddle64: RunnerProcess, tmp_path: Path
) -> None:
    request = {"operation": "seed", "architecture": "AlbertModel", "folder": str(tmp_path), "seed": 0}
    answer = paddle.request({**request, "name": "albert-base-v1", "configuration": CONFIGURATIONS["Albert"]})
    assert answer["configuration"]["hidden_size"] == HIDDEN
    with pytest.raises(RunnerError, match="no configuration for the name 'albert-tiny-v9'"):
        paddle.request({**request, "name": "albert-tiny-v9"})
    with pytest.raises(RunnerError, match="float32 process only"):
        paddle64.request(request)
    with pytest.raises(RunnerError, match="no architecture 'AlbertForNothing'"):
        paddle.request({**request, "architecture": "AlbertForNothing"})


def test_a_key_missing_on_the_paddle_side_is_listed_and_spoils_the_outputs(
    paddle: RunnerProcess, inputs: Path, tmp_path: Path
) -> None:
    seed(paddle, "AlbertModel", tmp_path)
    answer, arrays = forward(paddle, "AlbertForSequenceClassification", tmp_path, inputs)
    assert answer["loading"]["missing"] == ["classifier.bias", "classifier.weight"]
    assert np.isnan(arrays["logits"]).all()
    assert np.isfinite(arrays["pooler_output"]).all()


def altered(source: Path, target: Path, drop: str = "", add: dict[str, Any] | None = None) -> Path:
    target.mkdir()
    arrays = {name: array for name, array in load_file(source / "model.safetensors").items() if name != drop}
    save_file({**arrays, **(add or {})}, target / "model.safetensors", metadata={"format": "pt"})
    (target / "config.json").write_bytes((source / "config.json").read_bytes())
    return target


def test_torch_folders_that_do_not_fit(
    torch: RunnerProcess, torch_folders: dict[str, Path], inputs: Path, tmp_path: Path
) -> None:
    base = torch_folders["AlbertModel"]
    lacking = altered(base, tmp_path / "lacking", drop="pooler.weight")
    with pytest.raises(RunnerError, match=r"missing pooler\.weight"):
        forward(torch, "AlbertModel", lacking, inputs)
    excess = altered(base, tmp_path / "excess", add={"surplus.weight": np.zeros(3, dtype=np.float32)})
    with pytest.raises(RunnerError, match=r"unexpected surplus\.weight"):
        forward(torch, "AlbertModel", excess, inputs)
    shape = altered(base, tmp_path / "shape", add={"pooler.bias": np.zeros(HIDDEN + 1, dtype=np.float32)})
    with pytest.raises(RunnerError, match=r"mismatched pooler\.bias \(stored \[25\], expected \[24\]\)"):
        forward(torch, "AlbertModel", shape, inputs)
    with pytest.raises(RunnerError, match="describes a BertModel"):
        forward(torch, "AlbertModel", torch_folders["BertModel"], inputs)
    untied = altered(torch_folders["untied"], tmp_path / "untied", drop="predictions.decoder.weight")
    with pytest.raises(RunnerError, match=r"missing predictions\.decoder\.weight"):
        forward(torch, "AlbertForMaskedLM", untied, inputs)


def test_torch_decoders_tied_and_untied(torch: RunnerProcess, torch_folders: dict[str, Path], inputs: Path) -> None:
    for folder, tied in (("AlbertForMaskedLM", True), ("untied", False)):
        answer, _ = forward(torch, "AlbertForMaskedLM", torch_folders[folder], inputs)
        digests = answer["digests"]
        decoder, words = digests["predictions.decoder.weight"], digests["albert.embeddings.word_embeddings.weight"]
        assert (decoder == words) is tied
        assert answer["configuration"]["tie_word_embeddings"] is tied


def test_bad_requests_leave_the_process_alive(
    paddle: RunnerProcess, torch: RunnerProcess, inputs: Path, tmp_path: Path
) -> None:
    for runner, dtype in ((paddle, "float32"), (torch, "float64")):
        runner.request({"operation": "versions"})
        pid = runner.pid
        with pytest.raises(RunnerError, match="unknown operation 'dance'"):
            runner.request({"operation": "dance"})
        with pytest.raises(RunnerError, match="the request has no 'dtype'"):
            runner.request({"operation": "forward"})
        with pytest.raises(RunnerError, match="must be float32 or float64"):
            runner.request({"operation": "forward", "dtype": "int8"})
        with pytest.raises(RunnerError, match="there is no folder"):
            runner.request(
                {
                    "operation": "forward",
                    "architecture": "AlbertModel",
                    "folder": str(tmp_path / "none"),
                    "dtype": dtype,
                    "inputs": str(inputs),
                    "outputs": str(tmp_path / "outputs"),
                }
            )
        assert runner.pid == pid
    with pytest.raises(RunnerError, match="computes in float32 only"):
        forward(paddle, "AlbertModel", tmp_path, inputs, "float64")


def test_a_session_keeps_its_model_and_epsilons_do_not_stay(
    paddle: RunnerProcess, torch: RunnerProcess, torch_folders: dict[str, Path], inputs: Path, tmp_path: Path
) -> None:
    seed(paddle, "AlbertForMaskedLM", tmp_path)
    sides = ((paddle, tmp_path, "layer_norm"), (torch, torch_folders["AlbertForMaskedLM"], "LayerNorm"))
    for runner, folder, name in sides:
        request = {
            "operation": "forward",
            "architecture": "AlbertForMaskedLM",
            "folder": str(folder),
            "dtype": "float32",
            "inputs": str(inputs),
            "outputs": str(tmp_path / "outputs"),
            "session": "one",
        }
        first = runner.request(request)
        changed = runner.request({**request, "options": {"layer_norm_eps": {name: 1e-3}}})
        again = runner.request(request)
        assert first["seconds"]["load"] > 0
        assert changed["seconds"]["load"] == again["seconds"]["load"] == 0
        assert 1e-3 in changed["layer_norm_eps"].values()
        assert again["layer_norm_eps"] == first["layer_norm_eps"]
        # Another session may find other weights in the same folder; no session keeps nothing.
        assert runner.request({**request, "session": "two"})["seconds"]["load"] > 0
        assert runner.request({**request, "session": ""})["seconds"]["load"] > 0
        assert runner.request({**request, "session": ""})["seconds"]["load"] > 0
        assert runner.request({**request, "session": "two"})["seconds"]["load"] > 0
        assert runner.request({"operation": "release"})["ok"]
        assert runner.request({**request, "session": "two"})["seconds"]["load"] > 0


def test_layers_fed_with_a_models_own_states_change_nothing(
    torch: RunnerProcess, torch_folders: dict[str, Path], inputs: Path, tmp_path: Path
) -> None:
    for architecture in ("AlbertForPreTraining", "BertForMaskedLM"):
        folder = torch_folders[architecture.replace("PreTraining", "Pretraining")]
        _, arrays = forward(torch, architecture, folder, inputs, "float64")
        states = {name: array for name, array in arrays.items() if name.startswith("hidden_state.")}
        request = {
            "architecture": architecture,
            "folder": str(folder),
            "dtype": "float64",
            "inputs": str(inputs),
            "outputs": str(tmp_path / "outputs"),
            "states": str(tmp_path / "states"),
        }
        save_file(states, tmp_path / "states")
        torch.request({**request, "operation": "layers"})
        fed = load_file(tmp_path / "outputs")
        assert fed.keys() == arrays.keys() - {"last_hidden_state"}
        for name, array in fed.items():
            np.testing.assert_array_equal(array, arrays[name])
        # A changed state shows in the next one only.
        save_file({**states, "hidden_state.01": states["hidden_state.01"] + 1.0}, tmp_path / "states")
        torch.request({**request, "operation": "layers"})
        fed = load_file(tmp_path / "outputs")
        assert [name for name in sorted(fed) if not np.array_equal(fed[name], arrays[name])] == ["hidden_state.02"]
        save_file({name: array[..., 1:] for name, array in states.items()}, tmp_path / "states")
        with pytest.raises(RunnerError, match=r"hidden state 0 has shape \[3, 8, 23\] in Paddle and \[3, 8, 24\]"):
            torch.request({**request, "operation": "layers"})


def test_auto_classes(torch: RunnerProcess, torch_folders: dict[str, Path], inputs: Path, tmp_path: Path) -> None:
    request = {
        "operation": "forward",
        "architecture": "BertForMaskedLM",
        "folder": str(torch_folders["BertForMaskedLM"]),
        "dtype": "float32",
        "inputs": str(inputs),
        "outputs": str(tmp_path / "outputs"),
    }
    assert "mlm_logits" in torch.request({**request, "auto_class": "AutoModelForMaskedLM"})["outputs"]
    with pytest.raises(RunnerError, match="describes a BertForTokenClassification, not a BertForMaskedLM"):
        torch.request({**request, "auto_class": "AutoModelForTokenClassification"})
    with pytest.raises(RunnerError, match="no architecture 'AutoModelForNothing'"):
        torch.request({**request, "auto_class": "AutoModelForNothing"})
