"""A seeded market in a box: prices, texts, filings and macro series with a known edge or none, marked as simulated."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from project01.domain import BARS, CORPORATE_ACTIONS
from project01.ingest.simulator_faults import (
    CorporateHistory,
    RowFaults,
    action_rows,
    disturb,
    draw_history,
    publish,
)
from project01.ingest.simulator_market import DailyMarket, daily_frame, edge_strength, simulate_daily
from project01.ingest.simulator_records import filings, macro
from project01.ingest.simulator_seconds import second_bars
from project01.ingest.simulator_settings import SOURCE_NAME, Faults, MarketSettings
from project01.ingest.simulator_text import Texts, news, tweets
from project01.ingest.source import Batch


@dataclass(frozen=True)
class Truth:
    """What a simulated market really is, for tests to count against.

    Attributes:
        clean: the market without faults; its close is the adj_close of the published bars.
        published: as an exchange would publish it, NaN where there is no bar.
        edge_strength: expected own intraday move, in own standard deviations, a signal one deviation up; 0 is no edge.
        history: splits, dividends, halts and delistings; None without faults.
        rows: duplicated, conflicting, corrected and displaced bars; None without faults.
        news, tweets: what each text was made to mean; columns of `Texts.truth`.
    """

    clean: DailyMarket
    published: DailyMarket
    edge_strength: float
    history: CorporateHistory | None
    rows: RowFaults | None
    news: pl.DataFrame
    tweets: pl.DataFrame


class SimulatorSource:
    """A source of simulated records; the same settings give the same bytes in any process, on any number of threads.

    Rows are sorted by their table's key, then knowledge_time; `Faults.disorder_share` displaces daily bars.
    """

    def __init__(self, settings: MarketSettings) -> None:
        self.settings = settings

    @property
    def name(self) -> str:
        """Value of the `source` column."""
        return SOURCE_NAME

    @property
    def simulated(self) -> bool:
        """True: nothing here happened."""
        return True

    def read(self) -> Iterator[Batch]:
        """Corporate actions, daily bars, 1-second bars by session, news, tweets, filings, macro; empty ones left out.

        Raises:
            SettingsError: the exchange calendar ends before the last session.
        """
        truth, (bars, _), (headlines, chatter) = self.truth(), self._daily, self._texts
        if truth.history is not None:
            yield from _unless_empty(Batch(CORPORATE_ACTIONS, action_rows(truth.published, truth.history)))
        yield Batch(BARS, bars)
        yield from second_bars(self.settings, truth.published)
        for batch in (headlines.batch, chatter.batch):
            yield from _unless_empty(batch)
        yield from _unless_empty(filings(self.settings, truth.published))
        yield macro(self.settings, truth.published)

    def truth(self) -> Truth:
        """What the records were made from; computed once."""
        (_, row_faults), (headlines, chatter) = self._daily, self._texts
        return Truth(
            clean=self._clean,
            published=self._published,
            edge_strength=edge_strength(self.settings),
            history=self._history,
            rows=row_faults,
            news=headlines.truth,
            tweets=chatter.truth,
        )

    @property
    def _faults(self) -> Faults | None:
        return self.settings.faults

    @cached_property
    def _clean(self) -> DailyMarket:
        return simulate_daily(self.settings)

    @cached_property
    def _history(self) -> CorporateHistory | None:
        return None if self._faults is None else draw_history(self.settings, self._faults)

    @cached_property
    def _published(self) -> DailyMarket:
        return self._clean if self._history is None else publish(self._clean, self._history)

    @cached_property
    def _daily(self) -> tuple[pl.DataFrame, RowFaults | None]:
        rows = daily_frame(self._published)
        return (rows, None) if self._faults is None else disturb(rows, self.settings, self._faults)

    @cached_property
    def _texts(self) -> tuple[Texts, Texts]:
        return news(self.settings, self._published), tweets(self.settings, self._published)


def _unless_empty(batch: Batch) -> Iterator[Batch]:
    if batch.rows.height:
        yield batch
