"""All the shared real data the whole way: bus, raw tables, curated tables, and back, compared with the files by row.

Each set runs in a process of its own, so that its peak memory is its own. FRED's vintages and pystock's filings come
through the vendors' own clients from local servers that speak the vendors' protocols; everything else is published as
records. Afterwards everything is landed again, which must add nothing, and rebuilt from the raw tables, which must give
the same digests.

Run: python benchmarks/real_data.py [--only NAME ...] [--kafka] [--day 2013-10-07] [--data FOLDER] [--json]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import polars as pl

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from infra.kafka.broker import KafkaBroker  # noqa: E402 - launcher and converters lie beside the package, not in it
from tests.real import built, fundamentals, texts, ticks  # noqa: E402
from tests.real.through import fetch_all, proven, publish, unequal  # noqa: E402

from project01.bus import TOPICS, apply, difference, open_bus  # noqa: E402
from project01.domain import Record  # noqa: E402
from project01.ingest import Query  # noqa: E402
from project01.ingest.stand_ins import edgar, fred  # noqa: E402
from project01.lake import Lander  # noqa: E402
from project01.pipelines import Place, TopicFigures  # noqa: E402
from project01.pipelines.landing import curate_topic  # noqa: E402

SLICE = 200_000
Figures = dict[str, float | str]


class Way:
    """One set of data on its way.

    Attributes:
        data: folder of the shared data.
        day: the only session of ticks to take; None: all.
        place: bus and lake.
        figures: what was measured so far.
    """

    def __init__(self, data: Path, day: date | None, place: Place) -> None:
        self.data, self.day, self.place = data, day, place
        self.figures: Figures = {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Notes seconds, and CPU seconds of all threads, of a step."""
        started, cpu = time.perf_counter(), time.process_time()
        yield
        self.figures[f"{name} s"] = round(time.perf_counter() - started, 2)
        self.figures[f"{name} CPU s"] = round(time.process_time() - cpu, 2)

    def brought(self, topic: str, source: Callable[[], int]) -> None:
        """Publish, land and curate, each timed by itself; the peak memory is that of these three."""
        with self.timed("publish"):
            rows = source()
        with self.timed("land"), self.place.bus() as bus:
            landed = Lander(self.place.lake, bus, topic).run(threading.Event(), until_caught_up=True)
        counted = TopicFigures()
        with self.timed("curate"):
            curate_topic(self.place.lake, topic, counted)
        self.figures |= {"rows": rows, "peak MiB": peak_mib(), "refused": counted.refused}
        self.figures |= {f"in {table}": number for table, number in counted.rows.items()}
        if landed != rows:
            raise AssertionError(f"{rows} records were acknowledged, {landed} landed")
        for name in ("publish", "land", "curate"):
            self.figures[f"{name} rows/s"] = round(rows / float(self.figures[f"{name} s"]))

    def checked(self, topic: str, differences: int) -> None:
        """Notes how many rows differ from the files; lands again and rebuilds."""
        self.figures["unequal rows"] = differences
        with self.timed("land again and rebuild"):
            tables = proven(self.place, self.place.folder / "rebuilt", topic)
        self.figures["rebuild"] = "equal" if all(row["equal"] for row in tables) else str(tables)
        self.figures["peak MiB with the comparison"] = peak_mib()


def peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def now_us() -> int:
    return time.time_ns() // 1000


