"""Technical indicators that weigh prices by volume."""

from collections.abc import Iterator

from project01.etl import steps_technical_average, steps_technical_volume
from project01.etl.catalogue.technical_warm_up import DIFFERENCE, events_to_forget, exponential_weight
from project01.etl.feature import Feature

_GRANVILLE = "Granville (1963), Granville's New Key to Stock Market Profits"
_CHAIKIN = "Chaikin, in Achelis (2001), Technical Analysis from A to Z, 2nd ed."
_LEE = "Lee and Swaminathan (2000), Price momentum and trading volume, Journal of Finance 55"
_VWAP = "Berkowitz, Logue and Noser (1988), The total cost of transactions on the NYSE, Journal of Finance 43"
_TRADED = ("high", "low", "close", "volume")


def _on_balance() -> Iterator[Feature]:
    free = "its level depends on where the series began and is left out"
    yield Feature(
        name="obv_slope_20",
        group="volume",
        inputs=("close", "previous", "volume"),
        window=21,
        warm_up=21,
        unit="mean volumes a session",
        source=_GRANVILLE,
        description=f"Slope of on-balance volume over 20 sessions, over their mean volume; {free}.",
        step=steps_technical_volume.on_balance_slope,
        parameters=(20,),
        state_size=45,
    )
    yield Feature(
        name="obv_z_20",
        group="volume",
        inputs=("close", "previous", "volume"),
        window=21,
        warm_up=21,
        unit="standard deviations",
        source=_GRANVILLE,
        description=f"On-balance volume against its mean of 20 sessions; {free}.",
        step=steps_technical_volume.on_balance_score,
        parameters=(20,),
        state_size=22,
    )


def _flows() -> Iterator[Feature]:
    yield Feature(
        name="mfi_14",
        group="volume",
        inputs=_TRADED,
        window=15,
        warm_up=15,
        unit="0 to 100",
        source="Quong and Soudack (1989), Volume-weighted RSI: money flow, Stocks & Commodities 7:3",
        description="Money traded at risen typical prices over that at risen or fallen ones, 14 sessions.",
        step=steps_technical_volume.money_flow_index,
        parameters=(14,),
        state_size=35,
    )
    warm_up = events_to_forget(exponential_weight(10), DIFFERENCE)
    yield Feature(
        name="chaikin_osc_3_10",
        group="volume",
        inputs=_TRADED,
        window=10,
        warm_up=warm_up,
        unit="mean volumes",
        source=_CHAIKIN,
        description=(
            "Exponential mean of 3 sessions of the accumulation/distribution line less that of 10, over the "
            "exponential mean of volume of 10."
        ),
        step=steps_technical_average.chaikin_oscillator,
        parameters=(3, 10, warm_up),
        state_size=4,
    )
    yield Feature(
        name="cmf_21",
        group="volume",
        inputs=_TRADED,
        window=21,
        warm_up=21,
        unit="-1 to 1",
        source=_CHAIKIN,
        description="Chaikin money flow: volume weighed by the close's place in its bar, over volume, 21 sessions.",
        step=steps_technical_volume.chaikin_money_flow,
        parameters=(21,),
        state_size=48,
    )


def _ratios() -> Iterator[Feature]:
    for fast, slow in ((1, 20), (5, 60)):
        yield Feature(
            name=f"volume_ratio_{fast}_{slow}",
            group="volume",
            inputs=("volume",),
            window=slow,
            warm_up=slow,
            unit="fraction",
            source=_LEE,
            description=f"Mean volume of {fast} session(s) over that of {slow}, less one; in shares of one size.",
            step=steps_technical_average.mean_cross,
            parameters=(fast, slow),
            state_size=fast + slow + 6,
        )
    yield Feature(
        name="dist_vwap_20",
        group="volume",
        inputs=_TRADED,
        window=20,
        warm_up=20,
        unit="fraction",
        source=_VWAP,
        description="Close over the mean typical price of 20 sessions weighed by volume, less one.",
        step=steps_technical_volume.weighted_price_distance,
        parameters=(20,),
        state_size=46,
    )


def features() -> Iterator[Feature]:
    """Features of volume, in order."""
    for family in (_on_balance, _flows, _ratios):
        yield from family()
