"""Comparisons across the rows of one session that never use a row known later than the one compared."""

import numpy as np
from numpy.typing import NDArray

from project01.domain import FloatArray
from project01.etl.peer_ranks import ranked_together

Codes = NDArray[np.int64]
FLAT = 1e-12


def _groups(session: Codes, known: Codes) -> tuple[Codes, Codes]:
    """Number the pairs (session, known) in ascending order.

    Returns:
        The pair of each row, shape (n_rows,), and the session of each pair, shape (n_pairs,).
    """
    newest = np.zeros(int(session.max(initial=-1)) + 1, dtype=np.int64)
    newest[session] = known
    if bool(np.all(newest[session] == known)):  # nearly always: all bars of a session are known at its close
        return session, np.arange(len(newest))
    order = np.lexsort((known, session))
    begins = np.ones(len(order), dtype=np.bool_)
    begins[1:] = (np.diff(session[order]) != 0) | (np.diff(known[order]) != 0)
    pair = np.empty(len(order), dtype=np.int64)
    pair[order] = np.cumsum(begins) - 1
    return pair, session[order][begins]


def _running_within(session: Codes, amount: FloatArray) -> FloatArray:
    """Sums over the pairs of a session up to each; sessions do not touch each other's rounding."""
    running = amount.copy()
    first = np.searchsorted(session, session)
    depth = np.arange(len(session)) - first
    for level in range(1, int(depth.max(initial=0)) + 1):
        here = np.flatnonzero(depth == level)
        running[here] += running[here - 1]
    return running


def known_peer_mean(session: Codes, known: Codes, value: FloatArray, fewest: int) -> FloatArray:
    """Mean of `value` over the rows of the same session known no later than each row, itself among them.

    Args:
        session: shape (n_rows,), numbers from 0.
        known: shape (n_rows,), when each row was known, any unit.
        value: shape (n_rows,); NaN rows are no peers. Summed in the order of the rows.
        fewest: a mean over fewer rows is NaN.
    """
    pair, session_of = _groups(session, known)
    valid = np.isfinite(value)
    total = np.bincount(pair[valid], weights=value[valid], minlength=len(session_of)).astype(np.float64)
    count = np.bincount(pair[valid], minlength=len(session_of)).astype(np.float64)
    totals, counts = _running_within(session_of, total), _running_within(session_of, count)
    mean: FloatArray = np.where(counts >= max(fewest, 1), totals / np.maximum(counts, 1.0), np.nan)
    return mean[pair]


def known_peer_deviation(session: Codes, known: Codes, value: FloatArray, *, scaled: bool) -> FloatArray:
    """Each row less the mean of the rows of its session known no later, itself among them.

    Args:
        session: shape (n_rows,), numbers from 0.
        known: shape (n_rows,), when each row was known.
        value: shape (n_rows,); a NaN row has no deviation and is no peer.
        scaled: in sample standard deviations of those rows; NaN where they have no spread.
    Returns:
        Shape (n_rows,); NaN without a peer.
    """
    found = np.full(len(value), np.nan)
    pair, session_of = _groups(session, known)
    mixed = np.bincount(session_of)[session] > 1 if len(session) else np.zeros(0, dtype=np.bool_)
    _deviations_within(session, value, np.isfinite(value) & ~mixed, scaled=scaled, found=found)
    later = np.flatnonzero(mixed)
    later = later[np.argsort(session[later], kind="stable")]
    for rows in np.split(later, np.flatnonzero(np.diff(session[later])) + 1) if len(later) else ():
        for moment in np.unique(pair[rows]):
            peers = rows[(pair[rows] <= moment) & np.isfinite(value[rows])]
            then = np.full(len(value), np.nan)
            _deviations_within(session, value, peers, scaled=scaled, found=then)
            own = rows[pair[rows] == moment]
            found[own] = then[own]
    return found


def _deviations_within(
    session: Codes, value: FloatArray, peers: NDArray[np.bool_] | Codes, *, scaled: bool, found: FloatArray
) -> None:
    """Write the deviations of the rows `peers` from the means of their sessions into `found`."""
    codes, own = session[peers], value[peers]
    count = np.bincount(codes).astype(np.float64)
    mean = np.bincount(codes, weights=own) / np.maximum(count, 1.0)
    deviation = own - mean[codes]
    if scaled:
        spread = np.sqrt(np.bincount(codes, weights=deviation * deviation) / np.maximum(count - 1.0, 1.0))
        # A spread that is only rounding is none.
        flat = spread <= FLAT * np.abs(mean)
        with np.errstate(divide="ignore", invalid="ignore"):
            deviation = np.where(flat[codes], np.nan, deviation / spread[codes])
    found[peers] = np.where(count[codes] > 1.0, deviation, np.nan)


def known_peer_rank(session: Codes, known: Codes, value: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rank of each row among those of its session known no later, -0.5 lowest to 0.5 highest, ties averaged.

    Args:
        session: shape (n_rows,), numbers from 0.
        known: shape (n_rows,), when each row was known.
        value: shape (n_rows,); a NaN row has no rank and is no peer.
    Returns:
        Shape (n_rows,); NaN without a peer.
    """
    ranks = ranked_together(session, value)
    pair, session_of = _groups(session, known)
    mixed = np.flatnonzero(np.bincount(session_of)[session] > 1) if len(session) else session
    if not len(mixed):
        return ranks
    mixed = mixed[np.argsort(session[mixed], kind="stable")]
    for rows in np.split(mixed, np.flatnonzero(np.diff(session[mixed])) + 1):
        for moment in np.unique(pair[rows]):
            peers = np.sort(value[rows[(pair[rows] <= moment) & np.isfinite(value[rows])]])
            own = rows[(pair[rows] == moment) & np.isfinite(value[rows])]
            left = np.searchsorted(peers, value[own], side="left")
            right = np.searchsorted(peers, value[own], side="right")
            ranks[own] = (left + right - 1) / 2.0 / (len(peers) - 1) - 0.5 if len(peers) > 1 else np.nan
    return ranks
