"""The net result over costs, delay and share of volume, and the cost at which the edge is gone."""

import math

from project01.backtest import Frontier, Market, TargetWeights, frontier
from project01.evaluate import Estimate
from project01.pipelines.evidence import figure, plain
from project01.pipelines.sharpe import Luck
from project01.report import FrontierPart

VOLUME_SHARE = (None, 0.01, 0.001)
Grid = list[list[list[float | None]]]


def frontier_part(
    market: Market, targets: TargetWeights, yardstick: TargetWeights, luck: Luck, *, initial_cash: float, threads: int
) -> FrontierPart:
    """Every cell, and the break-even of the cell without delay or cap.

    Args:
        market: with or without volume; without, the share of volume is left out and the note says so.
        targets: of the traded model.
        yardstick: of equal weight.
        luck: of all trials.
        initial_cash: USD.
        threads: runs at a time.
    """
    shares: tuple[float | None, ...] = VOLUME_SHARE if market.volume is not None else (None,)
    found = frontier(
        market, targets, initial_cash=initial_cash, yardstick=yardstick, volume_share=shares, threads=threads
    )
    net = {cell: found.net(cell) for cell in found.cells}
    excess = {cell: found.excess(cell) for cell in found.cells}
    deflated = {cell: luck.deflated(found.returns[cell]) for cell in found.cells}
    ratio = {cell: luck.figure(found.returns[cell]).value if v is not None else None for cell, v in deflated.items()}
    return FrontierPart(
        break_even_bps=figure(found.break_even()), break_even_sentence=break_even_sentence(found),
        cost_bps=found.cost_bps.tolist(), delay_bars=found.delay_bars.tolist(), volume_share=list(found.volume_share),
        initial_cash_usd=initial_cash,
        annual_net=_grid(found, {cell: plain(e.value) for cell, e in net.items()}),
        annual_excess=_grid(found, {cell: plain(e.value) for cell, e in excess.items()}),
        excess_low=_grid(found, {cell: plain(e.low) for cell, e in excess.items()}),
        excess_high=_grid(found, {cell: plain(e.high) for cell, e in excess.items()}),
        sharpe=_grid(found, ratio), deflated_sharpe=_grid(found, deflated), trials=luck.trials,
        break_even_grid=[
            [plain(found.break_even(share, delay).value) for delay in range(len(found.delay_bars))]
            for share in range(len(shares))
        ],
        orders_cut=found.orders_cut.tolist(), note=_note(market, found),
    )  # fmt: skip


def _grid(found: Frontier, cells: dict[tuple[int, int, int], float | None]) -> Grid:
    shares, delays, costs = found.returns.shape[:3]
    return [
        [[cells[share, delay, cost] for cost in range(costs)] for delay in range(delays)] for share in range(shares)
    ]


def _note(market: Market, found: Frontier) -> str:
    cash = found.initial_cash
    if market.volume is None:
        return (
            "The source carries no volume, so how large a share of it the orders are is not known and left out; the "
            f"results hold only as long as orders from {cash:,.0f} USD are small beside it."
        )
    least = min(share for share in found.volume_share if share is not None)
    return (
        f"Capital at the start {cash:,.0f} USD. An order's size beside the volume is what counts, so {100 * least:g} % "
        f"of volume at this capital is {1000 * least:g} % at ten times it. Bars of unknown volume are not capped."
    )


def break_even_sentence(found: Frontier) -> str:
    """What the break-even and its interval say, also where one of them lies outside the costs tried."""
    at, lowest, highest = found.break_even(), float(found.cost_bps[0]), float(found.cost_bps[-1])
    first, last = found.excess((0, 0, 0)), found.excess((0, 0, len(found.cost_bps) - 1))
    if math.isnan(at.value):
        start = "even without costs" if lowest == 0 else f"already at {lowest:g} bps"
        return (
            f"No break-even: {start} the strategy is not above equal weight ({_percent(first)} a year). "
            f"{_reach(at, highest)}"
        )
    if math.isinf(at.value):
        return (
            f"Break-even above {highest:g} bps, the highest cost tried: the excess over equal weight there is still "
            f"{_percent(last)} a year. {_floor(at, lowest)}"
        )
    return (
        f"Break-even at {at.value:.1f} bps of cost, one way: there the excess over equal weight is gone. "
        f"{_floor(at, lowest)} {_reach(at, highest)}"
    )


def _percent(excess: Estimate) -> str:
    if math.isnan(excess.low):
        return f"{100 * excess.value:+.1f} %"
    return f"{100 * excess.value:+.1f} % [{100 * excess.low:+.1f}, {100 * excess.high:+.1f}]"


def _floor(at: Estimate, lowest: float) -> str:
    if math.isnan(at.low):
        free = "without costs" if lowest == 0 else f"at {lowest:g} bps"
        return f"Even {free} the excess cannot be told from zero at 90 %."
    upto = "at every cost tried" if math.isinf(at.low) else f"below {at.low:.1f} bps"
    return f"The 90 % interval of the excess lies above zero {upto}."


def _reach(at: Estimate, highest: float) -> str:
    if math.isnan(at.high):
        return "The 90 % interval of the excess lies below zero at every cost tried."
    if math.isinf(at.high):
        return f"The 90 % interval still reaches above zero at {highest:g} bps, the highest cost tried."
    return f"Above {at.high:.1f} bps the 90 % interval of the excess lies below zero."
