"""Whether a downloaded file is what its name promises: an error page with status 200 is no checkpoint."""

from __future__ import annotations

from pathlib import Path

from ..converters.checkpoints.checkpoint import Checkpoint, recognise
from ..converters.checkpoints.source import Source
from ..converters.formats.pdparams import open_pdparams
from ..converters.tokenizers.spiece import read_spiece
from ..converters.tokenizers.vocabulary import read_vocabulary
from ..errors import FetchError, Paddle2TorchError
from ..mappings.language.pretrained import Pretrained
from ..mappings.language.tokenizers import NEEDED_TOKENS, SENTENCEPIECE_TOKENS, WORDPIECE_TOKENS


def check_weights(path: Path, pretrained: Pretrained) -> None:
    """Raise FetchError unless the file holds the tensors of this pretrained name: all names and shapes fit the family's
    rules and the published configuration, and the elements are as many as are known. No code of the file runs and no
    values are read."""
    try:
        with open_pdparams(path) as opened:
            source = Source(path, (path,), None, pretrained.name, looked_up=True)
            plan = recognise(Checkpoint(source, opened.tensors, [opened.source]), pretrained.family).plan
    except Paddle2TorchError as error:
        raise FetchError(f"what came is not the checkpoint {pretrained.name}: {error}") from error
    known = pretrained.parameters.get(plan.architecture)
    if known is not None and plan.parameters != known:
        raise FetchError(
            f"what came is not the checkpoint {pretrained.name}: {path} holds {plan.parameters:,} parameters of "
            f"{plan.architecture}, {known:,} are expected"
        )


def check_tokenizer(path: Path, pretrained: Pretrained) -> None:
    """Raise FetchError unless the file is a vocabulary of this pretrained name's kind with the special tokens and with
    no more tokens than the model has embeddings, nor less than half as many."""
    try:
        if pretrained.tokenizer_url.endswith(".spiece.model"):
            tokens, special = {piece.text for piece in read_spiece(path).pieces}, SENTENCEPIECE_TOKENS
        else:
            tokens, special = set(read_vocabulary(path)[0]), WORDPIECE_TOKENS
    except Paddle2TorchError as error:
        raise FetchError(f"what came is not the vocabulary of {pretrained.name}: {error}{_page(path)}") from error
    embeddings = int(pretrained.configuration["vocab_size"])
    if not embeddings // 2 <= len(tokens) <= embeddings:
        raise FetchError(
            f"what came is not the vocabulary of {pretrained.name}: {path} holds {len(tokens):,} tokens, the model has "
            f"{embeddings:,}{_page(path)}"
        )
    if missing := [special[role] for role in NEEDED_TOKENS if special[role] not in tokens]:
        raise FetchError(f"what came is not the vocabulary of {pretrained.name}: {path} lacks {', '.join(missing)}")


def _page(path: Path) -> str:
    with path.open("rb") as file:
        return "; it looks like a web page" if file.read(256).lstrip()[:1] == b"<" else ""
