"""The vendor's own recorded answers are read whole."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from project01.domain import Bar, CorporateAction, NewsItem, Observation, Quote, Record, Trade
from project01.ingest.symbols import SymbolMap
from project01.ingest.vendors.polygon_decode import Asked, PolygonDecoder
from project01.ingest.vendors.polygon_origin import Origin

NOW = int(datetime(2026, 9, 1, tzinfo=UTC).timestamp() * 1e6)
DAY = Asked(span="1d")
RANGE = "v2__aggs__ticker__AAPL__range__1__day__2005-04-01__2005-04-04"
RECORDED = [
    ("v1__marketstatus__upcoming", "market_status", Asked(), Observation, 14),
    (RANGE, "aggregates", DAY, Bar, 2),
    ("v2__aggs__ticker__AAPL__prev", "aggregates", DAY, Bar, 1),
    ("v2__aggs__grouped__locale__us__market__stocks__2005-04-04_adjusted-true", "aggregates", DAY, Bar, 1),
    ("v2__reference__news_ticker-NFLX", "news", Asked(), NewsItem, 1),
    ("v3__quotes__AAPL", "quotes", Asked("AAPL"), Quote, 10),
    ("v3__trades__AAPL_limit-2", "trades", Asked("AAPL"), Trade, 2),
    ("v3__reference__dividends", "dividends", Asked(), CorporateAction, 10),
    ("v3__reference__splits", "splits", Asked(), CorporateAction, 10),
    ("v3__reference__tickers__AAPL", "tickers", Asked(), CorporateAction, 1),
    ("vX__reference__tickers__META__events_types-ticker_change", "ticker_events", Asked(), CorporateAction, 2),
]


@pytest.mark.parametrize(("name", "dataset", "asked", "kind", "count"), RECORDED, ids=[row[0] for row in RECORDED])
def test_recorded_answers_are_read_whole(
    shared_data: Path, name: str, dataset: str, asked: Asked, kind: type[Record], count: int
) -> None:
    path = shared_data / "vendor_fixtures" / "polygon" / f"{name}.json"
    if not path.exists():
        pytest.skip(f"no recorded answer at {path}")
    decoder = PolygonDecoder(Origin("polygon", False, SymbolMap.default()))
    decoded = decoder.answer(dataset, path.read_bytes(), NOW, asked)
    assert decoded.letters == []
    assert [type(record) for record in decoded.records] == [kind] * count
    assert len({record.source_id for record in decoded.records}) == count
    assert all(record.knowledge_time <= NOW for record in decoded.records)


def test_the_days_of_april_2005_are_known_at_their_closes(shared_data: Path) -> None:
    path = shared_data / "vendor_fixtures" / "polygon" / f"{RANGE}.json"
    if not path.exists():
        pytest.skip(f"no recorded answer at {path}")
    decoder = PolygonDecoder(Origin("polygon", False, SymbolMap.default()))
    bars = decoder.answer("aggregates", path.read_bytes(), NOW, DAY).records
    # The first day is still winter time, the second summer time.
    expected = [datetime(2005, 4, 1, 21, tzinfo=UTC), datetime(2005, 4, 4, 20, tzinfo=UTC)]
    assert [bar.knowledge_time for bar in bars] == [int(instant.timestamp()) * 1_000_000 for instant in expected]
