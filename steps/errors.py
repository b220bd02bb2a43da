"""The errors that Refeed raises, drawn as one tree, with the exit code of each.

    RefeedError                 70  a bug of ours, or something nobody foresaw
    ├── UsageError               2  the command line is wrong
    ├── TerminalError           65  trying again cannot help
    │   ├── SpecError           65  the experiment spec is wrong; has file, line and column
    │   ├── DataError           65  the source table cannot be used as it is
    │   │   └── DamagedError    65  an artifact of ours cannot be read any more
    │   ├── TrainerError        65  no such trainer, or it breaks its contract
    │   └── OutOfMemoryError    65  a step needs more memory than the largest resource class has
    ├── MissingInputError       66  a file, a run or a data set is not there
    ├── UnavailableError        69  no cluster answers, or it kept failing in spite of retries
    ├── OutputError             73  the artifact root cannot be written
    ├── LostArtifactError       74  an artifact was deleted or damaged; run again to compute it
    ├── TransientError          75  throttled, or the network failed: try again
    │   └── ExpiredError        75  BigQuery's session ended: the rows are read from the beginning
    ├── ForbiddenError          77  the cluster or the storage does not let us
    ├── MoreMemoryError        10n  a pod needs the n-th larger resource class to go on
    ├── PreemptedError         143  a pod was told to stop, and everything finished is recorded
    ├── RunFailedError           4  a run on the cluster failed, or was stopped
    └── TooManyFailuresError     3  the run ended, but more partitions failed than the spec allows

Exit code 2 is a wrong command line, 130 is Ctrl-C, 0 is success. The numbers above 63 are those of
BSD's ``sysexits.h``; workflow engines read them to decide whether to try again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal


class RefeedError(Exception):
    """Base of all errors that Refeed raises on purpose.

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
        # Workers send errors to their parent: nothing is lost on the way, whatever __init__ takes.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[RefeedError], args: tuple[Any, ...], state: dict[str, Any]) -> RefeedError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class TerminalError(RefeedError):
    """Trying again cannot help: never retried."""

    exit_code = 65


ProblemCode = Literal["invalid", "missing", "unknown_key"]
"""What kind of problem it is. Code decides by this, never by the message."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a spec or in another file that a user writes.

    Attributes:
        where: dotted path of the field, such as ``dataset.features.3``; empty for the whole file.
        message: the value, and what is allowed or why it matters.
        hint: what to do.
        code: the kind of problem.
        line: in the file, from 1; 0 if unknown.
        column: in the line, from 1; 0 if unknown.
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


class SpecError(TerminalError):
    """The experiment spec is wrong.

    Args:
        path: the spec file, or a name for where the value came from (``--set``).
        problems: at least one.
    """

    def __init__(self, path: str, problems: list[Problem]) -> None:
        self.path = path
        self.problems = sorted(problems, key=lambda problem: problem.position)
        super().__init__("\n".join(self._line(problem) for problem in self.problems))

    def _line(self, problem: Problem) -> str:
        place = f"{self.path}:{problem.line}:{problem.column}" if problem.line else self.path
        where = f"{problem.where}: " if problem.where else ""
        hint = f"\n    {problem.hint}" if problem.hint else ""
        return f"{place}: {where}{problem.message}{hint}"


class DataError(TerminalError):
    """The source table cannot be used as it is."""


class DamagedError(DataError):
    """An artifact cannot be read: it was truncated or changed.

    Args:
        uri: of the artifact.
        cause: message of the error that reading it raised.
        hint: what to do, where the artifact cannot be computed again.
    """

    def __init__(self, uri: str, cause: str = "", *, hint: str = "") -> None:
        why = f": {cause}" if cause else ""
        super().__init__(f"{uri!r} is damaged{why}.", hint=hint)
        self.uri = uri


class UsageError(RefeedError):
    """The command line is wrong."""

    exit_code = 2


class TrainerError(TerminalError):
    """No such trainer, or a trainer that breaks its contract."""


class OutOfMemoryError(TerminalError):
    """A step needs more memory than the largest resource class has."""


class MissingInputError(RefeedError):
    """A file, a run or a dataset that was asked for does not exist.

    Args:
        message: see ``RefeedError``.
        hint: see ``RefeedError``.
        uri: of the object in storage, if it is one.
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
    """Throttled, or the network failed: worth trying again."""

    exit_code = 75
    transient = True


class ExpiredError(TransientError):
    """What was being read is no longer served; the same rows can be read from the beginning."""


class UnavailableError(RefeedError):
    """No cluster answers, it lacks something, or a step kept failing in spite of retries."""

    exit_code = 69


class ForbiddenError(RefeedError):
    """The cluster does not let us: says which verb on which resource, and whom."""

    exit_code = 77


class PreemptedError(RefeedError):
    """The pod was told to stop; all that is finished is recorded."""

    exit_code = 143
    transient = True


class MoreMemoryError(RefeedError):
    """A pod must be started again in a larger resource class to go on.

    Args:
        step: how many classes larger, from 1.
    """

    transient = True

    def __init__(self, step: int) -> None:
        super().__init__(
            f"What is left needs more memory: the resource class that is {step} larger."
        )
        self.exit_code = 100 + step  # type: ignore[misc]  # fixed for every other class


class RunFailedError(RefeedError):
    """A run on the cluster came to no good end; the message says why."""

    exit_code = 4


class TooManyFailuresError(RefeedError):
    """The run ended and its tables are written, but too large a share of partitions failed."""

    exit_code = 3


DEBUG = "REFEED_DEBUG"
"""Names the environment variable that lets tracebacks through."""


def internal_error(error: Exception) -> RefeedError:
    """Return the error to report for a bug."""
    return RefeedError(
        f"Unexpected error: {type(error).__name__}: {error}.",
        hint=f"Please report it, with the traceback that {DEBUG}=1 in the environment prints. "
        "Finished work is kept.",
    )
