from datetime import date
from typing import Any

import pytest

from project01.domain import SettingsError
from project01.ingest.simulator_market import simulate_daily
from project01.ingest.simulator_settings import Faults, MarketSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("seed", 1.5),
        ("seed", True),
        ("symbols", 1),
        ("sessions", 29),
        ("planted_ic", 0.11),
        ("planted_ic", -0.01),
        ("planted_ic", float("nan")),
        ("planted_ic", "0.05"),
        ("planted_horizon_sessions", 0),
        ("annual_idiosyncratic_volatility", 0),
        ("beta_spread", -0.1),
        ("text_ic", 0.6),
        ("intraday_symbols", 51),
        ("intraday_sessions", 757),
    ],
)
def test_a_value_out_of_range_is_named_with_what_was_expected(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=r"Simulator: .*(expected|asked for)"):
        MarketSettings(**{name: value})


def test_fault_rates_are_checked_too() -> None:
    with pytest.raises(SettingsError, match=r"duplicate_share is 0\.5; expected a number from 0 to 0.25"):
        Faults(duplicate_share=0.5)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(TypeError):
        MarketSettings(ic=0.05)  # type: ignore[call-arg]


def test_a_market_past_the_end_of_the_calendar_says_how_many_sessions_there_are() -> None:
    with pytest.raises(SettingsError, match="run past the exchange calendar"):
        simulate_daily(MarketSettings(first_session=date(2020, 1, 2), sessions=15_000))


def test_symbol_names_sort_as_their_columns() -> None:
    names = MarketSettings(symbols=12_000).symbol_names()
    assert list(names) == sorted(names)
    assert len(set(names)) == 12_000
