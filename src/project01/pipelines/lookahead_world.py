"""What the look-ahead audit audits: bars of a run or of the sample, and SIMULATED facts, news, tweets and series.

No source without a key brings all that the catalogue reads. What the lake lacks is made up here, at times as uneven as
real ones: filings weeks after their period, a share of them amended; series revised a month later; stories at any hour,
some withdrawn. It is marked as simulated; the audit asks when a value was known, never what it says.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from project01.domain import BARS, CORPORATE_ACTIONS, FACTS, MACRO, NEWS, TWEETS, TableSpec, trading_calendar
from project01.ingest import AS_TRADED, INDEX_SOURCE, Batch, batch_schema
from project01.pipelines.ingest import DAILY, collect_batches, open_sources
from project01.pipelines.sources import SourceChoice
from project01.pipelines.workspace import Workspace
from project01.settings import DataSettings

MADE_UP = "simulator"
INDUSTRIES = "industries"
_BESIDE = (MACRO, FACTS, NEWS, TWEETS, CORPORATE_ACTIONS)
# Series: level, whether monthly, days until it is known.
_SERIES = {
    "VIX": (15.0, 0), "DGS10": (0.03, 0), "DGS2": (0.01, 0), "DGS3MO": (0.004, 0), "VXVCLS": (17.0, 0),
    "DCOILWTICO": (80.0, 0), "ICSA": (350_000.0, 5), "AAA": (0.04, 34), "BAA": (0.05, 34), "FEDFUNDS": (0.02, 33),
    "UNRATE": (0.08, 36), "CPIAUCSL": (220.0, 45), "CPILFESL": (220.0, 45), "INDPRO": (95.0, 47),
    "PAYEMS": (1.3e5, 36), "M2SL": (9000.0, 48), "HOUST": (600.0, 49), "GDPC1": (1.5e4, 120),
}  # fmt: skip
_EVERY = {"ICSA": "1w", "GDPC1": "3mo"}
# Concept: share of the quarter's revenue (flows), or of five quarters' revenue (instants).
_FLOWS = {
    "Revenues": 1.0, "CostOfRevenue": 0.6, "OperatingIncomeLoss": 0.15, "NetIncomeLoss": 0.1,
    "NetCashProvidedByUsedInOperatingActivities": 0.14, "PaymentsToAcquirePropertyPlantAndEquipment": 0.05,
    "PaymentsOfDividends": 0.02, "PaymentsForRepurchaseOfCommonStock": 0.03, "ProceedsFromIssuanceOfCommonStock": 0.01,
    "ResearchAndDevelopmentExpense": 0.04,
}  # fmt: skip
_INSTANTS = {
    "Assets": 1.0, "AssetsCurrent": 0.4, "LiabilitiesCurrent": 0.25, "Liabilities": 0.6, "StockholdersEquity": 0.4,
    "CashAndCashEquivalentsAtCarryingValue": 0.1, "LongTermDebt": 0.2,
}  # fmt: skip
_FILED_AFTER = timedelta(days=35, hours=21, minutes=30)
_AMENDED_AFTER = timedelta(days=100)


def audited_tables(out: Path | None, symbols: int, sessions: int, seed: int) -> tuple[dict[str, pl.DataFrame], str]:
    """Rows to audit, in the form the lake keeps them, and a sentence on what of them is made up.

    Args:
        out: a run, whose bars, series, facts, news and tweets are taken; None: the sample with open, high, low, close
            and volume.
        symbols: the first so many.
        sessions: the newest so many.
        seed: of what is made up.
    Returns:
        bars, macro, facts, news, tweets, corporate_actions and industries.
    """
    if out is not None:
        lake = Workspace(out).lake
        found = {spec.name: lake.scan(spec.name).collect() for spec in (BARS, *_BESIDE) if lake.exists(spec.name)}
        found = {name: rows.drop("ingested_at") for name, rows in found.items() if rows.height}
    else:
        bars, others = collect_batches(
            open_sources(SourceChoice.from_options(sample="ohlcv"), DataSettings(), 0)[0].read()
        )
        found = {BARS.name: bars, **{name: pl.concat([b.rows for b in batches]) for name, batches in others.items()}}
    bars = newest_bars(found[BARS.name], symbols, sessions)
    made = simulated_beside(bars, seed)
    real = {name: rows for name, rows in found.items() if name not in {BARS.name, MACRO.name}}
    tables = made | real | {BARS.name: bars, MACRO.name: _with_series(found.get(MACRO.name), made[MACRO.name])}
    replaced = [name for name in (FACTS.name, NEWS.name, TWEETS.name) if name not in real]
    lacking = ", ".join([*replaced, "industries and the series the data lacks"])
    return tables, f"SIMULATED beside these bars: {lacking}."


def newest_bars(bars: pl.DataFrame, symbols: int, sessions: int) -> pl.DataFrame:
    """The newest sessions of the first symbols of the universe, daily bars without the index."""
    daily = bars.filter(pl.col("interval") == DAILY, pl.col("source") != INDEX_SOURCE)
    names = daily["symbol"].unique().sort()[:symbols].to_list()
    first = daily["session"].unique().sort()[-sessions:][0]
    return daily.filter(pl.col("symbol").is_in(names), pl.col("session") >= first)


def _with_series(real: pl.DataFrame | None, made: pl.DataFrame) -> pl.DataFrame:
    if real is None or real.is_empty():
        return made
    return pl.concat([real, made.filter(~pl.col("series_id").is_in(real["series_id"].unique().to_list()))])


def simulated_tables(symbols: int, sessions: int, seed: int) -> dict[str, pl.DataFrame]:
    """A whole SIMULATED market: bars with gaps and dividends, a name that stops, and all that stands beside them."""
    bars = simulated_bars(symbols, sessions, seed)
    return simulated_beside(bars, seed) | {BARS.name: bars}


def simulated_bars(symbols: int, sessions: int, seed: int) -> pl.DataFrame:
    """SIMULATED daily bars from 2012 on, known at their close; the last symbol stops two thirds through."""
    calendar = trading_calendar().as_frame().filter(pl.col("session").dt.year() >= 2012).head(sessions)
    frames = []
    for number in range(symbols):
        random = np.random.default_rng([seed, number])
        close = 50.0 * np.exp(np.cumsum(random.normal(0.0003, 0.015, sessions)))
        opened = close * np.exp(random.normal(0, 0.005, sessions))
        high = np.maximum(opened, close) * np.exp(random.exponential(0.004, sessions))
        low = np.minimum(opened, close) * np.exp(-random.exponential(0.004, sessions))
        paid = np.where(random.random(sessions) < 0.02, 0.99, 1.0)
        there = random.random(sessions) > 0.02
        if number == symbols - 1:
            there[2 * sessions // 3 :] = False
        frame = calendar.select("session", event_time="close_at", knowledge_time="close_at").with_columns(
            symbol=pl.lit(f"S{number}"), open=pl.Series(opened), high=pl.Series(high), low=pl.Series(low),
            close=pl.Series(close), adj_close=pl.Series(close * np.cumprod(paid[::-1])[::-1]),
            volume=pl.Series(np.round(random.lognormal(12, 0.6, sessions))), vwap=pl.Series((high + low + close) / 3),
            source_id=pl.format("S{}:{}", pl.lit(number), "session"), interval=pl.lit(DAILY),
            adjusted=pl.lit(AS_TRADED),
        )  # fmt: skip
        frames.append(frame.filter(pl.Series(there)))
    return _rows(BARS, pl.concat(frames))


def simulated_beside(bars: pl.DataFrame, seed: int) -> dict[str, pl.DataFrame]:
    """SIMULATED series, facts, news, tweets, splits and industries of the bars' symbols and time."""
    symbols = bars["symbol"].unique().sort()
    industries = pl.DataFrame(
        {"symbol": symbols, "industry": [f"I{n % 2}" for n in range(symbols.len())]}
    ).with_columns(knowledge_time=pl.lit(bars["knowledge_time"].min()))
    return {
        MACRO.name: _macro(bars, seed),
        FACTS.name: _facts(bars, symbols.to_list(), seed),
        NEWS.name: _texts(NEWS, "headline", bars, (seed, 1.0)),
        TWEETS.name: _texts(TWEETS, "text", bars, (seed, 2.0)),
        CORPORATE_ACTIONS.name: _actions(bars, symbols.to_list()),
        INDUSTRIES: industries,
    }


