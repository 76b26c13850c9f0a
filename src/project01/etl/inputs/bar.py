"""The bar's own values, the market's, and the calendar's."""

from project01.etl.inputs.declaration import Derived, Input

# Prices and volume as the bar has them, `factor` from `prepare_bars`, the rest known with the bar.
BAR = (
    Input(name="open", family="bar", unit="USD", description="First price of the session, as traded."),
    Input(name="high", family="bar", unit="USD", description="Highest price of the session, as traded."),
    Input(name="low", family="bar", unit="USD", description="Lowest price of the session, as traded."),
    Input(name="close", family="bar", unit="USD", description="Last price of the session, as traded."),
    Input(name="volume", family="bar", unit="shares", description="Shares traded in the session."),
    Input(name="factor", family="bar", unit="1", description="Total-return price over price; 1 at the first bar."),
    Input(name="market_return", family="market", unit="fraction", description="Return of the market over the session."),
    Input(name="weekday", family="calendar", unit="0 to 4", description="Day of the week, 0 for Monday."),
    Input(name="month_share", family="calendar", unit="0 to 1", description="Share of the month's sessions before it."),
    Input(name="month_left", family="calendar", unit="sessions", description="Sessions left in the month after it."),
    Input(name="vwap", family="bar", unit="USD", description="Volume-weighted mean price of the session, as traded."),
)

# Prices in steps are total-return prices (price x factor), volume is in shares of the first bar's size.
DERIVED_BAR = (
    Derived(name="open", needs=("open",), description="Open, total-return price."),
    Derived(name="high", needs=("high",), description="High, total-return price."),
    Derived(name="low", needs=("low",), description="Low, total-return price."),
    Derived(name="close", needs=("close",), description="Close, total-return price."),
    Derived(name="vwap", needs=("vwap",), description="Volume-weighted mean, total-return price."),
    Derived(name="volume", needs=("volume",), description="Volume in shares of the first bar's size."),
    Derived(name="raw_close", needs=("close",), description="Close as traded, USD a share of that day."),
    Derived(name="dollar_volume", needs=("close", "volume"), description="Close times volume, as traded, USD."),
    Derived(name="previous", needs=("close",), description="Close of the bar before, total-return price."),
    Derived(name="log_return", needs=("close",), description="Logarithm of close over the one before."),
    Derived(name="simple_return", needs=("close",), description="Close over the one before, less one."),
)
