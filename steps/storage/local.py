"""The local file system as storage. A file is written under a temporary name, then renamed."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from steps.errors import MissingInputError
from steps.storage.base import TEMPORARY_PREFIX, output_error


class LocalStorage:
    """The local file system; a URI is a path."""

    def read(self, uri: str) -> bytes:
        """See ``Storage.read``."""
        with _found(uri):
            return Path(uri).read_bytes()

    def write(self, uri: str, content: bytes) -> None:
        """See ``Storage.write``."""
        with self.writer(uri) as stream:
            stream.write(content)

    @contextmanager
    def writer(self, uri: str) -> Iterator[BinaryIO]:
        """See ``Storage.writer``: a temporary file beside it, then a rename."""
        with _beside(uri) as temporary:
            with temporary.open("wb") as stream:
                yield stream
            temporary.replace(uri)

    def create(self, uri: str, content: bytes) -> bool:
        """See ``Storage.create``: a second name for a temporary file, which the system refuses."""
        with _beside(uri) as temporary:
            temporary.write_bytes(content)
            try:
                os.link(temporary, uri)
            except FileExistsError:
                return False
        return True

    def exists(self, uri: str) -> bool:
        """See ``Storage.exists``."""
        return Path(uri).is_file()

    def version(self, uri: str) -> str:
        """See ``Storage.version``."""
        with _found(uri):
            found = Path(uri).stat()
        return f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"

    def download(self, uri: str, path: Path) -> None:
        """See ``Storage.download``."""
        with _found(uri):
            source = Path(uri).open("rb")  # noqa: SIM115 - closed by the block below
        with source, _beside(str(path)) as temporary:
            with temporary.open("wb") as stream:
                shutil.copyfileobj(source, stream)
            temporary.replace(path)

    def names(self, uri: str) -> list[str]:
        """See ``Storage.names``."""
        return sorted(self._names(Path(uri)))

    @staticmethod
    def _names(folder: Path) -> Iterator[str]:
        if folder.is_dir():
            for entry in os.scandir(folder):
                if not entry.name.startswith(TEMPORARY_PREFIX):
                    yield entry.name

    def delete(self, uri: str) -> None:
        """See ``Storage.delete``."""
        Path(uri).unlink(missing_ok=True)

    def sweep(self, uri: str) -> None:
        """See ``Storage.sweep``."""
        for left in Path(uri).rglob(f"{TEMPORARY_PREFIX}*"):
            left.unlink(missing_ok=True)


@contextmanager
def _found(uri: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingInputError(f"There is no file {uri!r}.", uri=uri) from error


@contextmanager
def _beside(uri: str) -> Iterator[Path]:
    """A temporary name in the folder of an object, which is made; gone when the block ends."""
    path = Path(uri)
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
    except OSError as error:
        raise output_error(uri, error) from error
    finally:
        with suppress(OSError):  # where it could not be made, what is said about that is enough
            temporary.unlink()
