"""What the stand-ins of FRED, Nasdaq Data Link and EDGAR share: a server, a ready connection, and what was sent."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from pydantic import SecretStr

from project01.domain import Clock, SystemClock
from project01.ingest.connection import Connection
from project01.ingest.stand_ins.exchange import Reply, Request
from project01.ingest.stand_ins.faults import NO_FAULTS, FaultScript
from project01.ingest.stand_ins.server import StandInServer
from project01.ingest.symbols import SymbolMap
from project01.ingest.transport import QuotaLedger, RetryPolicy
from project01.ingest.vendor import VendorSpec

# Patient as in earnest, but in a hurry: a local server is back at once.
_RETRY = RetryPolicy(attempts=6, base_s=0.01, cap_s=0.2, longest_wait_s=5.0)


class FundamentalsStandIn(ABC):
    """A local server of one vendor, while the ``with`` block lasts.

    Attributes:
        server: the running server, with the requests it got.
        sent: source ids of what was put out so far, in no order.
    """

    spec: ClassVar[VendorSpec]
    secrets: ClassVar[Mapping[str, str]]

    def __init__(self, *, faults: FaultScript = NO_FAULTS, symbols: SymbolMap | None = None) -> None:
        self.sent: set[str] = set()
        self._symbols = symbols or SymbolMap.default()
        self.server = StandInServer(http=self.answer, faults=faults)
        self._ledgers: list[QuotaLedger] = []

    @abstractmethod
    def answer(self, request: Request) -> Reply:
        """What the vendor answers."""

    def connection(
        self, folder: Path, *, clock: Clock | None = None, secrets: Mapping[str, str] | None = None
    ) -> Connection:
        """A connection to this server; every record over it is marked as simulated.

        Args:
            folder: for the quota ledger, which is closed with the stand-in.
            clock: the machine's clock where None.
            secrets: instead of those that the server accepts.
        """
        clock = clock or SystemClock()
        ledger = QuotaLedger(folder / "quota.sqlite", clock)
        self._ledgers.append(ledger)
        return Connection(
            spec=self.spec,
            secrets={name: SecretStr(text) for name, text in (secrets or self.secrets).items()},
            address=self.server.http_url,
            stream_address="",
            clock=clock,
            quota=ledger,
            symbols=self._symbols,
            spill_folder=folder / "spill",
            budgets=self.spec.budgets,
            retry=_RETRY,
            simulated=True,
        )

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for ledger in self._ledgers:
            ledger.close()
        self.server.__exit__(kind, error, trace)
