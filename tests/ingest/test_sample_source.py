"""The sample sets: exactly what the packages carry, with honest clocks, at once and without network."""

import importlib
import socket
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from project01.domain import BARS, MACRO, InputError, TradingCalendar
from project01.ingest import INDEX_SOURCE, Batch, GateRules, SampleSource, gate_bars

AS_OF = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def sp500() -> list[Batch]:
    return list(SampleSource("sp500").read())


@pytest.fixture(scope="module")
def ohlcv() -> list[Batch]:
    return list(SampleSource("ohlcv").read())


def test_closes_are_carried_as_closes(sp500: list[Batch]) -> None:
    stocks = sp500[0].rows
    assert stocks.height == 8_313 * 20
    assert stocks["symbol"].n_unique() == 20
    assert stocks["close"].equals(stocks["adj_close"], check_names=False)
    for name in ("open", "high", "low", "volume"):
        assert stocks[name].null_count() == stocks.height, f"{name} is never made up"
    apple = stocks.filter(symbol="AAPL")
    assert apple.select("session", "close").row(0) == (date(1990, 1, 2), 0.264)
    assert apple["event_time"][0] == datetime(1990, 1, 2, 21, tzinfo=UTC)


def test_the_index_comes_as_a_benchmark_of_its_own(sp500: list[Batch]) -> None:
    index = sp500[1]
    assert index.spec is BARS
    assert index.rows["source"].unique().to_list() == [INDEX_SOURCE]
    assert index.rows.select("session", "close").row(0) == (date(1990, 1, 2), 359.69)
    assert index.rows["session"].equals(sp500[0].rows.filter(symbol="XOM")["session"])


def test_five_stocks_with_open_high_low_and_volume(ohlcv: list[Batch]) -> None:
    stocks = ohlcv[0].rows
    assert stocks["symbol"].unique(maintain_order=True).to_list() == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
    assert stocks.select("open", "high", "low", "close", "volume").null_count().sum_horizontal()[0] == 0
    first = stocks.filter(symbol="AAPL").row(0, named=True)
    assert (first["session"], first["open"], first["close"], first["volume"]) == (
        date(2000, 3, 1),
        118.56,
        130.31,
        9616100,
    )


@pytest.mark.parametrize("which", ["sp500", "ohlcv"])
def test_sessions_are_those_of_the_exchange(which: str, calendar: TradingCalendar) -> None:
    stocks = next(SampleSource(which).read()).rows
    assert calendar.is_session(stocks["session"].to_numpy()).all()


def test_the_gate_refuses_next_to_nothing(sp500: list[Batch], ohlcv: list[Batch], calendar: TradingCalendar) -> None:
    """RRC fell from 3.322 to 1.107 on 1990-04-10, to a third: prices in tenths of cents, or a split left out."""
    closes = gate_bars(sp500[0].rows, calendar, GateRules(as_of=AS_OF))
    assert closes.dead_letters.select("symbol", "session").rows() == [("RRC", date(1990, 4, 10))]
    assert gate_bars(sp500[1].rows, calendar, GateRules(as_of=AS_OF)).counts["refused"] == 0
    assert gate_bars(ohlcv[0].rows, calendar, GateRules(as_of=AS_OF)).counts["refused"] == 0, (
        "adj_close explains splits"
    )


@pytest.mark.parametrize("which", ["sp500", "ohlcv"])
def test_macro_values_are_known_when_they_were_published(which: str) -> None:
    macro = next(batch.rows for batch in SampleSource(which).read() if batch.spec is MACRO)

    def row(series: str, period: date) -> dict:
        return macro.filter(series_id=series, period=period).row(0, named=True)

    vix = row("VIX", date(2014, 1, 3))
    assert vix["value"] == 13.76
    assert vix["knowledge_time"] == datetime(2014, 1, 3, 21, 15, tzinfo=UTC)
    half_day = row("VIX", date(2014, 11, 28))
    assert half_day["knowledge_time"] == datetime(2014, 11, 28, 18, 15, tzinfo=UTC)
    cpi = row("CPILFESL", date(2018, 9, 1))
    assert cpi["value"] == 258.441
    assert cpi["event_time"] == datetime(2018, 10, 1, 4, tzinfo=UTC)
    assert cpi["knowledge_time"] == datetime(2018, 10, 31, 20, tzinfo=UTC)
    assert cpi["knowledge_time"] > datetime(2018, 10, 11, 12, 30, tzinfo=UTC), "the day it came out"
    baa = row("BAA", date(2018, 12, 1))
    assert baa["value"] == pytest.approx(0.0513)
    assert baa["knowledge_time"] == datetime(2019, 1, 7, 21, tzinfo=UTC)
    assert macro.filter(series_id="VIX")["period"].is_between(date(2014, 1, 3), date(2019, 1, 3)).all()
    assert macro["value"].is_finite().all()


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(InputError, match=r"no sample set 'nasdaq'. Choose one of sp500, ohlcv"):
        SampleSource("nasdaq")


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("project01.ingest.sample.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"skfolio is not installed.*requirements.txt"):
        list(SampleSource("sp500").read())


def test_no_network_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the sample must not open a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert sum(batch.rows.height for batch in SampleSource("ohlcv").read()) > 12_000


@pytest.mark.slow
def test_reading_imports_none_of_the_packages_and_warns_of_nothing() -> None:
    code = (
        "import sys; from project01.ingest import SampleSource\n"
        "for which in ('sp500', 'ohlcv'): list(SampleSource(which).read())\n"
        "print([name for name in ('skfolio', 'arch', 'bokeh_sampledata', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_values_are_those_the_packages_own_loaders_give(sp500: list[Batch], ohlcv: list[Batch]) -> None:
    wide = importlib.import_module("skfolio.datasets").load_sp500_dataset()
    for symbol in wide.columns:
        ours = sp500[0].rows.filter(symbol=symbol)
        assert np.array_equal(ours["close"].to_numpy(), wide[symbol].to_numpy())
        assert np.array_equal(ours["session"].to_numpy(), wide.index.to_numpy().astype("datetime64[D]"))
    stocks = importlib.import_module("bokeh_sampledata.stocks")
    for symbol in ("AAPL", "FB", "GOOG", "IBM", "MSFT"):
        ours, theirs = ohlcv[0].rows.filter(symbol=symbol), getattr(stocks, symbol)
        for name in ("open", "high", "low", "close", "adj_close", "volume"):
            assert ours[name].to_list() == pytest.approx(theirs[name], rel=1e-15)
    vix = importlib.import_module("arch.data.vix").load()["vix"].dropna()
    ours = ohlcv[1].rows.filter(series_id="VIX")
    assert np.array_equal(ours["value"].to_numpy(), vix.to_numpy())


def test_the_packaged_files_are_where_we_look() -> None:
    """A package that moves its files breaks the demo; better here."""
    for package in ("skfolio", "arch", "bokeh_sampledata"):
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        assert Path(spec.origin).is_file()
