"""What a fault leaves behind at a server, for the connections that come after it."""

from threading import Lock
from typing import TYPE_CHECKING

from project01.ingest.stand_ins.faults import Fault, FaultScript
from project01.ingest.stand_ins.listener import Listener

if TYPE_CHECKING:
    from threading import Event


class Left(Exception):  # noqa: N818 - not an error: the client may go, and a fault may send it away
    """The client has gone, or a fault ended the connection; handlers let it through."""


class Trouble:
    """State that outlives a connection: refused keys, a subscription that will be dropped, a port that does not listen.

    Attributes:
        script: the faults to come.
        listener: where new connections arrive; set once, by the server.
        stopping: set when the server ends.
        refuses_credentials: from fault ``bad_credentials`` on, every login is to be refused.
    """

    listener: Listener

    def __init__(self, script: FaultScript, stopping: "Event") -> None:
        self.script, self.stopping = script, stopping
        self.refuses_credentials = False
        self._lock, self._drop_subscribe = Lock(), False

    def prepare(self, fault: Fault) -> None:
        """Make the next connections meet what the fault says."""
        if fault.kind == "refused":
            self.listener.refuse_for(fault.seconds)
        elif fault.kind == "tls_error":
            self.listener.next_connections("rubbish")
        elif fault.kind == "drop_in_backoff":
            self.listener.next_connections("reset", "reset")
        elif fault.kind == "bad_credentials":
            self.refuses_credentials = True
        elif fault.kind == "drop_in_subscribe":
            with self._lock:
                self._drop_subscribe = True

    def drops_subscription(self) -> bool:
        """Whether the subscription being made now is to be dropped; true once for each fault."""
        with self._lock:
            drop, self._drop_subscribe = self._drop_subscribe, False
            return drop
