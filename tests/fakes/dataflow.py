"""Google Cloud Dataflow, as far as a client sees it: a server of its REST API.

A job that is submitted runs in a process of its own: the staged pipeline, on Beam's portable
runner, in this environment (in a cluster: in the image of the workers). What is left out: scaling,
Dataflow's own shuffle, permissions, quotas.

    python -m tests.fakes.dataflow HOST PORT SECONDS

SECONDS pass between a submission and the first worker, as with the real one. Beam takes an endpoint
for a stand-in where its URL begins with ``localhost``: from another machine that is a user's name,
``http://localhost@ADDRESS:PORT``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
_JOBS = re.compile(r"^/v1b3/projects/([^/]+)/locations/([^/]+)/jobs(?:/([^/:]+))?(?:/(\w+))?$")
_CANCELLED = ("JOB_STATE_CANCELLED", 5)
"""In words, and as the clients' REST transport writes it."""
_ENDED = {"JOB_STATE_DONE", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"}


@dataclass
class RunningJob:
    """A job, and the process that does it."""

    about: Json
    folder: Path
    delay: float
    process: subprocess.Popen[bytes] | None = None
    cancelled: bool = False
    hurried: threading.Event = field(default_factory=threading.Event)
    taken: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """Start the process, after the time that real workers take to come up."""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        self.hurried.wait(self.delay)
        if self.cancelled:
            return
        url = self.about["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
        command = [sys.executable, "-m", "tests.fakes.dataflow_worker", url, str(self.folder)]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
            self.process.wait()

    @property
    def state(self) -> str:
        """As Dataflow names it."""
        if self.cancelled:
            return "JOB_STATE_CANCELLED"
        if self.process is None:
            return "JOB_STATE_PENDING"
        code = self.process.poll()
        if code is None:
            return "JOB_STATE_RUNNING"
        return "JOB_STATE_DONE" if code == 0 else "JOB_STATE_FAILED"

    def cancel(self) -> None:
        """End the process, unless it has ended."""
        if self.state not in _ENDED:
            self.cancelled = True
            self.hurried.set()
            if self.process:
                self.process.kill()

    def counters(self) -> dict[str, int]:
        """The pipeline's counters; a runner in one process tells them at the end."""
        path = self.folder / "counters.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def error(self) -> str:
        """The last line of the log that says something."""
        path = self.folder / "log"
        lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
        return lines[-1] if lines else ""


class Jobs:
    """All jobs, by id.

    Args:
        delay: seconds between a submission and the first worker.
        lag: seconds for which nobody who asks is told of a job that was taken.
    """

    def __init__(self, delay: float = 0.0, lag: float = 0.0) -> None:
        self.jobs: dict[str, RunningJob] = {}
        self.delay, self.lag, self.lock = delay, lag, threading.Lock()
        self.scratch = Path(tempfile.mkdtemp(prefix="stand-in-dataflow-"))

    def create(self, project: str, location: str, wanted: Json) -> tuple[int, Json]:
        """Of the same name and client's id there is one job ever, else one that runs.

        As documented: a second running job of a name is refused by answering with the first.
        """
        with self.lock:
            for job in self.at(project, location):
                if job.about["name"] != wanted["name"]:
                    continue
                if job.state not in _ENDED:
                    return 200, self.told(job)
                if _client_id(job.about) == _client_id(wanted) != "":
                    return 409, _conflict()
            number = f"{datetime.now(UTC):%Y-%m-%d_%H_%M_%S}-{uuid.uuid4().int % 10**18}"
            folder = self.scratch / number
            folder.mkdir(parents=True)
            about = {
                **wanted,
                "id": number,
                "projectId": project,
                "location": location,
                "createTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            }
            self.jobs[number] = job = RunningJob(about, folder, self.delay)
            job.begin()
        return 200, self.told(job)

    def told(self, job: RunningJob) -> Json:
        """The job as the API shows it."""
        shown = ("id", "projectId", "location", "name", "createTime", "clientRequestId")
        found = {name: job.about[name] for name in shown if name in job.about}
        return {**found, "currentState": job.state, "type": "JOB_TYPE_BATCH"}

    def hurry(self) -> None:
        """Let workers come up at once."""
        self.delay = 0.0
        for job in self.jobs.values():
            job.hurried.set()

    def at(self, project: str, location: str) -> list[RunningJob]:
        """The jobs of a place."""
        wanted = {"projectId": project, "location": location}
        return [job for job in list(self.jobs.values()) if wanted.items() <= job.about.items()]

    def known(self, project: str, location: str) -> list[RunningJob]:
        """The jobs of a place, but for those of the last moment."""
        end = time.monotonic() - self.lag
        return [job for job in self.at(project, location) if job.taken <= end]

    def find(self, project: str, location: str, name: str) -> Json:
        """The jobs of a name, or all."""
        mine = [job for job in self.known(project, location) if name in {"", job.about["name"]}]
        return {"jobs": [self.told(job) for job in mine]}

    def messages(self, job: RunningJob) -> Json:
        """What went wrong."""
        if job.state != "JOB_STATE_FAILED":
            return {}
        said = {"messageText": job.error(), "messageImportance": "JOB_MESSAGE_ERROR", "id": "1"}
        return {"jobMessages": [said]}

    def metrics(self, job: RunningJob) -> Json:
        """The counters."""
        found = job.counters().items()
        return {"metrics": [{"name": {"name": n}, "scalar": count} for n, count in found]}


class Handler(BaseHTTPRequestHandler):
    """The server's answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else an answer waits 40 ms for the receipt of its head
    jobs: Jobs
    """Set by a subclass, since a server makes a handler for each request."""

    def do_POST(self) -> None:
        project, location, *_ = self._path()
        self._answer(*self.jobs.create(project, location, self._body()))

    def do_PUT(self) -> None:
        job, wanted = self._job(), self._body()
        if job and wanted.get("requestedState") in _CANCELLED:
            job.cancel()
        self._answer(200 if job else 404, self.jobs.told(job) if job else _missing())

    def do_GET(self) -> None:
        project, location, job_id, what = self._path()
        if not job_id:
            name = parse_qs(urlsplit(self.path).query).get("name", [""])[0]
            self._answer(200, self.jobs.find(project, location, name))
            return
        job, jobs = self._job(), self.jobs
        tell = {"messages": jobs.messages, "metrics": jobs.metrics, None: jobs.told}[what]
        self._answer(200 if job else 404, tell(job) if job else _missing())

    def _path(self) -> tuple[str, str, str | None, str | None]:
        match = _JOBS.match(urlsplit(self.path).path)
        if match is None:
            return "", "", "none", None
        project, location, job_id, what = match.groups()
        return project, location, job_id, what

    def _job(self) -> RunningJob | None:
        project, location, job_id, _ = self._path()
        found = (job for job in self.jobs.known(project, location) if job.about["id"] == job_id)
        return next(found, None)

    def _body(self) -> Json:
        found: Json = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        return found

    def _answer(self, status: int, body: Json) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Say nothing."""


def handler(jobs: Jobs) -> type[Handler]:
    """The handler of a server that has these jobs."""
    return type("JobsHandler", (Handler,), {"jobs": jobs})


def _client_id(job: Json) -> str:
    return str(job.get("clientRequestId", ""))


def _conflict() -> Json:
    message = "There was a job of that name and client request id."
    return {"error": {"code": 409, "message": message, "status": "ALREADY_EXISTS"}}


def _missing() -> Json:
    return {"error": {"code": 404, "message": "There is no such job.", "status": "NOT_FOUND"}}


@contextmanager
def dataflow_server(
    host: str = "127.0.0.1", port: int = 0, delay: float = 0.0
) -> Iterator[tuple[str, Jobs]]:
    """A server in this process; yields its URL and its jobs."""
    jobs = Jobs(delay)
    with ThreadingHTTPServer((host, port), handler(jobs)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}", jobs
        finally:
            server.shutdown()
            thread.join()
            for job in jobs.jobs.values():
                job.cancel()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    served = handler(Jobs(float(sys.argv[3])))
    ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), served).serve_forever()
