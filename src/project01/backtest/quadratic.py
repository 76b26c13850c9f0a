"""Best book within limits: a convex quadratic programme, solved by Clarabel on the names that can matter."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from project01.backtest.limits import Region
from project01.domain import FloatArray

# Names a programme starts with beside those held, and those added at a time. Most of a wide universe stays at zero.
FIRST_NAMES, MORE_NAMES = 60, 40
DUST = 1e-6


@dataclass(frozen=True)
class Objective:
    """``1/2 w'Qw - mean'w + cost * sum |w - held|``, to be made as small as possible.

    Attributes:
        curvature: Q, shape (n, n), positive semidefinite; or shape (n,), its diagonal.
        mean: shape (n,), what a unit of weight earns.
        cost: what a unit of traded weight costs, the same unit as `mean`.
    """

    curvature: FloatArray
    mean: FloatArray
    cost: float = 0.0

    def of(self, names: NDArray[np.int64]) -> "Objective":
        """The same over `names` alone, the others at zero."""
        inner = self.curvature[names] if self.curvature.ndim == 1 else self.curvature[np.ix_(names, names)]
        return Objective(inner, self.mean[names], self.cost)

    def slope(self, weights: FloatArray) -> FloatArray:
        """Shape (n,), gradient of the smooth part at `weights`."""
        moved = self.curvature * weights if self.curvature.ndim == 1 else self.curvature @ weights
        return np.asarray(moved - self.mean)


@dataclass(frozen=True)
class _Optimum:
    """Weights, and what a name left out would meet: a push shape (n,) from the shared rows, and a threshold to pass."""

    weights: FloatArray
    push: FloatArray
    threshold: FloatArray


def best_book(objective: Objective, region: Region) -> FloatArray | None:
    """Weights, shape (n,), that minimise `objective` within `region`; None if no book keeps all limits.

    Solved first over the names held and the most promising others; names at zero that would improve the optimum, by its
    multipliers, are added until none is left, so the answer is that of the whole programme.
    """
    names = len(region.held)
    working = _first_names(objective, region)
    while True:
        found = _solve(objective.of(working), region.of(working), region)
        if found is None:
            if len(working) == names:
                return None
            working = np.arange(names)
            continue
        weights = np.zeros(names)
        weights[working] = found.weights
        slope = objective.slope(weights) + found.push
        gain = np.maximum(
            np.where(region.upper > 0, -slope, 0.0), np.where(region.lower < 0, slope, 0.0)
        ) - found.threshold  # fmt: skip
        gain[working] = 0.0
        better = np.flatnonzero(gain > 1e-6 * max(float(np.abs(slope).max()), 1e-300))
        if not better.size:
            return _settled(weights, region)
        chosen = better[np.argsort(-gain[better], kind="stable")[:MORE_NAMES]]
        working = np.sort(np.concatenate([working, chosen]))


def _first_names(objective: Objective, region: Region) -> NDArray[np.int64]:
    names = len(region.held)
    if names <= 2 * FIRST_NAMES:
        return np.arange(names)
    level = (region.net or 0.0) / names
    slope = objective.slope(np.full(names, level))
    promise = np.where(region.lower < 0, np.abs(slope - np.median(slope)), -slope)
    promise[region.held != 0] = np.inf
    count = max(FIRST_NAMES, int(np.count_nonzero(region.held)) + MORE_NAMES)
    return np.sort(np.argsort(-promise, kind="stable")[:count]).astype(np.int64)


def _settled(weights: FloatArray, region: Region) -> FloatArray:
    """Without the solver's dust: what is hardly traded is not, what is hardly held is not."""
    weights = np.clip(weights, region.lower, region.upper)
    weights[np.abs(weights) < DUST] = 0.0
    still = (np.abs(weights - region.held) < DUST) & (region.held >= region.lower) & (region.held <= region.upper)
    weights = np.where(still, region.held, weights)
    over = region.net is not None and 0 < region.net < weights.sum()
    return weights * (region.net / weights.sum()) if over else weights


