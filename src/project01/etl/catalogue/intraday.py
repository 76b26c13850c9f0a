"""The intraday set: rolling features over seconds, of trades and of the best quotes.

Windows are spans of time and hold the events in (t - window, t]; a second without an event is not there. A session
begins at New York's midnight and again at the open of regular hours, and every window starts empty with it: prices,
spreads and volume before the open say little of those after it. Behind the close the session goes on.
"""

from collections.abc import Callable, Iterator

from project01.etl import steps_intraday as steps
from project01.etl.feature import Column, Feature

_BARNDORFF = "Barndorff-Nielsen and Shephard (2004), Power and bipower variation, J. of Financial Econometrics 2"
_CONT = "Cont, Kukanov and Stoikov (2014), The price impact of order book events, J. of Financial Econometrics 12"
_BERKOWITZ = "Berkowitz, Logue and Noser (1988), The total cost of transactions on the NYSE, J. of Finance 43"
_LEE_READY = "Lee and Ready (1991), Inferring trade direction from intraday data, J. of Finance 46"
_STOIKOV = "Gatheral and Oomen (2010), Zero-intelligence realized variance estimation, Finance and Stochastics 14"
_AMIHUD = "Amihud (2002), Illiquidity and stock returns, J. of Financial Markets 5"
_KYLE = "Kyle (1985), Continuous auctions and insider trading, Econometrica 53; by regression as Hasbrouck (2009)"
_VPIN = "Easley, Lopez de Prado and O'Hara (2012), Flow toxicity and liquidity, Review of Financial Studies 25"
_ENGLE = "Engle and Russell (1998), Autoregressive conditional duration, Econometrica 66"
_PARKINSON = "Parkinson (1980), The extreme value method for estimating the variance, J. of Business 53"
_PLAIN = "definition"

_SUMS: tuple[Column, ...] = ("sum",) * 5

_CLOCK = ("time", "session_start")
_TRADE = "NaN until the session has a price; a second without a trade adds nothing, and the value is the window's"
_VOLUME = "NaN where the source carries no volume, or none was traded in the window"
_SIGNED = "NaN where the side of trades is not known, or nothing was traded in the window"
_QUOTE = "an event without a bid and an ask, or with a bid above the ask, is skipped and counts in no window"


def _named(window: int) -> str:
    return f"{window} seconds" if window < 60 else f"{window // 60} min"


def _rolling(  # noqa: PLR0913
    stem: str,
    windows: tuple[int, ...],
    step: Callable[..., float],
    inputs: tuple[str, ...],
    columns: tuple[Column, ...],
    *,
    unit: str,
    missing: str,
    source: str,
    description: str,
    group: str,
    later: int = 0,
    rated: bool = False,
    scale_free: bool = True,
) -> Iterator[Feature]:
    """One feature a window. rated: the step is told the window; later: seconds beyond the window."""
    for window in windows:
        yield Feature(
            name=f"{stem}_{window}s",
            group=group,
            clock="second",
            inputs=inputs,
            window=window,
            warm_up=window + later,
            unit=unit,
            missing=f"{missing}; NaN until the session has been seen for the window",
            source=source,
            description=f"{description} over the last {_named(window)}.",
            scale_free=scale_free,
            step=step,
            parameters=(window,) if rated else (),
            columns=columns,
        )


def _present(  # noqa: PLR0913
    name: str, step: Callable[..., float], inputs: tuple[str, ...], *, unit: str, missing: str, source: str,
    description: str, group: str, size: int = 0,
) -> Feature:  # fmt: skip
    """A feature of the present event."""
    return Feature(
        name=name, group=group, clock="second", inputs=inputs, window=1, warm_up=1, unit=unit, missing=missing,
        source=source, description=description, step=step, state_size=size,
    )  # fmt: skip


def _returns() -> Iterator[Feature]:
    yield from _rolling(
        "return", (5, 30, 60, 300, 900, 3600), steps.return_over, ("last",), ("former",), unit="fraction",
        missing=_TRADE, source=_PLAIN, description="Return of the last price", group="intraday return", later=1,
    )  # fmt: skip
    yield _present(
        "return_since_open", steps.ratio_less_one, ("last", "session_open"), unit="fraction", source=_PLAIN,
        missing="NaN until the session has a price", group="intraday return",
        description="Last price over the session's first, less one.",
    )  # fmt: skip
    yield _present(
        "seconds_since_open", steps.gap_between, _CLOCK, unit="seconds", source=_PLAIN, missing="never",
        group="intraday clock", description="Time since the session began.",
    )  # fmt: skip
    yield from _rolling(
        "vwap_distance", (60, 300, 900, 3600), steps.vwap_distance, ("last", "dollar_volume", "volume"), _SUMS[:2],
        unit="fraction", missing=f"{_TRADE}; {_VOLUME}", source=_BERKOWITZ, group="intraday return",
        description="Last price over the volume-weighted mean, less one,",
    )  # fmt: skip


