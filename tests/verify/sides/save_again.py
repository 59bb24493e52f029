"""Lets transformers load folders and save them again, as a user's program does.

Runs as a child process that reads {"folders": [[architecture, folder, output], ...]}.
"""

from __future__ import annotations

import json
import sys

import torch
import transformers


def main() -> None:
    for architecture, folder, output in json.load(sys.stdin)["folders"]:
        model = getattr(transformers, architecture).from_pretrained(folder, dtype=torch.float32)
        model.save_pretrained(output)
    print("{}", flush=True)


if __name__ == "__main__":
    main()
