"""The proxy of `faults.py` for gRPC services: it forwards bytes and breaks a share of requests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from tests.fakes.faults import Faults

_CODES = {
    "429": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "500": grpc.StatusCode.INTERNAL,
    "503": grpc.StatusCode.UNAVAILABLE,
    "504": grpc.StatusCode.DEADLINE_EXCEEDED,
    "reset": grpc.StatusCode.UNAVAILABLE,
    "gone": grpc.StatusCode.UNAVAILABLE,
}
"""Status codes that a client receives; for other faults the service is called first."""
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_STREAMS = ("ReadRows", "RunQuery", "BatchGetDocuments", "RunAggregationQuery")
"""Methods that respond with more than one message."""


@contextmanager
def faulty_grpc_proxy(target: str, faults: Faults, host: str = "127.0.0.1") -> Iterator[str]:
    """Run a proxy in front of the gRPC server at host:port, and yield its address."""
    server = grpc.server(ThreadPoolExecutor(16), options=_UNLIMITED)
    port = server.add_insecure_port(f"{host}:0")
    with grpc.insecure_channel(target, options=_UNLIMITED) as channel:
        server.add_generic_rpc_handlers((_Handler(channel, faults),))
        server.start()
        try:
            yield f"{host}:{port}"
        finally:
            server.stop(None).wait()


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    def __init__(self, channel: grpc.Channel, faults: Faults) -> None:
        self.channel, self.faults = channel, faults

    def service(self, details: Any) -> Any:
        routing = [each for each in details.invocation_metadata if each[0].startswith("x-goog")]
        if details.method.endswith(_STREAMS):
            ask = self.channel.unary_stream(details.method)
            return grpc.unary_stream_rpc_method_handler(
                lambda request, context: self._stream(ask, request, routing, context)
            )
        once = self.channel.unary_unary(details.method)
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._once(once, request, routing, context)
        )

    def _once(self, ask: Any, request: bytes, metadata: Any, context: Any) -> bytes:
        kind = self._strike(context)
        try:
            answer: bytes = ask(request, metadata=metadata)
            if kind == "asked twice":
                answer = ask(request, metadata=metadata)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        if kind in {"answer lost", "half"}:
            context.abort(grpc.StatusCode.UNAVAILABLE, "cut off, as the test wants it")
        time.sleep(self.faults.pause if kind == "slow" else 0)
        return answer

    def _stream(self, ask: Any, request: bytes, metadata: Any, context: Any) -> Iterator[bytes]:
        kind = self._strike(context)
        try:
            if kind == "asked twice":
                list(ask(request, metadata=metadata))
            for number, message in enumerate(ask(request, metadata=metadata)):
                if kind == "answer lost" or (kind == "half" and number):
                    break
                time.sleep(self.faults.pause if kind == "slow" and not number else 0)
                yield message
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        if kind in {"answer lost", "half"}:
            context.abort(grpc.StatusCode.UNAVAILABLE, "cut off, as the test wants it")

    def _strike(self, context: Any) -> str:
        """Return the fault of a request; abort it now if the service must not be called."""
        kind = self.faults.next()
        if kind in _CODES:
            context.abort(_CODES[kind], "as the test wants it")
        return kind
