"""All errors of Refeed as one tree, with their exit codes.

    RefeedError                 70  an unexpected error: a bug in Refeed
    ├── UsageError               2  the command line is wrong
    ├── TerminalError           65  a retry cannot help
    │   ├── SpecError           65  the experiment spec is invalid; has file, line and column
    │   ├── DataError           65  the source table cannot be used
    │   │   └── DamagedError    65  an artifact cannot be read
    │   ├── TrainerError        65  no such trainer, or it breaks its contract
    │   ├── OutOfMemoryError    65  a step needs more memory than the largest resource class has
    │   └── OutOfDiskError      65  a step needs more disk than its pods may use
    ├── MissingInputError       66  a file, run or dataset does not exist
    ├── UnavailableError        69  no cluster answers, or a step kept failing in spite of retries
    ├── OutputError             73  the artifact root cannot be written
    ├── LostArtifactError       74  an artifact was deleted or damaged; run again to compute it
    ├── TransientError          75  throttled, or the network failed: retry
    │   └── ExpiredError        75  BigQuery's session expired: read the rows from the beginning
    ├── ForbiddenError          77  the cluster or Google Cloud denied access
    ├── LargerClassError       10n  a pod needs the n-th larger resource class to continue
    ├── PreemptedError         143  a pod was preempted; everything finished is recorded
    ├── RunFailedError           4  a run on the cluster failed, or was stopped
    ├── TooManyFailuresError     3  the run ended, but more partitions failed than the spec allows
    └── NothingTrainedError      3  the run ended, but no partition could be trained

Exit code 2 is an invalid command line, 130 is Ctrl-C, 0 is success. The codes from 64 to 78 are
those of BSD's ``sysexits.h``; Argo reads them to decide whether to retry.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from steps.contract import LARGER_CLASS_EXIT_BASE


class RefeedError(Exception):
    """Base of all errors that Refeed raises deliberately.

    Args:
        message: the value, what is allowed, and why it matters, in whole sentences.
        hint: what to do about it.
    """

    exit_code: ClassVar[int] = 70
    transient: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Workers send errors to their parent process, whatever arguments __init__ has.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[RefeedError], args: tuple[Any, ...], state: dict[str, Any]) -> RefeedError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class TerminalError(RefeedError):
    """A retry cannot help, so there is none."""

    exit_code = 65


ProblemCode = Literal["invalid", "missing", "unknown_key"]
"""The kind of a problem. Code checks this, never the message."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a spec or in another file that a user writes.

    Attributes:
        where: dotted path of the field, such as ``dataset.features.3``; empty for the whole file.
        message: the value, and what is allowed or why it matters.
        hint: what to do.
        code: the kind of problem.
        line: line in the file, from 1; 0 if unknown.
        column: column in the line, from 1; 0 if unknown.
    """

    where: str
    message: str
    hint: str = ""
    code: ProblemCode = "invalid"
    line: int = 0
    column: int = 0

    @property
    def position(self) -> tuple[int, int, str, str]:
        """Sort key: by position in the file, then by field."""
        return self.line, self.column, self.where, self.message


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``Did you mean 'x'? `` for the nearest known name; empty if none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {near[0]!r}? " if near else ""


class SpecError(TerminalError):
    """The experiment spec is invalid.

    Args:
        path: the spec file, or a name for the origin of the value (``--set``).
        problems: at least one.
    """

    def __init__(self, path: str, problems: list[Problem]) -> None:
        self.path = path
        self.problems = sorted(problems, key=lambda problem: problem.position)
        lines = []
        for problem in self.problems:
            place = f"{path}:{problem.line}:{problem.column}" if problem.line else path
            where = f"{problem.where}: " if problem.where else ""
            hint = f"\n    {problem.hint}" if problem.hint else ""
            lines.append(f"{place}: {where}{problem.message}{hint}")
        super().__init__("\n".join(lines))


class DataError(TerminalError):
    """The source table cannot be used."""


class SettingError(DataError):
    """A source that a setting of the spec would make readable, such as ``skip_lines``.

    Attributes:
        setting: name of the field of ``dataset``.
        value: a value that would probably do.
        column: the column that the setting is about; empty for the whole source.
        cell: text of the cell that cannot be read; empty if it is not about a cell.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        setting: str,
        value: str | int,
        column: str = "",
        cell: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.setting, self.value, self.column, self.cell = setting, value, column, cell


