"""Macro and market series, each as its newest value known with the bar."""

from dataclasses import dataclass
from typing import Literal

from project01.etl.inputs.declaration import Input

# Days after which a value counts as missing, since a series that ended must not look like one that stands still. A
# month's value comes up to 31 days after the one before; a shutdown of the government has added as many.
DAILY, WEEKLY, MONTHLY, QUARTERLY = 10, 24, 70, 200


@dataclass(frozen=True)
class Reading:
    """What is read off a series.

    Attributes:
        name: of the input.
        series: as FRED names it; ``VIX`` for the VIX.
        life_days: days for which a value counts after it became known.
        unit: of the input.
        description: one sentence.
        form: the newest value itself, its growth or its change on the value `months` before, both as known then.
        months: how far back a growth or change looks; 0 for a level.
        in_percent: FRED tells it in percent; the input is a fraction.
    """

    name: str
    series: str
    life_days: int
    unit: str
    description: str
    form: Literal["level", "growth", "change"] = "level"
    months: int = 0
    in_percent: bool = False


_YEARLY, _INDEX = "fraction a year", "index points"
_READINGS = (
    Reading("vix", "VIX", DAILY, _INDEX, "Newest VIX close known."),
    Reading("us10y", "DGS10", DAILY, _YEARLY, "10-year Treasury yield.", in_percent=True),
    Reading("us2y", "DGS2", DAILY, _YEARLY, "2-year Treasury yield.", in_percent=True),
    Reading("us3m", "DGS3MO", DAILY, _YEARLY, "3-month Treasury yield.", in_percent=True),
    Reading("vix3m", "VXVCLS", DAILY, _INDEX, "Newest 3-month VIX close known."),
    Reading("oil", "DCOILWTICO", DAILY, "USD a barrel", "Newest price of West Texas oil known."),
    Reading("jobless_claims", "ICSA", WEEKLY, "persons", "Initial claims of the newest week."),
    Reading("aaa", "AAA", MONTHLY, _YEARLY, "Moody's Aaa corporate yield, month's mean.", in_percent=True),
    Reading("baa", "BAA", MONTHLY, _YEARLY, "Moody's Baa corporate yield, month's mean.", in_percent=True),
    Reading("fed_funds", "FEDFUNDS", MONTHLY, _YEARLY, "Federal funds rate, month's mean.", in_percent=True),
    Reading("unemployment", "UNRATE", MONTHLY, "fraction", "Unemployment rate.", in_percent=True),
    Reading("inflation", "CPIAUCSL", MONTHLY, _YEARLY, "Growth of consumer prices on the year.", "growth", 12),
    Reading("core_inflation", "CPILFESL", MONTHLY, _YEARLY, "Inflation without food and energy.", "growth", 12),
    Reading(
        "industrial_production_growth",
        "INDPRO",
        MONTHLY,
        _YEARLY,
        "Growth of industrial production on the year.",
        form="growth",
        months=12,
    ),
    Reading("payrolls_growth", "PAYEMS", MONTHLY, _YEARLY, "Growth of non-farm employees on the year.", "growth", 12),
    Reading("money_growth", "M2SL", MONTHLY, _YEARLY, "Growth of M2 on the year.", "growth", 12),
    Reading("housing_starts_growth", "HOUST", MONTHLY, _YEARLY, "Growth of homes begun on the year.", "growth", 12),
    Reading(
        "unemployment_change_12m",
        "UNRATE",
        MONTHLY,
        "fraction",
        "Change of the unemployment rate on the year.",
        form="change",
        months=12,
        in_percent=True,
    ),
    Reading(
        "unemployment_change_3m",
        "UNRATE",
        MONTHLY,
        "fraction",
        "Change of the unemployment rate over three months.",
        form="change",
        months=3,
        in_percent=True,
    ),
    Reading(
        "fed_funds_change_12m",
        "FEDFUNDS",
        MONTHLY,
        _YEARLY,
        "Change of the federal funds rate on the year.",
        form="change",
        months=12,
        in_percent=True,
    ),
    Reading("gdp_growth", "GDPC1", QUARTERLY, _YEARLY, "Growth of real product on the year.", "growth", 12),
)
READINGS = {reading.name: reading for reading in _READINGS}
MACRO = tuple(
    Input(
        name=reading.name,
        family="macro",
        unit=reading.unit,
        description=reading.description,
        series=reading.series,
    )
    for reading in _READINGS
)
