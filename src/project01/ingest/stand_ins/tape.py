"""A made-up market for stand-ins of SDKs: prints that happen whether or not anybody listens, bars from a seed."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from random import Random
from threading import Event, Lock
from typing import Literal

from project01.domain import Clock

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Print:
    """One trade, or one side of a quote.

    Attributes:
        number: place on the tape; ids of trades are made from it.
        symbol: ours.
        kind: what it is.
        price: listing currency.
        size: shares.
        when: UTC, whole milliseconds.
    """

    number: int
    symbol: str
    kind: Literal["TRADE", "BID", "ASK"]
    price: float
    size: int
    when: datetime


@dataclass(frozen=True)
class MadeBar:
    """Prices and volume of a time; the same for the same seed, symbol and start."""

    open: float
    high: float
    low: float
    close: float
    volume: int


class TapeClock:
    """Stands at `start` until it is begun, then runs with the machine's."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._began: float | None = None

    def begin(self) -> None:
        """Start, unless it runs already."""
        if self._began is None:
            self._began = time.monotonic()

    def now(self) -> datetime:
        """The made-up instant, UTC."""
        passed = 0.0 if self._began is None else time.monotonic() - self._began
        return self._start + timedelta(seconds=passed)


class Tape:
    """Prints of several symbols in turn: those of the past, and those from the first listener on.

    Args:
        symbols: ours.
        seed: of prices and sizes.
        start: the present, at which the clock stands until somebody listens.
        count: prints after the first listener came.
        per_second: of those.
        past: prints before `start`.
        past_step: time between those.
        clock: in place of one that stands at `start` until somebody listens.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        *,
        seed: int,
        start: datetime,
        count: int,
        per_second: float,
        past: int = 120,
        past_step: timedelta = timedelta(seconds=10),
        clock: Clock | None = None,
    ) -> None:
        self._symbols, self._seed, self._start = tuple(symbols), seed, whole_milliseconds(start)
        self._standing = TapeClock(self._start)
        self.clock: Clock = clock or self._standing
        self._step, self._count = max(_MILLISECOND, timedelta(seconds=1 / per_second)), count
        self._past = [_print(seed, symbols, n, self._start - past_step * (past - n)) for n in range(past)]
        self._live: list[Print] = []
        self._grown: list[Print] = []
        self._lock, self._stop = Lock(), Event()

    def begin(self) -> None:
        """The first listener came; later ones change nothing."""
        with self._lock:
            if not self._live:
                first, start = len(self._past), whole_milliseconds(self.clock.now())
                self._live = [
                    _print(self._seed, self._symbols, first + n, start + self._step * (n + 1))
                    for n in range(self._count)
                ]
                self._standing.begin()

    def grow(self) -> None:
        """The past gains a print, five seconds before the start."""
        number = 1_000_000 + len(self._grown)
        when = self._start - timedelta(seconds=5) + _MILLISECOND * len(self._grown)
        self._grown.append(_print(self._seed, self._symbols[:1], number, when))

    @property
    def live(self) -> list[Print]:
        """Prints that have happened since the first listener came."""
        now = self.clock.now()
        return [found for found in self._live if found.when <= now]

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return 0 < len(self._live) == len(self.live)

    @property
    def newest(self) -> int:
        """Number of the newest print that has happened, -1 for none."""
        return len(self._past) + len(self.live) - 1

    def until_now(self) -> list[Print]:
        """Prints that have happened, in order."""
        return self._past + self._grown + self.live

    def next_after(self, number: int, timeout_s: float) -> Print | None:
        """The print that follows the one of that number, waited for at most `timeout_s`."""
        place = number + 1 - len(self._past)
        if place >= len(self._live):
            self._stop.wait(timeout_s)
            return None
        found = self._live[place]
        wait_s = (found.when - self.clock.now()).total_seconds()
        if wait_s > 0:
            self._stop.wait(min(wait_s, timeout_s))
        return found if wait_s <= timeout_s else None

    def close(self) -> None:
        """Let go of all who wait."""
        self._stop.set()


def whole_milliseconds(instant: datetime) -> datetime:
    """Cut to whole milliseconds, as vendors stamp."""
    return instant.astimezone(UTC).replace(microsecond=instant.microsecond // 1000 * 1000)


def _print(seed: int, symbols: Sequence[str], number: int, when: datetime) -> Print:
    """Prices and sizes change only now and then, so that fields that did not change are left out."""
    symbol = symbols[number % len(symbols)]
    turn = number // len(symbols)
    kind: Literal["TRADE", "BID", "ASK"] = ("TRADE", "BID", "ASK")[turn % 3]
    level = _random(seed, symbol, turn // 9)
    base = 100 + 20 * math.sin(hash_of(seed, symbol)) + round(level.uniform(-1, 1), 2)
    offset = {"TRADE": 0.0, "BID": -0.01, "ASK": 0.01}[kind]
    size = 100 * _random(seed, symbol, -1 - turn // 6).randint(1, 9)
    return Print(number, symbol, kind, round(base + offset, 2), size, whole_milliseconds(when))


def hash_of(seed: int, *what: object) -> int:
    """A number that is the same in every process."""
    return int.from_bytes(blake2b(repr((seed, *what)).encode(), digest_size=6).digest())


def _random(seed: int, *what: object) -> Random:
    return Random(hash_of(seed, *what))  # noqa: S311 - a made-up market needs no secret


def bar(seed: int, symbol: str, start: datetime | date) -> MadeBar:
    """The bar of a symbol that starts at an instant, or of a day."""
    random = _random(seed, symbol, start.isoformat())
    opened = round(random.uniform(50, 200), 2)
    closed = round(opened * (1 + random.gauss(0, 0.01)), 2)
    high = round(max(opened, closed) + random.uniform(0, 1), 2)
    low = round(min(opened, closed) - random.uniform(0, 1), 2)
    return MadeBar(opened, high, low, closed, 100 * random.randint(10, 10_000))
