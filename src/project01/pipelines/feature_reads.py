"""Reads of single features for people, and bringing a run's online store up to date."""

import difflib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from project01.domain import InputError
from project01.pipelines.feature_build import FEATURES
from project01.pipelines.features import feature_store
from project01.pipelines.instants import parse_instant
from project01.pipelines.workspace import Workspace, open_workspace
from project01.store import FeatureStore

_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)


def read_features(
    root: Path, symbols: Sequence[str], at: str | None, names: Sequence[str] | None, *, online: bool
) -> dict[str, Any]:
    """Values of symbols with unit and both clocks.

    Args:
        root: folder of the run.
        symbols: in the order of the result.
        at: date or instant; None: when the newest row became known.
        names: features; None: all.
        online: read the online store instead, which knows the newest values only.
    Returns:
        ``as_of``, ``online`` and ``rows``: symbol, feature, value (None where missing), unit, event_time,
        knowledge_time, age_seconds (at as_of, since the event) and state: ``known``, ``missing`` (a row without this
        value), ``expired`` (a row too old to be served) or ``nothing known``.
    Raises:
        InputError: the run has no features, a feature or symbol is unknown, or a time is given for the online store.
        NotEnoughDataError: the online store holds nothing yet.
    """
    if online and at is not None:
        raise InputError("The online store holds the newest values only. Leave out --at, or leave out --online.")
    workspace = open_workspace(root)
    workspace.require("features", "features")
    store = feature_store(workspace)
    chosen = list(names) if names else list(store.feature_names())
    _check_symbols(workspace, symbols)
    as_of = None if online else (parse_instant(at) if at else _newest(workspace))
    found = store.look_up(symbols, chosen, as_of)
    return {"as_of": found["as_of"][0], "online": online, "rows": list(_rows(store, found))}


def materialise_features(root: Path, start: str | None, end: str | None) -> dict[str, Any]:
    """Bring a run's online store up to date.

    Args:
        root: folder of the run.
        start: only rows that became usable since; None: all.
        end: nothing known later; None: when the newest row became known.
    Returns:
        The two instants and the numbers of features and views.
    Raises:
        InputError: the run has no features, or a time cannot be read.
    """
    workspace = open_workspace(root)
    workspace.require("features", "features")
    store = feature_store(workspace)
    since = parse_instant(start) if start else _EARLIEST
    until = parse_instant(end) if end else _newest(workspace)
    store.materialise(since, until)
    symbols = workspace.lake.scan(FEATURES).filter(pl.col("knowledge_time") <= until).select("symbol").unique()
    return {"from": since, "to": until, "features": len(store.feature_names()), "symbols": symbols.collect().height}


def _newest(workspace: Workspace) -> datetime:
    newest: datetime = workspace.lake.scan(FEATURES).select(pl.col("knowledge_time").max()).collect().item()
    return newest


def _rows(store: FeatureStore, found: pl.DataFrame) -> list[dict[str, Any]]:
    units = {feature.name: feature.unit for feature in store.features()}
    rows = []
    for row in found.iter_rows(named=True):
        event = row["event_time"]
        state = "known"
        if event is None:
            state = "nothing known"
        elif row["expired"]:
            state = "expired"
        elif row["value"] is None:
            state = "missing"
        age = None if event is None else (row["as_of"] - event).total_seconds()
        kept = {name: row[name] for name in ("symbol", "feature", "value", "event_time", "knowledge_time")}
        rows.append({**kept, "unit": units[row["feature"]], "age_seconds": age, "state": state})
    return rows


def _check_symbols(workspace: Workspace, symbols: Sequence[str]) -> None:
    held = workspace.lake.scan(FEATURES).select(pl.col("symbol").unique().sort()).collect()["symbol"].to_list()
    unknown = sorted(set(symbols) - set(held))
    if unknown:
        like = [symbol for symbol in held if symbol.upper() in {name.upper() for name in unknown}]
        like += [match for name in unknown for match in difflib.get_close_matches(name, held, n=2)]
        hint = ", ".join(dict.fromkeys(like)) or ", ".join(held[:5])
        raise InputError(
            f"The features of {workspace.root} hold no symbol {', '.join(unknown)}; they hold {len(held)}. Did you "
            f"mean one of {hint}?"
        )
