"""A proxy in front of the Storage Read API that remembers requests and fails where a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import grpc
from google.cloud.bigquery_storage_v1 import types

_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
CREATE, READ = "CreateReadSession", "ReadRows"


@dataclass
class Fault:
    """One failure.

    Attributes:
        method: in which call.
        code: of the answer.
        details: its text.
        after: so many messages have been passed on.
    """

    method: str
    code: grpc.StatusCode
    details: str
    after: int = 0


@dataclass
class RowsProxy:
    """The proxy.

    Attributes:
        address: host and port.
        faults: each strikes once, in the order in which calls come.
        hold_after: messages of a stream after which it waits for ``go_on``; None for never.
        held: a stream waits.
    """

    address: str
    faults: list[Fault] = field(default_factory=list)
    sessions: list[types.CreateReadSessionRequest] = field(default_factory=list)
    reads: list[types.ReadRowsRequest] = field(default_factory=list)
    hold_after: int | None = None
    held: Event = field(default_factory=Event)
    go_on: Event = field(default_factory=Event)

    def fault(self, method: str) -> Fault | None:
        """The next failure of a method, if there is one."""
        found = next((fault for fault in self.faults if fault.method == method), None)
        if found is not None:
            self.faults.remove(found)
        return found


@contextmanager
def rows_proxy(far: str) -> Iterator[RowsProxy]:
    """Serves until the block ends."""
    server = grpc.server(ThreadPoolExecutor(16), options=_UNLIMITED)
    proxy = RowsProxy(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    with grpc.insecure_channel(far, options=_UNLIMITED) as channel:
        server.add_generic_rpc_handlers((_Handler(proxy, channel),))
        server.start()
        try:
            yield proxy
        finally:
            proxy.go_on.set()
            server.stop(None).wait()


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    def __init__(self, proxy: RowsProxy, channel: grpc.Channel) -> None:
        self.proxy, self.channel = proxy, channel

    def service(self, details: Any) -> Any:
        name = details.method.rpartition("/")[2]
        if name == READ:
            far = self.channel.unary_stream(details.method)
            return grpc.unary_stream_rpc_method_handler(lambda r, c: self._read(far, r, c))
        far = self.channel.unary_unary(details.method)
        return grpc.unary_unary_rpc_method_handler(lambda r, c: self._create(far, r, c))

    def _create(self, far: Callable[..., bytes], request: bytes, context: Any) -> bytes:
        self.proxy.sessions.append(types.CreateReadSessionRequest.deserialize(request))
        _strike(self.proxy.fault(CREATE), context)
        try:
            return far(request)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
            raise

    def _read(self, far: Callable[..., Any], request: bytes, context: Any) -> Iterator[bytes]:
        self.proxy.reads.append(types.ReadRowsRequest.deserialize(request))
        fault = self.proxy.fault(READ)
        try:
            for passed, message in enumerate(far(request)):
                if fault is not None and passed == fault.after:
                    _strike(fault, context)
                if passed == self.proxy.hold_after:
                    self.proxy.held.set()
                    self.proxy.go_on.wait(60)
                yield message
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        _strike(fault, context)


def _strike(fault: Fault | None, context: Any) -> None:
    if fault is not None:
        context.abort(fault.code, fault.details)
