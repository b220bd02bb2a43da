"""Find, resume or publish the dataset of a source, safely alongside concurrent runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from steps.contract import ProjectLayout
from steps.errors import DamagedError, MissingInputError, TerminalError
from steps.records import PartitionIndex
from steps.split.coordination.checkpoint import CheckpointFile, SplitCheckpoint
from steps.split.coordination.dataset_pointer import BuiltElsewhereError, DatasetPointer
from steps.split.coordination.snapshot import StoredSnapshot
from steps.storage.base import Storage


class DatasetBuild:
    """One run's work on the dataset of a source.

    Args:
        project: the project that contains the dataset.
        storage: storage of the project.
        snapshot: fixes the rows of a source that changes.
        checkpoint: checkpoint of the run.
        identity: returns the digest of the source's state and of all settings that shape the
            dataset; it depends on the snapshot.
        force: read the source again, even if its dataset exists.

    Attributes:
        pointer: the pointer to the dataset; set by ``find``.
        resumed: an earlier process of the run began the work; set by ``find``.
    """

    def __init__(
        self,
        project: ProjectLayout,
        storage: Storage,
        snapshot: StoredSnapshot,
        checkpoint: CheckpointFile,
        identity: Callable[[], str],
        *,
        force: bool,
    ) -> None:
        self._project, self._storage = project, storage
        self._snapshot, self._checkpoint = snapshot, checkpoint
        self._identity, self._force = identity, force
        self.pointer: DatasetPointer
        self.resumed = False

    @contextmanager
    def hold_snapshot(self) -> Iterator[Self]:
        """Keep the source's rows fixed until the dataset is built or a terminal error occurs.

        A terminal error also removes the checkpoint, because the source has to be fixed first.
        """
        try:
            yield self
        except TerminalError:
            self._snapshot.remove()
            self._checkpoint.delete()
            raise
        finally:
            self._snapshot.close()
        self._snapshot.remove()

    def find(self) -> PartitionIndex | None:
        """Return the index of the dataset if it exists; otherwise fix the source's rows."""
        index = self._resume()
        if self.resumed:
            return index
        self._snapshot.resume_or_discard(discard=self._force)
        index = self._current()
        if index is None:
            self._snapshot.acquire()
            index = self._current()  # another run may have built the same snapshot meanwhile
            checkpoint = SplitCheckpoint(self._snapshot.text, self.pointer.ignored_version)
            self._checkpoint.write(checkpoint)
        return index

    def publish(
        self,
        build: Callable[[], PartitionIndex],
        is_reusable: Callable[[], bool] = lambda: True,
    ) -> PartitionIndex:
        """Build the dataset and write the pointer to it.

        Another run may publish the dataset first, and delete intermediate output that ``build``
        still reads. ``build`` then fails, and the published dataset is returned.

        Args:
            build: builds the dataset.
            is_reusable: returns whether later runs may use the dataset, once it is built.
        """
        try:
            index = build()
        except (BuiltElsewhereError, MissingInputError, DamagedError):
            published = self.pointer.find(same_run=True)
            if published is None:
                raise
            return published
        self.pointer.put(index, reusable=is_reusable())
        return index

    def _resume(self) -> PartitionIndex | None:
        """Resume from the checkpoint, unless the dataset it led to has been lost since."""
        checkpoint = self._checkpoint.read()
        if checkpoint is None or not self._snapshot.resume(checkpoint.snapshot):
            return None
        pointer = DatasetPointer(
            self._project, self._identity(), self._storage, checkpoint.ignored_version
        )
        index = pointer.find(same_run=True)
        if index is not None or pointer.version() == checkpoint.ignored_version:
            self.pointer, self.resumed = pointer, True
        return index

    def _current(self) -> PartitionIndex | None:
        self.pointer = DatasetPointer.current(
            self._project, self._identity(), self._storage, rebuild=self._force
        )
        return self.pointer.find()
