"""A platform in place of LSEG's, behind the stand-in library: a made-up market with a stream, tables and headlines.

`project01 ingest lseg --simulate` uses it; tests add faults. The library has no sockets to break, so that faults of
streams come as what LSEG tells of them:

| fault | what the session sees |
|---|---|
| close_1000, close_1001 | SessionDisconnected |
| close_1006, half_message | StreamDisconnected |
| close_1008, close_1011 | an instrument's stream closed for recovery; its data suspect |
| refused, tls_error, drop_in_backoff | SessionDisconnected, then sessions that do not open |
| drop_in_subscribe | SessionDisconnected, then StreamDisconnected before the first refresh |
| bad_credentials | SessionDisconnected, then a login that fails |
| silence, pause | nothing more; nothing for a while |
"""

import time
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from itertools import count as counter
from types import ModuleType
from typing import Any, ClassVar, Self

from pydantic import SecretStr

from project01.domain import SystemClock
from project01.ingest.stand_ins import NO_FAULTS, Fault, FaultScript, lseg_sdk
from project01.ingest.stand_ins.lseg_sdk import PLATFORMS, EventCode, Told
from project01.ingest.stand_ins.lseg_tables import LsegTables
from project01.ingest.stand_ins.sdk_market import SdkMarket
from project01.ingest.stand_ins.tape import Print
from project01.ingest.vendor import VendorSpec
from project01.ingest.vendors.lseg import SPEC
from project01.ingest.vendors.sdk import SIMULATED_SYMBOLS

_NUMBERS = counter(1)
_STATES: dict[str, dict[str, str]] = {
    "close_1008": {"Stream": "ClosedRecover", "Data": "Suspect", "Code": "None", "Text": "item recovery"},
    "close_1011": {"Stream": "Open", "Data": "Suspect", "Code": "None", "Text": "source is down"},
}
_STREAM_ENDS = ("close_1006", "half_message")
_NAMES = {"TRADE": ("TRDPRC_1", "TRDVOL_1"), "BID": ("BID", "BIDSIZE"), "ASK": ("ASK", "ASKSIZE")}


class LsegStandIn(SdkMarket, LsegTables):
    """The market and its platform, while the ``with`` block lasts; arguments as of `stand_in`."""

    spec: ClassVar[VendorSpec] = SPEC
    sdk: ClassVar[ModuleType] = lseg_sdk

    def __init__(
        self,
        symbols: Sequence[str],
        seed: int,
        faults: FaultScript,
        count: int,
        per_second: float,
        start: datetime,
        key: str,
    ) -> None:
        SdkMarket.__init__(self, symbols, "ric", seed, faults, count, per_second, start)
        LsegTables.__init__(self, self.tape, self.instruments, seed, faults)
        self._key = f"{key}-{next(_NUMBERS)}"

    def __enter__(self) -> Self:
        PLATFORMS[self._key] = self
        self._stack.callback(PLATFORMS.pop, self._key)
        return super().__enter__()

    def entrance(self) -> dict[str, Any]:
        """The application key that leads to this platform."""
        return {"secrets": {"app key": SecretStr(self._key)}, "stream_address": ""}

    # What the stand-in library calls.

    def start(self) -> list[EventCode]:
        """Let a session in, or not."""
        refusal = self.refusal()
        if refusal is not None:
            refused = refusal == "bad_credentials"
            end = EventCode.SessionAuthenticationFailed if refused else EventCode.SessionDisconnected
            return [EventCode.SessionConnecting, end]
        return [EventCode.SessionAuthenticationSuccess, EventCode.SessionConnected]

    def subscribe(self, rics: Sequence[str]) -> "PriceFeed":
        """What happens from now on, after the present values."""
        feed = PriceFeed(self, rics, drops=self.drops_now())
        self.tape.begin()
        return feed

    def strike(self, fault: Fault, ric: str) -> Told | None:
        """Prepare what a fault does to later sessions; what ends this one, None if it falls silent."""
        self.prepare(fault)
        if fault.kind == "silence":
            return None
        if fault.kind in _STATES:
            return "status", ric, {"State": _STATES[fault.kind]}
        ended = EventCode.StreamDisconnected if fault.kind in _STREAM_ENDS else EventCode.SessionDisconnected
        return "event", "", {"code": ended}


