"""Bars made comparable, features defined once, and what followed them."""

from project01.etl.adjust import prepare_bars
from project01.etl.bar_builder import BuiltBars, build_bars
from project01.etl.bar_versions import LateReason, RevisionLimits
from project01.etl.build import FeatureBuild, KeptStates
from project01.etl.catalogue import catalogue, feature_set, feature_sets
from project01.etl.context import Context, Inputs, bar_inputs
from project01.etl.engine import compute_features
from project01.etl.feature import Feature
from project01.etl.fuse import feature_digest
from project01.etl.inputs import BAR_INPUTS, MACRO_SERIES, SECOND_INPUTS
from project01.etl.labels import forward_returns
from project01.etl.own_features import feature, load_features
from project01.etl.parity import Difference, compare
from project01.etl.sale_conditions import Notation
from project01.etl.sale_gate import CheckedTicks, TickFault, check_quotes, check_trades
from project01.etl.second_stream import SecondFeatures, SecondStream
from project01.etl.seconds import PATIENCE, second_rows
from project01.etl.seconds_batch import compute_intraday, late_rows
from project01.etl.spark_features import (
    ShippedFeatures,
    block_features,
    block_moves,
    compared_names,
    needs_market,
    shipped,
    slice_comparisons,
    slice_means,
)
from project01.etl.spark_seconds import SecondFolder, packed_rows
from project01.etl.stream import StreamState
from project01.etl.usable import usable

__all__ = [
    "BAR_INPUTS",
    "MACRO_SERIES",
    "PATIENCE",
    "SECOND_INPUTS",
    "BuiltBars",
    "CheckedTicks",
    "Context",
    "Difference",
    "Feature",
    "FeatureBuild",
    "Inputs",
    "KeptStates",
    "LateReason",
    "Notation",
    "RevisionLimits",
    "SecondFeatures",
    "SecondFolder",
    "SecondStream",
    "ShippedFeatures",
    "StreamState",
    "TickFault",
    "bar_inputs",
    "block_features",
    "block_moves",
    "build_bars",
    "catalogue",
    "check_quotes",
    "check_trades",
    "compare",
    "compared_names",
    "compute_features",
    "compute_intraday",
    "feature",
    "feature_digest",
    "feature_set",
    "feature_sets",
    "forward_returns",
    "late_rows",
    "load_features",
    "needs_market",
    "packed_rows",
    "prepare_bars",
    "second_rows",
    "shipped",
    "slice_comparisons",
    "slice_means",
    "usable",
]
