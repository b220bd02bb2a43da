"""BigQuery's stand-in: local-bigquery, in an environment of its own that is made once.

It is of Python 3.13 and pins other libraries than the project, so it is never installed beside it.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fakes import absent, free_port, wait_for

ROOT = Path(__file__).parent.parent.parent
REQUIREMENTS = Path(__file__).with_name("bigquery.txt")
PROJECT = "stand-in"
_EXTENSIONS = ("icu", "ducklake", "httpfs", "avro", "spatial")
_INSTALL_SECONDS = 240


@dataclass(frozen=True)
class BigQuery:
    """A server that runs.

    Attributes:
        rest: its URL, for ``BIGQUERY_EMULATOR_HOST``.
        rows: its address, for ``BIGQUERY_STORAGE_EMULATOR_HOST``.
    """

    rest: str
    rows: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find it."""
        return {"BIGQUERY_EMULATOR_HOST": self.rest, "BIGQUERY_STORAGE_EMULATOR_HOST": self.rows}

    @cached_property
    def client(self) -> Any:
        """Google's own client of it."""
        from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - few tests
        from google.cloud import bigquery  # noqa: PLC0415 - need it

        return bigquery.Client(
            project=PROJECT,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.rest},
        )

    def run(self, sql: str) -> list[Any]:
        """The rows of a statement."""
        return list(self.client.query(sql).result())

    def load(self, table: pa.Table, name: str) -> None:
        """Write a table as ``dataset.table``, in place of what is there."""
        from google.cloud import bigquery  # noqa: PLC0415 - few tests need it

        content = io.BytesIO()
        pq.write_table(table, content)
        content.seek(0)
        config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_TRUNCATE")
        self.client.load_table_from_file(
            content, f"{PROJECT}.{name}", job_config=config, rewind=True
        ).result()


@contextmanager
def bigquery_server(host: str = "127.0.0.1") -> Iterator[BigQuery]:
    """BigQuery and its Storage Read API; without it the test is skipped, and fails in CI."""
    home = environment()
    ports = free_port(host), free_port(host)
    with tempfile.TemporaryDirectory(prefix="refeed-bigquery-") as folder:
        script = Path(__file__).with_name("bigquery_server.py")
        command = [str(home / "bin" / "python"), str(script)]
        command += ["serve", "--host", host, "--port", str(ports[0])]
        command += ["--grpc-port", str(ports[1]), "--project", PROJECT, "--data-dir", folder]
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | {"HOME": str(home)}
            )
        try:
            url = f"http://{host}:{ports[0]}"
            wait_for(f"{url}/bigquery/v2/projects", process)
            yield BigQuery(url, f"{host}:{ports[1]}")
        finally:
            process.terminate()
            process.wait()


def environment() -> Path:
    """The folder of the stand-in's environment, made at the first call on a machine."""
    name = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    home = ROOT / ".stand-ins" / f"bigquery-{name}"
    home.parent.mkdir(exist_ok=True)
    with (home.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "ready").is_file():
            try:
                _make(home)
            except (OSError, subprocess.SubprocessError) as error:
                said = getattr(error, "stderr", None) or str(error)
                absent(f"local-bigquery could not be installed: {said}")
            (home / "ready").touch()
    return home


def _make(home: Path) -> None:
    uv = _uv()
    _run([uv, "venv", "--quiet", "--clear", "--python", _python(uv), str(home)])
    python, wanted = str(home / "bin" / "python"), ["-r", str(REQUIREMENTS)]
    _run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *wanted])
    names = ", ".join(map(repr, _EXTENSIONS))
    code = f"import duckdb_extensions as d\nfor name in ({names}): d.import_extension(name)"
    _run([python, "-c", code], HOME=str(home))


def _run(command: list[str], **variables: str) -> str:
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        timeout=_INSTALL_SECONDS,
        env=os.environ | variables,
    )
    return done.stdout.strip()


def _uv() -> str:
    places = (ROOT / ".uv" / "bin" / "uv", Path(sys.executable).parent / "uv")
    found = shutil.which("uv") or next((str(path) for path in places if path.is_file()), None)
    if found is None:
        absent("there is no uv, with which local-bigquery is installed")
    return found


def _python(uv: str) -> str:
    """A Python 3.13 of this machine; else uv gets one."""
    try:
        return _run([uv, "python", "find", "--no-project", "--no-python-downloads", "3.13"])
    except subprocess.SubprocessError:
        versions = Path("~/.pyenv/versions").expanduser().glob("3.13.*/bin/python3.13")
        return next((str(path) for path in sorted(versions)), "3.13")
