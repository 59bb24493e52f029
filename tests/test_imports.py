"""Imports point one way, frameworks stay in the runners, and the command line starts without what it does not need."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import paddle2torch
from paddle2torch.mappings.registry import FAMILIES

ROOT = Path(paddle2torch.__file__).parent
PACKAGE = "paddle2torch"

MAY_IMPORT = {
    "mappings": {"mappings", "errors"},
    "workers": {"workers", "errors"},
    "converters": {"converters", "mappings", "workers", "errors"},
    "verify": {"verify", "converters", "mappings", "workers", "errors", ""},
    "hub": {"hub", "converters", "mappings", "workers", "errors", ""},
}
"""Part of the package -> parts that it may import; "" is the package itself, for its version."""

ORDER = {
    "mappings": (("language",), ("*",)),
    "converters": (
        ("formats",),
        ("checkpoints",),
        ("images", "tokenizers"),
        ("inspection", "outputs"),
        ("image_job", "to_paddle"),
        ("job",),
        ("batch",),
    ),
    "verify": (
        ("admission", "costs", "inputs", "reports.result"),
        ("contents", "reports.gate_result", "runners", "tokenizers"),
        ("states",),
        ("sides",),
        ("cases", "check"),
        ("checks",),
        ("certificate",),
        ("images",),
        ("asked",),
        ("job",),
        ("environments", "faults", "reports", "seeding"),
        ("gate", "images.gate", "many"),
        ("commands",),
    ),
}
"""Inside a part, from the bottom up: folders and modules import themselves and what stands on steps before theirs. The
star stands for all that no step names; the two modules of results are what checks give, the other reports are forms."""

FRAMEWORKS = {"paddle", "paddlenlp", "torch", "transformers"}

PURE = {
    "__future__",
    "abc",
    "collections",
    "csv",
    "functools",
    "dataclasses",
    "difflib",
    "enum",
    "itertools",
    "json",
    "math",
    "re",
    "string",
    "typing",
}
"""All of the standard library that the mappings need: nothing that reads a file, and no numpy."""

MODULES = sorted(path for part in MAY_IMPORT for path in (ROOT / part).rglob("*.py"))
ALL = [*MODULES, *(ROOT / name for name in ("cli.py", "errors.py", "__init__.py", "__main__.py"))]


def imports_of(path: Path) -> Iterator[str]:
    """The absolute names of all modules that a file imports, anywhere in it; `from a import b` gives a.b."""
    package = [PACKAGE, *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def part_of(module: str) -> str | None:
    """The part of this package that a module belongs to, None for others."""
    if module != PACKAGE and not module.startswith(f"{PACKAGE}."):
        return None
    first = module.split(".")[1] if "." in module else ""
    return first if first in (*MAY_IMPORT, "errors", "cli", "tests", "benchmarks") else ""


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_something_to_look_at() -> None:
    assert len(MODULES) > 25
    assert "paddle2torch.mappings.language.matching.plan.Plan" in set(imports_of(ROOT / "converters" / "job.py"))


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_point_one_way(path: Path) -> None:
    allowed = MAY_IMPORT[path.relative_to(ROOT).parts[0]]
    found = {name: part for name in imports_of(path) if (part := part_of(name)) is not None}
    assert {name for name, part in found.items() if part not in allowed} == set()


def place_of(part: str, module: str) -> tuple[int, str] | None:
    """The step of ORDER on which a module of a part stands, and under which name; None where no step has it."""
    inside = module.removeprefix(f"{PACKAGE}.{part}").removeprefix(".")
    named = [(step, name) for step, names in enumerate(ORDER[part]) for name in names]
    fitting = [(step, name) for step, name in named if f"{inside}.".startswith(f"{name}.")]
    fitting = fitting or [(step, name) for step, name in named if name == "*"]
    return max(fitting, key=lambda place: len(place[1]), default=None)


def name_of(path: Path) -> str:
    """The name of the module in a file of the package."""
    return ".".join([PACKAGE, *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")


@pytest.mark.parametrize("path", [p for p in MODULES if p.relative_to(ROOT).parts[0] in ORDER], ids=relative)
def test_imports_inside_a_part_point_one_way(path: Path) -> None:
    part = path.relative_to(ROOT).parts[0]
    if name_of(path) == f"{PACKAGE}.{part}":
        assert path.read_text() == ""
        return
    here = place_of(part, name_of(path))
    assert here is not None, f"say in ORDER where {path.stem} stands"
    for name in imports_of(path):
        if part_of(name) == part:
            there = place_of(part, name)
            assert there is not None, name
            assert there[0] < here[0] or there[1] == here[1], name


def test_the_order_is_seen_to_be_broken() -> None:
    assert place_of("converters", "paddle2torch.converters.formats.pdparams") == (0, "formats")
    assert place_of("verify", "paddle2torch.verify.reports.result.Report") == (0, "reports.result")
    assert place_of("verify", "paddle2torch.verify.reports.html") == (10, "reports")
    assert place_of("mappings", "paddle2torch.mappings.registry") == (1, "*")
    assert place_of("verify", "paddle2torch.verify.reported") is None


def test_no_module_imports_itself_by_way_of_others() -> None:
    modules = {name_of(path): path for path in ALL if path.name != "__init__.py"}
    imported = {name: list(imports_of(path)) for name, path in modules.items()}
    graph = {
        name: {of for of in modules if any(f"{one}.".startswith(f"{of}.") for one in imported[name])}
        for name in modules
    }
    assert graph["paddle2torch.verify.commands"] >= {"paddle2torch.verify.gate", "paddle2torch.errors"}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("path", sorted((ROOT / "mappings" / "language").glob("*.py")), ids=relative)
def test_the_language_knows_no_family(path: Path) -> None:
    text = path.read_text().lower()
    assert [family for family in FAMILIES if family in text] == []


@pytest.mark.parametrize("path", ALL, ids=relative)
def test_frameworks_are_imported_by_the_runners_only(path: Path) -> None:
    found = {name for name in imports_of(path) if name.split(".")[0] in FRAMEWORKS}
    runner = {
        "paddle_runner.py": {"paddle", "paddlenlp"},
        "paddle_loading.py": {"paddlenlp"},
        "torch_runner.py": {"torch", "transformers"},
        "networks/paddle_networks.py": {"paddle"},
        "networks/torch_networks.py": {"torch", "transformers"},
    }
    runners = ROOT / "verify" / "runners"
    allowed = runner.get(path.relative_to(runners).as_posix(), set()) if runners in path.parents else set()
    assert {name.split(".")[0] for name in found} <= allowed


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if ROOT / "mappings" in path.parents and path.name != "registry.py"],
    ids=relative,
)
def test_mappings_know_no_files_and_no_numpy(path: Path) -> None:
    outside = {name.split(".")[0] for name in imports_of(path) if part_of(name) is None}
    assert outside <= PURE
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"open", "eval", "exec", "__import__", "print", "input"}


@pytest.mark.parametrize("path", ALL, ids=relative)
def test_nothing_can_run_code_of_a_file(path: Path) -> None:
    unsafe = {"pickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    assert not {name for name in imports_of(path) if name.split(".")[0] in unsafe}


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after `code`."""
    script = f"import json, sys\n{code}\nprint('modules:' + json.dumps(sorted(sys.modules)), file=sys.stderr)"
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    line = next(line for line in child.stderr.splitlines() if line.startswith("modules:"))
    return set(json.loads(line.removeprefix("modules:")))


HEAVY = {"numpy", "rich", "safetensors", *FRAMEWORKS}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list"], ["list", "--json"], ["convert", "--help"], ["gate", "--help"], ["--version"]]
)
def test_what_only_prints_starts_without_heavy_modules(arguments: list[str]) -> None:
    loaded = modules_after(
        f"from paddle2torch.cli import cli\ncli.main({arguments!r}, 'paddle2torch', standalone_mode=False)"
    )
    assert "paddle2torch.cli" in loaded
    assert loaded & HEAVY == set()


def test_the_package_itself_is_light() -> None:
    assert modules_after("import paddle2torch") & {*HEAVY, "click"} == set()


def test_the_python_interface_loads_no_framework() -> None:
    loaded = modules_after("import paddle2torch as p; p.convert_checkpoint, p.open_checkpoint, p.verify_checkpoint")
    assert "paddle2torch.verify.job" in loaded
    assert loaded & FRAMEWORKS == set()


def test_every_name_of_the_python_interface_exists() -> None:
    for name in paddle2torch.__all__:
        assert getattr(paddle2torch, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = paddle2torch.nothing
