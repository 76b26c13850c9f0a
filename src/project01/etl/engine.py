"""From prepared bars to a table of features: one pass of compiled steps, then ranks across each session."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError, SchemaError, columns_of
from project01.etl.across import Slices
from project01.etl.adjust import PREPARED
from project01.etl.catalogue import catalogue
from project01.etl.context import Context, Inputs, bar_inputs
from project01.etl.feature import Feature
from project01.etl.fuse import Fused, kernel_for

RUNS_A_THREAD = 4
KEYS = ("symbol", "session", "event_time", "knowledge_time")


def compute_features(
    bars: pl.DataFrame,
    features: Sequence[Feature],
    context: Context | None = None,
    *,
    threads: int = 2,
) -> pl.DataFrame:
    """Every feature of every bar, from that bar and earlier ones only.

    Args:
        bars: prepared bars, sorted by symbol and session.
        features: what to compute, in the order of the result's columns.
        context: what is known beside the bars.
        threads: the result does not depend on it.
    Returns:
        symbol, session, event_time, knowledge_time, then one Float32 column a feature, NaN where it is missing; rows in
        the order of the bars.
    Raises:
        SchemaError: the bars lack a column; InputError: they are not sorted, or threads is below 1.
    """
    check_bars(bars)
    if threads < 1:
        raise InputError(f"Features cannot be computed on {threads} threads; pass at least 1.")
    ranks = [feature for feature in features if feature.kind == "cross_section"]
    computed = definitions(features)
    wanted = [feature.name for feature in computed]
    kernel, starts = kernel_for(computed), _starts(bars)
    states = np.zeros((len(starts) - 1, kernel.state_size))
    values = advance(kernel, bar_inputs(bars, computed, context), starts, wanted, states, threads)
    found = dict(zip(wanted, values, strict=True))
    slices = Slices(bars, context.industries if context else None)
    found |= {feature.name: slices.compare(feature, found[feature.inputs[0]]) for feature in ranks}
    return bars.select(KEYS).hstack(columns_of({feature.name: found[feature.name] for feature in features}))


def check_bars(bars: pl.DataFrame) -> None:
    """Refuse bars that `prepare_bars` has not made.

    Raises:
        SchemaError: a column is missing; InputError: they are not sorted by symbol and session, each once.
    """
    missing = [name for name in PREPARED if name not in bars.columns]
    if missing:
        raise SchemaError(f"Bars lack column(s) {', '.join(missing)}; pass what prepare_bars returns.")
    if not _is_sorted(bars):
        raise InputError("Bars must be sorted by symbol and session, each once; pass what prepare_bars returns.")


def definitions(features: Sequence[Feature]) -> list[Feature]:
    """The series features among these, and those that their cross-sections compare.

    Raises:
        InputError: a cross-section of a feature that stands neither among those asked for nor in the catalogue.
    """
    series = [feature for feature in features if feature.kind == "series"]
    compared = [name for feature in features if feature.kind == "cross_section" for name in feature.inputs]
    known = {feature.name: feature for feature in (*catalogue(), *series)}
    wanted = list(dict.fromkeys([*(feature.name for feature in series), *compared]))
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise InputError(
            f"No feature is called {', '.join(unknown)}, to be compared. Add it to the features asked for."
        )
    return [known[name] for name in wanted]


def _is_sorted(bars: pl.DataFrame) -> bool:
    """Whether rows ascend by symbol and then by session, none twice."""
    later = (pl.col("symbol") > pl.col("symbol").shift()) | (
        (pl.col("symbol") == pl.col("symbol").shift()) & (pl.col("session") > pl.col("session").shift())
    )
    return bool(bars.select(later.fill_null(True).all()).item())


def _starts(bars: pl.DataFrame) -> NDArray[np.int64]:
    """Row where each instrument begins, and the number of rows at the end; shape (n_instruments + 1,)."""
    lengths = bars.select(pl.col("symbol").rle().struct.field("len"))["len"].to_numpy()
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def advance(
    kernel: Fused,
    inputs: Inputs,
    starts: NDArray[np.int64],
    names: Sequence[str],
    states: FloatArray,
    threads: int,
) -> NDArray[np.float32]:
    """Take instruments through their rows, on several threads.

    Args:
        kernel: compiled functions that know the features named.
        inputs: at least the kernel's given inputs, columns by instrument and in order.
        starts: shape (n_instruments + 1,), where each instrument's rows begin, and the number of rows.
        names: the features wanted.
        states: shape (n_instruments, kernel.state_size), moved on in place.
        threads: the result does not depend on it.
    Returns:
        Shape (n_names, n_rows).
    """
    plan = kernel.plan(inputs.names, names)
    out = np.empty((len(names), inputs.matrix.shape[1]), dtype=np.float32)
    # Instruments are cut into runs of about equal rows; each run writes rows of its own. More runs than threads, since
    # another thread may write the block before on one of the cores.
    runs_wanted = 1 if threads == 1 else RUNS_A_THREAD * threads
    cuts = np.searchsorted(starts, np.linspace(0, starts[-1], runs_wanted + 1)[1:-1])
    edges = np.unique([0, *(int(cut) for cut in cuts), len(starts) - 1]).tolist()
    with ThreadPoolExecutor(threads) as pool:
        runs = [
            pool.submit(plan.advance, starts, first, last, inputs.matrix, states, out)
            for first, last in pairwise(edges)
        ]
        for run in runs:
            run.result()
    return out
