"""Claims on job numbers, and the runs that wait for a job.

work/<work>/jobs/claim-<n>.json     the right to submit job n; only one process can create it
work/<work>/jobs/job-<n>.json       the id that Dataflow assigned to job n
work/<work>/followers/<run>.json    a run that waits for the job
work/<work>/leaving/<run>.json      a run that stops waiting, and cancels a job without followers
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
    """The project and region that run a job.

    Attributes:
        gcp_project: the Google Cloud project that is billed.
        region: region of the workers.
    """

    gcp_project: str
    region: str


@dataclass(frozen=True)
class Claim:
    """The right to submit one job.

    Attributes:
        number: number of the job for this dataset build, from 1.
        nonce: random text, which makes the job's name and folder unique forever.
        created: time of the claim, in seconds since 1970.
        location: project and region of the job.
        job: id that Dataflow assigned; empty until it is recorded.
    """

    number: int
    nonce: str
    created: float
    location: JobLocation
    job: str = ""


class Claims:
    """The jobs of one dataset build.

    Args:
        project: the project that contains the dataset.
        build_id: id of the build, see ``SplitPlan.build_id``.
        storage: storage of the project.
    """

    def __init__(self, project: ProjectLayout, build_id: str, storage: Storage) -> None:
        self.project, self.build_id, self.storage = project, build_id, storage
        self.layout = project.build(build_id)

    def latest(self) -> Claim | None:
        """Return the claim with the largest number, if any."""
        names = [name for name in self.storage.names(self.layout.jobs) if name.startswith("claim-")]
        if not names:
            return None
        number = max(int(name.removeprefix("claim-").removesuffix(".json")) for name in names)
        try:
            raw = read_parsed(self.storage, self.layout.claim(number), json.loads)
        except MissingInputError:  # the dataset has been published in the meantime
            return None
        job = ""
        with suppress(MissingInputError):
            job = str(read_parsed(self.storage, self.layout.job(number), json.loads)["job"])
        return Claim(number, raw["nonce"], raw["made"], JobLocation(**raw["place"]), job)

    def claim(self, number: int, location: JobLocation) -> Claim | None:
        """Claim a number; return None if another process has claimed it."""
        claim = Claim(number, secrets.token_hex(4), time.time(), location)
        raw = {"made": claim.created, "nonce": claim.nonce, "place": asdict(location)}
        created = self.storage.create(self.layout.claim(number), canonical_json(raw).encode())
        return claim if created else None

    def record(self, claim: Claim, job: str) -> None:
        """Record the id that Dataflow assigned to the job."""
        self.storage.write(self.layout.job(claim.number), canonical_json({"job": job}).encode())

    def name(self, claim: Claim) -> str:
        """Return the job's name in Dataflow, which rejects a second running job with that name."""
        return f"refeed-{self.build_id[:24]}-{claim.nonce}-{claim.number}"

    # --- followers

    def follow(self, follower: str) -> None:
        """Register a run that waits for the job."""
        self.storage.write(
            self._mark(self.layout.followers, follower), canonical_json(follower).encode()
        )
        self.storage.delete(self._mark(self.layout.leaving, follower))

    def is_followed_by(self, follower: str) -> bool:
        """Return True if a run waits for the job, or has not finished leaving."""
        return self.storage.exists(self._mark(self.layout.followers, follower))

    def leave(self, follower: str) -> bool:
        """Start to leave; return True if no other run waits, so a running job can be cancelled."""
        self.storage.write(
            self._mark(self.layout.leaving, follower), canonical_json(follower).encode()
        )
        followers = set(self.storage.names(self.layout.followers))
        return followers <= set(self.storage.names(self.layout.leaving))

    def finish_leaving(self, follower: str) -> None:
        """Finish leaving, after any job that had to be cancelled has been."""
        for folder in (self.layout.followers, self.layout.leaving):
            self.storage.delete(self._mark(folder, follower))

    def clear(self) -> None:
        """Delete all claims and followers, after the dataset has been published."""
        for folder in (self.layout.followers, self.layout.leaving, self.layout.jobs):
            for name in self.storage.names(folder):
                self.storage.delete(join(folder, name))

    def _mark(self, folder: str, follower: str) -> str:
        return self.layout.mark(folder, digest(follower, 20))
