"""One frozen settings tree, read once at an entry point; functions receive the values they need, never the tree.

Order of precedence: flags, then environment (``PROJECT01__SECTION__KEY``), then a TOML or YAML file, then defaults.
Units stand in the names (`_bps` basis points, `_sessions` trading days).
"""

import difflib
import hashlib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from project01.domain.errors import SettingsError

ENVIRONMENT_PREFIX = "PROJECT01__"
# Settings that the environment gives as a comma list.
_LISTS = ("features.files", "features.sets", "forecast.models")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DataSettings(_Section):
    """What is read and how it is checked."""

    calendar: str = "XNYS"
    """Exchange calendar (ISO 10383) that sessions and closes come from."""
    gate_max_loss: float = Field(0.66, gt=0, lt=1)
    """A one-session fall beyond this fraction that adj_close does not explain is refused."""
    gate_max_gain: float = Field(2.0, gt=0)
    """A one-session rise beyond this fraction that adj_close does not explain is refused."""
    survivors_only: bool | None = None
    """Whether the data keeps only names that still traded at its end; not set: judged from the data."""


class FeatureSettings(_Section):
    """Which features are computed and trained on."""

    sets: tuple[str, ...] = ("core",)
    """Sets of the catalogue; `project01 features list` shows them."""
    files: tuple[Path, ...] = ()
    """Python files with features of your own."""
    industries: Path | None = None
    """CSV of symbol, industry and known_from, for features within industries."""


class ForecastSettings(_Section):
    """What is forecast."""

    horizon: int = Field(5, ge=1, le=252)
    """Sessions ahead."""
    seed: int = Field(7, ge=0)
    """The one seed every random choice follows from."""
    models: tuple[str, ...] = ("lightgbm", "xgboost", "ridge", "momentum", "historical_mean", "zero")
    """Forecasters to train; the first is the one traded and shown, chosen before any result is seen."""


class WalkForwardSettings(_Section):
    """How history is cut into training and test."""

    train_sessions: int = Field(1260, ge=60)
    """Length of the rolling training window."""
    test_sessions: int = Field(252, ge=5)
    """Sessions forecast before the next refit."""
    purge_sessions: int | None = Field(None, ge=1)
    """Training sessions dropped before each test window; not set: horizon + 1. Never below the horizon."""


class HoldoutSettings(_Section):
    """What is kept from all research until it is opened, once."""

    sessions: int = Field(252, ge=0)
    """Newest sessions sealed when features are first made, at most a tenth of the history; 0: none."""


class PortfolioSettings(_Section):
    """How forecasts become positions."""

    rule: Literal[
        "top", "long_short", "top_k", "rank", "equal", "inverse_volatility", "mean_variance", "minimum_variance",
        "risk_parity", "black_litterman",
    ] = "top"  # fmt: skip
    """`top` and `long_short` hold the best quantile, or all by rank, in tranches; the others move the whole book."""
    fraction: float = Field(0.1, gt=0, le=0.5)
    """Share of the symbols held long by `top`; never fewer than three names."""
    initial_cash_usd: float = Field(1_000_000.0, gt=0)
    names: int = Field(20, ge=1)
    """Names held by `top_k` on a side."""
    hold_band: int = Field(10, ge=0)
    """Ranks beyond `names` that a name held by `top_k` may fall before it is sold."""
    rebalance_sessions: int | None = Field(None, ge=1)
    """Sessions between decisions of all rules but `top` and `long_short`; not set: the horizon."""
    lookback_sessions: int = Field(252, ge=20)
    """Trailing daily returns that risk is judged by."""
    risk_aversion: float = Field(5.0, gt=0)
    """Price of variance in return, over the horizon, for `mean_variance` and `black_litterman`."""
    turnover_penalty_bps: float = Field(0.0, ge=0)
    """Charged by those two on each value traded beyond its cost, in the decision alone."""
    view_confidence: float = Field(1.0, gt=0)
    """How many times surer `black_litterman` takes the forecasts than their own intervals say."""
    dollar_neutral: bool = False
    """As much short as long, for `top_k`, `rank`, `mean_variance` and `black_litterman`."""
    gross: float = Field(1.0, gt=0, le=2)
    """Most the absolute weights sum to, share of equity; at most 1 unless dollar-neutral."""
    max_weight: float = Field(0.2, gt=0, le=1)
    """Most a name may weigh, share of equity. This, `gross` and the limits below are not for `top` and `long_short`."""
    max_sector_gross: float | None = Field(None, gt=0, le=2)
    """Most the absolute weights of one industry sum to, by `features.industries`; not set: no limit."""
    max_sector_net: float | None = Field(None, gt=0, le=2)
    """Most the weights of one industry sum to, either way; not set: no limit."""
    min_beta: float | None = None
    """Lowest beta of the book to the mean of all names; goes with `max_beta`."""
    max_beta: float | None = None
    """Highest beta of the book to the mean of all names; goes with `min_beta`."""
    max_turnover: float | None = Field(None, gt=0, le=2)
    """Most one-way turnover of a decision, half the sum of absolute weight changes; not set: no limit."""

    def refuse_contradictions(self) -> None:
        """Check the settings that only make sense together.

        Raises:
            SettingsError: a rule without views made dollar-neutral, a long-only book above 1, half a beta band.
        """
        if self.dollar_neutral and self.rule not in {"top_k", "rank", "mean_variance", "black_litterman"}:
            raise SettingsError(
                f"portfolio.dollar_neutral is set for the rule {self.rule}, which does not use it. Leave it unset, or "
                "choose top_k, rank, mean_variance or black_litterman."
            )
        if self.gross > 1 and not self.dollar_neutral:
            raise SettingsError(
                f"portfolio.gross is {self.gross}; a long-only book is at most 1. Set dollar_neutral too."
            )
        low, high = self.min_beta, self.max_beta
        if (low is None) != (high is None) or (low is not None and high is not None and low >= high):
            raise SettingsError(
                f"portfolio.min_beta is {low} and max_beta {high}; expected both, the lower first, or neither."
            )


