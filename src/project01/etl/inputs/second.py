"""What comes with each second in which an instrument was traded or quoted."""

from project01.etl.inputs.declaration import Derived, Input

SECOND = (
    Input(name="time", family="tick", unit="seconds", description="End of the second, since 1970 UTC."),
    Input(name="open", family="tick", unit="USD", description="First price of the second, as traded."),
    Input(name="high", family="tick", unit="USD", description="Highest price of the second."),
    Input(name="low", family="tick", unit="USD", description="Lowest price of the second."),
    Input(name="close", family="tick", unit="USD", description="Last price of the second."),
    Input(name="volume", family="tick", unit="shares", description="Shares traded in the second."),
    Input(
        name="session_start",
        family="tick",
        unit="seconds",
        description="Open of regular hours if the second lies behind it, else New York's midnight; since 1970 UTC.",
    ),
    Input(name="vwap", family="tick", unit="USD", description="Volume-weighted mean price of the second."),
    Input(name="trades", family="tick", unit="count", description="Trades of the second."),
    Input(
        name="signed_volume",
        family="tick",
        unit="shares",
        description="Shares bought less shares sold by those who crossed the spread (Lee and Ready).",
    ),
    Input(name="bid", family="tick", unit="USD", description="Best bid of all exchanges at the end of the second."),
    Input(name="ask", family="tick", unit="USD", description="Best ask of all exchanges at the end of the second."),
    Input(name="bid_size", family="tick", unit="shares", description="Shares bid for at the best bid."),
    Input(name="ask_size", family="tick", unit="shares", description="Shares offered at the best ask."),
    Input(name="quotes", family="tick", unit="count", description="Quotes of the second."),
    Input(
        name="order_flow_imbalance",
        family="tick",
        unit="shares",
        description="Net change of the depth at the best prices over the second (Cont, Kukanov and Stoikov).",
    ),
)

_TRADED = "; 0 in a second without a trade"
DERIVED_SECOND = (
    Derived(name="time", needs=("time",), description="End of the second; missing where time does not go on."),
    Derived(name="previous", needs=("close",), description="Last price of the session before this second."),
    Derived(name="session_open", needs=("open",), description="First price since session_start."),
    Derived(name="last", needs=("close",), description="Last price of the session up to now."),
    Derived(
        name="high", needs=("high", "close"), description="Highest price; the last one in a second without a trade."
    ),
    Derived(name="low", needs=("low", "close"), description="Lowest price; the last one in a second without a trade."),
    Derived(name="signed_value", needs=("signed_volume", "close"), description="Signed volume times last price, USD."),
    Derived(name="traded", needs=("close",), description="1 if the second has a price, else 0."),
    Derived(name="log_return", needs=("close",), description=f"Logarithm of close over the price before{_TRADED}."),
    Derived(
        name="neighbour_product",
        needs=("close",),
        description=f"Product of the sizes of log_return and of the one before{_TRADED}; missing until there are two.",
    ),
    Derived(
        name="dollar_volume", needs=("volume", "vwap", "close"), description="Volume times vwap (else close), USD."
    ),
    Derived(name="mid", needs=("bid", "ask"), description="Mean of bid and ask; missing while they are crossed."),
    Derived(name="depth", needs=("bid_size", "ask_size"), description="Mean of the sizes at both best prices."),
)
