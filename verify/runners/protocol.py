"""What both framework runners share: the request loop, tensors on disk, and facts about a live model.

The runners may live in environments without this package, so this module is imported as a sibling of the script
and uses nothing beyond the standard library, numpy and safetensors.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import hashlib
import json
import math
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

Array = NDArray[Any]
Request = dict[str, Any]
Answer = dict[str, Any]
Operation = Callable[[Request], Answer]

IDS = "input_ids"
"""The input that every model takes."""


CONFIGURATION_FIELDS = (
    "hidden_act",
    "num_hidden_layers",
    "num_attention_heads",
    "num_hidden_groups",
    "inner_group_num",
    "hidden_size",
    "embedding_size",
    "intermediate_size",
    "vocab_size",
    "type_vocab_size",
    "max_position_embeddings",
    "layer_norm_eps",
    "pad_token_id",
    "num_labels",
    "tie_word_embeddings",
)

ACTIVATION_ATTRIBUTES = (
    "act",
    "activation",
    "activation_fn",
    "activation_function",
    "intermediate_act_fn",
    "transform_act_fn",
    "pooler_activation",
)

ACCIDENTS = (AttributeError, ImportError, MemoryError, NameError, NotImplementedError, TypeError)
"""Errors by which a program fails, not a model: what was asked for was not found out."""

SYSTEM_FAULTS = (errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC)
"""Of the errors of files, those that say nothing of the files."""

HASHED_ELEMENTS = 1 << 16
"""How many elements are cast and hashed at a time."""

SHOWN = 5
"""How many names a message lists."""

OUT_OF_MEMORY = ("can't allocate memory", "not enough memory")
"""What torch says of memory, as an error of another kind."""


class RequestError(Exception):
    """A request that cannot be served; the message goes to the caller as it is."""


class FrameworkMissingError(Exception):
    """A framework cannot be imported here."""


def prepare_process() -> BinaryIO:
    """Set the environment of a single-purpose, offline CPU process; return the stream for answers.

    File descriptor 1 is pointed at standard error, so that nothing a framework prints, native code included, can
    end up between the answers.
    """
    os.environ.update(
        CUDA_VISIBLE_DEVICES="",
        HF_HUB_OFFLINE="1",
        TRANSFORMERS_OFFLINE="1",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
        TRANSFORMERS_VERBOSITY="error",
        TOKENIZERS_PARALLELISM="false",
        USE_TF="0",
        USE_FLAX="0",
        GLOG_minloglevel="2",
        # Several runners share the processors: one that waits must not keep a core busy.
        OMP_WAIT_POLICY="PASSIVE",
        KMP_BLOCKTIME="0",
    )
    with suppress(OSError):
        for name, value in for_arithmetic(Path("/proc/cpuinfo").read_text("utf-8", "replace")).items():
            os.environ.setdefault(name, value)
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def for_arithmetic(processor: str) -> dict[str, str]:
    """Variables for the libraries that multiply matrices, on a `processor` as Linux describes it.

    The one in paddlepaddle uses AVX2 on Intel's processors alone unless it is told to, and takes more than twice the
    time for a product in float32. Told so on a processor without these instructions, it would crash.
    """
    facts = dict(reversed(re.findall(r"^(vendor_id|flags)\s*:\s*(.*)$", processor, re.MULTILINE)))
    able = {"avx2", "fma"} <= set(facts.get("flags", "").split())
    return {"MKL_DEBUG_CPU_TYPE": "5"} if able and facts.get("vendor_id") != "GenuineIntel" else {}


def serve(operations: Mapping[str, Operation], answers: BinaryIO) -> int:
    """Answer requests, one JSON document per line, until standard input ends; return the exit status."""
    try:
        while line := sys.stdin.buffer.readline():
            if not line.strip():
                continue
            answer = answer_line(operations, line)
            answers.write(json.dumps(answer).encode("utf-8") + b"\n")
            answers.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1
    return 0


def answer_line(operations: Mapping[str, Operation], line: bytes) -> Answer:
    """Serve one request; whatever goes wrong becomes an answer, so that the process lives on."""
    try:
        request = json.loads(line)
        if not isinstance(request, dict):
            raise RequestError("a request must be a JSON object")
        name = str(request.get("operation"))
        if name not in operations:
            raise RequestError(f"unknown operation {name!r}; known: {', '.join(sorted(operations))}")
        reset_peak_memory()
        answer = operations[name](request)
        return {"ok": True, "peak_memory_bytes": peak_memory_bytes(), **answer}
    except FrameworkMissingError as error:
        return {"ok": False, "missing": True, "error": str(error), "traceback": traceback.format_exc()}
    except RequestError as error:
        return {"ok": False, "error": str(error), "traceback": traceback.format_exc()}
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        return {"ok": False, "accident": is_accident(error), "error": message, "traceback": traceback.format_exc()}


def is_accident(error: Exception) -> bool:
    """Whether an error says nothing of the folder and the model that a request is about.

    That a folder cannot be loaded or a model not run is an answer: no file, another format or shape, no such value or
    entry. An attribute, a module or memory that is not there is none, whichever folder it came with.
    """
    if isinstance(error, OSError):
        return error.errno in SYSTEM_FAULTS
    return isinstance(error, ACCIDENTS) or any(text in str(error) for text in OUT_OF_MEMORY)


def collect_garbage() -> None:
    """Collect garbage, and keep what lives on - what importing made, and caches - out of later collections, which it
    slows down a lot. To be called while no model lives: one that did would never be collected."""
    gc.collect()
    gc.freeze()


def field(request: Request, name: str) -> Any:
    """Return a mandatory field of a request."""
    if name not in request:
        raise RequestError(f"the request has no {name!r}")
    return request[name]


OPENCV = tuple(f"opencv-{kind}" for kind in ("python-headless", "python", "contrib-python-headless", "contrib-python"))
"""The packages that hold cv2."""


def installed(*names: str) -> dict[str, str]:
    """The versions of those packages that are installed here, by name."""
    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def requested_dtype(request: Request) -> str:
    """Return the floating-point type a request asks for."""
    dtype = field(request, "dtype")
    if dtype not in ("float32", "float64"):
        raise RequestError(f"dtype must be float32 or float64, not {dtype!r}")
    return str(dtype)


def existing_folder(request: Request) -> str:
    """Return the model folder, refusing a name: a hub must never be asked."""
    folder = str(field(request, "folder"))
    if not os.path.isdir(folder):
        raise RequestError(f"there is no folder {folder!r}")
    return os.path.abspath(folder)


def return_free_memory() -> None:
    """Give memory that was freed back to the system where the C library has a call for it (glibc)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def reset_peak_memory() -> None:
    """Let the kernel measure the peak memory anew, where it can; elsewhere the peak is that of the process."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as control:
            control.write("5")
    except OSError:
        pass


def peak_memory_bytes() -> int:
    """Return the largest resident size since `reset_peak_memory`, or of the process where only that is known; 0
    where the system does not tell (Windows)."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def read_inputs(request: Request, architecture: str) -> dict[str, Array]:
    """Read the input tensors; for multiple choice, the whole batch becomes the choices of one example. A decoder's have
    a shape of their own."""
    arrays = load_file(field(request, "inputs"))
    if IDS not in arrays:
        raise RequestError(f"the inputs lack {IDS}")
    inputs: dict[str, Array] = {name: np.asarray(array, dtype=np.int64) for name, array in arrays.items()}
    shapes = {array.shape for name, array in inputs.items() if not name.startswith("decoder_")}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise RequestError(f"the inputs must have one shape [batch, tokens], not {sorted(shapes)}")
    if architecture.endswith("ForMultipleChoice"):
        inputs = {name: array[None] for name, array in inputs.items()}
    return inputs