def _solve(objective: Objective, region: Region, whole: Region) -> _Optimum | None:
    """One programme over the columns w, |w - held| and |w|, of which the last two stand only where they are needed."""
    n = len(region.held)
    trades = objective.cost > 0 or region.most_traded is not None
    sizes = region.most_gross is not None or len(region.gross_rows) > 0
    diagonal = objective.curvature if objective.curvature.ndim == 1 else np.diag(objective.curvature)
    scale = float(diagonal.mean()) or float(np.abs(objective.mean).max()) or 1.0
    curvature = np.diag(diagonal) if objective.curvature.ndim == 1 else objective.curvature
    quadratic = np.zeros((n * (1 + trades + sizes),) * 2)
    quadratic[:n, :n] = np.triu(curvature) / scale
    linear = np.concatenate([-objective.mean, np.full(n * trades, objective.cost), np.zeros(n * sizes)]) / scale
    rows = _Rows(n, trades, sizes)
    _add_limits(rows, region)
    answer = rows.minimise(sp.csc_matrix(quadratic), linear)
    if answer is None:
        return None
    solution, price = answer
    net = price["net"][0] if "net" in price else 0.0
    push = net + whole.rows.T @ price["sums"] if "sums" in price else np.full(len(whole.held), net)
    threshold = np.full(len(whole.held), objective.cost / scale)
    threshold += float(price["traded"][0]) if "traded" in price else 0.0
    threshold += float(price["gross"][0]) if "gross" in price else 0.0
    threshold += whole.gross_rows.T @ price["sector gross"] if "sector gross" in price else 0.0
    return _Optimum(solution[:n], push * scale, threshold * scale)


class _Rows:
    """Collects ``A x + s = b`` by name, equalities first, as Clarabel wants them."""

    def __init__(self, n: int, trades: bool, sizes: bool) -> None:
        self.n, self.trades, self.sizes = n, trades, sizes
        self.parts: list[tuple[str, FloatArray, FloatArray, bool]] = []

    def add(self, name: str, most: FloatArray, equal: bool = False, **blocks: FloatArray) -> None:
        """Rows ``sum of block @ column <= most``, or equal to it."""
        columns = ["w"] + ["t"] * self.trades + ["u"] * self.sizes
        nothing = np.zeros((len(most), self.n))
        built = np.hstack([blocks.get(column, nothing) for column in columns])
        self.parts.append((name, built, most, equal))

    def minimise(self, quadratic: Any, linear: FloatArray) -> tuple[FloatArray, dict[str, FloatArray]] | None:
        """The solution and the multipliers of each named block; None if the rows contradict each other."""
        import clarabel

        parts = sorted(self.parts, key=lambda part: not part[3])  # stable
        sides = np.concatenate([part[2] for part in parts])
        equal = sum(len(part[2]) for part in parts if part[3])
        cones = [clarabel.ZeroConeT(equal)] if equal else []
        cones += [clarabel.NonnegativeConeT(len(sides) - equal)]
        settings = clarabel.DefaultSettings()
        settings.verbose, settings.max_threads = False, 1
        settings.tol_gap_abs = settings.tol_gap_rel = 1e-10  # objectives of portfolios are flat at the optimum
        settings.direct_solve_method = "qdldl"  # one thread, the same bytes everywhere
        matrix = sp.csc_matrix(np.vstack([part[1] for part in parts]))
        answer = clarabel.DefaultSolver(quadratic, linear, matrix, sides, cones, settings).solve()
        if str(answer.status) not in {"Solved", "AlmostSolved"}:
            return None
        prices, ends = np.array(answer.z), np.cumsum([len(part[2]) for part in parts])
        return np.array(answer.x), {
            part[0]: prices[end - len(part[2]) : end] for part, end in zip(parts, ends, strict=True)
        }


def _add_limits(rows: _Rows, region: Region) -> None:
    n = len(region.held)
    one, ones = np.eye(n), np.ones((1, n))
    rows.add("upper", region.upper, w=one)
    rows.add("lower", -region.lower, w=-one)
    if region.net is not None:
        rows.add("net", np.array([region.net]), equal=True, w=ones)
    if len(region.most):
        rows.add("sums", region.most, w=region.rows)
    if rows.trades:
        rows.add("bought", region.held, w=one, t=-one)
        rows.add("sold", -region.held, w=-one, t=-one)
    if region.most_traded is not None:
        rows.add("traded", np.array([region.most_traded]), t=ones)
    if rows.sizes:
        rows.add("long", np.zeros(n), w=one, u=-one)
        rows.add("short", np.zeros(n), w=-one, u=-one)
    if region.most_gross is not None:
        rows.add("gross", np.array([region.most_gross]), u=ones)
    if len(region.gross_most):
        rows.add("sector gross", region.gross_most, u=region.gross_rows)
