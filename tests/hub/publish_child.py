"""Publishes what it is told to on its standard input, again and again, with the hub's client of its own interpreter.

Reads pickles of (endpoint, token, folder, repo_id, options). Writes pickles of the publication or the error, the causes
of the error by their names, and the notes.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from typing import Any

from huggingface_hub import constants

from paddle2torch.errors import Paddle2TorchError
from paddle2torch.hub.publish import Publication, publish_folder


def named(error: BaseException | None) -> str | None:
    return None if error is None else repr(error)


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    wait = time.sleep

    def hurry(seconds: Any) -> None:
        wait(min(seconds, 0.01))

    time.sleep = hurry
    while True:
        try:
            endpoint, token, folder, repo_id, options = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        constants.ENDPOINT = endpoint
        os.environ.pop("HF_TOKEN", None)
        if token is not None:
            os.environ["HF_TOKEN"] = token
        notes: list[str] = []
        chained: tuple[str | None, ...] = (None, None)
        answer: Publication | Paddle2TorchError
        try:
            answer = publish_folder(folder, repo_id, tell=notes.append, **options)
        except Paddle2TorchError as error:
            answer, chained = error, (named(error.__cause__), named(error.__context__))
        pickle.dump((answer, chained, notes), answers)
        answers.flush()


if __name__ == "__main__":
    main()
