"""A proxy in front of the Storage Read API that records requests and injects failures."""

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
    """One injected failure.

    Attributes:
        method: name of the method that fails.
        code: status code of the response.
        details: text of the response.
        after: number of messages to pass on before the failure.
    """

    method: str
    code: grpc.StatusCode
    details: str
    after: int = 0


@dataclass
class RowsProxy:
    """The state of the proxy.

    Attributes:
        address: host and port.
        faults: failures, each injected once, in order.
        hold_after: number of messages after which a stream waits for ``resume``; None for never.
        held: set when a stream waits.
        resume: set to let streams continue.
    """

    address: str
    faults: list[Fault] = field(default_factory=list)
    sessions: list[types.CreateReadSessionRequest] = field(default_factory=list)
    reads: list[types.ReadRowsRequest] = field(default_factory=list)
    hold_after: int | None = None
    held: Event = field(default_factory=Event)
    resume: Event = field(default_factory=Event)

    def fault(self, method: str) -> Fault | None:
        """Return the next failure of a method, if any."""
        fault = next((fault for fault in self.faults if fault.method == method), None)
        if fault is not None:
            self.faults.remove(fault)
        return fault


@contextmanager
def rows_proxy(target: str) -> Iterator[RowsProxy]:
    """Run the proxy until the block ends."""
    server = grpc.server(ThreadPoolExecutor(16), options=_UNLIMITED)
    proxy = RowsProxy(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    with grpc.insecure_channel(target, options=_UNLIMITED) as channel:
        server.add_generic_rpc_handlers((_Handler(proxy, channel),))
        server.start()
        try:
            yield proxy
        finally:
            proxy.resume.set()
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
        _inject(self.proxy.fault(CREATE), context)
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
                    _inject(fault, context)
                if passed == self.proxy.hold_after:
                    self.proxy.held.set()
                    self.proxy.resume.wait(60)
                yield message
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        _inject(fault, context)


def _inject(fault: Fault | None, context: Any) -> None:
    if fault is not None:
        context.abort(fault.code, fault.details)