class DamagedError(DataError):
    """An artifact cannot be read: it was truncated or changed.

    Args:
        uri: URI of the artifact.
        cause: message of the error that reading it raised.
        hint: what to do, where the artifact cannot be computed again.
    """

    _HINT = "Run the spec again: what is damaged is computed again."

    def __init__(self, uri: str, cause: str = "", *, hint: str = "") -> None:
        why = f": {cause}" if cause else ""
        super().__init__(f"{uri!r} is damaged{why}.", hint=hint or self._HINT)
        self.uri = uri


class UsageError(RefeedError):
    """The command line is invalid."""

    exit_code = 2


class TrainerError(TerminalError):
    """No such trainer, or a trainer that breaks its contract."""


class OutOfMemoryError(TerminalError):
    """A step needs more memory than the largest resource class has."""


class OutOfDiskError(TerminalError):
    """A step needs more disk than its pods may use."""


class MissingInputError(RefeedError):
    """A file, a run or a dataset that was asked for does not exist.

    Args:
        message: see ``RefeedError``.
        hint: see ``RefeedError``.
        uri: URI of the object in storage, if it is one.
    """

    exit_code = 66

    def __init__(self, message: str, *, hint: str = "", uri: str = "") -> None:
        super().__init__(message, hint=hint)
        self.uri = uri


class LostArtifactError(RefeedError):
    """An artifact that can be computed again is missing or damaged, and is scheduled for that.

    A local run computes it again by itself; on a cluster ``refeed retry`` does.
    """

    exit_code = 74


class OutputError(RefeedError):
    """The artifact root cannot be written."""

    exit_code = 73


class TransientError(RefeedError):
    """Throttled, or the network failed: a retry may help."""

    exit_code = 75
    transient = True


class ExpiredError(TransientError):
    """A read session has expired; the same rows can be read from the beginning."""


class UnavailableError(RefeedError):
    """No cluster answers, it lacks something, or a step kept failing in spite of retries."""

    exit_code = 69


class ForbiddenError(RefeedError):
    """Access was denied; the message names the caller and the missing role or permission."""

    exit_code = 77


class PreemptedError(RefeedError):
    """The pod was preempted; everything finished is recorded."""

    exit_code = 143
    transient = True


class LargerClassError(RefeedError):
    """A pod must be restarted in a larger resource class to continue.

    Args:
        offset: how many classes larger, from 1.
    """

    transient = True

    def __init__(self, offset: int) -> None:
        super().__init__(f"The step needs a resource class {offset} larger.")
        self.exit_code = LARGER_CLASS_EXIT_BASE + offset  # type: ignore[misc]  # fixed for every other class


class RunFailedError(RefeedError):
    """A run on the cluster failed or was stopped; the message says why."""

    exit_code = 4


class TooManyFailuresError(RefeedError):
    """The run finished and its tables are written, but too many partitions failed."""

    exit_code = 3


class NothingTrainedError(RefeedError):
    """The run finished and its tables are written, but no partition has a model."""

    exit_code = 3


DEBUG = "REFEED_DEBUG"
"""The environment variable that shows tracebacks if it is set."""


def internal_error(error: Exception) -> RefeedError:
    """Return the error to report for a bug."""
    return RefeedError(
        f"Unexpected error: {type(error).__name__}: {error}.",
        hint=f"Please report it, with its traceback: run again with {DEBUG}=1 in the environment. "
        "Finished work is kept.",
    )
