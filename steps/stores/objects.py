"""A store on object storage: one small object per run."""

from __future__ import annotations

from steps.errors import MissingInputError
from steps.records import RunRecord
from steps.runtime.parallel import REQUESTS, map_ordered
from steps.storage.base import read_parsed, write_text
from steps.stores.artifacts import ArtifactReader


class ObjectStore(ArtifactReader):
    """A store on any storage, with one small object per run, so writers never conflict."""

    def put(self, record: RunRecord) -> None:
        """See ``ExperimentStore.put``."""
        uri = self.project.run(record.experiment, record.run).status
        write_text(self.storage, uri, record.to_json())

    def get(self, experiment: str, run: str) -> RunRecord | None:
        """See ``ExperimentStore.get``."""
        return self._read(self.project.run(experiment, run).status)

    def runs(self, experiment: str | None = None) -> list[RunRecord]:
        """See ``ExperimentStore.runs``."""
        names = self._experiments() if experiment is None else [experiment]
        uris = [
            self.project.run(name, run).status
            for name in names
            for run in self.storage.names(self.project.runs(name))
        ]
        records = [record for record in map_ordered(self._read, uris, REQUESTS) if record]
        return sorted(records, key=lambda record: record.run, reverse=True)

    def find(self, run: str) -> RunRecord | None:
        """See ``ExperimentStore.find``."""
        uris = [self.project.run(name, run).status for name in self._experiments()]
        return next((record for record in map_ordered(self._read, uris, REQUESTS) if record), None)

    def remove(self, experiment: str, run: str) -> None:
        """See ``ExperimentStore.remove``."""
        self.storage.delete(self.project.run(experiment, run).status)

    def _experiments(self) -> list[str]:
        return self.storage.names(self.project.experiments)

    def _read(self, uri: str) -> RunRecord | None:
        try:
            return read_parsed(self.storage, uri, RunRecord.from_json)
        except MissingInputError:  # a run that was killed before its record was written
            return None
