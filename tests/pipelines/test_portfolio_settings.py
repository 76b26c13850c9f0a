"""Settings become constructions, words and sectors; contradictions are refused before anything runs."""

from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
import pytest

from project01.backtest import BlackLitterman, MeanVariance, Signal, TopK
from project01.domain import SettingsError
from project01.pipelines.portfolio import RULES, TRANCHES, construction_of, rule_words, sectors_known, uncertainty
from project01.settings import PortfolioSettings, load_settings


def loaded(**portfolio: object):
    return load_settings(None, {f"portfolio.{name}": value for name, value in portfolio.items()}, {}).settings


def test_every_rule_has_words_and_a_construction() -> None:
    rules = get_args(PortfolioSettings.model_fields["rule"].annotation)
    assert set(rules) == set(RULES)
    for rule in rules:
        settings = loaded(rule=rule)
        assert "{" not in rule_words(settings)
        if rule not in TRANCHES:
            construction_of(settings)
            assert "Decided every 5 sessions, at most 20% a symbol." in rule_words(settings)


def test_settings_reach_the_construction() -> None:
    rule = construction_of(loaded(rule="black_litterman", view_confidence=3.0, risk_aversion=2.0, max_turnover=0.2))
    assert isinstance(rule, BlackLitterman)
    assert (rule.confidence, rule.risk_aversion, rule.limits.most_turnover) == (3.0, 2.0, 0.2)
    assert rule.cost_bps == pytest.approx(10.0)  # commission 0.5, slippage 9.5
    neutral = construction_of(loaded(rule="mean_variance", dollar_neutral=True, gross=1.6, min_beta=-0.1, max_beta=0.1))
    assert isinstance(neutral, MeanVariance)
    assert (neutral.limits.side, neutral.limits.gross, neutral.limits.beta) == ("dollar_neutral", 1.6, (-0.1, 0.1))
    held = construction_of(loaded(rule="top_k", names=7, hold_band=3, max_weight=0.1))
    assert isinstance(held, TopK)
    assert (held.names, held.hold_band, held.limits.most_weight) == (7, 3, 0.1)
    words = rule_words(loaded(rule="top_k", max_sector_gross=0.4, max_turnover=0.15, rebalance_sessions=10))
    assert "among the best 30" in words
    assert "every 10 sessions, at most 20% a symbol, 40% gross an industry, one-way turnover of 15%" in words


@pytest.mark.parametrize(
    "contradiction",
    [
        {"rule": "risk_parity", "dollar_neutral": True},
        {"rule": "mean_variance", "gross": 1.5},
        {"rule": "mean_variance", "min_beta": 0.5},
        {"rule": "mean_variance", "min_beta": 0.5, "max_beta": 0.4},
    ],
)
def test_contradictions_are_refused_when_settings_are_read(contradiction: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=r"portfolio\."):
        loaded(**contradiction)


def test_uncertainty_is_that_of_a_normal_distribution_with_these_quantiles() -> None:
    rows = pl.DataFrame({"q05": [-1.645, None], "q95": [1.645, 1.0]})
    np.testing.assert_allclose(uncertainty(rows), [1.0, np.nan])


def test_sectors_are_those_known_at_each_session(tmp_path: Path) -> None:
    file = tmp_path / "industries.csv"
    file.write_text(
        "symbol,industry,known_from\nA,Banks,2015-01-01\nA,Tech,2015-01-06\nB,Tech,2015-01-07\nZ,Oil,2015-01-01\n"
    )
    days = np.array(["2015-01-05", "2015-01-06", "2015-01-07"], dtype="datetime64[D]")
    signal = Signal(days, ("A", "B", "C"), np.ones((3, 3)))
    banks, tech = 0, 2  # in the order of their names, Oil between them
    assert sectors_known(file, signal).tolist() == [[banks, -1, -1], [tech, -1, -1], [tech, tech, -1]]
