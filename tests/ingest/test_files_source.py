"""Bars out of files as people have them: many headers, many ways to write a date, one file or a folder."""

import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from project01.domain import BARS, DEAD_LETTERS, SchemaError
from project01.ingest import FilesSource, batch_schema

# 2010-11-25 was Thanksgiving; the day after was a half day, closing at 13:00 in New York.
DAYS = [date(2010, 11, 23), date(2010, 11, 24), date(2010, 11, 26), date(2010, 11, 29)]
CLOSES_UTC = [datetime(2010, 11, day, hour, tzinfo=UTC) for day, hour in ((23, 21), (24, 21), (26, 18), (29, 21))]
PRICES = {
    "open": [10.0, 10.5, 11.0, 10.0], "high": [10.6, 11.1, 11.2, 10.4], "low": [9.9, 10.4, 10.0, 9.8],
    "close": [10.5, 11.0, 10.1, 10.2], "adj_close": [5.25, 5.5, 5.05, 5.1], "volume": [100.0, 200.0, 0.0, 1234567.0],
}  # fmt: skip
PLAIN = pl.DataFrame({"date": DAYS, "symbol": ["ACME"] * 4, **PRICES})


def bars_of(path: Path, **options: object) -> pl.DataFrame:
    (batch,) = FilesSource(path, **options).read()  # type: ignore[arg-type]
    assert batch.spec is BARS
    return batch.rows


def assert_is_plain(rows: pl.DataFrame, but: tuple[str, ...] = ()) -> None:
    assert rows["symbol"].to_list() == ["ACME"] * 4
    assert rows["session"].to_list() == DAYS
    assert rows["event_time"].to_list() == rows["knowledge_time"].to_list() == CLOSES_UTC
    for name, values in PRICES.items():
        assert rows[name].to_list() == ([None] * 4 if name in but else values), name


HEADERS = [
    ("date", "symbol", "open", "high", "low", "close", "adj_close", "volume"),
    ("Date", "Symbol", "Open", "High", "Low", "Close", "Adj Close", "Volume"),
    ("TIMESTAMP", "TICKER", "OPEN", "HIGH", "LOW", "CLOSE", "ADJ CLOSE", "VOL"),
    ("timestamp", "sym", "1. open", "2. high", "3. low", "4. close", "5. adjusted close", "6. volume"),
    ("Time", "ticker", "o", "h", "l", "c", "AdjClose", "v"),
    ("session_close", "Ticker Symbol", "Open Price", "High Price", "Low Price", "Close/Last", "Adj. Close", "Vol."),
    (" Trade Date ", " Symbol", " Open ", " High", " Low", " Close", " Adj_Close", " Volume "),
    ("datetime", "name", "px_open", "px_high", "px_low", "px_last", "adjusted_close", "px_volume"),
]


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header[0])
def test_columns_are_guessed_from_the_header(tmp_path: Path, header: tuple[str, ...]) -> None:
    path = tmp_path / "bars.csv"
    PLAIN.rename(dict(zip(PLAIN.columns, header, strict=True))).write_csv(path)
    assert_is_plain(bars_of(path))


def texts(form: str) -> list[str]:
    return [day.strftime(form) for day in DAYS]


def at(zone: str, hour: int = 16, unit: str = "s") -> pl.Series:
    wall = pl.Series([datetime(d.year, d.month, d.day, hour) for d in DAYS], dtype=pl.Datetime("us"))  # noqa: DTZ001
    return wall.dt.replace_time_zone(zone).dt.epoch("s") * {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}[unit]


DATES: dict[str, list | pl.Series] = {
    "ISO text": texts("%Y-%m-%d"),
    "YYYYMMDD text": texts("%Y%m%d"),
    "YYYYMMDD number": [int(day) for day in texts("%Y%m%d")],
    "YYYYMMDD float": [float(day) for day in texts("%Y%m%d")],
    "MM/DD/YYYY": texts("%m/%d/%Y"),
    "DD/MM/YYYY": texts("%d/%m/%Y"),
    "MM-DD-YYYY": texts("%m-%d-%Y"),
    "DD.MM.YYYY": texts("%d.%m.%Y"),
    "YYYY/MM/DD": texts("%Y/%m/%d"),
    "day month": texts("%d-%b-%Y"),
    "month day": texts("%b %d, %Y"),
    "midnight": texts("%Y-%m-%d 00:00:00"),
    "offset at the close": texts("%Y-%m-%d 16:00:00-05:00"),
    "offset at midnight": texts("%Y-%m-%dT00:00:00-05:00"),
    "midnight in UTC": texts("%Y-%m-%dT00:00:00Z"),
    "close in UTC": texts("%Y-%m-%dT21:00:00Z"),
    "close in Tokyo": [
        "2010-11-24T06:00+0900", "2010-11-25T06:00+0900", "2010-11-27T03:00+0900", "2010-11-30T06:00+0900"],
    "named zone": texts("%Y-%m-%d 16:00:00 America/New_York"),
    "epoch seconds, midnight UTC": at("UTC", 0),
    "epoch milliseconds, New York": at("America/New_York", 0, "ms"),
    "epoch microseconds, open": at("America/New_York", 9, "us"),
    "epoch nanoseconds": at("America/New_York", 16, "ns"),
    "dates": DAYS,
    "datetimes": [datetime(d.year, d.month, d.day) for d in DAYS],  # noqa: DTZ001  naive on purpose
    "datetimes with a zone": CLOSES_UTC,
    "datetimes in milliseconds": pl.Series(CLOSES_UTC).cast(pl.Datetime("ms", "UTC")),
}  # fmt: skip


