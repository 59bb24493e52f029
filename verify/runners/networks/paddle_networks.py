"""Runs PaddleOCR's training networks, and PaddleClas's, in a process of its own: requests on standard input, answers on
standard output.

A network stays built until the next `build`; arrays go through safetensors files. The library is the user's own copy,
or one that is installed in this environment; of it, nothing but the code of networks and of pictures is imported."""

from __future__ import annotations

import copy
import hashlib
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file, save_file

if TYPE_CHECKING:
    from .. import protocol
    from . import pictures
else:
    # Run as a script, this file is in no package; its own folder is where Python looks first.
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    import pictures
    import protocol

PACKAGES = {"PaddleOCR": ("unstructured_paddleocr", "ppocr"), "PaddleClas": ("paddleclas", "ppcls")}
"""Where a library's networks come from when no copy of it is named: a package, and the folder of code in it."""

NAME_A_COPY = "name your copy of PaddleOCR with --paddleocr"
"""What mends a library that lacks a network."""

DISTURBED = 0.25
"""How far seeded statistics and gains are from what would make every norm plain."""


class PaddleNetworks:
    """The operations over Paddle's networks, one of which is built at a time."""

    def __init__(self) -> None:
        self._paddle: Any = None
        self._library: str | None = None
        self._found: tuple[str, str | None] | None = None
        self._model: Any = None
        self._dtype = "float32"

    def paddle(self) -> Any:
        """Import and return paddle."""
        if self._paddle is None:
            try:
                import paddle
            except ImportError as error:
                raise protocol.FrameworkMissingError(f"Paddle cannot be imported: {error}") from error
            paddle.set_device("cpu")
            self._paddle = paddle
        return self._paddle

    def operations(self) -> dict[str, protocol.Operation]:
        """The operations by name."""
        return {
            "versions": self.versions,
            "build": self.build,
            "run": self.run,
            "seed": self.seed,
            "preprocess": self.preprocess,
            "decode": self.decode,
        }

    def versions(self, request: protocol.Request) -> protocol.Answer:
        """Return the versions of everything that takes part in a computation."""
        paddle = self.paddle()
        found = {"python": platform.python_version(), "numpy": np.__version__, "paddlepaddle": paddle.__version__}
        found |= protocol.installed(*protocol.OPENCV)
        if (library := request.get("library")) is not None:
            found[str(protocol.field(request, "builder"))] = f"own copy, networks {_hash_of(Path(library))}"
        else:
            found |= protocol.installed(*(package.replace("_", "-") for package, _ in PACKAGES.values()))
        return {"versions": found}

    def build(self, request: protocol.Request) -> protocol.Answer:
        """Build the network of `architecture` with the library `builder`, found at the path `library` or installed;
        give it the tensors of the file `weights`, and compute in `dtype` from then on. `fused`: its blocks are fused,
        as for an export. `missing` and `unexpected` are names that the two do not share, but for what begins with one
        of `unread`."""
        self._dtype = protocol.requested_dtype(request)
        self._model = self._built(request)
        if request.get("fused"):
            for layer in self._model.sublayers():
                if hasattr(layer, "rep"):
                    layer.rep()
        arrays = load_file(protocol.field(request, "weights"))
        own = self._model.state_dict()
        renamed = _fused_names(own) if request.get("fused") else {}
        unread = tuple(request.get("unread") or ())
        wanted = {renamed.get(name, name): tensor for name, tensor in own.items()}
        missing = [name for name in wanted if name not in arrays and not name.startswith(unread)]
        unexpected = [name for name in arrays if name not in wanted and not name.startswith(unread)]
        shapes = [name for name in wanted if name in arrays and tuple(wanted[name].shape) != arrays[name].shape]
        if missing and request.get("fused"):
            # Fused blocks still hold the branches that they were made of, and activations that are not applied.
            missing = [name for name in missing if not _is_left_over(name)]
        if not missing and not unexpected and not shapes:
            self._model.to(dtype=self._dtype)
            for name, tensor in self._model.state_dict().items():
                if (array := arrays.get(renamed.get(name, name))) is not None:
                    tensor.set_value(array.astype(self._dtype))
        self._model.eval()
        facts = {"missing": sorted(missing), "unexpected": sorted(unexpected), "mismatched": sorted(shapes)}
        return {
            "loading": facts,
            "library": self._library,
            "digests": {
                renamed.get(name, name): protocol.digest(tensor.numpy())
                for name, tensor in self._model.state_dict().items()
                if renamed.get(name, name) in arrays
            },
        }

    def run(self, request: protocol.Request) -> protocol.Answer:
        """Give each picture of the file `inputs` to the network; write what it returns to `outputs`, and as
        NAME.logits what the layer `logits` gives, where one is named."""
        paddle = self.paddle()
        if self._model is None:
            raise protocol.RequestError("no network is built")
        gathered: list[Any] = []
        hook = None
        if (name := request.get("logits")) is not None:
            layer = dict(self._model.named_sublayers())[name]
            hook = layer.register_forward_post_hook(lambda layer, given, result: gathered.append(result))
        arrays: dict[str, protocol.Array] = {}
        try:
            for key, array in load_file(protocol.field(request, "inputs")).items():
                gathered.clear()
                with paddle.no_grad(), _making(paddle, self._dtype):
                    result = self._model(paddle.to_tensor(array.astype(self._dtype)))
                arrays[key] = _answer(result).numpy()
                if gathered:
                    # One step after the other, where the head writes by steps.
                    arrays[f"{key}.logits"] = (gathered[0] if len(gathered) == 1 else paddle.stack(gathered, 1)).numpy()
        finally:
            if hook is not None:
                hook.remove()
        return {"outputs": protocol.write_outputs(request, arrays, self._dtype)}

    def seed(self, request: protocol.Request) -> protocol.Answer:
        """Build a network with seeded weights, as `build` does, and save it as PaddleOCR's training does, to the file
        `output`. Its norms are given the statistics of what comes before them for a seeded picture of the shape
        `picture`, which are then disturbed, as are gains, biases and learnable scales: a mistake in any shows."""
        paddle = self.paddle()
        paddle.seed(int(request["seed"]))
        np.random.seed(int(request["seed"]))
        self._model = self._built(request)
        random = np.random.default_rng(int(request["seed"]))
        self._disturb(random)
        with paddle.no_grad():
            picture: protocol.Array = random.uniform(-1, 1, tuple(request["picture"])).astype(np.float32)
            self._calibrate(random, paddle.to_tensor(picture))
        output = Path(protocol.field(request, "output"))
        output.parent.mkdir(parents=True, exist_ok=True)
        state = self._model.state_dict()
        paddle.save(state, str(output))
        return {"tensors": len(state), "parameters": int(sum(tensor.numel() for tensor in state.values()))}

    def preprocess(self, request: protocol.Request) -> protocol.Answer:
        """Prepare each picture of the file `pictures`, [height, width, 3] in red, green and blue, with the library's
        own `transforms`, as its configurations name them."""
        builder = str(protocol.field(request, "builder"))
        self._find(builder, request.get("library"))
        transforms = pictures.transforms(protocol.field(request, "transforms"), builder)
        arrays = {}
        for key, array in load_file(protocol.field(request, "pictures")).items():
            arrays[key] = np.ascontiguousarray(pictures.prepared(transforms, array, builder)[None])
        save_file(arrays, protocol.field(request, "outputs"))
        return {"outputs": sorted(arrays)}

    def decode(self, request: protocol.Request) -> protocol.Answer:
        """The texts that the library reads, line by line, where the numbers of classes in the file `numbers`, [lines,
        steps], are the most probable of `classes`, with the `dictionary` at a path and a `space` behind it."""
        self._find(str(protocol.field(request, "builder")), request.get("library"))
        reader = pictures.reader(request.get("dictionary"), bool(request.get("space")))
        texts = []
        for line in load_file(protocol.field(request, "numbers"))["numbers"]:
            probable = _one_hot(line, int(request["classes"]))[None]
            texts.append(reader(probable)[0][0])
        return {"texts": texts}

    def _find(self, builder: str, library: str | None) -> None:
        """Put the library where Python finds it."""
        if self._found == (builder, library):
            return
        package, folder = PACKAGES[builder]
        place = Path(library) if library else None
        if place is None:
            spec = find_spec(package)
            if spec is None or not spec.submodule_search_locations:
                raise protocol.FrameworkMissingError(f"no module named {package!r}")
            place = Path(next(iter(spec.submodule_search_locations)))
        if not (place / folder).is_dir():
            raise protocol.RequestError(f"{place}: holds no folder {folder}; a checkout of {builder} is expected")
        if self._library not in (None, str(place)):
            raise protocol.RequestError(f"this process has the {builder} of {self._library}")
        # Before all others: another copy may lie on Python's path too.
        sys.path.insert(0, str(place))
        self._library = str(place)
        # Once its folder is one of Python's, a package may be hidden by a module of its own name in it.
        self._found = (builder, library)

    def _built(self, request: protocol.Request) -> Any:
        paddle, builder = self.paddle(), str(protocol.field(request, "builder"))
        self._find(builder, request.get("library"))
        architecture = copy.deepcopy(protocol.field(request, "architecture"))
        # Layers are built in single whatever they compute in: PaddleOCR's own code sets values of that type.
        paddle.set_default_dtype("float32")
        # Libraries print while they build.
        with redirect_stdout(sys.stderr):
            if builder == "PaddleClas":
                return _classifier(architecture)
            _without_downloads()
            try:
                return import_module("ppocr.modeling.architectures").build_model(architecture)
            except (TypeError, KeyError, AttributeError, AssertionError) as error:
                # An older library lacks networks; that says nothing of the weights.
                raise protocol.FrameworkMissingError(
                    f"{NAME_A_COPY}: the PaddleOCR in {self._library} cannot build this network "
                    f"({type(error).__name__}: {error})"
                ) from error

    def _norms(self) -> list[Any]:
        return [layer for layer in self._model.sublayers() if hasattr(layer, "_mean") and hasattr(layer, "_variance")]

    def _disturb(self, random: np.random.Generator) -> None:
        """Move every gain, bias and learnable scale away from the value that changes nothing."""
        norms = {id(tensor) for norm in self._norms() for tensor in (norm._mean, norm._variance)}
        for tensor in self._model.state_dict().values():
            if tensor.ndim <= 1 and id(tensor) not in norms and "float" in str(tensor.dtype):
                values = tensor.numpy()
                moved = values * random.uniform(1 - DISTURBED, 1 + DISTURBED, values.shape)
                tensor.set_value((moved + random.normal(0, DISTURBED / 5, values.shape)).astype(values.dtype))
            elif tensor.ndim > 1 and not tensor.any():
                # Tables of places begin as zeros.
                tensor.set_value(random.normal(0, DISTURBED / 5, tuple(tensor.shape)).astype(np.float32))

    def _calibrate(self, random: np.random.Generator, picture: Any) -> None:
        hooks = [norm.register_forward_pre_hook(_calibrating(random)) for norm in self._norms()]
        self._model.eval()
        try:
            self._model(picture)
        finally:
            for hook in hooks:
                hook.remove()


