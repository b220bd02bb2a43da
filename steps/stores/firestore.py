"""Firestore as an adapter of the experiment store; only this module imports its client.

``firestore_documents`` defines the documents. All writes are idempotent: a document's id follows
from its content, so an interrupted write is repeated. Errors are distinguished by their remedy: a
retry, a role on a project, a new database, or authentication.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import groupby
from typing import Any

from google.api_core.exceptions import GoogleAPICallError
from google.api_core.retry import Retry
from google.cloud import firestore

from steps.contract import ProjectLayout
from steps.errors import (
    DamagedError,
    MissingInputError,
    OutputError,
    Problem,
    RefeedError,
    SpecError,
)
from steps.google.errors import (
    DEADLINE_SECONDS,
    ErrorTranslator,
    brief,
    call_options,
    project_role_hint,
)
from steps.records import RunRecord
from steps.results.partition_result import PartitionResult
from steps.retry import retry_call
from steps.stores import firestore_documents
from steps.stores.firestore_documents import Document

_PAGE = 200
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 20.0
_NO_RETRY = Retry(lambda _: False)
_URI = re.compile(
    r"firestore://([a-z][a-z0-9-]{4,28}[a-z0-9])(?:/([a-z][a-z0-9-]{2,61}[a-z0-9]))?/?"
)
_ROLES: dict[type[RefeedError], str] = {
    MissingInputError: "roles/datastore.viewer",
    OutputError: "roles/datastore.user",
}

Denied = type[MissingInputError] | type[OutputError]
"""The type of the error for a denied read or write."""


class FirestoreStore:
    """Runs, results and statistics as documents under ``projects/{project}``.

    Args:
        project: the project that contains the experiments.
        uri: ``firestore://gcp-project`` or ``firestore://gcp-project/database``.
        deadline: seconds during which a throttled or interrupted call is retried.
        writes: maximum number of documents in one commit.

    Raises:
        SpecError: the URI is not valid.
    """

    def __init__(
        self,
        project: ProjectLayout,
        uri: str,
        deadline: float = DEADLINE_SECONDS,
        writes: int = firestore_documents.BATCH_WRITES,
    ) -> None:
        match = _URI.fullmatch(uri)
        if not match:
            message = f"{uri!r} is not a Firestore database"
            hint = "Use the form firestore://gcp-project or firestore://gcp-project/database."
            raise SpecError(uri, [Problem("store", message, hint)])
        self._project, self._uri = project.project, uri.rstrip("/")
        self._cloud, self._database = match[1], match[2] or "(default)"
        self._writes = writes
        self._deadline = deadline
        self._options = call_options(
            _FirestoreErrors.is_transient, deadline, initial=_FIRST_PAUSE, maximum=_LONGEST_PAUSE
        )

    def put(self, record: RunRecord) -> None:
        """See ``ExperimentStore.put``."""
        self._write(firestore_documents.run_documents(record))

    def get(self, experiment: str, run: str) -> RunRecord | None:
        """See ``ExperimentStore.get``."""
        path = firestore_documents.run_path(experiment, run)
        (fields,) = self._read([path])
        return firestore_documents.run_record(fields, "/".join(path)) if fields else None

    def runs(self, experiment: str | None = None) -> list[RunRecord]:
        """See ``ExperimentStore.runs``."""
        names = [experiment] if experiment else [name for name, _ in self._all("experiments")]
        records = [
            firestore_documents.run_record(fields, f"experiments/{name}/runs/{run}")
            for name in names
            for run, fields in self._all("experiments", name, "runs")
        ]
        return sorted(records, key=lambda record: record.run, reverse=True)

    def find(self, run: str) -> RunRecord | None:
        """See ``ExperimentStore.find``; reads one document per experiment, in one request."""
        paths = [
            firestore_documents.run_path(experiment, run)
            for experiment, _ in self._all("experiments")
        ]
        documents = zip(paths, self._read(paths), strict=True) if paths else ()
        return next(
            (
                firestore_documents.run_record(fields, "/".join(path))
                for path, fields in documents
                if fields
            ),
            None,
        )

    def remove(self, experiment: str, run: str) -> None:
        """See ``ExperimentStore.remove``; removes all results too."""
        with self._translated(OutputError):
            path = firestore_documents.run_path(experiment, run)
            self._client().recursive_delete(self._reference(*path))

    def put_results(self, experiment: str, run: str, results: Iterable[PartitionResult]) -> None:
        """See ``ExperimentStore.put_results``; a partition's summary document comes last."""
        base = firestore_documents.run_path(experiment, run)
        self._write(
            document
            for result in results
            for document in firestore_documents.result_documents(base, result)
        )

    def results(self, experiment: str, run: str) -> Iterator[PartitionResult]:
        """See ``ExperimentStore.results``."""
        base = (*firestore_documents.run_path(experiment, run), "results")
        for partition_id, summary in self._all(*base):
            path = (*base, partition_id, "tables")
            pieces = self._read([(*path, name) for name in firestore_documents.piece_ids(summary)])
            if None in pieces:
                raise DamagedError("/".join(path), "a document is missing")
            yield firestore_documents.partition_result(summary, filter(None, pieces))

    def put_statistics(
        self, dataset: str, statistics: Iterable[tuple[str, dict[str, Any]]]
    ) -> None:
        """See ``ExperimentStore.put_statistics``."""
        self._write(firestore_documents.statistics_documents(self._project, dataset, statistics))

    def statistics(self, dataset: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """See ``ExperimentStore.statistics``."""
        documents = (fields for _, fields in self._all("datasets", dataset, "statistics"))
        for partition_id, pieces in groupby(
            documents, key=lambda fields: str(fields["partition_id"])
        ):
            try:
                yield partition_id, firestore_documents.statistics_of(list(pieces))
            except ValueError as error:
                raise DamagedError(f"datasets/{dataset}/statistics", str(error)) from error

    # --- requests -----------------------------------------------------------------------------

    def _write(self, documents: Iterable[Document]) -> None:
        """Write documents in batches, in order, so a document follows those that it refers to."""
        for group in firestore_documents.batches(documents, self._writes):
            with self._translated(OutputError):
                batch = self._client().batch()
                for each in group:
                    batch.set(self._reference(*each.path), each.fields, merge=each.merge)
                batch.commit(**self._options)

    def _read(self, paths: list[tuple[str, ...]]) -> list[dict[str, Any] | None]:
        """Return the fields of documents in the order of their paths; None if one is missing."""
        with self._translated(MissingInputError):
            references = [self._reference(*path) for path in paths]
            snapshots = self._client().get_all(references, **self._options)
            fields = {each.reference.path: each.to_dict() for each in snapshots}
        return [fields[reference.path] for reference in references]

    def _all(self, *collection: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Return id and fields of all documents of a collection, by id; read page by page."""
        last: firestore.DocumentSnapshot | None = None
        while True:
            with self._translated(MissingInputError):
                parent = self._reference(*collection[:-1])
                query = parent.collection(collection[-1]).order_by("__name__").limit(_PAGE)
                query = query.start_after(last) if last else query
                page = self._retried(query)
            yield from ((each.id, each.to_dict()) for each in page)
            if len(page) < _PAGE:
                return
            last = page[-1]

    def _retried(self, query: firestore.Query) -> list[firestore.DocumentSnapshot]:
        """Read a page, again after a transient error.

        The client's own retry raises a TypeError if the query breaks before its first document,
        after which it would continue (google-cloud-firestore 2.34).
        """
        return retry_call(
            lambda: list(query.stream(retry=_NO_RETRY, timeout=self._deadline)),
            is_transient=_FirestoreErrors.is_transient,
            first_pause=_FIRST_PAUSE,
            longest_pause=_LONGEST_PAUSE,
            timeout=self._deadline,
        )

    def _translated(self, denied: Denied) -> AbstractContextManager[None]:
        return _FirestoreErrors(self._uri, denied, self._cloud, self._database).translated()

    def _reference(self, *path: str) -> Any:  # noqa: ANN401 - the client's reference type
        return self._client().document("projects", self._project, *path)

    def _client(self) -> firestore.Client:
        """Return the client of this process, which must not share a channel with a forked child."""
        host = os.environ.get("FIRESTORE_EMULATOR_HOST", "")
        key = os.getpid(), host, self._cloud, self._database
        if key not in _CLIENTS:
            _CLIENTS[key] = firestore.Client(project=self._cloud, database=self._database)
        return _CLIENTS[key]


_CLIENTS: dict[tuple[int, str, str, str], firestore.Client] = {}


class _FirestoreErrors(ErrorTranslator):
    """A translator of the errors of one database."""

    service = "Firestore"

    def __init__(self, uri: str, denied: Denied, project: str, database: str) -> None:
        super().__init__(uri, denied)
        self._project, self._database = project, database

    def not_found(self, error: GoogleAPICallError) -> RefeedError:
        """See ``ErrorTranslator``; only the database itself can be missing."""
        command = "gcloud firestore databases create --type=firestore-native --location=..."
        return self.denied(
            f"The Firestore database {self.target} does not exist: {brief(error)}.",
            hint=f"Create it: `{command} --database='{self._database}' --project={self._project}`.",
        )

    def enable_hint(self) -> str:
        """See ``ErrorTranslator``."""
        command = f"gcloud services enable firestore.googleapis.com --project={self._project}"
        return f"Enable the API: `{command}`."

    def role_hint(self, error: GoogleAPICallError) -> str:
        """See ``ErrorTranslator``."""
        del error
        return project_role_hint(_ROLES[self.denied], self._project)