@pytest.mark.parametrize("form", DATES)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_dates_are_read_in_every_form(tmp_path: Path, form: str, ending: str) -> None:
    path = tmp_path / f"bars.{ending}"
    frame = PLAIN.with_columns(pl.Series("date", DATES[form]))
    if ending == "csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path)
    assert_is_plain(bars_of(path))


def test_summer_and_winter_offsets_are_one_zone(tmp_path: Path) -> None:
    path = tmp_path / "acme.csv"
    path.write_text("t,close\n2010-03-12 16:00:00-05:00,10\n2010-03-15 16:00:00-04:00,11\n")
    rows = bars_of(path)
    assert rows["session"].to_list() == [date(2010, 3, 12), date(2010, 3, 15)]
    assert [stamp.hour for stamp in rows["event_time"]] == [21, 20]


def test_offsets_of_another_zone_can_be_told(tmp_path: Path) -> None:
    path = tmp_path / "acme.csv"
    path.write_text("t,close\n2010-03-26 16:30:00+00:00,10\n2010-03-29 16:30:00+01:00,11\n")
    with pytest.raises(SchemaError, match="timezone="):
        bars_of(path)
    assert bars_of(path, timezone="Europe/London")["session"].to_list() == [date(2010, 3, 26), date(2010, 3, 29)]


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_separators_and_compression(tmp_path: Path, separator: str) -> None:
    text = PLAIN.write_csv(separator=separator)
    (tmp_path / "plain.csv").write_text("\ufeff" + text.replace("\n", "\r\n"), encoding="utf-8")
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert_is_plain(bars_of(tmp_path / "plain.csv"))
    assert_is_plain(bars_of(tmp_path / "packed.csv.gz"))


def test_numbers_as_people_write_them(tmp_path: Path) -> None:
    path = tmp_path / "ACME.csv"
    path.write_text(
        'Date,Close/Last,Volume,Open,High,Low\n11/26/2010,"$1,234.50","1,000,000",$1230,1e4,NA\n'
        "11/24/2010,12.5,-,,null,N/A\n"
    )
    rows = bars_of(path)
    assert rows["close"].to_list() == [1234.5, 12.5]
    assert rows["volume"].to_list() == [1e6, None]
    assert rows["open"].to_list() == [1230.0, None]
    assert rows["high"].to_list() == [1e4, None]
    assert rows["low"].to_list() == [None, None]


