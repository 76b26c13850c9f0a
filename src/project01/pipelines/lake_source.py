"""Daily bars and series that landed from vendors, as a source of the main job."""

from collections.abc import Iterator
from datetime import datetime

import polars as pl

from project01.domain import BARS, MACRO, InputError
from project01.ingest import INDEX_SOURCE, Batch
from project01.lake import Lake

DAILY = "1d"


class LakeSource:
    """Bars of one day, and macro series, of a lake that was landed from the bus; as known at one time.

    Args:
        lake: with curated tables.
        vendor: only bars of this source; None: the only one there is.
        as_of: nothing known later is read.

    Raises:
        InputError: no daily bars, or those of several sources and none was chosen.
    """

    def __init__(self, lake: Lake, vendor: str | None, as_of: datetime) -> None:
        if not lake.exists(BARS.name):
            raise InputError(f"{lake.url} holds no bars. Fetch daily bars from a source and run `project01 land`.")
        bars = lake.read(BARS, as_of=as_of).filter(pl.col("interval") == DAILY, pl.col("close").is_not_null())
        found = sorted(set(bars["source"]) - {INDEX_SOURCE})
        if not found:
            raise InputError(f"{lake.url} holds no daily bars. Fetch some: `project01 ingest SOURCE --help`.")
        if vendor is None and len(found) > 1:
            raise InputError(f"{lake.url} holds daily bars of {', '.join(found)}. Choose one with --from-source.")
        if vendor is not None and vendor not in found:
            raise InputError(f"{lake.url} holds no daily bars of {vendor}; it has {', '.join(found)}.")
        self._bars = bars.filter(pl.col("source").is_in([vendor or found[0], INDEX_SOURCE]))
        macro = lake.read(MACRO, as_of=as_of) if lake.exists(MACRO.name) else None
        self._macro = None if macro is None else macro.filter(pl.col("symbol").is_null(), pl.col("value").is_not_null())
        self.name = vendor or found[0]
        self.simulated = bool(self._bars["simulated"].any())

    def read(self) -> Iterator[Batch]:
        """The bars, then the series."""
        yield Batch.of(BARS, self._bars.drop("ingested_at"))
        if self._macro is not None and self._macro.height:
            yield Batch.of(MACRO, self._macro.drop("ingested_at"))
