"""Real prices that come inside Python packages: no account, no key, no network.

The files are read where the packages keep them, without importing the packages: skfolio and arch take seconds to
import, and we need none of their code.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import polars as pl

from project01.domain import BARS, MACRO, InputError, trading_calendar
from project01.ingest.bar_rows import AS_TRADED
from project01.ingest.series import (
    CPI_DAYS,
    MONTHLY_YIELD_DAYS,
    Series,
    index_records,
    monthly_records,
    vix_records,
)
from project01.ingest.sessions import close_times
from project01.ingest.source import Batch

SETS = ("sp500", "ohlcv")


class SampleSource:
    """One of two sets of real daily prices, with macro series beside them.

    ``sp500``: twenty large US stocks, 1990-2022, from skfolio. Closes only, already adjusted for splits and dividends,
    so adj_close is the close; open, high, low and volume stay missing. With them the S&P 500 as a benchmark: a price
    index, without dividends. All twenty were still there in 2022, so results on them are flattered.
    ``ohlcv``: AAPL, FB, GOOG, IBM and MSFT with open, high, low, close as traded, adj_close and volume, 2000-03-01 to
    2013-03-01, from bokeh_sampledata.
    Both with macro series from arch: ``VIX`` (2014 to 2019 only), ``CPILFESL`` (core CPI, index 1982-84 = 100, monthly
    to 2018-11) and ``AAA``, ``BAA`` (Moody's yields as fractions, monthly averages to 2018-12). The module
    `project01.ingest.series` says when each is taken as known.

    Attributes:
        name: ``sample-sp500`` or ``sample-ohlcv``.
        simulated: False.
    """

    simulated = False

    def __init__(self, which: str) -> None:
        """Choose a set; nothing is read yet.

        Raises:
            InputError: there is no such set.
        """
        if which not in SETS:
            raise InputError(f"There is no sample set {which!r}. Choose one of {', '.join(SETS)}.")
        self.which = which
        self.name = f"sample-{which}"

    def read(self) -> Iterator[Batch]:
        """Bars of the stocks, the benchmark where there is one, then the macro series.

        Raises:
            InputError: the package that carries the set is not installed, or no longer carries it.
        """
        if self.which == "sp500":
            yield self._bars(_sp500())
            index = _packaged("skfolio", "datasets/data/sp500_index.csv.gz")
            days, closes = index["Date"].str.to_date("%Y-%m-%d"), index["SP500"]
            yield Batch(BARS, index_records("SP500", days, closes, trading_calendar()))
        else:
            yield self._bars(_ohlcv())
        yield self._macro()

    def _bars(self, rows: pl.DataFrame) -> Batch:
        rows = rows.sort("symbol", "session")
        known = close_times(rows["session"], trading_calendar())
        marked = rows.with_columns(
            known.alias("event_time"),
            known.alias("knowledge_time"),
            pl.lit(self.name).alias("source"),
            pl.concat_str("symbol", pl.lit(":1d:"), pl.col("session").cast(pl.String)).alias("source_id"),
            pl.lit(value=False).alias("simulated"),
            pl.lit("1d").alias("interval"),
        )
        return Batch.of(BARS, marked)

    def _macro(self) -> Batch:
        vix = _series("vix/vix.csv.gz", "vix", "VIX", 1.0)
        cpi = _series("core_cpi/core-cpi.csv.gz", "CPILFESL", "CPILFESL", 1.0)
        bonds = [_series("default/default.csv.gz", name, name, 100.0) for name in ("AAA", "BAA")]
        rows = [vix_records(vix, self.name, trading_calendar()), monthly_records(cpi, self.name, CPI_DAYS)]
        rows += [monthly_records(bond, self.name, MONTHLY_YIELD_DAYS) for bond in bonds]
        return Batch(MACRO, pl.concat(rows).sort("series_id", "period"))


def _sp500() -> pl.DataFrame:
    wide = _packaged("skfolio", "datasets/data/sp500_dataset.csv.gz")
    long = wide.unpivot(index="Date", variable_name="symbol", value_name="close").drop_nulls("close")
    days = pl.col("Date").str.to_date("%Y-%m-%d").alias("session")
    return long.select(
        "symbol", days, "close", pl.col("close").alias("adj_close"), adjusted=pl.lit("splits_and_dividends")
    )


def _ohlcv() -> pl.DataFrame:
    rows = _packaged("bokeh_sampledata", "_data/stocks.csv.gz")
    prices = [pl.col(name.capitalize()).alias(name) for name in ("open", "high", "low", "close", "volume")]
    days = pl.col("Date").str.to_date("%Y-%m-%d").alias("session")
    return rows.select(
        pl.first().alias("symbol"), days, *prices, pl.col("Adj Close").alias("adj_close"), adjusted=pl.lit(AS_TRADED)
    )


def _series(file: str, column: str, series_id: str, scale: float) -> Series:
    frame = _packaged("arch", f"data/{file}")
    values = frame[column].cast(pl.Float64, strict=False) / scale  # arch marks a missing VIX with a dot
    return Series(series_id, frame["Date"].str.to_date("%m/%d/%Y"), values)


def _packaged(package: str, file: str) -> pl.DataFrame:
    """A CSV file inside an installed package."""
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = [Path(folder, file) for folder in folders if Path(folder, file).is_file()]
    if not found:
        state = f"has no {file}" if folders else "is not installed"
        raise InputError(
            f"The package {package} {state}, which the sample needs. Install the versions that requirements.txt pins."
        )
    return pl.read_csv(found[0])