def write_outputs(request: Request, arrays: Mapping[str, Array], dtype: str) -> list[str]:
    """Write the outputs, all of the run's type; return their names."""
    _check_types(arrays, dtype)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, field(request, "outputs"))
    return sorted(arrays)


def write_each(request: Request, arrays: Iterable[tuple[str, Array]], dtype: str) -> list[str]:
    """Write outputs one at a time, as they are made, each to a `.npy` file in the existing folder `outputs`; return
    their names."""
    names = []
    for name, array in arrays:
        _check_types({name: array}, dtype)
        np.save(os.path.join(field(request, "outputs"), f"{name}.npy"), array)
        names.append(name)
    return names


def _check_types(arrays: Mapping[str, Array], dtype: str) -> None:
    others = sorted(f"{name} ({array.dtype})" for name, array in arrays.items() if array.dtype != np.dtype(dtype))
    if others:
        raise RequestError(f"the model did not compute in {dtype} everywhere: {', '.join(others)}")


def few(names: Iterable[str]) -> str:
    """The first names of many, for a message."""
    listed = sorted(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


def digest(array: Array) -> dict[str, Any]:
    """Describe a tensor by the hash of its bytes: floating-point values as float32, others as they are."""
    # A float64 run holds widened float32 values, so narrowing them again is exact.
    hashed_as = np.dtype(np.float32) if array.dtype.kind == "f" else array.dtype
    flat = np.ascontiguousarray(array).reshape(-1)
    hashed = hashlib.sha256()
    # In pieces that stay in the cache: a copy of the whole would be as large as the tensor.
    for start in range(0, flat.size, HASHED_ELEMENTS):
        piece = flat[start : start + HASHED_ELEMENTS].astype(hashed_as.newbyteorder("<"), copy=False)
        hashed.update(piece.view(np.uint8).data)
    return {"sha256": hashed.hexdigest(), "dtype": hashed_as.name, "shape": list(array.shape)}


def configuration_of(config: Any, names: Iterable[str] = ()) -> dict[str, Any]:
    """Read the fields that describe the computation, and others by their `names`, from a live configuration, leaving
    out absent ones."""
    values = {name: getattr(config, name, None) for name in (*CONFIGURATION_FIELDS, *names)}
    return {name: value for name, value in values.items() if isinstance(value, (str, int, float, list))}


def as_float32(value: float) -> float:
    """Round a number to float32."""
    return float(np.float32(value))


def rounded(values: Array, dtype: str) -> Array:
    """Values rounded to the nearest of a narrower type, ties to even, in their own type.

    Apart from the way through float32, this is arithmetic of its own: what wrote the files works on bits.
    """
    single = values.astype(np.float32)
    if dtype == "float32":
        return single.astype(values.dtype)
    if dtype == "float16":
        return single.astype(np.float16).astype(values.dtype)
    if dtype != "bfloat16":
        raise RequestError(f"weights are rounded to float32, float16 or bfloat16, not to {dtype!r}")
    wide = single.astype(np.float64)
    _, exponents = np.frexp(wide)
    # Eight significant bits; below 2**-126 all numbers have the same distance.
    steps = np.ldexp(1.0, np.maximum(exponents, -125) - 8)
    with np.errstate(invalid="ignore"):
        result = np.where(np.isfinite(wide), np.rint(wide / steps) * steps, wide)
    return result.astype(values.dtype)


def set_layer_norm_eps(modules: Mapping[str, Any], attribute: str, wanted: Mapping[str, float]) -> None:
    """Set epsilons on live LayerNorm modules, named in full or by the end of their name."""
    for name, value in wanted.items():
        hits = [module for full, module in modules.items() if full == name or full.endswith("." + name)]
        if not hits:
            raise RequestError(f"no LayerNorm is called {name!r}; there are: {', '.join(sorted(modules))}")
        for module in hits:
            setattr(module, attribute, float(value))


def table_problem(own: Array, table: Array, within: float | None) -> str | None:
    """Why a model's own table may not be replaced by another, in words that follow its name; None where it may."""
    if own.shape != table.shape:
        return f"has shape {list(own.shape)}, PaddleNLP computes {list(table.shape)}"
    if within is None:
        return None
    # Row by row: the differences of all at once would be as large as the table again. A NaN stays one, and is within no
    # distance.
    apart = float(np.max([np.max(np.abs(one - other)) for one, other in zip(own, table, strict=True)]))
    return None if apart <= within else f"is {apart:.2e} away from what PaddleNLP computes, {within:g} is expected"


def live_heads(modules: Iterable[tuple[str, Any]]) -> dict[str, int]:
    """Return the number of heads of every attention module that splits its input into heads."""
    heads: dict[str, int] = {}
    for name, module in modules:
        if "Attention" not in type(module).__name__:
            continue
        for attribute in ("num_attention_heads", "num_heads", "n_heads", "n_head"):
            value = getattr(module, attribute, None)
            if isinstance(value, int):
                heads[name] = value
                break
    return heads


def live_activations(
    modules: Iterable[tuple[str, Any]], run: Callable[[Callable[[Any], Any], Array], Array]
) -> dict[str, str]:
    """Name every activation function of a model by what it computes, not by what a configuration calls it."""
    named: dict[str, str] = {}
    for name, module in modules:
        for attribute in ACTIVATION_ATTRIBUTES:
            function = getattr(module, attribute, None)
            if callable(function):
                points = np.linspace(-4.0, 4.0, 33)
                named[f"{name}.{attribute}".lstrip(".")] = name_activation(points, run(function, points))
    return named


def name_activation(points: Array, values: Array) -> str:
    """Name the function that maps points to values; the tanh forms of GELU are all called gelu_new."""
    sigmoid = 1.0 / (1.0 + np.exp(-points))
    error_function = np.array([math.erf(point / math.sqrt(2.0)) for point in points])
    inner = math.sqrt(2.0 / math.pi) * (points + 0.044715 * points**3)
    known = {
        "gelu": 0.5 * points * (1.0 + error_function),
        "gelu_new": 0.5 * points * (1.0 + np.tanh(inner)),
        "relu": np.maximum(points, 0.0),
        "silu": points * sigmoid,
        "quick_gelu": points / (1.0 + np.exp(-1.702 * points)),
        "tanh": np.tanh(points),
        "sigmoid": sigmoid,
        "linear": points,
    }
    worst = {name: float(np.max(np.abs(expected - values))) for name, expected in known.items()}
    nearest = min(worst, key=lambda name: worst[name])
    # The two closest functions of this list are 5e-4 apart; float32 is right to 1e-6.
    return nearest if worst[nearest] < 1e-5 else "unknown"


def agreed(values: Iterable[Any]) -> Any:
    """Return the one value that all share, or None."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def describe(
    config: Any,
    modules: list[tuple[str, Any]],
    layer_norms: Mapping[str, float],
    run: Callable[[Callable[[Any], Any], Array], Array],
    request: Request,
) -> dict[str, Any]:
    """Return the facts of a live model that decide what it computes, with the `fields` of its configuration that a
    request names. An encoder-decoder has as many heads in each of the two as these agree in."""
    heads = live_heads(modules)
    behind = {name for name in heads if request.get("decodes") and "decoder" in name.split(".")}
    activations = live_activations(modules, run)
    return {
        "configuration": configuration_of(config, request.get("fields") or ()),
        "labels": {str(number): str(label) for number, label in (getattr(config, "id2label", None) or {}).items()},
        "layer_norm_eps": dict(layer_norms),
        # Layers are numbered.
        "activation": agreed(value for name, value in activations.items() if re.search(r"\.\d+\.", name)),
        "activations": activations,
        "heads": agreed(count for name, count in heads.items() if name not in behind),
        "decoder_heads": agreed(heads[name] for name in behind),
        "attention_heads": heads,
    }
