"""An endless HTTP answer, read line by line, as a session."""

import contextlib
import socket
from contextlib import ExitStack
from queue import Empty, Full, Queue
from threading import Event, Thread

from project01.ingest.transport.http_client import HttpClient, Parameters
from project01.ingest.transport.session import Disconnected

_POLL_S = 0.1
_LINES_AHEAD = 64


class LineSession:
    """Lines of an endless answer; a blank keep-alive line is ``b""``.

    HTTP libraries can wait for data either for ever or until a timeout that ends the connection. So a thread waits, and
    `receive` looks at what it has found; `close` cuts the socket under it.

    Attributes:
        confirmed: see `Session`; a status of 200 may come before the vendor's server has subscribed us.
    """

    def __init__(
        self, client: HttpClient, path: str, parameters: Parameters | None = None, *, idle_timeout_s: float
    ) -> None:
        """Connect and ask.

        Raises:
            AuthenticationError: 401 or 403.
            Disconnected: no connection, or any other refusal.
        """
        self.confirmed = False
        self._stack = ExitStack()
        response = self._stack.enter_context(client.endless(path, parameters, idle_timeout_s=idle_timeout_s))
        self._socket: socket.socket = response.extensions["network_stream"].get_extra_info("socket")
        self._lines: Queue[bytes | Exception] = Queue(_LINES_AHEAD)
        self._closing = Event()
        lines = client.split(response)

        def pump() -> None:
            try:
                for line in lines:
                    self._put(line)
            except Exception as error:
                self._put(error)

        self._pump = Thread(target=pump, name="line session", daemon=True)
        self._pump.start()

    def receive(self, timeout_s: float) -> bytes | None:
        """One line; None: nothing came in time; raises `Disconnected` at the end of the answer."""
        try:
            found = self._lines.get(timeout=timeout_s)
        except Empty:
            return None
        if isinstance(found, Exception):
            # Once ended, it stays ended.
            self._put(found)
            raise found
        self.confirmed = True
        return found

    def close(self) -> None:
        """Let go of the connection; never raises."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._pump.join()
        with contextlib.suppress(Disconnected):
            self._stack.close()

    def _put(self, found: bytes | Exception) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(Full):
                self._lines.put(found, timeout=_POLL_S)
                return
