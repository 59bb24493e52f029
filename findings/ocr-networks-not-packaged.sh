#!/usr/bin/env bash
# The source archive of paddleocr holds the programs that train and export, and none of the networks that these import.
#
# Versions:  paddleocr 3.7.0.
# Behaviour: the archive on the package index has `tools/train.py`, `tools/eval.py` and `tools/export_model.py`, and of
#            the package `ppocr` the folders `data`, `postprocess` and `utils`. `ppocr.modeling`, where every network
#            is, `ppocr.losses`, `ppocr.optimizer` and `ppocr.metrics` are in neither the archive nor the wheel.
# Expected:  a source archive holds what its programs import, as the repository does.
# Why care:  a `.pdparams` file is weights alone: whoever trains on, exports or compares needs the network's code, and
#            "install paddleocr from source" does not give it. It takes a clone of the repository.
# Seen 2026-11-29:
#     wheel: 0 files of ppocr
#     source archive: 269 Python files, of ppocr data, postprocess, utils
#     tools/train.py imports ppocr.data, ppocr.losses, ppocr.metrics, ppocr.modeling, ppocr.optimizer,
#     ppocr.postprocess, ppocr.utils; not there: ppocr.losses, ppocr.metrics, ppocr.modeling, ppocr.optimizer
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import ast
import sys
import tarfile
import zipfile
from pathlib import Path, PurePath

folder = Path(sys.argv[1])
(wheel,) = folder.glob("paddleocr-*.whl")
(archive,) = folder.glob("paddleocr-*.tar.gz")
packed = [name for name in zipfile.ZipFile(wheel).namelist() if PurePath(name).parts[0] == "ppocr"]
print(f"wheel: {len(packed)} files of ppocr")

with tarfile.open(archive) as opened:
    # By their paths below the folder that the archive unpacks to.
    files = {PurePath(*PurePath(one.name).parts[1:]): one for one in opened if one.isfile()}
    programs = {path: one for path, one in files.items() if path.suffix == ".py"}
    parts = sorted({path.parts[1] for path in programs if path.parts[0] == "ppocr" and len(path.parts) > 2})
    print(f"source archive: {len(programs)} Python files, of ppocr {', '.join(parts)}")
    train = ast.parse(opened.extractfile(programs[PurePath("tools/train.py")]).read())
modules = {node.module for node in ast.walk(train) if isinstance(node, ast.ImportFrom) and node.module}
wanted = sorted({".".join(one.split(".")[:2]) for one in modules if one.startswith("ppocr.")})


def is_there(module: str) -> bool:
    place = PurePath(*module.split("."))
    return place.with_suffix(".py") in programs or place / "__init__.py" in programs


missing = [one for one in wanted if not is_there(one)]
print(f"tools/train.py imports {', '.join(wanted)}; not there: {', '.join(missing)}")
if packed or "ppocr.modeling" not in missing or parts != ["data", "postprocess", "utils"]:
    sys.exit(f"changed: {len(packed)} files of ppocr in the wheel; the archive has {parts} and lacks {missing}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" download --quiet --no-deps --no-binary paddleocr --dest "$work/files" paddleocr==3.7.0
"$work/venv/bin/pip" download --quiet --no-deps --only-binary paddleocr --dest "$work/files" paddleocr==3.7.0
"$work/venv/bin/python" "$work/probe.py" "$work/files"
