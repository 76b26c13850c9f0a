"""What comes with each second in which an instrument was traded or quoted."""

from project01.etl.inputs.declaration import Derived, Input

SECOND = (
    Input(name="time", family="tick", unit="seconds", description="End of the second, since 1970 UTC."),
    Input(name="open", family="tick", unit="USD", description="First price of the second, as traded."),
    Input(name="high", family="tick", unit="USD", description="Highest price of the second."),
    Input(name="low", family="tick", unit="USD", description="Lowest price of the second."),
    Input(name="close", family="tick", unit="USD", description="Last price of the second."),
    Input(name="volume", family="tick", unit="shares", description="Shares traded in the second."),
)

DERIVED_SECOND: tuple[Derived, ...] = (
    Derived(name="previous", needs=("close",), description="Last price before this second."),
    Derived(name="log_return", needs=("close",), description="Logarithm of close over the price before."),
)