def _calibrating(random: np.random.Generator) -> Callable[[Any, Any], None]:
    def hook(norm: Any, given: Any) -> None:
        values = given[0].numpy().astype(np.float64)
        axes = tuple(axis for axis in range(values.ndim) if axis != 1)
        for tensor, found in ((norm._mean, values.mean(axes)), (norm._variance, values.var(axes) + 1e-3)):
            moved = found * random.uniform(1 - DISTURBED, 1 + DISTURBED, found.shape)
            tensor.set_value(moved.astype(np.float32))

    return hook


@contextmanager
def _making(paddle: Any, dtype: str) -> Iterator[None]:
    """Tensors that a network makes as it runs are of this type, and so are one-hot vectors, which Paddle always makes
    in single: it mixes no types."""
    functional = paddle.nn.functional
    before, plain = paddle.get_default_dtype(), functional.one_hot
    paddle.set_default_dtype(dtype)
    functional.one_hot = lambda *given, **named: plain(*given, **named).astype(dtype)
    try:
        yield
    finally:
        functional.one_hot = plain
        paddle.set_default_dtype(before)


def _one_hot(numbers: protocol.Array, classes: int) -> protocol.Array:
    made = np.zeros((len(numbers), classes), np.float32)
    made[np.arange(len(numbers)), numbers] = 1.0
    return made


