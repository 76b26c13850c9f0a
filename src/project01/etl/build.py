"""Many features of many bars in bounded memory: block by block of instruments, from the start or from kept states."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError, columns_of
from project01.etl.across import Slices
from project01.etl.context import Context, Inputs, given_values
from project01.etl.engine import KEYS, advance, check_bars, definitions
from project01.etl.feature import Feature
from project01.etl.fuse import kernel_for
from project01.etl.inputs import SESSION_INPUTS

ROWS_A_BLOCK = 100_000


@dataclass(frozen=True)
class KeptStates:
    """Where an earlier build ended.

    Attributes:
        digest: `FeatureBuild.digest` of that build.
        states: each instrument's state after its last bar, by symbol.
        rows: how many bars it had taken.
    """

    digest: str
    states: Mapping[str, FloatArray]
    rows: Mapping[str, int]


class FeatureBuild:
    """Features of prepared bars, computed when the blocks are taken.

    Cross-sections need every instrument of a session, so what they compare is computed first, for all rows; the rest
    is never held for more than one block.

    Attributes:
        states: after the last block, every instrument's state by symbol.
        digest: identity of the definitions that the states belong to.
    """

    def __init__(
        self,
        bars: pl.DataFrame,
        features: Sequence[Feature],
        context: Context | None = None,
        *,
        threads: int = 2,
        kept: KeptStates | None = None,
    ) -> None:
        """Check the bars and lay out the work.

        Args:
            bars: prepared bars, sorted by symbol and session.
            features: what to compute, in the order of the result's columns.
            context: what is known beside the bars.
            threads: the result does not depend on it.
            kept: states to go on from; only later rows come out.
        Raises:
            SchemaError: the bars lack a column.
            InputError: bars are not sorted, `threads` is below 1, a compared feature is unknown, or the states belong
                to other definitions.
        """
        check_bars(bars)
        if threads < 1:
            raise InputError(f"Features cannot be computed on {threads} threads; pass at least 1.")
        self._bars, self._features, self._context, self._threads = bars, tuple(features), context or Context(), threads
        self._ranks = [feature for feature in features if feature.kind == "cross_section"]
        self._definitions = definitions(features)
        self._names = tuple(feature.name for feature in self._definitions)
        self._kernel = kernel_for(self._definitions)
        self.digest = hashlib.sha256("\n".join([self._kernel.digest, *self._names]).encode()).hexdigest()
        lengths = bars.select(pl.col("symbol").rle().struct.field("len"))["len"].to_numpy()
        self._starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self._symbols: list[str] = bars["symbol"].gather(self._starts[:-1]).to_list()
        self._done = np.zeros(len(lengths), dtype=np.int64)
        self._given: Mapping[str, FloatArray] = {}
        if kept is not None:
            self._take_up(kept, lengths)
        self.states: dict[str, FloatArray] = {}

    def _take_up(self, kept: KeptStates, lengths: NDArray[np.int64]) -> None:
        if kept.digest != self.digest:
            raise InputError("These states were kept by other feature definitions. Build the features from the start.")
        self._given = kept.states
        self._done = np.array([kept.rows.get(symbol, 0) for symbol in self._symbols], dtype=np.int64)
        short = [symbol for symbol, has, had in zip(self._symbols, lengths, self._done, strict=True) if has < had]
        if short:
            raise InputError(
                f"{len(short)} instruments have fewer bars than when their states were kept, first {short[0]}. Build "
                "the features from the start."
            )

    @property
    def rows(self) -> dict[str, int]:
        """Bars of each instrument, by symbol; what `KeptStates` asks for."""
        return dict(zip(self._symbols, np.diff(self._starts).tolist(), strict=True))

    def blocks(self) -> Iterator[pl.DataFrame]:
        """The new rows of each block of instruments: `KEYS`, then one Float32 column a feature."""
        shared = self._shared()
        compared = self._cross_sections(shared)
        self.states, done = {}, 0
        for first, last in self._edges():
            rows, values, states = self._run(self._names, first, last, shared)
            found = dict(zip(self._names, values, strict=True))
            found |= {name: column[done : done + rows.height] for name, column in compared.items()}
            done += rows.height
            self.states |= dict(zip(self._symbols[first:last], states, strict=True))
            yield rows.select(KEYS).hstack(columns_of({f.name: found[f.name] for f in self._features}))

    def _edges(self) -> Iterator[tuple[int, int]]:
        cuts = np.searchsorted(self._starts, np.arange(0, self._starts[-1], ROWS_A_BLOCK), side="left")
        edges = np.unique(np.append(cuts, len(self._starts) - 1))
        yield from pairwise(int(edge) for edge in edges)

    def _shared(self) -> dict[str, FloatArray]:
        """Inputs that need the bars of all instruments, shape (n_rows,) each."""
        names = tuple(name for name in self._kernel.given if SESSION_INPUTS[name].family == "market")
        inputs = given_values(self._bars, names, self._context)
        return {name: inputs.of(name) for name in names}

    def _cross_sections(self, shared: Mapping[str, FloatArray]) -> dict[str, NDArray[np.float32]]:
        """Each cross-section of the new rows, in their order."""
        if not self._ranks:
            return {}
        names = tuple(dict.fromkeys(feature.inputs[0] for feature in self._ranks))
        parts = [self._run(names, first, last, shared) for first, last in self._edges()]
        rows = pl.concat([part[0] for part in parts]) if parts else self._bars
        values = np.concatenate([part[1] for part in parts], axis=1) if parts else np.empty((len(names), 0), np.float32)
        found = dict(zip(names, values, strict=True))
        slices = Slices(rows, self._context.industries)
        # Sorting releases the interpreter.
        with ThreadPoolExecutor(self._threads) as pool:
            compared = pool.map(lambda feature: slices.compare(feature, found[feature.inputs[0]]), self._ranks)
            return dict(zip((feature.name for feature in self._ranks), compared, strict=True))

    def _run(
        self, names: tuple[str, ...], first: int, last: int, shared: Mapping[str, FloatArray]
    ) -> tuple[pl.DataFrame, NDArray[np.float32], FloatArray]:
        """The new rows of instruments `first` to `last`, the features of these names, and the states after them."""
        begin, end = int(self._starts[first]), int(self._starts[last])
        block = self._bars.slice(begin, end - begin)
        here = {name: column[begin:end] for name, column in shared.items()}
        inputs = given_values(block, self._kernel.given, self._context, here)
        lengths, done = np.diff(self._starts[first : last + 1]), self._done[first:last]
        if done.any():
            place = np.arange(end - begin) - np.repeat(self._starts[first:last] - begin, lengths)
            new = np.flatnonzero(place >= np.repeat(done, lengths))
            block, inputs = block[new], Inputs(inputs.names, np.ascontiguousarray(inputs.matrix[:, new]))
        starts = np.concatenate([[0], np.cumsum(lengths - done)]).astype(np.int64)
        states = np.zeros((last - first, self._kernel.state_size))
        for number, symbol in enumerate(self._symbols[first:last]):
            if symbol in self._given:
                states[number] = self._given[symbol]
        return block, advance(self._kernel, inputs, starts, names, states, self._threads), states