def _volatility() -> Iterator[Feature]:
    group = "intraday volatility"
    yield from _rolling(
        "realised_volatility", (30, 60, 300, 900, 3600), steps.window_volatility, ("log_return",), _SUMS[:1],
        unit="fraction over the window", missing=_TRADE, source=_BARNDORFF, group=group, later=1,
        description="Root of the realised variance of prices by the second",
    )  # fmt: skip
    yield from _rolling(
        "bipower_volatility", (300, 900, 3600), steps.bipower_volatility, ("neighbour_product",), _SUMS[:1],
        unit="fraction over the window", missing=_TRADE, source=_BARNDORFF, group=group, later=2,
        description="Root of the bipower variation: volatility without jumps",
    )  # fmt: skip
    yield from _rolling(
        "jump_share", (300, 900, 3600), steps.jump_share, ("log_return", "neighbour_product"), _SUMS[:2], unit="0 to 1",
        missing=f"{_TRADE}; NaN where no price moved", source=_BARNDORFF, group=group, later=2,
        description="Share of realised variance that bipower variation leaves, at least 0,",
    )  # fmt: skip
    yield from _rolling(
        "price_range", (60, 300, 3600), steps.range_over, ("high", "low", "traded"), ("highest", "highest"),
        unit="fraction", missing=f"{_TRADE}; NaN without a trade in the window", source=_PARKINSON, group=group,
        description="Logarithm of the highest over the lowest price",
    )  # fmt: skip


def _flow() -> Iterator[Feature]:
    group = "intraday flow"
    yield from _rolling(
        "quote_imbalance", (5, 30, 60, 300, 900), steps.flow_over_depth, ("order_flow_imbalance", "depth"), _SUMS[:3],
        unit="mean depths", missing=_QUOTE, source=_CONT, group=group,
        description="Order-flow imbalance of the best quotes over their mean depth",
    )  # fmt: skip
    yield from _rolling(
        "trade_imbalance", (5, 30, 60, 300, 900, 3600), steps.share_in, ("signed_volume", "volume"), _SUMS[:2],
        unit="-1 to 1", missing=_SIGNED, source=_LEE_READY, group=group,
        description="Volume bought less volume sold, over all volume,",
    )  # fmt: skip
    yield from _rolling(
        "toxicity", (300, 900), steps.one_sided_share, ("signed_volume", "volume"), _SUMS[:2], unit="0 to 1",
        missing=_SIGNED, source=f"{_VPIN}; with seconds for buckets of equal volume", group=group,
        description="One-sided volume of each second over all volume",
    )  # fmt: skip
    yield from _rolling(
        "price_impact", (300, 900), steps.price_impact, ("log_return", "signed_value", "traded"), _SUMS,
        unit="fraction per million USD", missing=f"{_SIGNED}; NaN with fewer than 3 seconds with a trade", source=_KYLE,
        group=group, later=1, scale_free=False, description="Slope of returns on signed volume (Kyle's lambda)",
    )  # fmt: skip


def _liquidity() -> Iterator[Feature]:
    group = "intraday liquidity"
    yield _present(
        "relative_spread", steps.relative_spread, ("bid", "ask", "mid"), unit="fraction", missing=_QUOTE, source=_PLAIN,
        group=group, description="Best ask less best bid, over their mean.",
    )  # fmt: skip
    yield from _rolling(
        "mean_relative_spread", (60, 300, 900), steps.mean_spread, ("bid", "ask", "mid"), _SUMS[:2], unit="fraction",
        missing=_QUOTE, source=_PLAIN, group=group, description="Mean relative spread of the events",
    )  # fmt: skip
    yield _present(
        "depth_imbalance", steps.depth_imbalance, ("bid_size", "ask_size"), unit="-1 to 1", missing=_QUOTE,
        source=_CONT, group=group, description="Size bid for less size offered at the best prices, over both.",
    )  # fmt: skip
    yield from _rolling(
        "mean_depth_imbalance", (60,), steps.mean_depth_imbalance, ("bid_size", "ask_size"), _SUMS[:2], unit="-1 to 1",
        missing=_QUOTE, source=_CONT, group=group, description="Mean depth imbalance of the events",
    )  # fmt: skip
    yield _present(
        "micro_price_distance", steps.micro_price_distance, ("bid", "ask", "mid", "bid_size", "ask_size"),
        unit="fraction", missing=_QUOTE, source=_STOIKOV, group=group,
        description="Micro-price, the mean of bid and ask weighted by the other side's size, over mid, less one.",
    )  # fmt: skip
    yield from _rolling(
        "illiquidity", (300, 900, 3600), steps.window_illiquidity, ("log_return", "dollar_volume"), _SUMS[:2],
        unit="log10 of fraction per million USD", missing=f"{_TRADE}; {_VOLUME}, or no price moved", source=_AMIHUD,
        group=group, later=1, scale_free=False, description="Mean absolute return per million USD of the seconds",
    )  # fmt: skip


def _activity() -> Iterator[Feature]:
    group = "intraday activity"
    yield _present(
        "seconds_since_trade", steps.since_trade, (*_CLOCK, "volume"), unit="seconds", source=_ENGLE, group=group,
        missing="NaN until the session has a trade", size=2, description="Time since the last second with volume.",
    )  # fmt: skip
    yield from _rolling(
        "trade_intensity", (5, 60, 300, 3600), steps.rate_in, ("trades",), _SUMS[:1], rated=True,
        unit="trades a second", missing="NaN where the source counts no trades", source=_ENGLE, group=group,
        description="Trades a second",
    )  # fmt: skip
    yield from _rolling(
        "volume_surge", (300, 900), steps.over_rate, ("volume",), _SUMS[:1], rated=True, unit="1",
        missing=_VOLUME, source=_PLAIN, group=group, description="Volume of the second over the mean of all seconds",
    )  # fmt: skip


def features() -> Iterator[Feature]:
    """The features of the set, in order."""
    yield from _returns()
    yield from _volatility()
    yield from _flow()
    yield from _liquidity()
    yield from _activity()
