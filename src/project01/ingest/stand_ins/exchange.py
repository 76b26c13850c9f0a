"""What goes in and out of a stand-in server."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from project01.ingest.stand_ins.faults import FaultKind


@dataclass(frozen=True)
class TlsFiles:
    """Certificate and key of the server, both PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Request:
    """A request as it came; for a WebSocket, its opening handshake.

    Attributes:
        method: ``GET``, ``POST``.
        path: without the query.
        query: each parameter with all its values.
        headers: names in lower case.
        body: whole.
        fault: a content fault of the script, for the vendor's stand-in to carry out in its reply.
    """

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""
    fault: FaultKind | None = None

    def first(self, name: str, default: str = "") -> str:
        """First value of a query parameter."""
        return self.query.get(name, [default])[0]


@dataclass(frozen=True)
class Reply:
    """What is answered.

    Attributes:
        status: HTTP status.
        body: whole; ignored where `lines` are given.
        headers: further headers.
        lines: an endless answer in chunks; each line gets CR LF, ``b""`` is a keep-alive. Faults of the stream strike
            at the lines that are not blank. The iterator is closed when the client leaves.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    lines: Iterator[bytes] | None = None
