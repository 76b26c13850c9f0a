"""A vendor with numbered pages: page n always holds the same records, and the cursor is the next page's number."""

import time
from collections.abc import Callable, Iterator
from random import Random
from threading import Event

from project01.domain import NewsItem, Record, Trade
from project01.ingest import Decoded, Page, Query

SOURCE = "numbered"
QUERY = Query(dataset="everything")
TOPICS = ("ticks", "news")
BEGIN = 1_709_562_600_000_000  # 2024-03-04, when the exchange opens
SECOND = 1_000_000
PAGE_S = 60
SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE")
MOST_TRADES, MOST_NEWS = 30, 8


class NumberedSource:
    """Yields pages until `enough` says so, each after a pause, as a vendor far away does."""

    def __init__(self, enough: Callable[[int], bool], pause_s: float = 0.0) -> None:
        self._enough, self._pause_s = enough, pause_s

    def history(self, _query: Query, cursor: str | None = None) -> Iterator[Page]:
        number = int(cursor or 0)
        while not self._enough(number):
            yield Page(decoded=Decoded(records_of_page(number)), cursor=str(number + 1))
            number += 1
            time.sleep(self._pause_s)

    def stream(self, _query: Query, _stop: Event) -> Iterator[Page]:
        raise NotImplementedError

    def decode(self, _dataset: str, _payload: bytes, _received_at: int) -> Decoded:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is held open."""


def records_of_page(number: int) -> list[Record]:
    """Trades of a minute, some late, cancelled or corrected, and news; every record has an id of its own."""
    random = Random(number)
    trades = [_trade(number, place, random) for place in range(random.randint(1, MOST_TRADES))]
    return [*trades, *(_news(number, place, random) for place in range(random.randint(0, MOST_NEWS)))]


def _trade(number: int, place: int, random: Random) -> Trade:
    # The symbol hangs on the place, so that a change has the symbol of the trade that it changes.
    symbol = SYMBOLS[place % len(SYMBOLS)]
    happened = BEGIN + number * PAGE_S * SECOND + random.randrange(PAGE_S) * SECOND
    changes = number > 0 and random.random() < 0.1
    refers_to = f"{symbol}/{max(0, number - random.choice([1, 1, 90]))}/{place}" if changes else None
    return Trade(
        **_common(f"{symbol}/{number}/{place}", happened, random.choice([0, 0, 0, 2, 400, 1_200])),
        symbol=symbol,
        price=round(random.uniform(10.0, 11.0), 2),
        size=float(random.randint(1, 500)),
        action=random.choice(["cancel", "correct"]) if changes else "new",
        refers_to=refers_to,
    )


def _news(number: int, place: int, random: Random) -> NewsItem:
    symbol = random.choice(SYMBOLS)
    happened = BEGIN + number * PAGE_S * SECOND
    return NewsItem(**_common(f"{symbol}/{number}/{place}", happened, 1), symbol=symbol, headline=f"Story {number}")


def _common(source_id: str, happened: int, delay_s: int) -> dict[str, object]:
    known = happened + delay_s * SECOND
    return {
        "source": SOURCE, "source_id": source_id, "event_time": happened, "knowledge_time": known,
        "received_at": known, "licence": "own",
    }  # fmt: skip
