"""Bars made comparable, features defined once, and what followed them."""

from project01.etl.adjust import prepare_bars
from project01.etl.bar_builder import BuiltBars, build_bars
from project01.etl.bar_versions import LateReason, RevisionLimits
from project01.etl.catalogue import catalogue, feature_set, feature_sets
from project01.etl.context import Context, Inputs, bar_inputs
from project01.etl.engine import compute_features
from project01.etl.feature import Feature
from project01.etl.fuse import feature_digest
from project01.etl.inputs import BAR_INPUTS, MACRO_SERIES
from project01.etl.labels import forward_returns
from project01.etl.sale_conditions import Notation
from project01.etl.sale_gate import CheckedTicks, TickFault, check_quotes, check_trades
from project01.etl.stream import StreamState
from project01.etl.usable import usable

__all__ = [
    "BAR_INPUTS",
    "MACRO_SERIES",
    "BuiltBars",
    "CheckedTicks",
    "Context",
    "Feature",
    "Inputs",
    "LateReason",
    "Notation",
    "RevisionLimits",
    "StreamState",
    "TickFault",
    "bar_inputs",
    "build_bars",
    "catalogue",
    "check_quotes",
    "check_trades",
    "compute_features",
    "feature_digest",
    "feature_set",
    "feature_sets",
    "forward_returns",
    "prepare_bars",
    "usable",
]
