"""The HTTP side of a stand-in: requests on a kept connection, endless lines, faults by script."""

import json
import socket as sockets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from project01.ingest.stand_ins.exchange import Reply, Request
from project01.ingest.stand_ins.faults import SERVER_FAULTS, Fault
from project01.ingest.stand_ins.listener import reset
from project01.ingest.stand_ins.trouble import Left, Trouble

Answerer = Callable[[Request], Reply]
_POLL_S = 0.1


class WebConnection(BaseHTTPRequestHandler):
    """One kept HTTP/1.1 connection."""

    protocol_version = "HTTP/1.1"

    def __init__(
        self, connection: sockets.socket, answer: Answerer, trouble: Trouble, record: Callable[[Request], None]
    ) -> None:
        self._answer, self._trouble, self._record = answer, trouble, record
        unused: Any = None  # the base class keeps its server for subclasses; this one has no use for it
        super().__init__(connection, ("127.0.0.1", 0), unused)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Keep quiet: addresses may hold keys."""

    def do_GET(self) -> None:
        """Answer a GET."""
        self._serve()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._serve()

    def do_DELETE(self) -> None:
        """Answer a DELETE."""
        self._serve()

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        request = Request(
            self.command,
            parts.path,
            parse_qs(parts.query, keep_blank_values=True),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(self.headers.get("Content-Length", 0))),
        )
        self._record(request)
        if self._trouble.refuses_credentials:
            self._send(_refusal(401))
            return
        fault = self._trouble.script.next_for_request(parts.path)
        if fault is not None and fault.kind not in SERVER_FAULTS:
            request = replace(request, fault=fault.kind)
        elif fault is not None and self._suffer(fault, request):
            return
        reply = self._answer(request)
        if reply.lines is None:
            self._send(reply)
        else:
            self._send_lines(reply, reply.lines)

    def _suffer(self, fault: Fault, request: Request) -> bool:
        """Carry out the fault; False if the request is to be answered all the same."""
        self._trouble.prepare(fault)
        if fault.kind == "pause":
            self._trouble.stopping.wait(fault.seconds)
            return False
        if fault.kind == "silence":
            self._wait_until_left()
        elif fault.kind == "half_message":
            self._send_half(self._answer(request))
        elif (refusal := _ANSWERED.get(fault.kind)) is not None:
            self._send(refusal(fault))
        else:
            self._reset()
        return True

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def _send_half(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Length", str(max(2, len(reply.body))))
        self.end_headers()
        self.wfile.write(reply.body[: len(reply.body) // 2])
        self.close_connection = True

    def _send_lines(self, reply: Reply, lines: Iterator[bytes]) -> None:
        if self._trouble.drops_subscription():
            self._reset()
            return
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        try:
            for line in lines:
                if self._trouble.stopping.is_set():
                    return
                fault = self._trouble.script.next_for_frame() if line else None
                if fault is not None and self._suffer_in_line(fault, line):
                    return
                self._chunk(line + b"\r\n")
            self._chunk(b"")
        finally:
            self.close_connection = True
            if (close := getattr(lines, "close", None)) is not None:
                close()

    def _suffer_in_line(self, fault: Fault, line: bytes) -> bool:
        """Carry out the fault; False if the line is to be sent all the same."""
        self._trouble.prepare(fault)
        if fault.kind == "pause":
            self._trouble.stopping.wait(fault.seconds)
            return False
        if fault.kind == "silence":
            self._wait_until_left()
        elif fault.kind == "half_message":
            self._chunk(line[: len(line) // 2])
        elif fault.kind in {"close_1000", "close_1001", "close_1008", "close_1011"}:
            # HTTP has no close codes: a polite end is the last chunk.
            self._chunk(b"")
        else:
            self._reset()
        return True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _wait_until_left(self) -> None:
        self.close_connection = True
        self.connection.settimeout(_POLL_S)
        while not self._trouble.stopping.is_set():
            try:
                if not self.connection.recv(4096):
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def _reset(self) -> None:
        self.wfile.flush()
        reset(self.connection)
        raise Left


def _refusal(status: int, **headers: str) -> Reply:
    body = json.dumps({"status": "ERROR", "error": f"stand-in answers {status}"}).encode()
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def _date_in(seconds: float) -> str:
    # HTTP dates have whole seconds; rounded up, or a wait of 0.2 s could lie in the past.
    return format_datetime(datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds + 1), usegmt=True)


_ANSWERED: dict[str, Callable[[Fault], Reply]] = {
    "bad_credentials": lambda _: _refusal(401),
    "401": lambda _: _refusal(401),
    "403": lambda _: _refusal(403),
    "429_seconds": lambda fault: _refusal(429, Retry_After=str(round(fault.seconds))),
    "429_date": lambda fault: _refusal(429, Retry_After=_date_in(fault.seconds)),
    "500": lambda _: _refusal(500),
    "503": lambda _: _refusal(503),
}
