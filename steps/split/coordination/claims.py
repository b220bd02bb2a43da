"""Who may submit which job: numbers that are claimed once, and who waits for the outcome.

work/<work>/jobs/claim-<n>.json     the right to submit the n-th job; only one can create it
work/<work>/jobs/job-<n>.json       the id that Dataflow gave it
work/<work>/followers/<who>.json    waits for the outcome
work/<work>/leaving/<who>.json      waits no longer, and sees to it that no job runs for nobody
"""

from __future__ import annotations

import json
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass

from steps.contract import ProjectLayout, join
from steps.errors import MissingInputError
from steps.records import canonical_json, digest
from steps.storage.base import Storage, read_parsed


@dataclass(frozen=True)
class JobLocation:
    """Where jobs run.

    Attributes:
        gcp_project: that pays.
        region: of the workers.
    """

    gcp_project: str
    region: str


@dataclass(frozen=True)
class Claim:
    """The right to submit one job.

    Attributes:
        number: counts the jobs of this work from 1.
        nonce: a random text, so that no other job ever has the name of this one, or its folder.
        made: when, in seconds since 1970.
        place: where the claimer submits it.
        job: id that Dataflow gave it; empty as long as nobody has said it.
    """

    number: int
    nonce: str
    made: float
    place: JobLocation
    job: str = ""


class Claims:
    """The jobs of one piece of work.

    Args:
        project: that it is done for.
        work_id: name of the work, see ``SplitPlan.work_id``.
        storage: of the project.
    """

    def __init__(self, project: ProjectLayout, work_id: str, storage: Storage) -> None:
        self.project, self.work_id, self.storage = project, work_id, storage
        self.layout = project.work(work_id)

    def latest(self) -> Claim | None:
        """The claim with the largest number, if there is one."""
        names = [name for name in self.storage.names(self.layout.jobs) if name.startswith("claim-")]
        if not names:
            return None
        number = max(int(name.removeprefix("claim-").removesuffix(".json")) for name in names)
        try:
            raw = read_parsed(self.storage, self.layout.claim(number), json.loads)
        except MissingInputError:  # the data set has been made meanwhile
            return None
        place = JobLocation(**raw["place"])
        return Claim(number, raw["nonce"], raw["made"], place, self._job_of(number))

    def _job_of(self, number: int) -> str:
        with suppress(MissingInputError):
            return str(read_parsed(self.storage, self.layout.job(number), json.loads)["job"])
        return ""

    def claim(self, number: int, place: JobLocation) -> Claim | None:
        """Claim a number; None if somebody else was quicker."""
        claim = Claim(number, secrets.token_hex(4), time.time(), place)
        about = {"made": claim.made, "nonce": claim.nonce, "place": asdict(place)}
        created = self.storage.create(self.layout.claim(number), canonical_json(about).encode())
        return claim if created else None

    def record(self, claim: Claim, job: str) -> None:
        """Say which id Dataflow gave the job."""
        self.storage.write(self.layout.job(claim.number), canonical_json({"job": job}).encode())

    def name(self, claim: Claim) -> str:
        """The job's name in Dataflow, which takes no second running job of a name."""
        return f"refeed-{self.work_id[:24]}-{claim.nonce}-{claim.number}"

    # --- who waits

    def follow(self, follower: str) -> None:
        """Say that somebody waits for the outcome."""
        self.storage.write(
            self._mark(self.layout.followers, follower), canonical_json(follower).encode()
        )
        self.storage.delete(self._mark(self.layout.leaving, follower))

    def is_followed_by(self, follower: str) -> bool:
        """Whether somebody waits for the outcome, or has not ended leaving."""
        return self.storage.exists(self._mark(self.layout.followers, follower))

    def leave(self, follower: str) -> bool:
        """Begin to leave; whether nobody waits now, so that a job that runs is to be cancelled."""
        self.storage.write(
            self._mark(self.layout.leaving, follower), canonical_json(follower).encode()
        )
        waiting = set(self.storage.names(self.layout.followers))
        return waiting <= set(self.storage.names(self.layout.leaving))

    def left(self, follower: str) -> None:
        """Say that leaving has ended: what was to be cancelled is."""
        for folder in (self.layout.followers, self.layout.leaving):
            self.storage.delete(self._mark(folder, follower))

    def clear(self) -> None:
        """Forget all jobs: the data set is made."""
        for folder in (self.layout.followers, self.layout.leaving, self.layout.jobs):
            for name in self.storage.names(folder):
                self.storage.delete(join(folder, name))

    def _mark(self, folder: str, follower: str) -> str:
        return self.layout.mark(folder, digest(follower, 20))