def _hash_of(library: Path) -> str:
    """The sha256, in short, of the code of networks in a copy of a library: of two copies it tells which one ran."""
    hashed = hashlib.sha256()
    for path in sorted(library.glob("pp*/modeling/**/*.py")) + sorted(library.glob("ppcls/arch/**/*.py")):
        hashed.update(f"{path.relative_to(library).as_posix()}\0".encode())
        hashed.update(path.read_bytes())
    return hashed.hexdigest()[:16]


def _fused_names(own: Mapping[str, Any]) -> dict[str, str]:
    """The names that exports have for what fused blocks hold beside their convolution."""
    names = {}
    for name in own:
        for leaf, other in (("lab.scale", "w"), ("lab.bias", "b"), ("act.lab.scale", "activation.scale")):
            if name.endswith(f"_conv.{leaf}"):
                names[name] = name.removesuffix(leaf) + other
        if name.endswith("_conv.act.lab.bias"):
            names[name] = name.removesuffix("act.lab.bias") + "activation.bias"
    return names


def _is_left_over(name: str) -> bool:
    """Whether a tensor is one of a branch that was fused, or of an activation that is not applied."""
    return any(part in name for part in (".conv_kxk.", ".conv_1x1.", ".identity.", ".activation."))


def _answer(result: Any) -> Any:
    """The tensor that a network answers with when it is evaluated."""
    if isinstance(result, dict):
        for name in ("maps", "structure_probs"):
            if name in result:
                return result[name]
        raise protocol.RequestError(f"the network answers with {', '.join(result)}, none of which is known")
    return result[0] if isinstance(result, (list, tuple)) else result


