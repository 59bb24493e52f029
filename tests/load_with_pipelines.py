"""Runs transformers' pipelines on folders, given by nothing but their paths, as README says that they run.

Runs as a child process that reads {"requests": [[task, folder, inputs, options], ...]} and prints one JSON line with
the answers.
"""

from __future__ import annotations

import json
import sys

from transformers import pipeline
from transformers.utils import logging


def main() -> None:
    logging.set_verbosity_error()
    requests = json.load(sys.stdin)["requests"]
    answers = [pipeline(task, model=folder)(inputs, **options) for task, folder, inputs, options in requests]
    print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
