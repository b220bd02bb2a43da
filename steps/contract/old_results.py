"""Paths of results before there were segments: one file per artifact, which is only read."""

from __future__ import annotations

from dataclasses import dataclass

from steps.contract.base import join


@dataclass(frozen=True)
class OldResultsLayout:
    """Records of a run, and the models and explanations that they name.

    Attributes:
        run: the run's folder.
        cache: the folder of the cache.
    """

    run: str
    cache: str

    @property
    def records(self) -> str:
        """The folder with one record per partition."""
        return join(self.run, "records")

    def record(self, partition_id: str) -> str:
        """The outcome of training for one partition."""
        return join(self.records, f"{partition_id}.json")

    def folder(self, key: str) -> str:
        """The folder of one fit or one explanation."""
        return join(self.cache, key[:2], key)

    def final_model(self, key: str, suffix: str) -> str:
        """The model fitted on all rows."""
        return join(self.folder(key), f"model{suffix}")

    def model_card(self, key: str) -> str:
        """A description of the final model."""
        return join(self.folder(key), "model-card.md")
