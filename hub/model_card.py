"""The model card: what was converted from what, and what was proven of it. It follows from the certificate alone."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..converters.outputs.card import MODEL_CARD, is_own_card, marked
from ..errors import OutputError, PublishError, UnreadableFileError
from ..mappings.language.family import Model
from .card_body import card_body
from .errors import lacks_libraries
from .proof import Proof

LANGUAGES = {"English": "en", "Chinese": "zh", "multilingual": "multilingual"}
"""Our words for languages -> the hub's: ISO 639-1, or its own word for many."""

_WORD = re.compile(r"[a-z0-9][a-z0-9._-]*")

PIPELINE_TAGS = {
    "AutoModel": "feature-extraction",
    "AutoModelForTextEncoding": "feature-extraction",
    "AutoModelForMaskedLM": "fill-mask",
    "AutoModelForPreTraining": "fill-mask",
    "AutoModelForSequenceClassification": "text-classification",
    "AutoModelForTokenClassification": "token-classification",
    "AutoModelForQuestionAnswering": "question-answering",
    "AutoModelForSeq2SeqLM": "text2text-generation",
    "AutoModelForImageClassification": "image-classification",
    "AutoModelForObjectDetection": "object-detection",
    "AutoModelForTextRecognition": "image-to-text",
    "AutoModelForTableRecognition": "image-to-text",
}
"""The class that loads a folder -> the hub's tag of its task; the hub has none for multiple choice and the next
sentence. That of texts from texts is the one of transformers' cards, although transformers 5 has no pipeline for it."""

WRITES_ON = {"AutoModelForCausalLM": "text-generation"}
"""The same of classes that write a text on; some that are loaded so attend in both directions and write none."""


@dataclass(frozen=True)
class Additions:
    """What a publisher adds to a card: the `license` and the `languages` in the hub's words, and a text in Markdown."""

    license: str | None = None
    languages: tuple[str, ...] = ()
    text: str | None = None

    @classmethod
    def read(cls, license: str | None, languages: Sequence[str], text: Path | None) -> Additions:
        """Additions of which the text lies in a file. Raises PublishError for a word that cannot be one of the hub's,
        and UnreadableFileError."""
        for what, words in (("license", [license] if license is not None else []), ("language", languages)):
            if wrong := [word for word in words if not _WORD.fullmatch(word)]:
                raise PublishError(
                    f"{wrong[0]!r} is no {what} in the hub's words: small letters, digits, '.', '_' and '-', such as "
                    f"{'apache-2.0' if what == 'license' else 'zh'}"
                )
        try:
            added = None if text is None else text.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UnreadableFileError(f"{text}: cannot be read as text: {error}") from error
        if added is not None and added.startswith("---"):
            raise PublishError(f"{text}: begins with front matter; give --license and --language in place of it")
        return cls(license, tuple(languages), added)


NOTHING_ADDED = Additions()


def make_card(proof: Proof, repo_id: str, added: Additions = NOTHING_ADDED) -> str:
    """The model card of a folder as it will be at `repo_id` (NAMESPACE/NAME), front matter included.

    The license and the model's counterpart are stated for published weights only, and only where they are known, or
    where they are `added`. Raises MissingDependencyError without huggingface_hub, PublishError when the front matter
    does not read back.
    """
    try:
        from huggingface_hub import ModelCard, ModelCardData
    except ImportError as error:
        raise lacks_libraries("the model card", error) from error
    wanted = front_matter(proof, added)
    body = "\n".join(card_body(proof, repo_id, added.text, added.license))
    text = f"---\n{ModelCardData(**wanted).to_yaml()}\n---\n\n{body}"
    card: Any = ModelCard(text)
    if card.data.to_dict() != wanted or str(card) != text:
        raise PublishError(f"{MODEL_CARD}: its front matter does not read back as written: {wanted}")
    return marked(text)


def front_matter(proof: Proof, added: Additions = NOTHING_ADDED) -> dict[str, Any]:
    """What the hub reads of a card, in its own words."""
    pretrained = proof.evidence.pretrained if proof.evidence is not None else None
    tags = [proof.kind.name, "paddlepaddle", proof.kind.library.lower(), "paddle2torch", "converted"]
    whole = proof.model.beside is None
    fields = {
        "base_model": pretrained.counterpart if pretrained is not None else None,
        "language": list(added.languages) or (LANGUAGES.get(pretrained.language) if pretrained is not None else None),
        # What transformers loads of a model whose head lies beside it does none of its tasks.
        "library_name": "transformers" if whole else None,
        "license": added.license or (pretrained.license if pretrained is not None else None),
        "pipeline_tag": pipeline_tag(proof.model) if whole else None,
        "tags": [*tags, "unverified"] if proof.doubts else tags,
    }
    return {name: value for name, value in fields.items() if value is not None}


def pipeline_tag(model: Model) -> str | None:
    """The hub's tag of a class's task, None where it has none."""
    return ({**PIPELINE_TAGS, **WRITES_ON} if model.generation is not None else PIPELINE_TAGS).get(model.auto_class)


def write_card(folder: Path, card: str) -> None:
    """Write the card into a folder, whole or not at all.

    Raises PublishError when a card lies there that this program did not write or that was edited since, OutputError
    when it cannot be written.
    """
    path = folder / MODEL_CARD
    temporary = folder / f".{MODEL_CARD}.partial"
    check_own_card(folder)
    try:
        temporary.write_bytes(card.encode())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_own_card(folder: Path) -> None:
    """Raise PublishError unless the card of a folder, if it has one, is as this program wrote it."""
    path = folder / MODEL_CARD
    if not os.path.lexists(path):
        return
    try:
        own = is_own_card(path)
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not own:
        raise PublishError(
            f"{path}: was not written by paddle2torch or was edited since, and is not overwritten; move it away, and "
            "give what of it is your own with --card-text FILE, or add it to the model card on the hub afterwards"
        )
