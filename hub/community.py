"""The folder of a name of PaddleNLP's community: where it is, which files are asked for and what they must be."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..errors import AbsentFileError, FetchError
from ..mappings.language.community import ADDRESS, CONFIGURATIONS, TOKENIZER, WEIGHTS, Community
from .content import check_configuration, check_folder_weights, check_part
from .download import is_web_address, shown

VARIABLE = "COMMUNITY_MODEL_PREFIX"
"""PaddleNLP's own variable for another address of its community."""

Bring = Callable[[str, str, Callable[[Path], None]], None]
"""Brings a file, by the name it gets, its address and what checks it. Raises AbsentFileError where there is none."""


def community_address() -> str:
    """The address below which the community's folders lie. Raises FetchError for a variable that holds none."""
    chosen = os.environ.get(VARIABLE, "").rstrip("/")
    if chosen and not is_web_address(chosen):
        raise FetchError(f"{VARIABLE} is none of the form http(s)://host[:port][/path]; a community's name follows it")
    return chosen or ADDRESS


def bring_folder(entry: Community, folder: Path, bring: Bring) -> None:
    """Bring the files of a name into `folder`: its configuration, what there is of a tokenizer, and the weights.

    The weights come last, so that nothing is missing where they are. Raises AbsentFileError when the community has no
    such name or no weights of it in one file, and FetchError for a model of no known family, before its weights come.
    """
    place = f"{community_address()}/{entry.name}"

    def is_there(file: str, check: Callable[[Path], None]) -> bool:
        try:
            bring(file, f"{place}/{file}", check)
        except AbsentFileError:
            return False
        return True

    if not any(is_there(file, partial(check_configuration, name=entry.name)) for file in CONFIGURATIONS):
        raise AbsentFileError(
            f"{entry.key}: {shown(place)} has neither {' nor '.join(CONFIGURATIONS)}, so PaddleNLP's community has no "
            "model of that name; check the name, and the base URL where one is set"
        )
    for file in TOKENIZER:
        is_there(file, partial(check_part, name=entry.name))
    if not is_there(WEIGHTS, partial(check_folder_weights, name=entry.name, folder=folder)):
        raise AbsentFileError(
            f"{entry.key}: {shown(place)} has a configuration and no {WEIGHTS}; what the community holds in other "
            "files, PaddleNLP itself must load and save as one"
        )
