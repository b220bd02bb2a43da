"""The BigQuery emulator local-bigquery, in a separate environment that is created once.

It needs Python 3.13 and other library versions than the project, so it is installed separately.
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
PROJECT = "emulated-project"
_EXTENSIONS = ("icu", "ducklake", "httpfs", "avro", "spatial")
_INSTALL_SECONDS = 240


@dataclass(frozen=True)
class BigQuery:
    """A running server.

    Attributes:
        rest: URL of the REST API, for ``BIGQUERY_EMULATOR_HOST``.
        rows: address of the Storage Read API, for ``BIGQUERY_STORAGE_EMULATOR_HOST``.
    """

    rest: str
    rows: str

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which a process connects to the server."""
        return {"BIGQUERY_EMULATOR_HOST": self.rest, "BIGQUERY_STORAGE_EMULATOR_HOST": self.rows}

    @cached_property
    def client(self) -> Any:
        """Google's client for the server."""
        from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - few tests
        from google.cloud import bigquery  # noqa: PLC0415 - need it

        return bigquery.Client(
            project=PROJECT,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.rest},
        )

    def run(self, sql: str) -> list[Any]:
        """Run a statement, and return its rows."""
        return list(self.client.query(sql).result())

    def load(self, table: pa.Table, name: str) -> None:
        """Write a table as ``dataset.table``, replacing an existing one."""
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
    """Run BigQuery and its Storage Read API, or skip the test; in CI, fail it."""
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
    """Return the folder of the emulator's environment, which the first call creates."""
    name = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    home = ROOT / ".emulators" / f"bigquery-{name}"
    home.parent.mkdir(exist_ok=True)
    with (home.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "ready").is_file():
            try:
                _create(home)
            except (OSError, subprocess.SubprocessError) as error:
                reason = getattr(error, "stderr", None) or str(error)
                absent(f"local-bigquery could not be installed: {reason}")
            (home / "ready").touch()
    return home


def _create(home: Path) -> None:
    uv = _uv()
    _run([uv, "venv", "--quiet", "--clear", "--python", _python(uv), str(home)])
    python, requirements = str(home / "bin" / "python"), ["-r", str(REQUIREMENTS)]
    _run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *requirements])
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
    paths = (ROOT / ".uv" / "bin" / "uv", Path(sys.executable).parent / "uv")
    uv = shutil.which("uv") or next((str(path) for path in paths if path.is_file()), None)
    if uv is None:
        absent("uv is not installed, which installs local-bigquery")
    return uv


def _python(uv: str) -> str:
    """Return a Python 3.13 of this machine, or the version for uv to download."""
    try:
        return _run([uv, "python", "find", "--no-project", "--no-python-downloads", "3.13"])
    except subprocess.SubprocessError:
        versions = Path("~/.pyenv/versions").expanduser().glob("3.13.*/bin/python3.13")
        return next((str(path) for path in sorted(versions)), "3.13")