def _without_downloads() -> None:
    """No constructor may fetch weights: the checkpoint has all of them."""
    try:
        import paddle.utils.download as download
    except ImportError:
        return

    download.get_weights_path_from_url = _refuse_download
    download.get_path_from_url = _refuse_download


def _refuse_download(url: str, *rest: Any, **more: Any) -> str:
    raise protocol.RequestError(f"the network's code would fetch {url}; only the checkpoint's weights are used")


def _classifier(architecture: Mapping[str, Any]) -> Any:
    """A network of PaddleClas's. Its packages import what networks do not need, so that its folders stand in for them
    and the modules of architectures alone are run; what would fetch weights is not there."""
    place = next(Path(entry) / "ppcls" for entry in sys.path if (Path(entry) / "ppcls").is_dir())
    settings = dict(architecture)
    name = f"ppcls.arch.backbone.{settings.pop('module')}"
    for package in ("ppcls", "ppcls.utils", *_packages_of(name), "ppcls.arch.backbone.base"):
        if package not in sys.modules:
            stand_in = ModuleType(package)
            stand_in.__path__ = [str(place.joinpath(*package.split(".")[1:]))]
            sys.modules[package] = stand_in
    if (fetching := "ppcls.utils.download") not in sys.modules:
        sys.modules[fetching] = ModuleType(fetching)
        vars(sys.modules[fetching])["get_weights_path_from_url"] = _refuse_download
    return getattr(import_module(name), settings.pop("name"))(**settings)


def _packages_of(module: str) -> list[str]:
    """The packages that a module lies in, the outer ones first."""
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def main() -> None:
    """Serve requests until standard input ends."""
    answers = protocol.prepare_process()
    status = protocol.serve(PaddleNetworks().operations(), answers)
    sys.stderr.flush()
    # Skips the framework's own teardown, which has nothing left to do.
    os._exit(status)


if __name__ == "__main__":
    main()
