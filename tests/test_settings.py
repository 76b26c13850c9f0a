"""Settings: precedence, origin, and messages that help."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from project01.domain import SettingsError
from project01.settings import KNOWN_KEYS, Settings, load_settings


def test_flags_beat_environment_beats_file_beats_default(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[forecast]\nhorizon = 3\nseed = 3\n[costs]\nslippage_bps = 3\n")
    loaded = load_settings(
        file,
        {"forecast.horizon": 9, "forecast.seed": None},
        {"PROJECT01__FORECAST__HORIZON": "6", "PROJECT01__FORECAST__SEED": "6", "OTHER": "x"},
    )
    assert (loaded.settings.forecast.horizon, loaded.settings.forecast.seed) == (9, 6)
    assert loaded.settings.costs.slippage_bps == 3
    assert loaded.origin["forecast.horizon"] == "flag"
    assert loaded.origin["forecast.seed"] == "environment PROJECT01__FORECAST__SEED"
    assert loaded.origin["costs.slippage_bps"] == "file mine.toml"
    assert loaded.origin["data.calendar"] == "default"


def test_yaml_and_toml_give_the_same_tree(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[forecast]\nmodels = ["ridge", "zero"]\n')
    (tmp_path / "a.yaml").write_text("forecast: {models: [ridge, zero]}\n")
    first, second = (load_settings(tmp_path / f"a.{kind}", environment={}).settings for kind in ("toml", "yaml"))
    assert first == second
    assert first.forecast.models == ("ridge", "zero")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PROJECT01__FORECAST__HORZON": "3"}, "Did you mean forecast.horizon"),
        ({"PROJECT01__FORECAST__HORIZON": "soon"}, r"forecast.horizon \(environment PROJECT01__FORECAST__HORIZON\)"),
        ({"PROJECT01__FORECAST__HORIZON": "0"}, "greater than or equal to 1; found '0'"),
        ({"PROJECT01__WALK_FORWARD__PURGE_SESSIONS": "2"}, "purge_sessions is 2, below the horizon of 5"),
    ],
)
def test_a_bad_value_is_named_with_its_origin(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(environment=environment)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("broken.toml", "[forecast\n", "not valid TOML"),
        ("broken.yaml", "a: [", "not valid TOML or YAML"),
        ("list.yaml", "- a\n", "holds a list"),
        ("code.yaml", "!!python/object/apply:os.system ['true']\n", "not valid TOML or YAML"),
        ("typo.toml", "[forcast]\nhorizon = 3\n", "Did you mean forecast.horizon"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_settings(tmp_path / name, environment={})


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml cannot be read"):
        load_settings(Path("nowhere.toml"), environment={})


def test_the_tree_is_frozen_and_every_leaf_is_known() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.forecast.horizon = 3  # type: ignore[misc]
    assert "forecast.horizon" in KNOWN_KEYS
    assert len(KNOWN_KEYS) == len(set(KNOWN_KEYS))


def test_the_result_hash_ignores_what_cannot_change_a_result() -> None:
    base = load_settings(environment={}).settings.result_hash()
    assert load_settings(flags={"compute.threads": 1}, environment={}).settings.result_hash() == base
    assert load_settings(flags={"tracking.backend": "none"}, environment={}).settings.result_hash() == base
    assert load_settings(flags={"sources.max_lag_s": 5}, environment={}).settings.result_hash() == base
    assert load_settings(flags={"forecast.seed": 8}, environment={}).settings.result_hash() != base
