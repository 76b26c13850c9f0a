"""Posts of X's plan: spent when they come, never overrun."""

from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest
from tests.ingest.vendors.twitter_running import SEARCH, STREAM, client_of, ids

from project01.domain import FixedClock, QuotaError
from project01.ingest.stand_ins import Request
from project01.ingest.stand_ins.twitter import stand_in
from project01.ingest.transport import QuotaLedger
from project01.ingest.vendor import Budget, Page

POSTS_A_MONTH = 30 * 86_400
NOW = datetime.now(UTC)


def spent(folder: Path, budget: Budget) -> int:
    ledger = QuotaLedger(folder / "quota.sqlite", FixedClock(datetime.now(UTC)))
    try:
        return budget.limit - ledger.left("twitter", [budget])[budget]
    finally:
        ledger.close()


def test_only_posts_that_came_are_spent(tmp_path: Path) -> None:
    budget = Budget(unit="post", limit=1_000, period_s=POSTS_A_MONTH)
    with stand_in() as x, client_of(x, tmp_path, budgets=(budget,)) as client:
        pages = list(client.history(SEARCH))
        assert spent(tmp_path, budget) == len(ids(pages)) == 60


def test_the_plan_is_never_overrun_also_after_a_restart(tmp_path: Path) -> None:
    budget = Budget(unit="post", limit=35, period_s=POSTS_A_MONTH)
    found: list[str] = []
    cursor = None
    for _ in range(3):
        with stand_in(now=NOW) as x, client_of(x, tmp_path, budgets=(budget,)) as client:
            pages: list[Page] = []
            with pytest.raises(QuotaError, match="35 posts"):
                pages.extend(client.history(SEARCH, cursor))
            found += ids(pages)
            cursor = pages[-1].cursor if pages else cursor
            assert sum(len(_served(request)) for request in x.server.requests) <= 35
    assert len(found) == len(set(found)) == 30  # the vendor's smallest page no longer fits into what is left
    assert spent(tmp_path, budget) == 30


def _served(request: Request) -> range:
    return range(min(10, int(request.first("max_results"))))


def test_a_stream_stops_when_the_plan_is_used_up(tmp_path: Path) -> None:
    budget = Budget(unit="post", limit=50, period_s=POSTS_A_MONTH)
    heard: list[Page] = []
    with stand_in(keep_alive_s=0.2) as x, client_of(x, tmp_path, budgets=(budget,)) as client:
        with pytest.raises(QuotaError, match="50 posts"):
            heard.extend(client.stream(STREAM, Event()))
        assert len(ids(heard)) == 50
