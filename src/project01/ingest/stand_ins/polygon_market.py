"""What happens on Polygon's stand-in: trades and quotes of made-up shares, second by second, and the bars they make.

Events have the form of the vendor's socket, so that recorded ones can be played in their place.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

Event = dict[str, Any]
Frame = tuple[Event, ...]

SECOND_MS = 1000
TRADED_SHARE = 0.8  # of seconds; a second without a trade has no bar
VOLATILITY = 0.0002  # of a second's price change, as a fraction


def simulated_frames(symbols: Sequence[str], *, seed: int, start_ms: int, seconds: int) -> list[Frame]:
    """One frame a second, each with what happened in that second and its bars; the same seed gives the same frames.

    Args:
        symbols: as the vendor writes them; each has its own random stream, whatever the others are.
        seed: of all randomness.
        start_ms: when the first second begins, milliseconds UTC.
        seconds: how many.
    """
    columns = [_share(symbol, np.random.default_rng([seed, *symbol.encode()]), start_ms, seconds) for symbol in symbols]
    return [tuple(event for share in second for event in share) for second in zip(*columns, strict=True)]


def frames_of(events: Iterable[Event]) -> list[Frame]:
    """Recorded events in frames of one second each, in the order given; bars belong to the second in which they end."""
    return [tuple(group) for _, group in groupby(events, key=lambda event: (time_of(event) - 1) // SECOND_MS)]


def time_of(event: Event) -> int:
    """When the vendor sends the event: a bar at its end, milliseconds UTC."""
    return int(event["e"] if event["ev"] in {"A", "AM"} else event["t"])


def _share(symbol: str, generator: np.random.Generator, start_ms: int, seconds: int) -> list[list[Event]]:
    traded = generator.random(seconds) < TRADED_SHARE
    traded[0] = True
    steps = generator.standard_normal(seconds * 3) * VOLATILITY
    prices = np.round(generator.uniform(20, 400) * np.exp(np.cumsum(steps)), 2).reshape(seconds, 3).tolist()
    sizes = generator.integers(1, 500, (seconds, 3)).tolist()
    offsets = np.sort(generator.integers(0, SECOND_MS, (seconds, 4)), axis=1).tolist()
    exchanges = generator.integers(1, 20, (seconds, 3)).tolist()
    made: list[list[Event]] = []
    minute: list[Event] = []
    for number in range(seconds):
        begins = start_ms + number * SECOND_MS
        events: list[Event] = [_quote(symbol, prices[number][0], begins + offsets[number][0], number)]
        if traded[number]:
            trades = [
                _trade(symbol, price, size, exchange, begins + offset, number * 3 + place)
                for place, (price, size, exchange, offset) in enumerate(
                    zip(prices[number], sizes[number], exchanges[number], offsets[number][1:], strict=True)
                )
            ]
            minute.append(bar_of(symbol, trades, begins, SECOND_MS))
            events += [*trades, minute[-1]]
        if (begins + SECOND_MS) % 60_000 == 0 and minute:
            events.append(merged(minute, begins + SECOND_MS - 60_000, 60_000))
            minute = []
        made.append(events)
    return made


def _trade(symbol: str, price: float, size: int, exchange: int, at: int, number: int) -> Event:
    event: Event = {
        "ev": "T", "sym": symbol, "x": exchange, "i": f"{number + 1}", "z": 3, "p": price, "s": size,
        "c": [37] if size < 100 else [], "t": at, "pt": at - 1, "q": number + 1,
    }  # fmt: skip
    if exchange == 4:  # the vendor's number for off-exchange prints
        event |= {"trfi": 202, "trft": at - 1}
    return event


def _quote(symbol: str, price: float, at: int, number: int) -> Event:
    return {
        "ev": "Q", "sym": symbol, "bx": 11, "bp": round(price - 0.01, 2), "bs": 100 + number % 7 * 100, "ax": 12,
        "ap": round(price + 0.01, 2), "as": 200, "c": 0, "i": [604], "t": at, "pt": at - 1, "q": number + 1, "z": 3,
    }  # fmt: skip


def bar_of(symbol: str, trades: Sequence[Event], start_ms: int, length_ms: int) -> Event:
    """The bar of some trades of one share, in the form of the socket."""
    prices = [trade["p"] for trade in trades]
    volume = sum(trade["s"] for trade in trades)
    return {
        "ev": "A", "sym": symbol, "v": volume, "av": volume, "op": prices[0], "o": prices[0], "h": max(prices),
        "l": min(prices), "c": prices[-1], "vw": round(sum(t["p"] * t["s"] for t in trades) / volume, 4),
        "a": prices[0], "z": volume // len(trades), "n": len(trades), "s": start_ms, "e": start_ms + length_ms,
    }  # fmt: skip


def merged(bars: Sequence[Event], start_ms: int, length_ms: int) -> Event:
    """One longer bar of consecutive bars of one share; recorded bars may lack `vw` and `n`."""
    volume = sum(bar["v"] for bar in bars)
    turnover = sum(bar.get("vw", bar["c"]) * bar["v"] for bar in bars)
    made = bars[0] | {
        "ev": "AM", "v": volume, "av": volume, "o": bars[0]["o"], "c": bars[-1]["c"],
        "h": max(bar["h"] for bar in bars), "l": min(bar["l"] for bar in bars),
        "vw": round(turnover / volume, 4) if volume else bars[-1]["c"], "s": start_ms, "e": start_ms + length_ms,
    }  # fmt: skip
    if "n" in made:
        made["n"] = sum(bar.get("n", 0) for bar in bars)
    return made


def longer_bars(bars: Iterable[Event], length_ms: int) -> Iterator[Event]:
    """Bars of `length_ms` of one share's second bars in order."""
    for place, group in groupby(bars, key=lambda bar: bar["s"] // length_ms):
        yield merged(list(group), place * length_ms, length_ms)


def source_id(event: Event, day: str) -> str:
    """The id that a record of this event has to have; `day`: in New York, ISO."""
    symbol = event["sym"]
    if event["ev"] in {"A", "AM"}:
        return f"{symbol}:{'1s' if event['ev'] == 'A' else '1m'}:{event['s']}"
    if event["ev"] == "T":
        return f"{symbol}:trade:{day}:{event['x']}:{event.get('trfi') or ''}:{event['i']}"
    return f"{symbol}:quote:{day}:{event['q']}"
