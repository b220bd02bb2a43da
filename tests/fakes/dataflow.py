"""A fake Google Cloud Dataflow: a server with its REST API.

Each submitted job runs the staged pipeline in a separate process, on Beam's portable runner, in
this environment (in a cluster, in the workers' image). The fake has no scaling, Dataflow shuffle,
permissions or quotas.

    python -m tests.fakes.dataflow HOST PORT SECONDS

SECONDS pass between a submission and the first worker, as in the real service. Beam treats an
endpoint as a fake if its URL starts with ``localhost``. From another machine, that is the user name
in ``http://localhost@ADDRESS:PORT``.
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
"""The state's name, and its number in the clients' REST transport."""
_ENDED = {"JOB_STATE_DONE", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"}


@dataclass
class RunningJob:
    """A job and the process that runs it."""

    about: Json
    folder: Path
    delay: float
    process: subprocess.Popen[bytes] | None = None
    cancelled: bool = False
    hurried: threading.Event = field(default_factory=threading.Event)
    taken: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """Start the process after the time that real workers need to start."""
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
        """Dataflow's name of the state."""
        if self.cancelled:
            return "JOB_STATE_CANCELLED"
        if self.process is None:
            return "JOB_STATE_PENDING"
        code = self.process.poll()
        if code is None:
            return "JOB_STATE_RUNNING"
        return "JOB_STATE_DONE" if code == 0 else "JOB_STATE_FAILED"

    def cancel(self) -> None:
        """Stop the process, unless it has ended."""
        if self.state not in _ENDED:
            self.cancelled = True
            self.hurried.set()
            if self.process:
                self.process.kill()

    def counters(self) -> dict[str, int]:
        """Return the pipeline's counters, which the runner writes at the end."""
        path = self.folder / "counters.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def error(self) -> str:
        """Return the last non-empty line of the log."""
        path = self.folder / "log"
        lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
        return lines[-1] if lines else ""


class Jobs:
    """All jobs, by id.

    Args:
        delay: seconds between a submission and the first worker.
        lag: seconds during which an accepted job is not listed.
    """

    def __init__(self, delay: float = 0.0, lag: float = 0.0) -> None:
        self.jobs: dict[str, RunningJob] = {}
        self.delay, self.lag, self.lock = delay, lag, threading.Lock()
        self.scratch = Path(tempfile.mkdtemp(prefix="fake-dataflow-"))

    def create(self, project: str, location: str, request: Json) -> tuple[int, Json]:
        """Create a job: one ever per name and client request id, and one running job per name.

        As documented, a request for a second running job with a name returns the first job.
        """
        with self.lock:
            for job in self.at(project, location):
                if job.about["name"] != request["name"]:
                    continue
                if job.state not in _ENDED:
                    return 200, self.as_json(job)
                if _client_id(job.about) == _client_id(request) != "":
                    return 409, _conflict()
            number = f"{datetime.now(UTC):%Y-%m-%d_%H_%M_%S}-{uuid.uuid4().int % 10**18}"
            folder = self.scratch / number
            folder.mkdir(parents=True)
            about = {
                **request,
                "id": number,
                "projectId": project,
                "location": location,
                "createTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            }
            self.jobs[number] = job = RunningJob(about, folder, self.delay)
            job.begin()
        return 200, self.as_json(job)

    def as_json(self, job: RunningJob) -> Json:
        """Return the job's API representation."""
        names = ("id", "projectId", "location", "name", "createTime", "clientRequestId")
        fields = {name: job.about[name] for name in names if name in job.about}
        return {**fields, "currentState": job.state, "type": "JOB_TYPE_BATCH"}

    def hurry(self) -> None:
        """Start workers immediately."""
        self.delay = 0.0
        for job in self.jobs.values():
            job.hurried.set()

    def at(self, project: str, location: str) -> list[RunningJob]:
        """Return the jobs of a project and location."""
        parent = {"projectId": project, "location": location}
        return [job for job in list(self.jobs.values()) if parent.items() <= job.about.items()]

    def listed(self, project: str, location: str) -> list[RunningJob]:
        """Return the jobs of a project and location, except those that are not listed yet."""
        end = time.monotonic() - self.lag
        return [job for job in self.at(project, location) if job.taken <= end]

    def find(self, project: str, location: str, name: str) -> Json:
        """Return the jobs with a name, or all jobs."""
        jobs = [job for job in self.listed(project, location) if name in {"", job.about["name"]}]
        return {"jobs": [self.as_json(job) for job in jobs]}

    def messages(self, job: RunningJob) -> Json:
        """Return the job's error messages."""
        if job.state != "JOB_STATE_FAILED":
            return {}
        message = {"messageText": job.error(), "messageImportance": "JOB_MESSAGE_ERROR", "id": "1"}
        return {"jobMessages": [message]}

    def metrics(self, job: RunningJob) -> Json:
        """Return the job's counters."""
        counters = job.counters().items()
        return {"metrics": [{"name": {"name": n}, "scalar": count} for n, count in counters]}


class Handler(BaseHTTPRequestHandler):
    """The server's request handler."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # no 40 ms wait for an acknowledgement
    jobs: Jobs
    """Set by a subclass, because a server creates a handler for each request."""

    def do_POST(self) -> None:
        project, location, *_ = self._path()
        self._answer(*self.jobs.create(project, location, self._body()))

    def do_PUT(self) -> None:
        job, wanted = self._job(), self._body()
        if job and wanted.get("requestedState") in _CANCELLED:
            job.cancel()
        self._answer(200 if job else 404, self.jobs.as_json(job) if job else _missing())

    def do_GET(self) -> None:
        project, location, job_id, what = self._path()
        if not job_id:
            name = parse_qs(urlsplit(self.path).query).get("name", [""])[0]
            self._answer(200, self.jobs.find(project, location, name))
            return
        job, jobs = self._job(), self.jobs
        respond = {"messages": jobs.messages, "metrics": jobs.metrics, None: jobs.as_json}[what]
        self._answer(200 if job else 404, respond(job) if job else _missing())

    def _path(self) -> tuple[str, str, str | None, str | None]:
        match = _JOBS.match(urlsplit(self.path).path)
        if match is None:
            return "", "", "none", None
        project, location, job_id, what = match.groups()
        return project, location, job_id, what

    def _job(self) -> RunningJob | None:
        project, location, job_id, _ = self._path()
        found = (job for job in self.jobs.listed(project, location) if job.about["id"] == job_id)
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
        """Log nothing."""


def handler(jobs: Jobs) -> type[Handler]:
    """Return a handler class for these jobs."""
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
    """Run a server in this process, and yield its URL and its jobs."""
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
