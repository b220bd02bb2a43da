"""The format of a segment: a ZIP archive with its index at the end, named by its content.

The name is ``<hash>-<size>-<footer>.zip``: 32 hex digits of the content's SHA-256, the size of the
archive and that of its footer. So one request for the footer finds all members, and any ZIP program
opens a segment. A merged segment has the prefix ``merged-`` and lists the segments that it replaces
in the comment of the archive.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from steps.contract import is_model
from steps.errors import DamagedError
from steps.records import canonical_json

_NAME = re.compile(r"(merged-)?[0-9a-f]{32}-(\d+)-(\d+)\.zip")
_LEVEL = 4
"""Deflate's level: models shrink to a quarter, as at 6, in half of the time."""
_LOCAL_HEADER = 30
"""Bytes of a member's header before its name; ZIP specification, section 4.3.7."""


@dataclass(frozen=True)
class SegmentName:
    """What a segment's name says.

    Attributes:
        text: the name.
        size: bytes of the archive.
        footer: bytes of its footer.
        merged: it replaces other segments.
    """

    text: str
    size: int
    footer: int
    merged: bool

    @classmethod
    def parse(cls, text: str) -> SegmentName | None:
        """Return the parts of a name; None if it is not the name of a segment."""
        match = _NAME.fullmatch(text)
        if match is None:
            return None
        return cls(text, int(match[2]), int(match[3]), merged=match[1] is not None)


class Place(NamedTuple):
    """Where the bytes of a member are: in which segment, from where, how many, and how packed."""

    segment: str
    start: int
    length: int
    checksum: int
    deflated: bool


@dataclass(frozen=True)
class Footer:
    """The index of a segment.

    Attributes:
        members: the place of each member by name.
        replaces: names of the segments that this one replaces.
    """

    members: dict[str, Place]
    replaces: frozenset[str]


def pack(members: Mapping[str, bytes], replaces: Sequence[str] = ()) -> tuple[str, bytes]:
    """Return name and content of a segment; equal members give equal bytes.

    Models come last, so that the collect step, which needs none, reads one range.
    """
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as writer:
        for name in sorted(members, key=lambda name: (is_model(name), name)):
            # A ZipInfo without clock and owner: the archive depends on its members only.
            member = zipfile.ZipInfo(name)
            member.compress_type = zipfile.ZIP_DEFLATED
            writer.writestr(member, members[name], compresslevel=_LEVEL)
        if replaces:
            writer.comment = canonical_json(sorted(replaces)).encode()
        directory = writer.start_dir
    content = archive.getvalue()
    prefix = "merged-" if replaces else ""
    digest = hashlib.sha256(content).hexdigest()[:32]
    return f"{prefix}{digest}-{len(content)}-{len(content) - directory}.zip", content


def read_footer(name: SegmentName, uri: str, footer: bytes) -> Footer:
    """Return the index of a segment.

    Args:
        name: its name.
        uri: its URI, for the error.
        footer: the last ``name.footer`` bytes of it.

    Raises:
        DamagedError: it is not the footer of a segment.
    """
    try:
        # zipfile corrects all offsets by what is missing in front of the directory.
        with zipfile.ZipFile(io.BytesIO(footer)) as archive:
            shift = name.size - len(footer)
            members = {
                each.filename: Place(
                    name.text,
                    each.header_offset + shift + _LOCAL_HEADER + len(each.filename.encode()),
                    each.compress_size,
                    each.CRC,
                    each.compress_type == zipfile.ZIP_DEFLATED,
                )
                for each in archive.infolist()
            }
            replaces = frozenset(json.loads(archive.comment or b"[]"))
    except (zipfile.BadZipFile, ValueError) as error:
        raise DamagedError(uri, f"its index cannot be read: {error}") from error
    return Footer(members, replaces)


def unpack(place: Place, packed: bytes, uri: str) -> bytes:
    """Return the content of a member.

    Raises:
        DamagedError: its bytes were changed.
    """
    try:
        content = zlib.decompress(packed, -zlib.MAX_WBITS) if place.deflated else packed
    except zlib.error as error:
        raise DamagedError(uri, str(error)) from error
    if zlib.crc32(content) != place.checksum:
        raise DamagedError(uri, "a checksum does not match")
    return content
