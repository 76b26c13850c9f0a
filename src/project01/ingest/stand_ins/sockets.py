"""The server's end of one WebSocket, with faults by script."""

import logging
import select
import socket as sockets
import ssl
import time
from collections import deque

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import State
from websockets.server import ServerProtocol

from project01.ingest.stand_ins.exchange import Request
from project01.ingest.stand_ins.faults import Fault
from project01.ingest.stand_ins.listener import reset
from project01.ingest.stand_ins.trouble import Left, Trouble

# websockets logs whole frames at debug level, keys included; these logs are nobody's business.
_QUIET = logging.getLogger(f"{__name__}.frames")
_QUIET.setLevel(logging.WARNING)
_POLL_S = 0.1


class Socket:
    """One WebSocket as the vendor holds it. Methods raise `Left` once the client has gone or a fault struck.

    Attributes:
        request: the opening handshake.
    """

    request: Request

    def __init__(self, connection: sockets.socket, trouble: Trouble) -> None:
        self._connection, self._trouble = connection, trouble
        self._protocol = ServerProtocol(max_size=16 << 20, logger=_QUIET)
        self._messages: deque[str] = deque()

    @property
    def refuses_credentials(self) -> bool:
        """Whether the next login is to be refused in the vendor's way."""
        return self._trouble.refuses_credentials

    def handshake(self) -> Handshake:
        """Read the client's opening request and accept it."""
        while True:
            for event in self._read(_POLL_S):
                if isinstance(event, Handshake):
                    response = self._protocol.accept(event)
                    self._protocol.send_response(response)
                    self._flush()
                    if self._protocol.state is not State.OPEN:
                        raise Left
                    return event

    def send(self, text: str) -> None:
        """Send a data frame, unless a fault strikes here."""
        self._take_in(0.0)
        fault = self._trouble.script.next_for_frame()
        if fault is not None:
            self._suffer(fault, text)
        self.reply(text)

    def reply(self, text: str) -> None:
        """Send a frame that belongs to the handshake: no fault strikes."""
        # A lone surrogate goes out as the bytes that a careless server would send.
        if self._protocol.state is not State.OPEN:
            raise Left
        self._protocol.send_text(text.encode("utf-8", "surrogatepass"))
        self._flush()

    def acknowledge(self, text: str) -> None:
        """Answer the subscription, unless fault ``drop_in_subscribe`` struck before."""
        if self._trouble.drops_subscription():
            self.abort()
        self.reply(text)

    def receive(self, timeout_s: float) -> str | None:
        """The client's next message; None: nothing came in time."""
        deadline = time.monotonic() + timeout_s
        while not self._messages:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None
            self._take_in(min(left_s, _POLL_S))
        return self._messages.popleft()

    def close(self, code: int = 1000) -> None:
        """Close politely with this code, and leave."""
        self._protocol.send_close(CloseCode(code))
        self._flush()
        deadline = time.monotonic() + 1.0
        while self._protocol.state is not State.CLOSED and time.monotonic() < deadline:
            self._take_in(_POLL_S)
        raise Left

    def abort(self) -> None:
        """Reset the connection: the client sees 1006."""
        reset(self._connection)
        raise Left

    def half_message(self, text: str) -> None:
        """Send half of a frame and hang up."""
        self._protocol.send_text(text.encode("utf-8", "surrogatepass"))
        whole = b"".join(self._protocol.data_to_send())
        self._connection.sendall(whole[: max(3, len(whole) // 2)])
        raise Left

    def _suffer(self, fault: Fault, text: str) -> None:
        self._trouble.prepare(fault)
        if fault.kind == "pause":
            self._trouble.stopping.wait(fault.seconds)
        elif fault.kind == "silence":
            while True:
                self._take_in(_POLL_S)
        elif fault.kind == "half_message":
            self.half_message(text)
        elif fault.kind.startswith("close_") and fault.kind != "close_1006":
            self.close(int(fault.kind.removeprefix("close_")))
        else:
            self.abort()

    def _take_in(self, timeout_s: float) -> None:
        for event in self._read(timeout_s):
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._messages.append(bytes(event.data).decode())

    def _read(self, timeout_s: float) -> list[object]:
        if self._trouble.stopping.is_set():
            raise Left
        if timeout_s <= 0 and not self._has_input():
            return []
        try:
            self._connection.settimeout(max(timeout_s, 1e-3))
            data = self._connection.recv(1 << 16)
        except (TimeoutError, BlockingIOError):
            return []
        except OSError as error:
            raise Left from error
        finally:
            if self._connection.fileno() >= 0:
                self._connection.settimeout(30.0)
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        self._flush()
        events: list[object] = list(self._protocol.events_received())
        if self._protocol.state in {State.CLOSING, State.CLOSED} and not data:
            raise Left
        return events

    def _has_input(self) -> bool:
        # A socket's own timeout is never shorter than a millisecond, too long for each frame of a fast feed.
        if isinstance(self._connection, ssl.SSLSocket) and self._connection.pending():
            return True
        try:
            return bool(select.select([self._connection], [], [], 0)[0])
        except (OSError, ValueError) as error:
            raise Left from error

    def _flush(self) -> None:
        try:
            for data in self._protocol.data_to_send():
                if data:
                    self._connection.sendall(data)
                else:
                    self._connection.shutdown(sockets.SHUT_WR)
        except OSError as error:
            raise Left from error
        if self._protocol.state is State.CLOSED:
            raise Left
