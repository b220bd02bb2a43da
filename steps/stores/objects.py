"""A store on object storage: one small object per run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from steps.errors import MissingInputError
from steps.records import RunRecord
from steps.storage.base import read_parsed, write_text
from steps.stores.artifacts import ArtifactReader

_READERS = 16


class ObjectStore(ArtifactReader):
    """Runs on any storage: one small object in each run's folder, so that no two writers meet."""

    def put(self, record: RunRecord) -> None:
        """See ``ExperimentStore.put``."""
        place = self.project.run(record.experiment, record.run).status
        write_text(self.storage, place, record.to_json())

    def get(self, experiment: str, run: str) -> RunRecord | None:
        """See ``ExperimentStore.get``."""
        return self._read(self.project.run(experiment, run).status)

    def runs(self, experiment: str | None = None) -> list[RunRecord]:
        """See ``ExperimentStore.runs``."""
        wanted = self.storage.names(self.project.runs("")) if experiment is None else [experiment]
        places = [
            self.project.run(name, run).status
            for name in wanted
            for run in self.storage.names(self.project.runs(name))
        ]
        with ThreadPoolExecutor(_READERS) as pool:  # each is a request, and they are many
            found = [record for record in pool.map(self._read, places) if record]
        return sorted(found, key=lambda record: record.run, reverse=True)

    def _read(self, place: str) -> RunRecord | None:
        try:
            return read_parsed(self.storage, place, RunRecord.from_json)
        except MissingInputError:  # a run that was killed before it was put
            return None
