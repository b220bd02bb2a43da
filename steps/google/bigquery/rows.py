"""Rows through the Storage Read API: a session, its streams, several of them read at once."""

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
from steps.google.bigquery.request import TableName

STREAMS = 4
"""Streams that are read at once; each is a thread, and waits more than it works."""

_AHEAD = 4
_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class SessionRequest:
    """What a session is opened for.

    Attributes:
        table: that is read.
        columns: of it; the session gives no others.
        restriction: a condition in SQL that rows must fulfil; empty for all rows.
        micros: the moment whose rows are read, microseconds since 1970; None for now.
    """

    table: TableName
    columns: tuple[str, ...]
    restriction: str
    micros: int | None


def open_session(clients: Clients, reading: SessionRequest, streams: int) -> types.ReadSession:
    """Open a session; it costs nothing until rows are read, and lasts about six hours.

    Args:
        clients: to ask.
        reading: what is read.
        streams: at the most; 0 for as many as BigQuery finds good.

    Raises:
        RefeedError: see ``translated``.
    """
    options = types.ReadSession.TableReadOptions(
        selected_fields=reading.columns,
        row_restriction=reading.restriction,
        arrow_serialization_options=types.ArrowSerializationOptions(
            buffer_compression=types.ArrowSerializationOptions.CompressionCodec.LZ4_FRAME
        ),
    )
    session = types.ReadSession(
        table=reading.table.path, data_format=types.DataFormat.ARROW, read_options=options
    )
    if reading.micros is not None:
        moment = datetime.fromtimestamp(reading.micros / 1e6, UTC)
        session.table_modifiers = types.ReadSession.TableModifiers(snapshot_time=moment)
    with BigQueryErrors(f"the table {reading.table}", clients.billing).translated():
        return clients.rows.create_read_session(
            parent=f"projects/{clients.billing}",
            read_session=session,
            max_stream_count=streams,
            retry=clients.retry,
        )


@dataclass(frozen=True)
class StreamPiece:
    """One stream of a session: whoever has it reads its rows, on any machine.

    Attributes:
        stream: its name, good for as long as the session lasts.
        schema: of the batches, as Arrow serialises it.
        billing: the project that pays.
    """

    stream: str
    schema: bytes
    billing: str

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See ``SourcePiece.batches``."""
        with closing(Clients(self.billing, self.billing)) as clients:
            yield from read_stream(clients, self)


def pieces_of(session: types.ReadSession, billing: str) -> list[StreamPiece]:
    """The streams of a session."""
    schema = session.arrow_schema.serialized_schema
    return [StreamPiece(stream.name, schema, billing) for stream in session.streams]


def read_stream(clients: Clients, piece: StreamPiece) -> Iterator[pa.RecordBatch]:
    """The rows of one stream; where it breaks, Google's client goes on at the row it had come to.

    Raises:
        ExpiredError: the session has expired.
        RefeedError: see ``translated``.
    """
    schema = pa.ipc.read_schema(pa.py_buffer(piece.schema))
    held: list[pa.RecordBatch] = []
    with BigQueryErrors("the rows of a table", clients.billing).translated():
        reader = clients.rows.read_rows(piece.stream, retry=clients.retry)
        for message in reader:
            content = pa.py_buffer(message.arrow_record_batch.serialized_record_batch)
            held.append(pa.ipc.read_record_batch(content, schema))
            if sum(batch.num_rows for batch in held) >= _BATCH_ROWS:
                yield from _joined(held)
                held = []
    yield from _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A few larger batches: BigQuery sends many small ones."""
    if batches:
        yield from pa.Table.from_batches(batches).combine_chunks().to_batches(_BATCH_ROWS)


_Item: TypeAlias = Any
"""A batch; an error, which ends the stream; None at its end in good order."""


def read_at_once(clients: Clients, pieces: Sequence[StreamPiece]) -> Iterator[pa.RecordBatch]:
    """The rows of several streams in any order, no more than a few batches ahead of the reader.

    Raises:
        RefeedError: what any of the streams raised.
    """
    waiting: queue.SimpleQueue[StreamPiece] = queue.SimpleQueue()
    for piece in pieces:
        waiting.put(piece)
    arrived: queue.Queue[_Item] = queue.Queue(_AHEAD)
    stop = Event()
    threads = [
        Thread(target=_work, args=(clients, waiting, arrived, stop), daemon=True)
        for _ in range(min(STREAMS, len(pieces)))
    ]
    for thread in threads:
        thread.start()
    try:
        yield from _until_all_end(arrived, len(threads))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _until_all_end(arrived: queue.Queue[_Item], threads: int) -> Iterator[pa.RecordBatch]:
    while threads:
        item = arrived.get()
        if isinstance(item, BaseException):
            raise item
        if item is None:
            threads -= 1
        else:
            yield item


def _work(
    clients: Clients,
    waiting: queue.SimpleQueue[StreamPiece],
    arrived: queue.Queue[_Item],
    stop: Event,
) -> None:
    """Read one stream after the other; the last item tells how it ended."""
    end: _Item = None
    try:
        while not stop.is_set():
            for batch in read_stream(clients, waiting.get_nowait()):
                if not _put(arrived, batch, stop):
                    return
    except queue.Empty:
        pass
    except BaseException as error:  # noqa: BLE001 - raised where the rows are taken
        end = error
    _put(arrived, end, stop)


def _put(arrived: queue.Queue[_Item], item: _Item, stop: Event) -> bool:
    """Wait for room; whether anybody still takes."""
    while not stop.is_set():
        try:
            arrived.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
