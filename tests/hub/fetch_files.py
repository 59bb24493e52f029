"""Stand-ins for published files at their real paths: seeded weights, and vocabularies of the true size."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from paddle2torch.mappings.registry import PRETRAINED

from .file_server import FileServer

TINY = "albert-chinese-tiny"

WEIGHTS, VOCABULARY = (urlsplit(url).path for url in PRETRAINED[TINY].files.values())


def chinese_vocabulary(size: int = 21128) -> bytes:
    """A vocabulary with the special tokens and a sentence's characters where the published one has them."""
    tokens = ["[PAD]", *(f"[unused{index}]" for index in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += list("今天情很好心感")
    tokens += [f"word{index}" for index in range(size - len(tokens))]
    return ("\n".join(tokens[:size]) + "\n").encode()


def publish_tiny(server: FileServer, source: Path) -> None:
    """Put the weights of a seeded source of TINY and a vocabulary at their published paths."""
    server.files[WEIGHTS] = (source / "model_state.pdparams").read_bytes()
    server.files[VOCABULARY] = chinese_vocabulary()
