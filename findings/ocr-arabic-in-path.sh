#!/usr/bin/env bash
# PaddleOCR turns a recognised text around when "arabic" stands anywhere in the path of its dictionary.
#
# Versions:  unstructured-paddleocr 2.10.0 (PaddleOCR 2.10 as a package), paddlepaddle 3.3.1, numpy 2.4.6.
# Behaviour: the decoders of recognised text look at the characters of the path, not at those in the file. Under a
#            folder named arabic-and-german, a German text comes out from right to left, runs of a-z, digits and spaces
#            kept whole. A copy of PaddleOCR's own arabic_dict.txt under another name no longer turns anything around;
#            nor do its fa_dict.txt and hebrew_dict.txt.
# Expected:  the direction is a setting, or follows from the characters; where a file lies changes nothing.
# Why care:  a dictionary is copied and renamed whenever a model is moved, and the weights are right all the while. The
#            accuracy in training does not show it: texts of both sides are turned around before they are compared.
# Seen 2026-11-29:
#     german.txt reads 'Größe 12', arabic-and-german/german.txt reads 'e 12ßöGr'
#     turned around: arabic_dict.txt True, its copy letters.txt False, fa_dict.txt False, hebrew_dict.txt False
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import paddle

root = Path(paddle.__file__).parents[1] / "unstructured_paddleocr"
# The package imports at once what all decoders need: one module is imported singly.
for name in ("ppocr", "ppocr.postprocess"):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [str(root.joinpath(*name.split(".")))]
from ppocr.postprocess.rec_postprocess import CTCLabelDecode

# Paths from here, so that no folder above has a say.
os.chdir(sys.argv[1])
shutil.copytree(root / "ppocr" / "utils" / "dict", "dict")
Path("arabic-and-german").mkdir()
for folder in (".", "arabic-and-german"):
    Path(folder, "german.txt").write_text("\n".join([*"Größe12 "]) + "\n", encoding="utf-8")
shutil.copy("dict/arabic_dict.txt", "letters.txt")


def read(path, text):
    """What is read where a network is certain of these characters."""
    decoder = CTCLabelDecode(path)
    places = [decoder.character.index(one) for one in text]
    return decoder(np.eye(len(decoder.character), dtype=np.float32)[places][None])[0][0]


def turned(path):
    """Whether three characters that are neither Latin letters nor digits come out in the other order."""
    characters = [one for one in Path(path).read_text(encoding="utf-8").split("\n") if "\u0590" < one][:3]
    found = read(path, characters)
    if found not in ("".join(characters), "".join(characters[::-1])):
        sys.exit(f"changed: {path} reads {found!a} for {characters!a}")
    return found != "".join(characters)


texts = [read(path, "Größe 12") for path in ("german.txt", "arabic-and-german/german.txt")]
paths = ("dict/arabic_dict.txt", "letters.txt", "dict/fa_dict.txt", "dict/hebrew_dict.txt")
around = [turned(path) for path in paths]
print(f"german.txt reads {texts[0]!r}, arabic-and-german/german.txt reads {texts[1]!r}")
print(
    f"turned around: arabic_dict.txt {around[0]}, its copy letters.txt {around[1]}, fa_dict.txt {around[2]}, "
    f"hebrew_dict.txt {around[3]}"
)
if texts != ["Größe 12", "e 12ßöGr"] or around != [True, False, False, False]:
    sys.exit(f"changed: texts {texts}, turned around {around}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 numpy==2.4.6
"$work/venv/bin/pip" install --quiet --no-deps unstructured-paddleocr==2.10.0
mkdir "$work/paths"
# A home of its own: the libraries keep caches in it.
HOME="$work" PYTHONUTF8=1 "$work/venv/bin/python" "$work/probe.py" "$work/paths" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
