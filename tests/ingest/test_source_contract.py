"""What holds for every source, whatever it reads. A new source gets these tests by being listed."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from project01.domain import BARS, DEAD_LETTERS, RECORD_FIELDS, TABLES, SchemaError, conform
from project01.ingest import (
    Batch,
    BenchmarkFileSource,
    FilesSource,
    MacroFilesSource,
    MarketSettings,
    SampleSource,
    SimulatorSource,
    Source,
    batch_schema,
    stamped,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLOCKS = ("event_time", "knowledge_time")


def bar_files(folder: Path) -> Source:
    days = "".join(f"2010-11-{day:02},1,2,1,2,0\n" for day in range(1, 25))
    (folder / "AAA.csv").write_text(f"Date,Open,High,Low,Close,Volume\n{days}soon,1,1,1,1,1\n")
    (folder / "bbb.csv").write_text("Date,Open,High,Low,Close,Volume\n2010-11-24,1,2,1,,9\n2010-12-25,1,1,1,1,1\n")
    return FilesSource(folder, date_format="%Y-%m-%d", name="files:contract")


def minute_files(folder: Path) -> Source:
    stamps = [datetime(2010, 11, 26, 14, minute, tzinfo=UTC) for minute in range(30, 50)]
    pl.DataFrame({"ts": stamps, "sym": "AAA", "c": 1.5}).write_parquet(folder / "minutes.parquet")
    return FilesSource(folder / "minutes.parquet")


def macro_files(folder: Path) -> Source:
    (folder / "vix.csv").write_text("date,close\n2010-11-24,19.56\n2010-11-25,19.56\n2010-11-26,22.22\n")
    (folder / "yields.csv").write_text("date,3month,10year\n2010-11-24,0.0017,0.0293\n")
    return MacroFilesSource(folder)


def benchmark_file(folder: Path) -> Source:
    (folder / "spx.csv").write_text("date,close\n2010-11-24,1198.35\n2010-11-26,1189.4\n")
    return BenchmarkFileSource(folder / "spx.csv")


SOURCES: dict[str, Callable[[Path], Source]] = {
    "bar files": bar_files,
    "minute files": minute_files,
    "macro files": macro_files,
    "benchmark file": benchmark_file,
    "sample sp500": lambda _: SampleSource("sp500"),
    "sample ohlcv": lambda _: SampleSource("ohlcv"),
    "simulator": lambda _: SimulatorSource(MarketSettings(seed=5, symbols=6, sessions=120)),
}


@pytest.fixture(params=SOURCES)
def make_source(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Source]:
    return lambda: SOURCES[request.param](tmp_path)


def rows_of(source: Source) -> list[tuple[str, pl.DataFrame]]:
    return [(batch.spec.name, batch.rows) for batch in source.read()]


def test_batches_conform_to_their_table(make_source: Callable[[], Source]) -> None:
    batches = list(make_source().read())
    assert sum(batch.rows.height for batch in batches) > 0
    for batch in batches:
        assert TABLES[batch.spec.name] is batch.spec
        assert dict(batch.rows.schema) == batch_schema(batch.spec)


def test_accepted_rows_fit_the_lake(make_source: Callable[[], Source]) -> None:
    for batch in make_source().read():
        rows = batch.rows.drop_nulls("close") if batch.spec is BARS else batch.rows
        assert conform(stamped(batch.spec, rows, NOW), batch.spec.schema, where="test").num_rows == rows.height


def test_reading_twice_gives_the_same(make_source: Callable[[], Source]) -> None:
    source = make_source()
    first, again, anew = rows_of(source), rows_of(source), rows_of(make_source())
    assert len(first) == len(again) == len(anew)
    for (name, rows), *others in zip(first, again, anew, strict=True):
        for other_name, other in others:
            assert other_name == name
            assert other.equals(rows, null_equal=True)


def test_keys_and_clocks_are_there(make_source: Callable[[], Source]) -> None:
    for batch in make_source().read():
        required = {name for name in batch.spec.key if not batch.spec.schema.field(name).nullable}
        if batch.spec is not DEAD_LETTERS:
            required |= {field.name for field in RECORD_FIELDS if not field.nullable} - {"ingested_at"}
        for name in required:
            assert batch.rows[name].null_count() == 0, name


def test_clocks_are_utc_and_knowledge_follows_the_event(make_source: Callable[[], Source]) -> None:
    for batch in make_source().read():
        if batch.spec is DEAD_LETTERS:
            continue
        for clock in CLOCKS:
            assert batch.rows[clock].dtype == pl.Datetime("us", "UTC")
        assert (batch.rows["knowledge_time"] >= batch.rows["event_time"]).all()


def test_the_simulated_mark_is_honest(make_source: Callable[[], Source]) -> None:
    source = make_source()
    assert source.simulated is isinstance(source, SimulatorSource)
    for batch in source.read():
        assert batch.rows["simulated"].unique().to_list() == [source.simulated]


def test_the_source_is_named_on_every_row(make_source: Callable[[], Source]) -> None:
    source = make_source()
    assert source.name
    names = {name for batch in source.read() for name in batch.rows["source"].unique()}
    assert source.name in names
    assert all(name in {source.name, "benchmark"} for name in names)


def row() -> pl.DataFrame:
    stamp = datetime(2010, 11, 24, 21, tzinfo=UTC)
    known = {"source": "s", "source_id": "i", "event_time": stamp, "knowledge_time": stamp, "simulated": False}
    return pl.DataFrame({**known, "symbol": "A", "interval": "1d", "session": date(2010, 11, 24), "close": 1.0})


def test_a_batch_is_put_in_order_and_filled_with_missing() -> None:
    batch = Batch.of(BARS, row().with_columns(pl.col("event_time").cast(pl.Datetime("ms", "UTC")), extra=1))
    assert dict(batch.rows.schema) == batch_schema(BARS)
    assert batch.rows["open"].to_list() == [None]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows.drop("symbol"), r"lacks column\(s\) symbol"),
        (lambda rows: rows.with_columns(symbol=pl.lit(None)), r"no nulls in symbol"),
        (lambda rows: rows.with_columns(close=pl.lit("dear")), r"a column of the wrong type"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(spoil: Callable[[pl.DataFrame], pl.DataFrame], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Batch.of(BARS, spoil(row()))


def test_a_batch_takes_no_other_columns() -> None:
    with pytest.raises(SchemaError, match=r"Build it with Batch\.of"):
        Batch(BARS, row())


def test_the_stamp_refuses_what_the_gate_would_have() -> None:
    batch = Batch.of(BARS, row())
    with pytest.raises(SchemaError, match="session holds 1 nulls"):
        stamped(BARS, batch.rows.with_columns(session=pl.lit(None, dtype=pl.Date)), NOW)