class PriceFeed:
    """What one stream gets: present values, then for each print the fields that changed."""

    def __init__(self, platform: LsegStandIn, rics: Sequence[str], *, drops: bool) -> None:
        self._platform = platform
        happened = platform.tape.until_now()
        self._number = platform.tape.newest
        self._rics = {platform.instruments[ric]: ric for ric in rics if ric in platform.instruments}
        self._last: dict[str, dict[str, Any]] = {symbol: {} for symbol in self._rics}
        for found in happened:
            if found.symbol in self._last:
                self._last[found.symbol].update(_values(found))
        self._silent = drops
        self._waiting: deque[Told] = deque()
        if drops:
            self._waiting.append(("event", "", {"code": EventCode.StreamDisconnected}))
            return
        self._waiting.extend(("refresh", ric, dict(self._last[symbol])) for symbol, ric in self._rics.items())
        self._waiting.extend(_unknown(ric) for ric in rics if ric not in platform.instruments)

    def next_told(self, timeout_s: float) -> Told | None:
        """The next thing told, None if there is none in time."""
        if self._waiting:
            return self._waiting.popleft()
        found = None if self._silent else self._platform.tape.next_after(self._number, timeout_s)
        if found is None:
            if self._silent:
                time.sleep(timeout_s)
            return None
        if found.symbol not in self._rics:
            self._number = found.number
            return None
        fault = self._platform.faults.next_for_frame()
        if fault is None or fault.kind in ("duplicates", "pause", *_CONTENT):
            return self._update(found, fault)
        self._silent = True
        return self._platform.strike(fault, self._rics[found.symbol])

    def _update(self, found: Print, fault: Fault | None) -> Told:
        self._number = found.number
        last, values = self._last[found.symbol], _values(found)
        changed = {name: value for name, value in values.items() if last.get(name) != value}
        last.update(values)
        if found.kind != "TRADE" and not changed.keys() & set(_NAMES[found.kind]):
            changed[_NAMES[found.kind][0]] = found.price  # an unchanged quote is told by its price alone
        told = ("update", self._rics[found.symbol], changed)
        if fault is not None and fault.kind == "pause":
            time.sleep(fault.seconds)
        elif fault is not None and fault.kind == "duplicates":
            self._waiting.append(told)
        elif fault is not None:
            prices = ("TRDPRC_1", "BID", "ASK")
            spoilt = {name: _CONTENT[fault.kind] if name in prices else value for name, value in changed.items()}
            return told[0], told[1], spoilt | {"BRAND_NEW": 1}
        return told


# Faults of content in the stream: what stands where the price should.
_CONTENT: dict[str, Any] = {"retyped_field": "a text", "not_a_number": float("inf"), "lone_surrogate": "\ud800"}


def _values(found: Print) -> dict[str, Any]:
    """All fields of a print, as LSEG calls them."""
    price, size = _NAMES[found.kind]
    stamp, of_day = ("SALTIM_MS", "TRADE_DATE") if found.kind == "TRADE" else ("QUOTIM_MS", "QUOTE_DATE")
    midnight = found.when.replace(hour=0, minute=0, second=0, microsecond=0)
    milliseconds = round((found.when - midnight).total_seconds() * 1000)
    values = {price: found.price, size: found.size, stamp: milliseconds, of_day: f"{found.when:%Y-%m-%d}"}
    return values | ({"SEQNUM": found.number} if found.kind == "TRADE" else {})


def _unknown(ric: str) -> Told:
    code = "NotEntitled" if "UNENTITLED" in ric else "NotFound"
    return "status", ric, {"State": {"Stream": "Closed", "Data": "Suspect", "Code": code, "Text": f"**{ric} {code}"}}


def stand_in(
    *,
    symbols: Sequence[str] = SIMULATED_SYMBOLS,
    seed: int = 7,
    faults: FaultScript = NO_FAULTS,
    speed: float = 20.0,
    count: int = 12_000,
    start: datetime | None = None,
    key: str = "simulated-lseg-key",
) -> LsegStandIn:
    """A made-up market behind the stand-in library.

    Args:
        symbols: ours, whose prints take turns.
        seed: the same seed, the same prices, sizes and texts.
        faults: what goes wrong.
        speed: prints a second, all symbols together.
        count: prints from the first subscription on.
        start: the present, at which the made-up clock stands until somebody subscribes; now where None.
        key: beginning of the application key that is let in.
    """
    return LsegStandIn(symbols, seed, faults, count, speed, start or SystemClock().now(), key)
