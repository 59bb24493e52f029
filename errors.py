"""Every error the package raises on purpose, one class per kind.

They live in the lowest layer so that each layer above can raise them. The command line prints the message of
a `Paddle2TorchError` as one `Error: ` line and exits with status 2.
"""

from __future__ import annotations


class Paddle2TorchError(Exception):
    """Base of all errors of this package: the message says what is wrong and what to do."""


class UnreadableFileError(Paddle2TorchError):
    """A file is missing, truncated, of another kind, or contradicts itself."""


class RefusedFileError(Paddle2TorchError):
    """A file asks for something that is never done, such as calling a function named in a pickle."""


class SourceChangedError(Paddle2TorchError):
    """A source file changed or shrank while it was being read."""


class UnknownNameError(Paddle2TorchError):
    """A pretrained name, family or architecture is not known."""


class ConfigurationError(Paddle2TorchError):
    """A configuration is missing, incomplete, or describes a model that cannot be expressed."""


class MappingError(Paddle2TorchError):
    """A mapping itself is wrong: a dead row, or two rows with one source or one target."""


class TokenizerError(Paddle2TorchError):
    """A tokenizer has no form for the other side, though the weights may have one."""


class UnmatchedTensorsError(Paddle2TorchError):
    """Tensors without a rule, missing tensors, wrong shapes or twins that differ."""


class CastError(Paddle2TorchError):
    """A value is beyond the range of the element type that it is to be cast to."""


class OutputError(Paddle2TorchError):
    """The output exists already, cannot be written, or did not read back as written."""


class DifferentOutputError(OutputError):
    """The output exists already and is not what the conversion would write."""


class MissingDependencyError(Paddle2TorchError):
    """A command needs an extra that is not installed; `detail` is what was missed, where the message says more."""

    def __init__(self, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.detail = message if detail is None else detail


class WithdrawnError(Paddle2TorchError):
    """An environment's version of a framework no longer has the classes of a model: nothing can be run there."""


class RunnerError(Paddle2TorchError):
    """A framework runner crashed, was killed, or answered with an error."""


class RunnerAnswerError(RunnerError):
    """A framework runner could not do what it was asked, and said why: it is alive and answers further requests."""


class RunnerAccidentError(RunnerError):
    """A framework runner could not do what it was asked for a reason that is not the model's, such as an attribute that
    a library lacks: nothing was found out. It is alive and answers further requests."""


class WorkerError(Paddle2TorchError):
    """A worker that was to do one of many items was lost, or the item never reached one."""


class NotBegunError(WorkerError):
    """The executor would not take an item: it is broken or was shut down."""


class FetchError(Paddle2TorchError):
    """A download failed, is not allowed, or brought something else than was asked for."""


class AbsentFileError(FetchError):
    """A server says that it has no such file."""


class UnreachableError(FetchError):
    """A server could not be reached at all."""


class ChangedFileError(Paddle2TorchError):
    """A fetched file is not the one whose sha256 was recorded at the first download."""


class PublishError(Paddle2TorchError):
    """A folder may not be published as it is, or the hub refused or failed to take it."""


class ParityError(Paddle2TorchError, AssertionError):
    """A check ran and found a difference."""
