"""Recognises by content the files that people take for a checkpoint, so that the message can say what they are."""

from __future__ import annotations

import codecs

from ...errors import UnreadableFileError
from .byte_source import ByteSource

_HEAD_BYTES = 512

_MOST_HEADER_BYTES = 100_000_000
"""What the `safetensors` library takes at most."""

ZIP_HEAD = b"PK\x03\x04"

LEGACY_HEAD = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
"""The magic number that `torch.save` wrote first, as a pickle, before it wrote zip archives."""

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"7z\xbc\xaf": "7z",
}

_PROGRAM = '{"base_code":{"magic":"pir"'
"""How the .json of an exported program begins, as Paddle 3 writes it."""

_NOT_PADDLE = "; give it to PyTorch, or fetch the Paddle file of the model"
_NOT_SAFETENSORS = "; give it a name that ends in .bin, or fetch the model's safetensors file"


def refuse_other_kinds(source: ByteSource) -> None:
    """Raise UnreadableFileError, with what the file is and the way out, unless it begins like Paddle's pickles."""
    head = _head(source)
    if not _is_pickle(head):
        problem = _problem(head, _NOT_PADDLE) or _binary_problem(head, source.size)
        raise UnreadableFileError(f"{source.path}: {problem}")


def refuse_other_than_safetensors(source: ByteSource) -> None:
    """Raise UnreadableFileError as `refuse_other_kinds` does, unless a file begins like safetensors or like nothing
    known: what is wrong with it then is for the `safetensors` library to say."""
    head = _head(source)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _MOST_HEADER_BYTES:
        return
    is_pickle = "is a pickle, as Paddle's weights are; give it a name that ends in .pdparams"
    if problem := is_pickle if _is_pickle(head) else _problem(head, _NOT_SAFETENSORS):
        raise UnreadableFileError(f"{source.path}: {problem}")


def _head(source: ByteSource) -> bytes:
    return source.read(min(source.size, _HEAD_BYTES), 0)


def _is_pickle(head: bytes) -> bool:
    """Whether a file begins like the pickles that Paddle writes."""
    return head[:1] == b"\x80" and not head.startswith(LEGACY_HEAD) and (len(head) == 1 or 2 <= head[1] <= 5)


def _problem(head: bytes, torch_advice: str) -> str | None:
    """What a file is that is neither Paddle's pickle nor safetensors; `torch_advice` is the way out for PyTorch's."""
    if not head:
        return "is empty; the download or the copy failed, fetch it again"
    if head.startswith(LEGACY_HEAD):
        return "is an old PyTorch checkpoint" + torch_advice
    if head.startswith(ZIP_HEAD):
        return "is a zip archive, which is how PyTorch saves checkpoints" + torch_advice
    for magic, name in _COMPRESSED.items():
        if head.startswith(magic):
            return f"is compressed with {name}; unpack it first"
    if head[257:262] == b"ustar":
        return "is a tar archive; unpack it first"
    return _text_problem(head)


def _binary_problem(head: bytes, size: int) -> str:
    """What a file is that Paddle does not read and that `_problem` does not know."""
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8:
        return "is a safetensors file; give it a name that ends in .safetensors"
    if head.startswith(bytes(16)):
        return (
            "is a binary tensor without names, such as .pdiparams of an exported program; "
            "give the .pdparams file of the model instead"
        )
    if head[0] == 0x80 and len(head) > 1 and head[1] < 16:
        return f"is a pickle of protocol {head[1]}; Paddle writes the protocols 2 to 5"
    return "does not begin like anything that Paddle writes; it is encrypted, damaged, or of another kind"


def _text_problem(head: bytes) -> str | None:
    if head.startswith(b"version https://git-lfs"):
        return "is only a git-lfs pointer to the real file; run `git lfs pull`, or download the file itself"
    try:
        # The head may end in the middle of a character.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head).lstrip()
    except UnicodeDecodeError:
        return None
    if not all(character.isprintable() or character in "\r\n\t\f" for character in text):
        return None
    if text.startswith("<"):
        return "looks like a web page; the download failed, fetch the file again"
    if text.startswith(_PROGRAM):
        return "is an exported program, whose weights are elsewhere; give the .pdparams of the training"
    return "is plain text; the download failed, or it is another file than the weights"
