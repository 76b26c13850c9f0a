"""Cross-sections: a feature set against the same feature of the other instruments of its session."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import InputError, SchemaError
from project01.etl.context import known_microseconds, session_codes
from project01.etl.feature import Feature
from project01.etl.peers import known_peer_deviation, known_peer_rank

Codes = NDArray[np.int64]


class Slices:
    """The rows of a frame of bars by session, and by session and industry."""

    def __init__(self, bars: pl.DataFrame, industries: pl.DataFrame | None = None) -> None:
        """Number the slices.

        Args:
            bars: columns symbol, session, knowledge_time; sums are taken in the order of the rows, so they must be
                sorted by symbol.
            industries: columns symbol, industry, knowledge_time; a row counts for bars known no earlier.
        """
        self.session = session_codes(bars)
        self.known = known_microseconds(bars)
        self._bars, self._industries = bars, industries
        self._industry: tuple[Codes, NDArray[np.bool_]] | None = None

    def compare(self, feature: Feature, value: NDArray[np.float32]) -> NDArray[np.float32]:
        """One cross-section.

        Args:
            feature: of kind ``cross_section``.
            value: shape (n_rows,), the feature it compares.
        Returns:
            Shape (n_rows,); NaN where the feature is missing, has no peer, or its industry is not known.
        Raises:
            InputError: an industry form without industries.
        """
        if feature.across == "rank":
            return known_peer_rank(self.session, self.known, value)
        if feature.across in {"demean", "z_score"}:
            scaled = feature.across == "z_score"
            found = known_peer_deviation(self.session, self.known, value.astype(np.float64), scaled=scaled)
            return found.astype(np.float32)
        slices, is_known = self._by_industry(feature.name)
        within = np.where(is_known, value, np.float32(np.nan))
        if feature.across == "industry_rank":
            return known_peer_rank(slices, self.known, within)
        return known_peer_deviation(slices, self.known, within.astype(np.float64), scaled=False).astype(np.float32)

    def _by_industry(self, asking: str) -> tuple[Codes, NDArray[np.bool_]]:
        """Number of each row's session and industry, and whether its industry is known."""
        if self._industry is None:
            if self._industries is None:
                raise InputError(
                    f"{asking} compares within industries, and none were given. Pass Context(industries=…)."
                )
            industry = industry_codes(self._bars, self._industries)
            width = int(industry.max(initial=0)) + 1
            self._industry = self.session * width + np.maximum(industry, 0), industry >= 0
        return self._industry


def industry_codes(bars: pl.DataFrame, industries: pl.DataFrame) -> Codes:
    """Number of the industry known for each bar, in alphabetical order; -1 where none was known.

    A bar of an instrument cut at a break (``CSX#2``) has the industry of its symbol.

    Raises:
        SchemaError: `industries` lacks a column.
    """
    missing = [name for name in ("symbol", "industry", "knowledge_time") if name not in industries.columns]
    if missing:
        raise SchemaError(f"The industries lack column(s) {', '.join(missing)}; found {', '.join(industries.columns)}.")
    names = industries["industry"].drop_nulls().unique().sort()
    known = industries.drop_nulls().select("symbol", "industry", "knowledge_time").sort("knowledge_time")
    asked = bars.select(pl.col("symbol").str.replace(r"#\d+$", ""), "knowledge_time").with_row_index("row")
    found = asked.sort("knowledge_time").join_asof(
        known, on="knowledge_time", by="symbol", strategy="backward", check_sortedness=False
    )
    codes = found.sort("row")["industry"].replace_strict(names, pl.int_range(len(names), eager=True), default=-1)
    numbers: Codes = codes.fill_null(-1).to_numpy().astype(np.int64)
    return numbers
