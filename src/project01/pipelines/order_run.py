"""Orders of the user's own, from a file, through the prices of a run, to the cent."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from project01.backtest import (
    Account,
    AccountKind,
    CostModel,
    OrderBook,
    OrderExecution,
    OrderResult,
    RawMarket,
    institutional_costs,
    raw_market_from_bars,
    retail_costs,
    run_orders,
    us_sale_levies,
)
from project01.domain import CORPORATE_ACTIONS, InputError
from project01.evaluate import SESSIONS_A_YEAR, Trial, annual_mean, digest_of_returns, sharpe_per_session
from project01.pipelines.claims import Claim, enter
from project01.pipelines.evidence import BACKTEST, NET, or_missing, plain
from project01.pipelines.holdout import readable_until
from project01.pipelines.market import read_bars
from project01.pipelines.sharpe import Luck
from project01.pipelines.workspace import Workspace, code_hash, content_hash, open_workspace, write_atomically

PRESETS = {"retail": retail_costs, "institutional": institutional_costs}
_ACTED_ON = ("split", "dividend", "rename", "delisting", "halt", "resume")
_PRICES = ("open", "high", "low", "close")


def run_order_file(
    out: Path, file: Path, *, account: AccountKind, costs: str, initial_cash: float, volume_share: float | None
) -> dict[str, Any]:
    """Fill the orders of a file at the prices of a run's lake, before its sealed holdout.

    Writes ``orders_fills.csv``, ``orders_unfilled.csv`` and ``orders_equity.csv`` into the folder. What comes out is
    entered in the claim ledger as a trial.

    Args:
        out: folder of a run whose bars were read.
        file: CSV or Parquet with the columns of `OrderBook`.
        account: how the broker keeps the account.
        costs: a preset of `PRESETS`; levies on US sales are added.
        initial_cash: USD.
        volume_share: most of a bar's volume all orders in a name may take; None: no cap.
    Returns:
        Figures of the run.
    Raises:
        InputError: the file, the preset or the folder cannot be used.
    """
    if costs not in PRESETS:
        raise InputError(f"Costs {costs!r} are not known; choose one of {', '.join(PRESETS)}.")
    workspace = open_workspace(out)
    ingested = workspace.require("ingest", "ingest").summary
    orders, parts = OrderBook(_read(file)), (*PRESETS[costs](), *us_sale_levies())
    if orders.rows.is_empty():
        raise InputError(f"{file} holds no orders. Give one row for each, with decided, symbol and quantity.")
    market, note = _market(workspace, orders.rows["decided"][0].date())
    result = run_orders(
        market, orders, parts, initial_cash=initial_cash, account=Account(kind=account),
        execution=OrderExecution(volume_share=volume_share),
    )  # fmt: skip
    for name, frame in (("fills", result.fills), ("unfilled", result.unfilled), ("equity", _equity(result))):
        write_atomically(workspace.root / f"orders_{name}.csv", frame.write_csv().encode())
    terms = content_hash(orders.rows.write_csv(), account, costs, initial_cash, volume_share)
    return _figures(workspace, file, result, parts, note, terms, ingested)


def _read(file: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(file) if file.suffix in {".parquet", ".pq"} else pl.read_csv(file, try_parse_dates=True)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"Orders {file} cannot be read: {str(error).splitlines()[0]}.") from error


def _market(workspace: Workspace, first: date) -> tuple[RawMarket, str]:
    """Prices as traded where corporate actions are told, else with both reinvested; and which of the two."""
    lake, until = workspace.lake, readable_until(workspace)
    bars = read_bars(lake, until)[0].filter(pl.col("session") >= first).sort("symbol", "session")
    if bars.is_empty():
        raise InputError(f"The first order is decided on {first}, after the last session that may be read.")
    actions = lake.scan(CORPORATE_ACTIONS.name).filter(pl.col("knowledge_time") <= until).collect()
    told = actions.filter(pl.col("kind").is_in(_ACTED_ON), pl.col("symbol").is_in(bars["symbol"].unique().to_list()))
    if told.height:
        return raw_market_from_bars(bars, told), "Prices as traded, with the corporate actions the source told."
    factor = pl.col("factor") / pl.col("factor").first().over("symbol")
    adjusted = bars.with_columns(*(pl.col(name) * factor for name in _PRICES), volume=pl.col("volume") / factor)
    note = (
        "The source told no corporate actions: prices count with splits and dividends reinvested, and limits, prices "
        f"and shares are those of each symbol's first bar from {first} on."
    )
    return raw_market_from_bars(adjusted), note


def _equity(result: OrderResult) -> pl.DataFrame:
    cents = {
        "equity": result.equity_cents, "cash": result.cash_cents, "settled": result.settled_cents,
        "receivable": result.receivable_cents, "long": result.long_cents, "short": result.short_cents,
        "borrow": result.borrow_cents, "interest": result.interest_cents, "dividends": result.dividend_cents,
        **{f"cost_{name}": result.cost_cents[:, i] for i, name in enumerate(result.cost_names)},
    }  # fmt: skip
    return pl.DataFrame({"bar": result.bars} | {name: values / 100.0 for name, values in cents.items()})


def _figures(
    workspace: Workspace, file: Path, result: OrderResult, parts: tuple[CostModel, ...], note: str, terms: str,
    ingested: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    returns, days = np.nan_to_num(result.net_returns, nan=-1.0), result.bars[1:].astype("datetime64[D]")
    trial = Trial(
        model=f"orders {file.name}", purpose=BACKTEST, fold=-1, seed=0, settings_hash=terms,
        data_digest=ingested["digests"]["bars"], code_hash=code_hash(), rows=len(returns),
        score=plain(sharpe_per_session(returns)), score_name=NET, returns_digest=digest_of_returns(days, returns),
    )  # fmt: skip
    ledger = enter(workspace, [Claim(trial, days, returns)])
    luck = Luck.of(workspace, ledger, NET, days)
    costs = {part.name: float(result.cost_cents[:, i].sum() / 100.0) for i, part in enumerate(parts)}
    one_way = result.traded_cents.sum() / 2
    ended = result.unfilled.group_by("reason").len().sort("reason")
    return {
        "orders": file.name,
        "note": note,
        "simulated": ingested["simulated"],
        "first_bar": str(days[0]),
        "last_bar": str(days[-1]),
        "fills": result.fills.height,
        "unfilled_by_reason": dict(ended.iter_rows()),
        "still_open": result.open_orders.height,
        "margin_calls": len(result.margin_calls),
        "final_equity_usd": float(result.equity[-1]),
        "net_annual_return": or_missing(lambda: annual_mean(returns)).model_dump(),
        "net_sharpe": luck.figure(returns).model_dump(),
        "turnover_annual": float(one_way / result.equity_cents.mean() / len(days) * SESSIONS_A_YEAR),
        "costs_usd": costs,
        "borrow_usd": float(result.borrow_cents.sum() / 100.0),
        "dividends_usd": float(result.dividend_cents.sum() / 100.0),
    }
