"""What Spark's executors compute: blocks of whole instruments, slices of whole sessions, and nothing else.

The functions are those of the batch in this process, so the rows are the same to the bit; sums over instruments are
taken in the order of their symbols, as there.
"""

import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from project01.domain import FloatArray, InputError
from project01.etl.across import Slices
from project01.etl.catalogue import catalogue
from project01.etl.context import Context, given_values, mean_moves, own_moves
from project01.etl.engine import KEYS, advance, definitions
from project01.etl.feature import Feature
from project01.etl.fuse import kernel_for
from project01.etl.inputs import SESSION_INPUTS
from project01.etl.own_features import load_features

MOVE = "move"
MEAN = "mean"
_TIMES = ["session", "knowledge_time"]


@dataclass(frozen=True)
class ShippedFeatures:
    """Features by name, with the text of the user's files: step functions are compiled from text, so that is sent.

    Attributes:
        names: in order.
        files: name and text of each file of features.
    """

    names: tuple[str, ...]
    files: tuple[tuple[str, str], ...] = ()

    def load(self) -> tuple[Feature, ...]:
        """The features, in this process; files are run, so only ship files you trust."""
        known = {feature.name: feature for feature in catalogue()}
        for name, text in self.files:
            known |= {feature.name: feature for feature in _loaded(name, text)}
        unknown = [name for name in self.names if name not in known]
        if unknown:
            raise InputError(
                f"This executor knows no feature {', '.join(unknown)}. Install the driver's version of Project01 on it."
            )
        return tuple(known[name] for name in self.names)


def shipped(features: Sequence[Feature], files: Sequence[Path] = ()) -> ShippedFeatures:
    """Features ready to be sent.

    Args:
        features: of the catalogue or of the files.
        files: the files that define those of the user.
    """
    return ShippedFeatures(
        tuple(feature.name for feature in features), tuple((path.name, path.read_text("utf-8")) for path in files)
    )


@lru_cache(maxsize=32)
def _loaded(name: str, text: str) -> tuple[Feature, ...]:
    # The file stays as long as the process: the text of a step function is read from it when it is compiled.
    folder = tempfile.mkdtemp(prefix="project01-own-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder, name)
    path.write_text(text, "utf-8")
    return load_features(path)


def needs_market(features: Sequence[Feature]) -> bool:
    """Whether any of the features is set against the return of the market."""
    return any(_is_of_market(name) for name in kernel_for(definitions(features)).given)


def _is_of_market(name: str) -> bool:
    return SESSION_INPUTS[name].family == "market"


def block_moves(bars: pl.DataFrame) -> pl.DataFrame:
    """What a block of whole instruments adds to the market's return: symbol, session, knowledge_time, move."""
    return bars.select("symbol", *_TIMES).with_columns(pl.Series(MOVE, own_moves(bars)))


def slice_means(moves: pl.DataFrame) -> pl.DataFrame:
    """The market's return over whole sessions: session, knowledge_time, mean; NaN where too few had moved.

    Args:
        moves: rows of `block_moves` of all instruments, in any order.
    """
    rows = moves.sort("symbol", "session")
    mean = mean_moves(rows, rows[MOVE].to_numpy())
    return rows.select(*_TIMES).with_columns(pl.Series(MEAN, mean)).unique(_TIMES, maintain_order=True)


@dataclass(frozen=True)
class Block:
    """Features of whole instruments.

    Attributes:
        rows: `KEYS`, then one Float32 column a series feature.
        states: of each instrument after its last bar, by symbol.
    """

    rows: pl.DataFrame
    states: Mapping[str, FloatArray]


def block_features(
    bars: pl.DataFrame,
    features: Sequence[Feature],
    context: Context,
    means: pl.DataFrame | None,
    names: Sequence[str] | None = None,
) -> Block:
    """Series features of a block of whole instruments.

    Args:
        bars: prepared bars, sorted by symbol and session.
        features: what the build computes, cross-sections among it.
        context: what is known beside the bars.
        means: rows of `slice_means` of all sessions; None where an index stands for the market, or none is needed.
        names: only these of the series features; all if None.
    """
    computed = definitions(features)
    kernel = kernel_for(computed)
    wanted = [feature.name for feature in computed] if names is None else list(names)
    known = {name: _market_of(bars, means) for name in kernel.given if means is not None and _is_of_market(name)}
    inputs = given_values(bars, kernel.given, context, known)
    lengths = bars.select(pl.col("symbol").rle().struct.field("len"))["len"].to_numpy()
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    states = np.zeros((len(lengths), kernel.state_size))
    values = advance(kernel, inputs, starts, wanted, states, 1)
    symbols = bars["symbol"].gather(starts[:-1]).to_list()
    rows = bars.select(KEYS).with_columns(pl.Series(name, row) for name, row in zip(wanted, values, strict=True))
    return Block(rows, dict(zip(symbols, states, strict=True)))


def _market_of(bars: pl.DataFrame, means: pl.DataFrame) -> FloatArray:
    found = bars.select(_TIMES).join(means, on=_TIMES, how="left", maintain_order="left")[MEAN].to_numpy()
    return np.where(np.isnan(own_moves(bars)), np.nan, found)


def compared_names(features: Sequence[Feature]) -> tuple[str, ...]:
    """The series features that cross-sections compare, each once."""
    return tuple(dict.fromkeys(feature.inputs[0] for feature in features if feature.kind == "cross_section"))


def slice_comparisons(rows: pl.DataFrame, features: Sequence[Feature], industries: pl.DataFrame | None) -> pl.DataFrame:
    """Cross-sections of whole sessions: symbol, session, then one Float32 column each.

    Args:
        rows: symbol, session, knowledge_time and the features compared, of all instruments, in any order.
        features: what the build computes.
        industries: symbol, industry, knowledge_time.
    """
    ordered = rows.sort("symbol", "session")
    slices = Slices(ordered, industries)
    ranks = [feature for feature in features if feature.kind == "cross_section"]
    return ordered.select("symbol", "session").with_columns(
        pl.Series(feature.name, slices.compare(feature, ordered[feature.inputs[0]].to_numpy())) for feature in ranks
    )
