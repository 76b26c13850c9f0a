"""A WebSocket as a session."""

import contextlib
import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.uri import parse_uri

from project01.domain import AuthenticationError
from project01.ingest.transport.redaction import redact, redact_data
from project01.ingest.transport.session import Disconnected
from project01.ingest.transport.tls import checked_address, proxy_for, trust_context

if TYPE_CHECKING:
    from project01.ingest.connection import Connection

_LOG = logging.getLogger(__name__)
# websockets writes whole frames at debug level, the one with the key included.
_FRAMES = logging.getLogger(f"{__name__}.frames")
_FRAMES.addFilter(lambda record: record.levelno > logging.DEBUG)
_MAX_FRAME_BYTES = 16 << 20
# A peer that has gone silent does not answer a close either.
_CLOSE_TIMEOUT_S = 1.0
_PING_EVERY_S = 20.0


class WebSocketSession:
    """One WebSocket connection; frames of at most 16 MiB; pings are sent and answered by themselves.

    Attributes:
        confirmed: see `Session`; who opens it waits for the vendor's answer to the subscription.
    """

    confirmed = True

    def __init__(self, url: str, *, connection: "Connection", open_timeout_s: float = 10.0) -> None:
        """Connect.

        Raises:
            Disconnected: no connection.
            AuthenticationError: refused with 401 or 403.
            InputError: an address that is neither wss nor on this machine.
        """
        checked_address(url, "wss", "ws")
        self._secrets = tuple(connection.secrets.values())
        self._manager = contextlib.ExitStack()
        # Not the whole address: a key in its query could be spelt in more ways than can be masked.
        _LOG.debug("%s: connecting to %s", connection.spec.name, urlsplit(url).netloc.rpartition("@")[2])
        try:
            self._socket: ClientConnection = self._manager.enter_context(
                connect(
                    url,
                    ssl=trust_context(connection.trust) if url.startswith("wss") else None,
                    proxy=proxy_for(url),
                    open_timeout=open_timeout_s,
                    close_timeout=_CLOSE_TIMEOUT_S,
                    ping_interval=_PING_EVERY_S,
                    ping_timeout=_PING_EVERY_S,
                    max_size=_MAX_FRAME_BYTES,
                    logger=_FRAMES,
                )
            )
        except InvalidStatus as error:
            status = error.response.status_code
            if status in {401, 403}:
                raise AuthenticationError(
                    f"{connection.spec.name} refused the stream with status {status}. Check the key, and whether the "
                    f"plan includes the stream; trying again is no use."
                ) from None
            raise Disconnected(f"status {status}") from None
        except (OSError, WebSocketException, EOFError, ValueError) as error:
            raise Disconnected(redact(f"{type(error).__name__}: {error}", self._secrets)) from None

        self._refuse_redirect(url)

    def send(self, text: str) -> None:
        """Send one text frame; raises `Disconnected`."""
        try:
            self._socket.send(text)
        except ConnectionClosed as closed:
            raise self._gone(closed) from None

    def receive(self, timeout_s: float) -> bytes | None:
        """One frame; None: nothing came in time; raises `Disconnected`, for a clean close too."""
        try:
            return redact_data(self._socket.recv(timeout_s, decode=False), self._secrets)
        except TimeoutError:
            return None
        except ConnectionClosed as closed:
            raise self._gone(closed) from None

    def close(self) -> None:
        """Close; never raises."""
        with contextlib.suppress(OSError, WebSocketException):
            self._manager.close()

    def _refuse_redirect(self, url: str) -> None:
        # The library follows redirects also to other hosts, and the next thing we send is the key.
        reached, asked = self._socket.protocol.uri, parse_uri(url)
        if (reached.secure, reached.host, reached.port) != (asked.secure, asked.host, asked.port):
            self.close()
            raise Disconnected(f"redirected to another host, {reached.host}")

    def _gone(self, closed: ConnectionClosed) -> Disconnected:
        if closed.rcvd is None:
            return Disconnected("close 1006")
        text = redact(closed.rcvd.reason, self._secrets)
        return Disconnected(f"close {closed.rcvd.code}" + (f" {text}" if text else ""))
