"""Whether a downloaded file is what its name promises: an error page with status 200 is no checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

from ..converters.checkpoints.checkpoint import Checkpoint, family_of, recognise
from ..converters.checkpoints.configuration import parse_configuration
from ..converters.checkpoints.source import Source
from ..converters.formats.pdparams import open_pdparams
from ..converters.tokenizers.spiece import read_spiece
from ..converters.tokenizers.vocabulary import read_vocabulary
from ..errors import ConfigurationError, FetchError, Paddle2TorchError, UnknownNameError
from ..mappings.language.pretrained import Pretrained
from ..mappings.language.tokenizers import NEEDED_TOKENS, SENTENCEPIECE, WORDPIECE
from ..mappings.registry import tokenizer_facts


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
    about as many tokens as the model has embeddings: half as many at least, one in a hundred more at most. Of a
    tokenizer of several files, and of one that no conversion reads, each must be text or a SentencePiece model, as its
    name says."""
    classes = tokenizer_facts(pretrained.family).classes
    own = tuple(one.sentencepiece_file for one in classes if one.sentencepiece_file is not None)
    if len(pretrained.tokenizer_urls) > 1 or pretrained.tokenizer_urls[0].endswith(own):
        check_part(path, pretrained.name)
        return
    try:
        if pretrained.tokenizer_urls[0].endswith("spiece.model"):
            tokens, kind = {piece.text for piece in read_spiece(path).pieces}, SENTENCEPIECE
        else:
            tokens, kind = set(read_vocabulary(path)[0]), WORDPIECE
    except Paddle2TorchError as error:
        raise FetchError(f"what came is not the vocabulary of {pretrained.name}: {error}{_page(path)}") from error
    # Whether a token too many can be converted is for the conversion to say.
    embeddings = int(pretrained.configuration["vocab_size"])
    if not embeddings // 2 <= len(tokens) <= embeddings + embeddings // 100:
        raise FetchError(
            f"what came is not the vocabulary of {pretrained.name}: {path} holds {len(tokens):,} tokens, the model has "
            f"{embeddings:,}{_page(path)}"
        )
    special = tokenizer_facts(pretrained.family).default_class.default_tokens(kind)
    needed = [role for role in NEEDED_TOKENS if role in special]
    if missing := [special[role] for role in needed if special[role] not in tokens]:
        raise FetchError(f"what came is not the vocabulary of {pretrained.name}: {path} lacks {', '.join(missing)}")


def check_configuration(path: Path, name: str) -> None:
    """Raise FetchError unless the file is a configuration, and ConfigurationError or UnknownNameError where no known
    family has its model."""
    try:
        family_of(parse_configuration(path))
    except (ConfigurationError, UnknownNameError):
        raise
    except Paddle2TorchError as error:
        raise FetchError(f"what came is not the configuration of {name}: {error}{_page(path)}") from error


def check_folder_weights(path: Path, name: str, folder: Path) -> None:
    """Raise FetchError unless the file holds the tensors of the model that the configuration in `folder` describes, and
    ConfigurationError or UnknownNameError for a model that does not convert. No code of the file runs and no values are
    read."""
    try:
        with open_pdparams(path) as opened:
            recognise(Checkpoint(Source(folder, (path,)), opened.tensors, [opened.source]))
    except (ConfigurationError, UnknownNameError):
        raise
    except Paddle2TorchError as error:
        raise FetchError(f"what came is not the checkpoint {name}: {error}") from error


def check_part(path: Path, name: str) -> None:
    """Raise FetchError unless the file is of the kind that its name says. Which tokens it must hold is not known."""
    file, data = path.name.removesuffix(".partial"), path.read_bytes()
    try:
        if file.endswith(".model"):
            # The first field of a SentencePiece model is its first piece.
            sound = data.startswith(b"\n")
        elif file.endswith(".json"):
            sound = isinstance(json.loads(data), dict)
        else:
            text = data.decode("utf-8").lstrip()
            # A vocabulary may begin with a token such as <s>.
            sound = bool(text) and not text[:9].lower().startswith(("<!doctype", "<html"))
    except (ValueError, RecursionError):
        sound = False
    if not sound:
        raise FetchError(f"what came is not a tokenizer file of {name}: {path}{_page(path)}")


def _page(path: Path) -> str:
    with path.open("rb") as file:
        return "; it looks like a web page" if file.read(256).lstrip()[:1] == b"<" else ""
