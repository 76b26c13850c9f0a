"""Real ticks the whole way, and read back in the form of the file they came from."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from tests.real import built, polygon_events, ticks
from tests.real.through import fetch_all, landed, listen_for, proven, publish, unequal

from project01.domain import LICENCES, TABLES, Record
from project01.ingest import Query
from project01.ingest.stand_ins import polygon
from project01.pipelines import Place

pytestmark = pytest.mark.slow

MIDNIGHT, NEXT = datetime(2013, 10, 7, tzinfo=UTC), datetime(2013, 10, 8, tzinfo=UTC)
HOUR = (datetime(2013, 10, 7, 14, tzinfo=UTC), datetime(2013, 10, 7, 15, tzinfo=UTC))
RECEIVED = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6)
AIG_TRADES, BAC_QUOTES = 25_351, 76_242


@pytest.fixture(scope="module")
def trades(shared_data: Path) -> pl.DataFrame:
    found = (
        ticks.ticks(shared_data / ticks.TRADES_FILE).filter(pl.col("symbol") == "AIG", pl.col("ts") < NEXT).collect()
    )
    assert found.height == AIG_TRADES
    return found


@pytest.fixture(scope="module")
def quotes(shared_data: Path) -> pl.DataFrame:
    found = ticks.ticks(shared_data / ticks.QUOTES_FILE).filter(pl.col("ts").is_between(*HOUR, closed="left")).collect()
    assert found.height == BAC_QUOTES
    return found


def day_of(shared_data: Path, interval: str, kind: str) -> pl.DataFrame:
    rows = ticks.bars(shared_data, interval, kind)
    return rows.filter(pl.col("symbol") == "AIG", pl.col("ts").is_between(MIDNIGHT, NEXT, closed="left")).sort("ts")


@pytest.fixture(scope="module")
def place(
    shared_data: Path, trades: pl.DataFrame, quotes: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Place:
    made = Place(tmp_path_factory.mktemp("day"))

    def records() -> Iterator[Record]:
        yield from ticks.trade_records(trades, RECEIVED)
        yield from ticks.quote_records(quotes, RECEIVED)
        for interval in ("1s", "1m"):
            yield from ticks.bar_records(day_of(shared_data, interval, "trade"), interval, RECEIVED)
            yield from ticks.quote_bar_records(day_of(shared_data, interval, "quote"), interval, RECEIVED)

    acknowledged = publish(made, records())
    figures = landed(made, "ticks")["ticks"]
    assert (figures.landed, figures.refused, figures.unreadable) == (acknowledged, 0, 0)
    return made


def test_a_day_of_trades_and_an_hour_of_quotes_come_back_as_they_were(
    place: Place, trades: pl.DataFrame, quotes: pl.DataFrame
) -> None:
    assert unequal(trades, ticks.trades_back(place.lake, ticks.suspicious(place.lake)), ["place"]) == 0
    assert unequal(quotes, ticks.quotes_back(place.lake), ["place"]) == 0


def test_a_tick_counts_from_when_it_happened_under_its_own_licence(place: Place) -> None:
    for table in ("trades", "quotes"):
        rows = place.lake.scan(table).collect()
        assert (rows["event_time"] == rows["knowledge_time"]).all()
        assert set(rows["licence"]) == {ticks.LICENCE}
        assert not rows["simulated"].any()
    assert LICENCES[ticks.LICENCE].may_leave


@pytest.mark.parametrize("interval", ["1s", "1m"])
def test_the_vendors_bars_come_back_as_they_were(shared_data: Path, place: Place, interval: str) -> None:
    own = day_of(shared_data, interval, "trade")
    assert unequal(own, ticks.bars_back(place.lake, interval, own), ["ts"]) == 0
    quoted = day_of(shared_data, interval, "quote")
    assert unequal(quoted, ticks.quote_bars_back(place.lake, interval, quoted), ["ts"]) == 0


def test_bars_built_in_the_lake_equal_the_vendors_where_both_rules_pick_the_same_trades(place: Place) -> None:
    pairs = built.both(place.lake)
    shares = built.shares(pairs)
    assert shares["built"].to_list() == shares["bars"].to_list() == [3_930], "each of the vendor's bars is among ours"
    least = {"open": 0.94, "high": 0.96, "low": 0.94, "close": 0.95, "volume": 0.81}
    assert all(shares[field].item() >= share for field, share in least.items()), shares
    same = built.agreed(place.lake, pairs)
    assert same.height > pairs.height / 3
    assert built.all_prices_equal(same)


def test_landing_again_adds_nothing_and_a_rebuild_gives_the_same_digests(place: Place, tmp_path: Path) -> None:
    tables = proven(place, tmp_path / "rebuilt", "ticks")
    assert {row["table"] for row in tables} == {"bars", "trades", "quotes"}
    assert all(row["equal"] for row in tables), tables


def test_any_order_and_repetition_on_the_bus_give_the_same_tables(trades: pl.DataFrame, tmp_path: Path) -> None:
    hour = list(ticks.trade_records(trades.filter(pl.col("ts").is_between(*HOUR, closed="left")), RECEIVED))
    assert len(hour) > 2_000
    seen = set()
    for seed in range(6):
        place = Place(tmp_path / str(seed))
        order = pl.int_range(len(hour), eager=True)
        if seed:
            order = pl.concat([order, order.sample(fraction=0.3, with_replacement=True, seed=seed)])
            order = order.sample(fraction=1.0, shuffle=True, seed=seed)
        # In parts, landed one by one: bars are built again and again as trades come in.
        third = len(order) // 3
        for part in (order[:third], order[third : 2 * third], order[2 * third :]):
            publish(place, (hour[number] for number in part))
            landed(place, "ticks")
        seen.add(tuple(place.lake.digest(name) for name in ("trades", "bars")))
    assert len(seen) == 1


def test_a_day_of_trades_through_polygons_protocol(trades: pl.DataFrame, tmp_path: Path) -> None:
    place = Place(tmp_path / "out")
    events = polygon_events.trade_events(trades)
    query = Query(dataset="trades", symbols=("AIG",))
    with polygon.stand_in(events=events, speed=math.inf) as server:
        assert listen_for(place, server.connection(tmp_path), query, len(events), limit_s=120) == len(events)
        asked = Query(dataset="trades", symbols=("AIG",), start=HOUR[0], end=HOUR[1])
        again = fetch_all(place, server.connection(tmp_path), asked)
    assert again == trades["ts"].is_between(*HOUR, closed="left").sum() > 2_000, "history tells that hour again"
    figures = landed(place, "ticks")["ticks"]
    assert figures.landed == len(events) + again
    assert figures.rows["trades"] == len(events)
    assert unequal(trades.drop("suspicious"), polygon_events.trades_back(place.lake, trades), ["place"]) == 0


def test_a_whole_day_of_all_symbols_fits_in_two_gibibytes(shared_data: Path, tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "real_data.py"
    command = [
        sys.executable,
        str(script),
        "--only",
        "ticks",
        "--day",
        "2013-10-07",
        "--data",
        str(shared_data),
        "--json",
    ]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=500)
    figures = json.loads(ran.stdout)["ticks"]
    assert figures["unequal rows"] == 0
    assert figures["rebuild"] == "equal"
    assert figures["rows"] > 800_000
    assert figures["peak MiB"] < 2048
    assert set(TABLES) >= {"trades", "quotes", "bars"}