class CostSettings(_Section):
    """What trading costs, by part."""

    preset: Literal["none", "retail", "institutional"] = "none"
    """A broker's prices with their source in `backtest/costs.py`, in place of the three figures below."""
    commission_bps: float = Field(0.5, ge=0)
    """Commission as a share of traded value."""
    commission_min_usd: float = Field(0.0, ge=0)
    """Least commission of an order."""
    slippage_bps: float = Field(9.5, ge=0)
    """Half-spread and impact against the fill price."""


class ComputeSettings(_Section):
    """How much of the machine is used; results never depend on it."""

    threads: int = Field(2, ge=1, le=64)


class TrackingSettings(_Section):
    """Where runs are recorded."""

    backend: Literal["mlflow", "wandb-offline", "none"] = "mlflow"


class SourcesSettings(_Section):
    """How running streams are watched; results never depend on it."""

    max_lag_s: float = Field(30.0, gt=0)
    """A stream whose oldest waiting event is older than this is an alert."""


def _fingerprint(path: Path | None) -> list[str] | None:
    """Name and hash of a file; one that is not there yet is refused where it is read."""
    if path is None:
        return None
    return [path.name, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""]


class Settings(_Section):
    """The whole tree."""

    data: DataSettings = DataSettings()
    features: FeatureSettings = FeatureSettings()
    forecast: ForecastSettings = ForecastSettings()
    walk_forward: WalkForwardSettings = WalkForwardSettings()
    holdout: HoldoutSettings = HoldoutSettings()
    portfolio: PortfolioSettings = PortfolioSettings()
    costs: CostSettings = CostSettings()
    compute: ComputeSettings = ComputeSettings()
    tracking: TrackingSettings = TrackingSettings()
    sources: SourcesSettings = SourcesSettings()

    def purge_sessions(self) -> int:
        """Sessions purged between training and test.

        Raises:
            SettingsError: set below the horizon.
        """
        purge = self.walk_forward.purge_sessions
        if purge is None:
            return self.forecast.horizon + 1
        if purge < self.forecast.horizon:
            raise SettingsError(
                f"walk_forward.purge_sessions is {purge}, below the horizon of {self.forecast.horizon}: labels "
                "of the training window would overlap the test window. Set it to the horizon or more."
            )
        return purge

    def result_hash(self) -> str:
        """SHA-256 over everything that may change a result (not threads, tracking, sources), first 16 hex digits.

        Files count by name and content, not by the folder they lie in.
        """
        content = self.model_dump(mode="json", exclude={"compute", "tracking", "sources"})
        content["features"]["files"] = [_fingerprint(path) for path in self.features.files]
        content["features"]["industries"] = _fingerprint(self.features.industries)
        return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:16]


@dataclass(frozen=True)
class LoadedSettings:
    """Settings with the place each value came from.

    Attributes:
        settings: the validated tree.
        origin: dotted key -> ``default``, ``file NAME``, ``environment NAME`` or ``flag``.
    """

    settings: Settings
    origin: dict[str, str]


def _leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _leaves(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


KNOWN_KEYS = tuple(_leaves(Settings))


def _refuse_unknown(keys: Iterator[str], where: str) -> None:
    for key in keys:
        if key not in KNOWN_KEYS:
            near = difflib.get_close_matches(key, KNOWN_KEYS, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise SettingsError(f"{where}: unknown setting {key!r}.{hint} `project01 config show` lists all of them.")


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        parsed = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except OSError as error:
        raise SettingsError(f"Settings file {path} cannot be read: {error.strerror}. Pass an existing file.") from error
    except (tomllib.TOMLDecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"Settings file {path} is not valid TOML or YAML: {error}") from error
    if parsed is None:
        return {}
    if not isinstance(parsed, dict):
        raise SettingsError(f"Settings file {path} holds a {type(parsed).__name__}; expected sections like [forecast].")
    return _flatten(parsed)


def _read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in sorted(environment):
        if name.startswith(ENVIRONMENT_PREFIX):
            key = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            value = environment[name]
            found[key] = value.split(",") if key in _LISTS else value
    return found


def load_settings(
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> LoadedSettings:
    """Merge defaults, file, environment and flags into one validated tree.

    Args:
        file: TOML (``.toml``) or YAML settings file.
        flags: dotted key -> value; None values are flags not given.
        environment: defaults to the process environment.
    Raises:
        SettingsError: unknown key (with the nearest known one), unreadable file, value of the wrong type or range.
    """
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    layers: list[tuple[str, dict[str, Any]]] = []
    if file is not None:
        layers.append((f"file {file.name}", _read_file(file)))
    layers.append(("environment", _read_environment(os.environ if environment is None else environment)))
    layers.append(("flag", given))
    origin = dict.fromkeys(KNOWN_KEYS, "default")
    tree: dict[str, dict[str, Any]] = {}
    for where, values in layers:
        _refuse_unknown(iter(values), where)
        for key, value in values.items():
            section, _, name = key.partition(".")
            tree.setdefault(section, {})[name] = value
            variable = ENVIRONMENT_PREFIX + key.upper().replace(".", "__")
            origin[key] = f"environment {variable}" if where == "environment" else where
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][:2])
        raise SettingsError(
            f"Setting {key} ({origin.get(key, 'unknown')}): {first['msg']}; found {first['input']!r}."
        ) from error
    settings.purge_sessions()
    settings.portfolio.refuse_contradictions()
    return LoadedSettings(settings, origin)