def _rows(spec: TableSpec, rows: pl.DataFrame) -> pl.DataFrame:
    marked = rows.with_columns(
        source=pl.lit(MADE_UP), simulated=pl.lit(value=True),
        **({} if "event_time" in rows.columns else {"event_time": pl.col("knowledge_time")}),
        **({} if "source_id" in rows.columns else {"source_id": pl.int_range(pl.len()).cast(pl.String)}),
    )  # fmt: skip
    return Batch.of(spec, marked).rows


def _macro(bars: pl.DataFrame, seed: int) -> pl.DataFrame:
    random = np.random.default_rng([seed, 1_000_001])
    evenings = bars.select("session", "event_time").unique("session").sort("session")
    first: date = evenings["session"].min()  # type: ignore[assignment]  # a column without nulls
    last: date = evenings["session"].max()  # type: ignore[assignment]
    frames = []
    for series, (level, lag) in _SERIES.items():
        if lag:
            start = (first - timedelta(days=900)).replace(day=1)
            period = pl.date_range(start, last, _EVERY.get(series, "1mo"), eager=True)
            known = period.cast(pl.Datetime("us", "UTC")) + timedelta(days=lag, hours=12)
        else:
            period, known = evenings["session"], evenings["event_time"] + timedelta(hours=2)
        walk = level * np.exp(np.cumsum(random.normal(0, 0.02, period.len())))
        row = pl.DataFrame({"period": period, "knowledge_time": known, "value": walk})
        again = row.with_columns(pl.col("knowledge_time") + timedelta(days=31), value=pl.Series(walk * 1.001))
        frames.append(pl.concat([row, again.gather_every(2)]).with_columns(series_id=pl.lit(series)))
    return _rows(MACRO, pl.concat(frames).sort("knowledge_time", "series_id", "period"))


