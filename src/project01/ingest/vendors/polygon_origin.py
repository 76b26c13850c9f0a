"""What every record of Polygon's carries, and how an element is refused."""

from dataclasses import dataclass, field

from project01.ingest.decoding import Reason
from project01.ingest.symbols import SymbolMap

SOURCE = "polygon"
_LONGEST_TICKER = 32
_MOST_REMEMBERED = 1 << 16


class Refused(Exception):  # noqa: N818 - goes from an element to its dead letter, and no further
    """An element cannot be accepted.

    Attributes:
        reason: one of `Reason`.
        detail: found, expected.
        ticker: as the vendor writes it, where known.
    """

    def __init__(self, reason: str, detail: str, ticker: str | None = None) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.ticker = reason, detail, ticker


@dataclass(frozen=True)
class Origin:
    """Where records come from.

    Attributes:
        licence: tag for every record.
        simulated: whether they are made up.
        symbols: the map of symbols.
        known: our symbol for each of the vendor's tickers met so far; read directly on the hot path.
    """

    licence: str
    simulated: bool
    symbols: SymbolMap
    known: dict[str, str] = field(default_factory=dict, repr=False)

    def symbol(self, ticker: str) -> str:
        """Our symbol.

        Raises:
            Refused: the ticker names no listed share.
        """
        if not ticker:
            raise Refused(Reason.MISSING_SYMBOL, "an empty ticker")
        found = self.symbols.ours(ticker, "plain") if len(ticker) <= _LONGEST_TICKER else None
        if found is None:
            raise Refused(Reason.UNKNOWN_SYMBOL, f"{ticker[:_LONGEST_TICKER]!r} is no ticker of a listed share")
        if len(self.known) >= _MOST_REMEMBERED:
            self.known.clear()
        self.known[ticker] = found
        return found

    def symbol_or_none(self, ticker: str) -> str | None:
        """Our symbol, None where the ticker names no listed share: an index, a currency pair, a foreign listing."""
        try:
            return self.symbol(ticker)
        except Refused:
            return None
