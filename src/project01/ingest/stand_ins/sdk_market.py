"""What the stand-ins of SDKs share: a made-up market, sessions that are let in or not, a ready connection."""

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from threading import Lock
from types import ModuleType, TracebackType
from typing import Any, ClassVar, Self

from project01.ingest.connection import Connection
from project01.ingest.stand_ins.faults import Fault, FaultKind, FaultScript
from project01.ingest.stand_ins.tape import Print, Tape
from project01.ingest.symbols import Notation, SymbolMap
from project01.ingest.transport import QuotaLedger
from project01.ingest.vendor import VendorSpec


class SdkMarket(ABC):
    """A made-up market behind a stand-in SDK, while the ``with`` block lasts.

    Args:
        symbols: ours, whose prints take turns.
        notation: how the vendor names instruments.
        seed: of prices and sizes.
        faults: what goes wrong.
        count: prints from the first subscription on.
        per_second: of those.
        start: the present, at which the clock stands until somebody subscribes.

    Attributes:
        instruments: our symbols by the vendor's names.
    """

    spec: ClassVar[VendorSpec]
    sdk: ClassVar[ModuleType]

    def __init__(
        self,
        symbols: Sequence[str],
        notation: Notation,
        seed: int,
        faults: FaultScript,
        count: int,
        per_second: float,
        start: datetime,
    ) -> None:
        self.faults = faults
        self.tape = Tape(symbols, seed=seed, start=start, count=count, per_second=per_second)
        self.clock = self.tape.clock
        self.names = SymbolMap.default()
        self.instruments = {self.names.theirs(symbol, notation): symbol for symbol in symbols}
        self._starts: deque[FaultKind] = deque()
        self._refused_until = 0.0
        self._drops_in_subscribe = False
        self._lock = Lock()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.callback(self.tape.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @abstractmethod
    def entrance(self) -> dict[str, Any]:
        """Secrets and address by which the stand-in SDK finds this market, as fields of `Connection`."""

    def connection(self, folder: Path, **changes: Any) -> Connection:
        """A connection to this market through the stand-in SDK.

        Args:
            folder: for the quota ledger and spilled messages.
            changes: fields of `Connection` to be other.
        """
        quota = QuotaLedger(folder / "quota.sqlite", self.clock)
        self._stack.callback(quota.close)
        fields: dict[str, Any] = {
            "spec": self.spec,
            "address": "",
            "clock": self.clock,
            "quota": quota,
            "symbols": self.names,
            "spill_folder": folder / "spill",
            "simulated": True,
            "sdk": self.sdk,
        }
        return Connection(**(fields | self.entrance() | changes))

    @property
    def sent(self) -> frozenset[str]:
        """Ids of the records of what has happened since the first subscription, whether or not anybody listened."""
        return frozenset(source_id(found) for found in self.tape.live)

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.tape.finished

    def grow(self) -> None:
        """The tick history gains a print."""
        self.tape.grow()

    def refusal(self) -> FaultKind | None:
        """The fault that keeps the next session out, None where it may start."""
        with self._lock:
            if self._starts:
                return self._starts.popleft()
            return "refused" if time.monotonic() < self._refused_until else None

    def drops_now(self) -> bool:
        """Whether the connection is lost before this subscription is confirmed."""
        with self._lock:
            drops, self._drops_in_subscribe = self._drops_in_subscribe, False
        return drops

    def prepare(self, fault: Fault) -> None:
        """Do to later sessions what a fault of this one does to them."""
        with self._lock:
            if fault.kind == "refused":
                self._refused_until = time.monotonic() + fault.seconds
            elif fault.kind in ("tls_error", "drop_in_backoff", "bad_credentials"):
                self._starts.append(fault.kind)
            elif fault.kind == "drop_in_subscribe":
                self._drops_in_subscribe = True


def source_id(found: Print) -> str:
    """The id of the record that a print becomes."""
    if found.kind == "TRADE":
        return f"{found.symbol}:T:{found.when:%Y%m%d}:{found.number}"
    stamp = int(found.when.timestamp()) * 1_000_000 + found.when.microsecond
    return f"{found.symbol}:{found.kind[0]}:{stamp}:{found.price!r}:{float(found.size)!r}"
