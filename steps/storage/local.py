"""The local file system as storage. Files are written under a temporary name, then renamed."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from steps.errors import MissingInputError, OutputError
from steps.storage.base import TEMPORARY_PREFIX, StoredObject, output_error


class LocalStorage:
    """The local file system; a URI is a path."""

    def read(self, uri: str) -> bytes:
        """See ``Storage.read``."""
        with _existing(uri):
            return Path(uri).read_bytes()

    def read_range(self, uri: str, start: int, length: int) -> bytes:
        """See ``Storage.read_range``."""
        with _existing(uri), Path(uri).open("rb") as stream:
            stream.seek(start)
            return stream.read(length)

    def write(self, uri: str, content: bytes) -> None:
        """See ``Storage.write``."""
        with self.writer(uri) as stream:
            stream.write(content)

    @contextmanager
    def writer(self, uri: str) -> Iterator[BinaryIO]:
        """See ``Storage.writer``; a temporary file in the same folder, then a rename."""
        with _temporary_path(uri) as temporary:
            with temporary.open("wb") as stream:
                yield stream
            temporary.replace(uri)

    def create(self, uri: str, content: bytes) -> bool:
        """See ``Storage.create``; a hard link, which fails if the name exists."""
        with _temporary_path(uri) as temporary:
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
        with _existing(uri):
            status = Path(uri).stat()
        return f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"

    def download(self, uri: str, path: Path) -> None:
        """See ``Storage.download``."""
        with _existing(uri):
            source = Path(uri).open("rb")  # noqa: SIM115 - closed by the block below
        with source, _temporary_path(str(path)) as temporary:
            with temporary.open("wb") as stream:
                shutil.copyfileobj(source, stream)
            temporary.replace(path)

    def names(self, uri: str) -> list[str]:
        """See ``Storage.names``."""
        if not Path(uri).is_dir():
            return []
        names = (entry.name for entry in os.scandir(uri))
        return sorted(name for name in names if not name.startswith(TEMPORARY_PREFIX))

    def objects(self, uri: str) -> list[StoredObject]:
        """See ``Storage.objects``; links are not followed."""
        found = []
        for folder, _, names in os.walk(uri):
            for name in names:
                path = Path(folder, name)
                with suppress(FileNotFoundError):  # deleted in the meantime
                    status = path.lstat()
                    relative = path.relative_to(uri).as_posix()
                    found.append(StoredObject(relative, status.st_size, status.st_mtime))
        return sorted(found)

    def delete(self, uri: str) -> None:
        """See ``Storage.delete``."""
        Path(uri).unlink(missing_ok=True)

    def delete_folder(self, uri: str) -> None:
        """See ``Storage.delete_folder``."""
        path = Path(uri)
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"Cannot remove {error.filename}: {error.strerror}.") from error

    def deletion_age(self, uri: str) -> int | None:
        """See ``Storage.deletion_age``; a file system keeps files."""
        del uri
        return None

    def sweep(self, uri: str) -> None:
        """See ``Storage.sweep``."""
        for temporary in Path(uri).rglob(f"{TEMPORARY_PREFIX}*"):
            temporary.unlink(missing_ok=True)


@contextmanager
def _existing(uri: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingInputError(f"The file {uri!r} does not exist.", uri=uri) from error


@contextmanager
def _temporary_path(uri: str) -> Iterator[Path]:
    """Create the folder of an object, and yield a temporary path in it, deleted at the end."""
    path = Path(uri)
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
    except OSError as error:
        raise output_error(uri, error) from error
    finally:
        with suppress(OSError):  # if it could not be created, that error is raised
            temporary.unlink()