def _facts(bars: pl.DataFrame, symbols: list[str], seed: int) -> pl.DataFrame:
    first: date = bars["session"].min()  # type: ignore[assignment]  # a column without nulls
    last: date = bars["session"].max()  # type: ignore[assignment]
    ends = pl.date_range(
        (first - timedelta(days=4 * 365)).replace(month=1, day=1), last, "3mo", eager=True
    ).dt.month_end()
    rows: list[tuple[str, str, str, date | None, date, float, datetime]] = []
    for number, symbol in enumerate(symbols):
        random = np.random.default_rng([seed, 1_000_002, number])
        size = 1e8 * np.exp(np.cumsum(random.normal(0.02, 0.08, ends.len())))
        for place, end in enumerate(ends):
            filed = datetime(end.year, end.month, end.day, tzinfo=UTC) + _FILED_AFTER + timedelta(days=number)
            begin = ends[place - 1] + timedelta(days=1) if place else end - timedelta(days=90)
            told: list[tuple[str, str, date | None, float]] = [
                (name, "USD", begin, share * size[place] * random.uniform(0.8, 1.2)) for name, share in _FLOWS.items()
            ]
            told += [(name, "USD", None, 5 * share * size[place]) for name, share in _INSTANTS.items()]
            told.append(("dei:EntityCommonStockSharesOutstanding", "shares", None, 2e7 * (1 + 0.01 * place)))
            rows += [(symbol, *fact[:3], end, fact[3], filed) for fact in told]
            if random.random() < 0.25:
                rows += [(symbol, *fact[:3], end, 1.05 * fact[3], filed + _AMENDED_AFTER) for fact in told]
    columns = ["symbol", "concept", "unit", "period_start", "period_end", "value", "knowledge_time"]
    table = pl.DataFrame(rows, schema=columns, orient="row").filter(pl.col("knowledge_time") <= _end_of(bars))
    return _rows(FACTS, table.with_columns(pl.col("knowledge_time").dt.cast_time_unit("us")))


