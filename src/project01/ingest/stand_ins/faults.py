"""What goes wrong at a stand-in server, as a script."""

from dataclasses import dataclass
from threading import Lock
from typing import Final, Literal, get_args

# Done by the server itself, before or instead of an answer.
ServerFault = Literal[
    "refused", "tls_error", "bad_credentials", "401", "403", "429_seconds", "429_date", "500", "503", "silence",
    "half_message", "pause",
]  # fmt: skip
# Done by the server in a stream.
StreamFault = Literal[
    "refused", "tls_error", "bad_credentials", "close_1000", "close_1001", "close_1006", "close_1008", "close_1011",
    "silence", "half_message", "drop_in_subscribe", "drop_in_backoff", "pause",
]  # fmt: skip
# Done to the content: by `drift` in `stand_ins.content`, or by the vendor's own stand-in.
ContentFault = Literal[
    "duplicates", "disorder", "wrong_page_order", "looping_cursor", "new_field", "renamed_field", "retyped_field",
    "missing_field", "error_body_200", "ten_megabytes", "lone_surrogate", "not_a_number",
]  # fmt: skip
FaultKind = ServerFault | StreamFault | ContentFault
STREAM_FAULTS: Final[tuple[StreamFault, ...]] = get_args(StreamFault)
SERVER_FAULTS: Final[tuple[ServerFault, ...]] = get_args(ServerFault)


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong once.

    Attributes:
        kind: what.
        after: how many matching requests (HTTP) or data frames (stream) go well first, counted since the last fault.
        path: matches requests whose path contains it; all where empty. Streams ignore it.
        seconds: how long it lasts (refused, silence, pause) or what ``Retry-After`` asks for (429).
        where: ``http`` or ``stream``; a fault of one never strikes the other.
    """

    kind: FaultKind
    after: int = 0
    path: str = ""
    seconds: float = 0.2
    where: Literal["http", "stream"] = "http"


class FaultScript:
    """Faults in order; each strikes once, the next one counts from there. Safe to ask from several threads.

    ``FaultScript(Fault("503"), Fault("close_1006", after=5, where="stream"))``
    """

    def __init__(self, *faults: Fault) -> None:
        self._lock = Lock()
        self._waiting = {where: [f for f in faults if f.where == where] for where in ("http", "stream")}
        self._passed = dict.fromkeys(self._waiting, 0)
        self.struck: list[Fault] = []

    def next_for_request(self, path: str) -> Fault | None:
        """The fault that this request meets, None if it goes well."""
        return self._next("http", path)

    def next_for_frame(self) -> Fault | None:
        """The fault that this data frame of a stream meets, None if it goes well."""
        return self._next("stream", "")

    @property
    def done(self) -> bool:
        """Whether all faults have struck."""
        with self._lock:
            return not any(self._waiting.values())

    def _next(self, where: Literal["http", "stream"], path: str) -> Fault | None:
        with self._lock:
            waiting = self._waiting[where]
            if not waiting or waiting[0].path not in path:
                return None
            if self._passed[where] < waiting[0].after:
                self._passed[where] += 1
                return None
            self._passed[where] = 0
            fault = waiting.pop(0)
            self.struck.append(fault)
            return fault


NO_FAULTS = FaultScript()