def test_a_symbol_may_look_like_a_missing_value(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("date,symbol,close\n2010-11-24,NA,1\n2010-11-24,NULL,2\n2010-11-24,TRUE,3\n")
    assert bars_of(path)["symbol"].to_list() == ["NA", "NULL", "TRUE"]


@pytest.mark.parametrize(
    ("file", "symbol"),
    [
        ("ACME.csv", "ACME"), ("acme_daily_2010.csv", "ACME"), ("BRK-B.csv", "BRK-B"), ("BF.B.csv", "BF.B"),
        ("acme_ohlcv_1998_2017.csv.gz", "ACME"), ("0700.HK.tsv", "0700.HK"),
    ],
)  # fmt: skip
def test_one_file_a_symbol(tmp_path: Path, file: str, symbol: str) -> None:
    text = PLAIN.drop("symbol").write_csv().encode()
    path = tmp_path / file
    path.write_bytes(gzip.compress(text) if file.endswith("gz") else text)
    assert bars_of(path)["symbol"].unique().to_list() == [symbol]


def test_a_folder_of_files_is_one_set_of_bars(tmp_path: Path) -> None:
    for symbol in ("ACME", "BOLT", "CORE"):
        PLAIN.drop("symbol").write_csv(tmp_path / f"{symbol}.csv")
    (tmp_path / "deep").mkdir()
    PLAIN.with_columns(symbol=pl.lit("DEEP")).write_parquet(tmp_path / "deep" / "more.parquet")
    (tmp_path / ".hidden.csv").write_text("nonsense")
    source = FilesSource(tmp_path)
    (batch,) = source.read()
    assert batch.rows.group_by("symbol", maintain_order=True).len().rows() == [
        (symbol, 4) for symbol in batch.rows["symbol"].unique(maintain_order=True)
    ]
    assert set(batch.rows["symbol"]) == {"ACME", "BOLT", "CORE", "DEEP"}
    assert len(source.mappings) == 2
    assert source.skipped == ()


def test_the_form_of_dates_is_chosen_over_all_files_of_a_kind(tmp_path: Path) -> None:
    (tmp_path / "AAA.csv").write_text("date,close\n03/11/2010,1\n04/11/2010,2\n")
    (tmp_path / "BBB.csv").write_text("date,close\n23/11/2010,1\n24/11/2010,2\n")
    rows = bars_of(tmp_path)
    assert rows["session"].to_list() == [date(2010, 11, 3), date(2010, 11, 4), date(2010, 11, 23), date(2010, 11, 24)]


def test_what_is_no_bar_is_listed_with_the_reason(tmp_path: Path) -> None:
    PLAIN.write_parquet(tmp_path / "bars.parquet")
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "index.csv").write_text("date,close\n2010-11-24,1200\n")
    pl.DataFrame({"symbol": ["ACME"], "end_date": ["2010-12-31"], "revenues": [1.0]}).write_parquet(
        tmp_path / "f.parquet"
    )
    pl.DataFrame({"ts": [1], "symbol": ["A"], "price": [1.0], "size": [3]}).write_parquet(tmp_path / "ticks.parquet")
    source = FilesSource(tmp_path)
    assert_is_plain(next(source.read()).rows)
    reasons = {file.name: file.reason for file in source.skipped}
    assert set(reasons) == {"README.md", "empty.csv", "index.csv", "f.parquet", "ticks.parquet"}
    assert "not one of" in reasons["README.md"]
    assert "0 bytes" in reasons["empty.csv"]
    assert "closes only" in reasons["index.csv"]
    assert "revenues" in reasons["f.parquet"]
    assert "trades" in reasons["ticks.parquet"]
    assert "left out: README.md" in source.describe()


