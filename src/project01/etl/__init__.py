"""Bars made comparable, features defined once, and what followed them."""

from project01.etl.adjust import prepare_bars
from project01.etl.catalogue import catalogue
from project01.etl.context import bar_inputs
from project01.etl.engine import compute_features
from project01.etl.feature import BAR_INPUTS, MACRO_SERIES, Feature
from project01.etl.fuse import feature_digest
from project01.etl.labels import forward_returns
from project01.etl.stream import StreamState
from project01.etl.usable import usable

__all__ = [
    "BAR_INPUTS",
    "MACRO_SERIES",
    "Feature",
    "StreamState",
    "bar_inputs",
    "catalogue",
    "compute_features",
    "feature_digest",
    "forward_returns",
    "prepare_bars",
    "usable",
]