def _texts(spec: TableSpec, text: str, bars: pl.DataFrame, how: tuple[int, float]) -> pl.DataFrame:
    """Texts that repeat, of one or two symbols, at any hour; half are judged by a vendor, one in twenty withdrawn."""
    seed, rate = how
    random = np.random.default_rng([seed, len(text)])
    symbols = bars["symbol"].unique().sort().to_list()
    begin: datetime = bars["knowledge_time"].min()  # type: ignore[assignment]  # a column without nulls
    end: datetime = bars["knowledge_time"].max()  # type: ignore[assignment]
    days = (end - begin).total_seconds() / 86_400 + 10
    count = int(rate * days * len(symbols))
    seconds = np.sort(random.uniform(0, days * 86_400, count))
    own, other = random.integers(len(symbols), size=count), random.integers(len(symbols), size=count)
    judged = [float(value) if value < 0.5 else None for value in random.random(count)]
    author = random.integers(30, size=count)
    frame = pl.DataFrame({
        "source_id": [f"id{n}" for n in range(count)],
        "knowledge_time": [begin - timedelta(days=10) + timedelta(seconds=int(s)) for s in seconds],
        "symbol": [symbols[n] for n in own],
        "symbols": ["|".join(sorted({symbols[a], symbols[b - b % 2]})) for a, b in zip(own, other, strict=True)],
        text: [f"Text  number {n}" for n in random.integers(12, size=count)], "action": "new",
        "novelty": judged, "relevance": random.random(count), "author": [f"a{n}" for n in author],
        "author_verified": author % 5 == 0, "followers": author * 100,
        "reposts": [f"id{n}" if n % 3 == 0 else None for n in range(count)],
    })  # fmt: skip
    taken_back = frame.filter(pl.Series(random.random(count) < 0.05)).with_columns(
        pl.col("knowledge_time") + timedelta(hours=20), action=pl.lit("retract" if spec is NEWS else "delete")
    )
    both = pl.concat([frame, taken_back]).with_columns(pl.col("knowledge_time").dt.cast_time_unit("us"))
    # Half a minute lies between what happened and when it could be known.
    stamped = both.with_columns(event_time=pl.col("knowledge_time") - timedelta(seconds=30))
    kept = [name for name in stamped.columns if name in batch_schema(spec)]
    return _rows(spec, stamped.select(kept).sort("knowledge_time", "source_id"))


def _actions(bars: pl.DataFrame, symbols: list[str]) -> pl.DataFrame:
    """One split of every second symbol, told at the close before it; the bars do not show it."""
    days = bars.select("session", "knowledge_time").unique("session").sort("session")
    rows = [
        {
            "symbol": symbol,
            "kind": "split",
            "effective": days["session"][place + 1],
            "knowledge_time": days["knowledge_time"][place],
            "ratio": 2.0,
        }
        for symbol in symbols[::2]
        for place in [days.height // 2 - 3]
    ]
    return _rows(CORPORATE_ACTIONS, pl.DataFrame(rows))


def _end_of(bars: pl.DataFrame) -> datetime:
    end: datetime = bars["knowledge_time"].max()  # type: ignore[assignment]  # a column without nulls
    return end
