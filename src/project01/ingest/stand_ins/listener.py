"""A listening TCP socket whose connections can be refused, reset or answered with rubbish."""

import contextlib
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Literal

_POLL_S = 0.05
# Not a TLS record, not HTTP, not a WebSocket handshake.
_RUBBISH = b"\x00\x01\x02 this is not what you expect\r\n\r\n" * 8
Mishap = Literal["reset", "rubbish"]


def reset(connection: socket.socket) -> None:
    """End a connection with a TCP reset: what a crash or a cut cable looks like to the other side."""
    with contextlib.suppress(OSError):
        # Linger of 0 seconds: close() sends RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Listener:
    """Accepts connections on a free port of this machine, each in its own thread."""

    def __init__(
        self,
        handle: Callable[[socket.socket], None],
        tls: ssl.SSLContext | None,
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._handle, self._tls, self._on_error = handle, tls, on_error
        self._lock, self._stop = Lock(), Event()
        self._open: set[socket.socket] = set()
        self._threads: list[Thread] = []
        self._mishaps: deque[Mishap] = deque()
        self._deaf_s = 0.0
        self._listening = self._bind(0)
        self._listening.listen(64)
        self.port: int = self._listening.getsockname()[1]
        self._acceptor = Thread(target=self._accept, name=f"stand-in:{self.port}", daemon=True)
        self._acceptor.start()

    def refuse_for(self, seconds: float) -> None:
        """Refuse connections for that long; those that stand are left alone."""
        with self._lock:
            self._deaf_s = seconds

    def next_connections(self, *mishaps: Mishap) -> None:
        """What happens to the next new connections, one each."""
        with self._lock:
            self._mishaps.extend(mishaps)

    def close(self) -> None:
        """End all connections and threads."""
        self._stop.set()
        self._acceptor.join()
        self._listening.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=10.0)

    @staticmethod
    def _bind(port: int) -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        bound.settimeout(_POLL_S)
        return bound

    def _accept(self) -> None:
        while not self._stop.is_set():
            self._be_deaf()
            try:
                connection, _ = self._listening.accept()
            except TimeoutError:
                continue
            with self._lock:
                mishap = self._mishaps.popleft() if self._mishaps else None
                deaf = self._deaf_s > 0
                self._open.add(connection)
            if deaf or mishap == "reset":
                self._forget(connection)
                reset(connection)
                continue
            thread = Thread(target=self._run, args=(connection, mishap == "rubbish"), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _be_deaf(self) -> None:
        with self._lock:
            seconds, self._deaf_s = self._deaf_s, 0.0
        if seconds > 0:
            # A socket that is bound and does not listen keeps the port, and the system refuses connections to it.
            self._listening.close()
            self._listening = self._bind(self.port)
            self._stop.wait(seconds)
            self._listening.listen(64)

    def _run(self, plain: socket.socket, rubbish: bool) -> None:
        connection = plain
        try:
            plain.settimeout(30.0)
            # Headers and body are written one after the other: together with delayed acknowledgement 40 ms a request.
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if rubbish:
                plain.recv(4096)
                plain.sendall(_RUBBISH)
                return
            if self._tls is not None:
                connection = self._tls.wrap_socket(plain, server_side=True)
                with self._lock:
                    self._open.discard(plain)
                    self._open.add(connection)
            self._handle(connection)
        except OSError:
            pass  # the client has gone, which is its right
        except Exception as error:
            self._on_error(error)
        finally:
            self._forget(connection)
            connection.close()
            plain.close()

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)
