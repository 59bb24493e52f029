"""Uses converted networks as people do: `AutoImageProcessor` and the auto class of the task, each with a path alone. A
child: it reads one JSON document and prints one.

`runs` are networks and pictures of files, each [folder, auto class, pictures, outputs]; `lines` are Python to be run as
it stands, one program after the other, of which what they print comes back.
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from typing import Any

import numpy as np


def used(folder: str, auto_class: str, pictures: str, outputs: str) -> dict[str, Any]:
    """What a network makes of each picture, in words; what it was given and what it answers goes to a file."""
    import torch
    import transformers
    from PIL import Image

    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    model = getattr(transformers, auto_class).from_pretrained(folder).eval()
    found: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    for name, picture in np.load(pictures).items():
        inputs = processor(images=Image.fromarray(picture), return_tensors="pt")
        with torch.no_grad():
            answer = model(pixel_values=inputs["pixel_values"])
        arrays[f"{name}.given"] = inputs["pixel_values"].numpy()
        arrays[f"{name}.answer"] = (answer.logits if "logits" in answer else answer.last_hidden_state).numpy()
        if auto_class == "AutoModelForTextRecognition":
            found[name] = processor.post_process_text_recognition(answer)
        elif auto_class == "AutoModelForObjectDetection":
            (boxes,) = processor.post_process_object_detection(answer, target_sizes=inputs["target_sizes"])
            found[name] = np.asarray(boxes["boxes"]).tolist()
    np.savez(outputs, **arrays)
    return found


def printed(lines: str) -> str:
    """What a program prints."""
    written = io.StringIO()
    with redirect_stdout(written):
        exec(lines, {"__name__": "__main__"})
    return written.getvalue()


def main() -> None:
    request = json.load(sys.stdin)
    answers = {
        "runs": [used(*run) for run in request.get("runs", [])],
        "printed": [printed(lines) for lines in request.get("lines", [])],
    }
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
