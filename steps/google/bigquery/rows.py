"""Read rows with the Storage Read API: a session, and its streams in several threads."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any, TypeAlias

import pyarrow as pa
from google.cloud.bigquery_storage_v1 import types

from steps.google.bigquery.clients import Clients
from steps.google.bigquery.errors import BigQueryErrors
from steps.google.bigquery.request import BigQueryRequest, TableName

STREAMS = 4
"""Streams that are read at once, each in a thread that mostly waits."""

_AHEAD = 4
_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class SessionRequest:
    """The rows that a session reads.

    Attributes:
        table: the table.
        columns: the columns to return.
        restriction: SQL condition that rows must meet; empty for all rows.
        micros: time of the snapshot, in microseconds since 1970; None for the current rows.
    """

    table: TableName
    columns: tuple[str, ...]
    restriction: str
    micros: int | None


def open_session(clients: Clients, request: SessionRequest, streams: int) -> types.ReadSession:
    """Open a session, which costs nothing until rows are read and lasts about six hours.

    Args:
        clients: BigQuery clients.
        request: the rows to read.
        streams: maximum number of streams; 0 to let BigQuery choose.

    Raises:
        RefeedError: see ``ErrorTranslator.translated``.
    """
    options = types.ReadSession.TableReadOptions(
        selected_fields=request.columns,
        row_restriction=request.restriction,
        arrow_serialization_options=types.ArrowSerializationOptions(
            buffer_compression=types.ArrowSerializationOptions.CompressionCodec.LZ4_FRAME
        ),
    )
    session = types.ReadSession(
        table=request.table.path, data_format=types.DataFormat.ARROW, read_options=options
    )
    if request.micros is not None:
        snapshot_time = datetime.fromtimestamp(request.micros / 1e6, UTC)
        session.table_modifiers = types.ReadSession.TableModifiers(snapshot_time=snapshot_time)
    spec = BigQueryRequest(request.table, restriction=request.restriction)
    with BigQueryErrors.of_table(request.table, clients.billing, spec).translated():
        return clients.rows.create_read_session(
            parent=f"projects/{clients.billing}",
            read_session=session,
            max_stream_count=streams,
            retry=clients.retry,
        )


@dataclass(frozen=True)
class StreamPiece:
    """One stream of a session, which any machine can read.

    Attributes:
        stream: name of the stream, valid as long as the session.
        schema: schema of the batches, serialized by Arrow.
        billing: the project that is billed.
    """

    stream: str
    schema: bytes
    billing: str

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See ``SourcePiece.batches``."""
        with closing(Clients(self.billing, self.billing)) as clients:
            yield from read_stream(clients, self)


def pieces_of(session: types.ReadSession, billing: str) -> list[StreamPiece]:
    """Return the streams of a session."""
    schema = session.arrow_schema.serialized_schema
    return [StreamPiece(stream.name, schema, billing) for stream in session.streams]


def read_stream(clients: Clients, piece: StreamPiece) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one stream. After an interruption, Google's client resumes at the same row.

    Raises:
        ExpiredError: the session has expired.
        RefeedError: see ``ErrorTranslator.translated``.
    """
    schema = pa.ipc.read_schema(pa.py_buffer(piece.schema))
    buffered: list[pa.RecordBatch] = []
    with BigQueryErrors("the rows of a table", clients.billing).translated():
        reader = clients.rows.read_rows(piece.stream, retry=clients.retry)
        for message in reader:
            content = pa.py_buffer(message.arrow_record_batch.serialized_record_batch)
            buffered.append(pa.ipc.read_record_batch(content, schema))
            if sum(batch.num_rows for batch in buffered) >= _BATCH_ROWS:
                yield from _combine(buffered)
                buffered = []
    yield from _combine(buffered)


def _combine(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Combine the many small batches that BigQuery sends into few larger ones."""
    if batches:
        yield from pa.Table.from_batches(batches).combine_chunks().to_batches(_BATCH_ROWS)


_Item: TypeAlias = Any
"""A batch; an error, which ends the stream; or None at the end of the stream."""


THREAD_NAME = "bigquery-rows"
"""Beginning of the names of the threads that read streams."""


def read_streams(clients: Clients, pieces: Sequence[StreamPiece]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of several streams in any order, at most a few batches ahead of the reader.

    Raises:
        RefeedError: the error of any stream.
    """
    pending: queue.SimpleQueue[StreamPiece] = queue.SimpleQueue()
    for piece in pieces:
        pending.put(piece)
    items: queue.Queue[_Item] = queue.Queue(_AHEAD)
    stop = Event()
    threads = [
        Thread(
            target=_read_pieces,
            args=(clients, pending, items, stop),
            name=f"{THREAD_NAME}-{number}",
            daemon=True,
        )
        for number in range(min(STREAMS, len(pieces)))
    ]
    for thread in threads:
        thread.start()
    try:
        running = len(threads)
        while running:
            item = items.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                running -= 1
            else:
                yield item
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _read_pieces(
    clients: Clients,
    pending: queue.SimpleQueue[StreamPiece],
    items: queue.Queue[_Item],
    stop: Event,
) -> None:
    """Read one stream after another; the last item is None or an error."""
    end: _Item = None
    try:
        while not stop.is_set():
            for batch in read_stream(clients, pending.get_nowait()):
                if not _put(items, batch, stop):
                    return
    except queue.Empty:
        pass
    except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
        end = error
    _put(items, end, stop)


def _put(items: queue.Queue[_Item], item: _Item, stop: Event) -> bool:
    """Add an item when there is room; return False if the reader has stopped."""
    while not stop.is_set():
        try:
            items.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