def test_the_mapping_is_shown_and_can_be_overridden(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    odd = PLAIN.rename({"date": "when", "close": "settle", "symbol": "asset"}).with_columns(note=pl.lit("x"))
    odd.write_csv(path)
    with pytest.raises(SchemaError, match=r"found when, asset.*mapping=\{'session'"):
        bars_of(path)
    mapping = {"session": "when", "close": "settle", "symbol": "asset"}
    source = FilesSource(path, mapping)
    assert_is_plain(next(source.read()).rows)
    (shown,) = source.mappings
    assert shown.columns["close"] == "settle"
    assert shown.ignored == ("note",)
    for line in ("close       settle", "session     when", "not used:   note", "dates:      YYYY-MM-DD"):
        assert line in shown.describe()


def test_the_override_wins_over_the_guess(tmp_path: Path) -> None:
    path = tmp_path / "ACME.csv"
    path.write_text("date,close,raw\n2010-11-24,1,10\n")
    assert bars_of(path)["close"].to_list() == [1.0]
    assert bars_of(path, mapping={"close": "raw"})["close"].to_list() == [10.0]


def test_an_ambiguous_date_can_be_told(tmp_path: Path) -> None:
    path = tmp_path / "ACME.csv"
    path.write_text("date,close\n03/11/2010,1\n04/11/2010,2\n")
    with pytest.raises(SchemaError, match=r"read both ways.*date_format='%d/%m/%Y'"):
        bars_of(path)
    assert bars_of(path, date_format="%d/%m/%Y")["session"][0] == date(2010, 11, 3)
    assert bars_of(path, date_format="%m/%d/%Y")["session"][0] == date(2010, 3, 11)


def minutes(path: Path) -> Path:
    stamps = [datetime(2010, 11, 26, 14, 30 + minute, tzinfo=UTC) for minute in (0, 1, 2, 4)]
    pl.DataFrame({"ts": stamps, "symbol": ["ACME"] * 4, **PRICES}).write_parquet(path)
    return path


def test_bars_within_the_day_are_known_at_their_end(tmp_path: Path) -> None:
    path = minutes(tmp_path / "minutes.parquet")
    rows = bars_of(path)
    assert rows["interval"].unique().to_list() == ["1m"]
    assert rows["event_time"][0] == rows["knowledge_time"][0] == datetime(2010, 11, 26, 14, 31, tzinfo=UTC)
    assert rows["session"].unique().to_list() == [date(2010, 11, 26)]
    assert bars_of(path, stamped_at="end")["event_time"][0] == datetime(2010, 11, 26, 14, 30, tzinfo=UTC)


def test_bars_within_the_day_need_a_zone(tmp_path: Path) -> None:
    path = tmp_path / "minutes.csv"
    lines = [f"2010-11-26 09:{minute}:00,ACME,{minute}" for minute in range(30, 40)]
    path.write_text("\n".join(["time,symbol,close", *lines]))
    with pytest.raises(SchemaError, match=r"without a zone.*timezone="):
        bars_of(path)
    rows = bars_of(path, timezone="America/New_York")
    assert rows["event_time"][0] == datetime(2010, 11, 26, 14, 31, tzinfo=UTC)


def test_rows_that_cannot_be_read_become_dead_letters(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    good = [f"2010-11-{day},ACME,{day},5" for day in (*range(1, 6), *range(8, 13), *range(15, 20))]
    path.write_text(
        "\n".join(["date,symbol,close,volume", "soon,ACME,1,2", "2010-11-23,,1,2", "2010-11-24,ACME,1,lots", *good])
    )
    bars, letters = FilesSource(path).read()
    assert bars.rows.height == 15
    assert letters.spec is DEAD_LETTERS
    assert dict(letters.rows.schema) == batch_schema(DEAD_LETTERS)
    assert letters.rows.select("source_id", "reason").rows() == [
        ("bars.csv:1", "unreadable_date"), ("bars.csv:2", "missing_symbol"), ("bars.csv:3", "unreadable_number"),
    ]  # fmt: skip
    assert letters.rows["raw"][2] == '{"close":"1","date":"2010-11-24","symbol":"ACME","volume":"lots"}'


def test_prices_reach_the_gate_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    strange = {"open": [0.0, -1.0, float("nan"), float("inf")], "close": [None, 1.0, 2.0, float("nan")]}
    PLAIN.with_columns(pl.Series(name, values) for name, values in strange.items()).write_parquet(path)
    rows = bars_of(path)
    assert str(rows["open"].to_list()) == str(strange["open"])
    assert str(rows["close"].to_list()) == str(strange["close"])


SHARED: dict[str, Callable[[pl.DataFrame], bool]] = {
    "daily_us_google": lambda rows: rows.height == 259_349 and rows["open"].eq(0).sum() == 175,
    "pystock": lambda rows: rows.height == 476_397 and rows["symbol"].n_unique() == 1_287,
    "benchmark": lambda rows: rows.height == 5_032 and rows["symbol"].unique().to_list() == ["SPY"],
    "stocknet": lambda rows: rows.height == 54_586 and rows["symbol"].n_unique() == 72,
    "corporate_actions": lambda rows: rows.height == 40_367 and rows["adj_close"].null_count() == 40_367,
}


@pytest.mark.parametrize("folder", SHARED)
def test_real_folders_are_read_without_help(shared_data: Path, folder: str) -> None:
    rows = bars_of(shared_data / folder)
    assert SHARED[folder](rows)
    assert rows["interval"].unique().to_list() == ["1d"]


def test_closes_of_real_sessions_are_the_vendors(shared_data: Path) -> None:
    """The set writes each session's close with its offset; ours comes from the calendar.

    They differ on nine half days of 2012 to 2015 alone, for which the vendor wrote 16:00: the exchange closed at 13:00.
    """
    folder = shared_data / "daily_us_google"
    theirs = bars_of(folder, mapping={"session": "session_close"})
    given = pl.read_parquet(folder / "daily_google_2010_2017.parquet")["session_close"]
    instants = given.str.to_datetime("%Y-%m-%d %H:%M:%S%z", time_unit="us")
    assert theirs["session"].equals(bars_of(folder)["session"])
    apart = theirs.with_columns(instants.alias("vendor")).filter(pl.col("event_time") != pl.col("vendor"))
    assert apart["session"].n_unique() == 9
    assert set(apart["event_time"].dt.convert_time_zone("America/New_York").dt.hour()) == {13}
    early = theirs["event_time"].dt.convert_time_zone("America/New_York").dt.hour() == 13
    assert early.sum() > apart.height, "other half days agree"
