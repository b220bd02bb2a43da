"""Who may submit which job: numbers that are claimed once, and who waits for the outcome."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from steps.contract import ProjectLayout, join
from steps.errors import MissingInputError
from steps.records import canonical_json, digest
from steps.storage import Storage, read_parsed


@dataclass(frozen=True)
class Claim:
    """The right to submit one job.

    Attributes:
        number: counts the jobs of this work from 1.
        made: when, in seconds since 1970.
        job: id that Dataflow gave it; empty as long as nobody has said it.
    """

    number: int
    made: float
    job: str = ""


class Claims:
    """The jobs of one piece of work.

    Args:
        project: that it is done for.
        identity: of the work.
        storage: of the project.
    """

    def __init__(self, project: ProjectLayout, identity: str, storage: Storage) -> None:
        self.project, self.identity, self.storage = project, identity, storage
        self._jobs = join(project.work(identity), "jobs")
        self._followers = join(project.work(identity), "followers")

    def latest(self) -> Claim | None:
        """The claim with the largest number, if there is one."""
        names = [name for name in self.storage.names(self._jobs) if name.startswith("claim-")]
        if not names:
            return None
        number = int(names[-1].removeprefix("claim-").removesuffix(".json"))
        made = read_parsed(self.storage, self._claim(number), json.loads)["made"]
        try:
            job = read_parsed(self.storage, self._job(number), json.loads)["job"]
        except MissingInputError:
            job = ""
        return Claim(number, made, job)

    def claim(self, number: int) -> bool:
        """Claim a number; whether nobody else was quicker."""
        content = canonical_json({"made": time.time()}).encode()
        return self.storage.create(self._claim(number), content)

    def record(self, number: int, job: str) -> None:
        """Say which id Dataflow gave the job."""
        self.storage.write(self._job(number), canonical_json({"job": job}).encode())

    def follow(self, follower: str) -> None:
        """Say that somebody waits for the outcome."""
        self.storage.write(self._follower(follower), canonical_json(follower).encode())

    def is_followed_by(self, follower: str) -> bool:
        """Whether somebody waits for the outcome."""
        return self.storage.exists(self._follower(follower))

    def leave(self, follower: str) -> bool:
        """Say that somebody waits no longer; whether nobody does now."""
        self.storage.delete(self._follower(follower))
        return not self.storage.names(self._followers)

    def clear(self) -> None:
        """Forget all jobs: the data set is made."""
        for folder in (self._followers, self._jobs):
            for name in self.storage.names(folder):
                self.storage.delete(join(folder, name))

    def _claim(self, number: int) -> str:
        return join(self._jobs, f"claim-{number:03d}.json")

    def _job(self, number: int) -> str:
        return join(self._jobs, f"job-{number:03d}.json")

    def _follower(self, follower: str) -> str:
        return join(self._followers, f"{digest(follower, 20)}.json")


def job_name(identity: str, number: int) -> str:
    """The job's name in Dataflow, which takes no second running job of a name."""
    return f"refeed-{identity[:24]}-{number}"
