"""What the report says about the run itself, beside the result tables."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunFacts:
    """How and when the result tables came to be. Shown, never computed with.

    Attributes:
        run: the run's id.
        started: ISO 8601, UTC.
        ended: ISO 8601, UTC.
        seconds: wall time of the run.
        cached: trained partitions whose model was taken from the cache.
        fitted: partitions whose model was fitted in this run.
        source: where the data came from, in words fit for people (no credentials).
        tables: where the result tables are.
        version: Refeed's version.
    """

    run: str
    started: str
    ended: str
    seconds: float
    cached: int
    fitted: int
    source: str
    tables: str
    version: str
