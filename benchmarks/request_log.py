"""Logs and delays the HTTP requests of a process and of all that it starts.

Loaded through ``sitecustomize``, because training processes start from a fork server. The delay is
a sleep before the request is sent: it costs no processor time, as a distant service would not.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

LOG, DELAY = "REFEED_BENCH_LOG", "REFEED_BENCH_DELAY"
_SITE = "from benchmarks.request_log import install; install()\n"


def environment(folder: Path, delay: float) -> dict[str, str]:
    """Return the environment of a process whose requests are logged in the folder."""
    (folder / "sitecustomize.py").write_text(_SITE)
    root = Path(__file__).resolve().parent.parent
    return {
        "PYTHONPATH": f"{folder}:{root}",
        LOG: str(folder / "requests.log"),
        DELAY: str(delay),
    }


def install() -> None:
    """Log and delay all requests of this process, if the environment says so."""
    if LOG not in os.environ:
        return
    from requests.adapters import HTTPAdapter

    original, delay = HTTPAdapter.send, float(os.environ[DELAY])

    def send(self, request, *args, **options):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN003, ANN202
        note(f"{request.method} {urlsplit(request.url).path}")
        time.sleep(delay)
        return original(self, request, *args, **options)

    HTTPAdapter.send = send  # type: ignore[method-assign]


def note(line: str) -> None:
    """Add a line to the log; one write, so that lines of several processes do not mix."""
    with Path(os.environ[LOG]).open("a", encoding="utf-8") as stream:
        stream.write(f"{line}\n")


@dataclass(frozen=True)
class Requests:
    """Requests of Cloud Storage, as they are charged.

    Attributes:
        writes: class A: uploads and lists.
        reads: class B: downloads and look-ups.
    """

    writes: int
    reads: int


def requests_by_phase(log: Path) -> dict[str, Requests]:
    """Count the requests after each line ``PHASE name``; deletions are free."""
    counts: dict[str, Counter[str]] = {}
    phase = ""
    for line in log.read_text(encoding="utf-8").splitlines():
        method, _, path = line.partition(" ")
        if method == "PHASE":
            phase = path
        elif method != "DELETE":
            is_list = method == "GET" and path.endswith("/o")
            kind = "writes" if is_list or method in {"POST", "PUT", "PATCH"} else "reads"
            counts.setdefault(phase, Counter())[kind] += 1
    return {name: Requests(each["writes"], each["reads"]) for name, each in counts.items()}
