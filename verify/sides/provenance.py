"""What a verification was about: the files on both sides, by their hashes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...converters.checkpoints.source import find_source
from ...converters.outputs.certificate import CERTIFICATE
from ...converters.outputs.hashes import hash_groups
from ...converters.outputs.sentences import entries_below
from ...converters.tokenizers.files import tokenizer_paths
from ..reports.result import Report


def with_files(
    report: Report,
    source: str | Path,
    converted: str | Path,
    command: str | None = None,
    config: Path | None = None,
) -> Report:
    """The report with sha256 and size of the files of both sides, and with the command that repeats it.

    The source counts with weights, configuration (`config`, where one was named) and tokenizer, the converted folder
    with every visible file but the certificate, which is itself a record of a verification. Raises UnreadableFileError.
    """
    found = find_source(source, config)
    files = list(found.files)
    if found.configuration is not None and found.configuration.file is not None:
        files.append(found.configuration.file)
    files += tokenizer_paths(found)
    outputs = [
        path
        for path in entries_below(Path(converted)).values()
        if path.is_file() and not path.name.startswith(".") and path.name != CERTIFICATE
    ]
    hashes = dict(zip(("source", "output"), hash_groups((files, None), (outputs, Path(converted))), strict=True))
    return replace(report, files=hashes, command=command)
