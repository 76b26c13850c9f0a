"""A local server that stands in for a vendor: real sockets, the vendor's protocol, faults by script."""

import contextlib
import socket as sockets
import ssl
from collections.abc import Callable
from threading import Event, Lock
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from project01.ingest.stand_ins.exchange import Reply, Request, TlsFiles
from project01.ingest.stand_ins.faults import NO_FAULTS, FaultScript
from project01.ingest.stand_ins.listener import Listener
from project01.ingest.stand_ins.sockets import Socket
from project01.ingest.stand_ins.trouble import Left, Trouble
from project01.ingest.stand_ins.web import WebConnection


def _no_api(_: Request) -> Reply:
    return Reply(404, b'{"error": "this stand-in has no HTTP API"}')


class StandInServer:
    """HTTP and WebSocket on two free ports of this machine, while the ``with`` block lasts.

    A mistake in a handler (any exception but `Left` and a broken connection) is raised at the end of the block.

    Attributes:
        http_url: ``http://127.0.0.1:PORT``, or https with certificate files.
        socket_url: ``ws://127.0.0.1:PORT``, or wss.
        requests: all HTTP requests and WebSocket handshakes, in order of arrival.
        stopping: set at the end; handlers with a loop look at it.
    """

    def __init__(
        self,
        *,
        http: Callable[[Request], Reply] = _no_api,
        socket: Callable[[Socket], None] | None = None,
        faults: FaultScript = NO_FAULTS,
        tls: TlsFiles | None = None,
    ) -> None:
        self._http, self._socket, self._faults, self._tls = http, socket, faults, tls
        self._lock = Lock()
        self._errors: list[BaseException] = []
        self._listeners: list[Listener] = []
        self.requests: list[Request] = []
        self.stopping = Event()
        self.http_url = self.socket_url = ""

    def __enter__(self) -> Self:
        context = None
        if self._tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._tls.certificate, self._tls.key)
        secure = "s" if context else ""
        web = self._listen(self._serve_web, context)
        self.http_url = f"http{secure}://127.0.0.1:{web.port}"
        if self._socket is not None:
            self.socket_url = f"ws{secure}://127.0.0.1:{self._listen(self._serve_socket, context).port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        for listener in self._listeners:
            listener.close()
        if self._errors and error is None:
            raise self._errors[0]

    def _listen(self, serve: Callable[[sockets.socket, Trouble], None], context: ssl.SSLContext | None) -> Listener:
        trouble = Trouble(self._faults, self.stopping)

        def handle(connection: sockets.socket) -> None:
            with contextlib.suppress(Left):
                serve(connection, trouble)

        trouble.listener = Listener(handle, context, self._errors.append)
        self._listeners.append(trouble.listener)
        return trouble.listener

    def _serve_web(self, connection: sockets.socket, trouble: Trouble) -> None:
        WebConnection(connection, self._http, trouble, self._record)

    def _serve_socket(self, connection: sockets.socket, trouble: Trouble) -> None:
        if self._socket is None:
            return
        socket = Socket(connection, trouble)
        opening = socket.handshake()
        parts = urlsplit(opening.path)
        headers = {name.lower(): value for name, value in opening.headers.raw_items()}
        socket.request = Request("GET", parts.path, parse_qs(parts.query, keep_blank_values=True), headers)
        self._record(socket.request)
        self._socket(socket)
        socket.close()

    def _record(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)