def of_day(way: Way, rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows if way.day is None else rows.filter(pl.col("ts").dt.date() == way.day)


def tick_slices(way: Way, file: str) -> Iterator[pl.DataFrame]:
    """Rows of a file of ticks, so many at a time."""
    rows = of_day(way, ticks.ticks(way.data / file))
    height = rows.select(pl.len()).collect().item()
    for start in range(0, height, SLICE):
        yield rows.slice(start, SLICE).collect(engine="streaming").sort("place")


def bars_of(way: Way, interval: str, kind: str) -> pl.DataFrame:
    return of_day(way, ticks.bars(way.data, interval, kind).lazy()).collect().sort("symbol", "ts")


def tick_records(way: Way) -> Iterator[Record]:
    for rows in tick_slices(way, ticks.TRADES_FILE):
        yield from ticks.trade_records(rows, now_us())
    for rows in tick_slices(way, ticks.QUOTES_FILE):
        yield from ticks.quote_records(rows, now_us())
    for interval in ticks.LENGTHS:
        yield from ticks.bar_records(bars_of(way, interval, "trade"), interval, now_us())
        if interval != "1h":
            yield from ticks.quote_bar_records(bars_of(way, interval, "quote"), interval, now_us())


def tick_differences(way: Way) -> int:
    """Rows of the files that did not come back as they were; read piece by piece."""
    lake, found = way.place.lake, 0
    odd = ticks.suspicious(lake)
    for rows in tick_slices(way, ticks.TRADES_FILE):
        within = pl.col("sequence").is_between(rows["place"].min(), rows["place"].max())
        found += unequal(rows, ticks.trades_back(lake, odd, within), ["place"])
    for rows in tick_slices(way, ticks.QUOTES_FILE):
        within = pl.col("sequence").is_between(rows["place"].min(), rows["place"].max())
        found += unequal(rows, ticks.quotes_back(lake, within), ["place"])
    for interval in ticks.LENGTHS:
        own = bars_of(way, interval, "trade")
        found += unequal(own, ticks.bars_back(lake, interval, own), ["symbol", "ts"])
        if interval != "1h":
            own = bars_of(way, interval, "quote")
            found += unequal(own, ticks.quote_bars_back(lake, interval, own), ["symbol", "ts"])
    return found


def run_ticks(way: Way) -> None:
    way.brought("ticks", lambda: publish(way.place, tick_records(way)))
    way.checked("ticks", tick_differences(way))
    pairs = built.both(way.place.lake)
    way.figures["vendor's second bars"] = pairs.height
    way.figures["of them built too"] = int(pairs["built"].sum())
    for symbol, _, _, *equal in built.shares(pairs).rows():
        told = ", ".join(f"{name} {share:.1%}" for name, share in zip(built.FIELDS, equal, strict=True))
        way.figures[f"{symbol} built second bars equal"] = told
    same = built.agreed(way.place.lake, pairs)
    way.figures["bars of the same trades by both rules"] = same.height
    way.figures["their prices equal"] = str(built.all_prices_equal(same))


def run_reuters(way: Way) -> None:
    given = texts.headlines(way.data)
    way.brought("news", lambda: publish(way.place, texts.news_records(given, now_us())))
    way.checked("news", unequal(given, texts.headlines_back(way.place.lake), ["published_at", "url"]))


def run_tweets(way: Way) -> None:
    given = texts.tweets(way.data)
    way.brought("tweets", lambda: publish(way.place, texts.tweet_records(texts.posts_of(given), now_us())))
    way.checked("tweets", unequal(given, texts.tweets_back(way.place.lake, given), ["tweet_id", "ticker"]))


def run_fred(way: Way) -> None:
    given = fundamentals.vintages(way.data)
    query = Query(dataset="observations", symbols=tuple(given["series_id"].unique().sort()))
    with fred.stand_in(vintages=given.iter_rows()) as server:
        way.brought("fundamentals", lambda: fetch_all(way.place, server.connection(way.place.folder), query))
    found = fundamentals.vintages_back(way.place.lake)
    way.checked("fundamentals", unequal(given, found, ["series_id", "date", "vintage"]))


def run_edgar(way: Way) -> None:
    given = fundamentals.reports(way.data)
    with edgar.stand_in(reports=given.iter_rows(named=True)) as server:
        companies = tuple(f"CIK{cik:010d}" for cik in {filing.cik: None for filing in server.filings})
        query = Query(dataset="company_facts", symbols=companies)
        way.brought("fundamentals", lambda: fetch_all(way.place, server.connection(way.place.folder), query))
    found = fundamentals.reports_back(way.place.lake, given)
    way.figures |= {"filings": given.height, "filings read back": found.height}
    way.checked("fundamentals", unequal(given, found, ["symbol", "first_seen", "end_date", "amend"]))


def run_prices(way: Way) -> None:
    given = fundamentals.prices(way.data)
    way.brought("ticks", lambda: publish(way.place, fundamentals.price_records(given, now_us())))
    expected = given.drop("file_date", "last_obs_file_date")
    way.checked("ticks", unequal(expected, fundamentals.prices_back(way.place.lake, given), ["symbol", "date"]))


SETS: dict[str, Callable[[Way], None]] = {
    "ticks": run_ticks,
    "reuters": run_reuters,
    "tweets": run_tweets,
    "fred": run_fred,
    "edgar": run_edgar,
    "prices": run_prices,
}


def child(options: argparse.Namespace) -> None:
    """One set, in this process."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="real-")))
        bus_url = None
        if options.kafka:
            broker = stack.enter_context(KafkaBroker(folder / "kafka"))
            bus_url = f"kafka://{broker.servers}"
            bus = open_bus(bus_url)
            apply(bus, difference(bus, list(TOPICS.values())))
            bus.close()
        way = Way(options.data, options.day, Place(folder, bus_url))
        SETS[options.child](way)
        print(json.dumps(way.figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS), help="sets to take")
    parser.add_argument(
        "--kafka", action="store_true", help="through a real broker (Java 17, Maven) in place of SQLite"
    )
    parser.add_argument("--day", type=date.fromisoformat, help="of the ticks, only this day")
    default = Path(os.environ.get("PROJECT01_SHARED_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=default, help="folder of the shared data")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--child", choices=SETS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"left out: no real data at {options.data}; set PROJECT01_SHARED_DATA to its folder", file=sys.stderr)
        return
    if options.child:
        child(options)
        return
    found = {}
    for name in options.only:
        command = [sys.executable, __file__, "--child", name, "--data", str(options.data)]
        command += ["--kafka"] if options.kafka else []
        command += ["--day", str(options.day)] if options.day else []
        ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found[name] = json.loads(ran.stdout.splitlines()[-1])
        if not options.json:
            print(f"\n{name}, through {'Kafka' if options.kafka else 'SQLite'}")
            for label, figure in found[name].items():
                print(f"  {label:<40} {figure:>14,}" if not isinstance(figure, str) else f"  {label:<40} {figure}")
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
