"""No plan is ever overrun: not over days, restarts, or processes."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.ingest.transport.conftest import SleepingClock

from project01.domain import QuotaError, SourceError
from project01.ingest.transport import QuotaLedger
from project01.ingest.vendor import Budget

DAY, MONTH = 86_400, 30 * 86_400


class Model:
    """An independent count: every call that was let through, with its time."""

    def __init__(self) -> None:
        self.spent: list[tuple[int, int]] = []

    def most_in_a_window(self, period_s: int) -> int:
        windows: Counter[int] = Counter()
        for at, amount in self.spent:
            windows[at // period_s] += amount
        return max(windows.values(), default=0)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 30_000), st.integers(1, 4), st.sampled_from(["call", "post"]), st.booleans(),
    ),
    max_size=120,
)  # fmt: skip


@settings(max_examples=examples(60))
@given(steps=STEPS, limits=st.tuples(st.integers(1, 6), st.integers(1, 20), st.integers(1, 6)))
def test_no_window_is_ever_overrun_and_nothing_is_refused_without_need(
    steps: list[tuple[int, int, str, bool]], limits: tuple[int, int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    budgets = (
        Budget(unit="call", limit=limits[0], period_s=DAY),
        Budget(unit="call", limit=limits[1], period_s=MONTH),
        Budget(unit="post", limit=limits[2], period_s=DAY),
    )
    path, clock = tmp_path_factory.mktemp("quota") / "quota.sqlite", SleepingClock()
    ledger, models = QuotaLedger(path, clock), {"call": Model(), "post": Model()}
    for wait_s, amount, unit, restart in steps:
        clock.sleep(wait_s)
        if restart:
            ledger.close()
            ledger = QuotaLedger(path, clock)
        now = int(clock.now().timestamp())
        room = min(
            budget.limit - sum(a for at, a in models[unit].spent if at // budget.period_s == now // budget.period_s)
            for budget in budgets
            if budget.unit == unit
        )
        try:
            ledger.spend("vendor", budgets, amount, unit)
        except QuotaError:
            assert amount > room
        else:
            assert amount <= room
            models[unit].spent.append((now, amount))
        assert all(left >= 0 for left in ledger.left("vendor", budgets).values())
    ledger.close()
    for budget in budgets:
        assert models[budget.unit].most_in_a_window(budget.period_s) <= budget.limit


@pytest.fixture
def quick_folder() -> Iterator[Path]:
    """In memory where the system has that: the count is tested, not the disk, which the ledger waits for each time."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.mark.slow
def test_ten_thousand_days_without_one_call_too_many(quick_folder: Path) -> None:
    """NewsAPI's free plan in small: 3 calls a day and 60 a month, asked 5 times a day, restarted every week."""
    budgets = (Budget(unit="call", limit=3, period_s=DAY), Budget(unit="call", limit=60, period_s=MONTH))
    clock = SleepingClock(datetime(2000, 1, 1, tzinfo=UTC))
    ledger, model, refused = QuotaLedger(quick_folder / "quota.sqlite", clock), Model(), 0
    for day in range(10_000):
        if day % 7 == 0:
            ledger.close()
            ledger = QuotaLedger(quick_folder / "quota.sqlite", clock)
        for _ in range(5):
            if ledger.try_spend("newsapi", budgets) is None:
                model.spent.append((int(clock.now().timestamp()), 1))
            else:
                refused += 1
        clock.instant += timedelta(days=1)
    ledger.close()
    assert model.most_in_a_window(DAY) == 3
    assert model.most_in_a_window(MONTH) == 60
    assert refused == 50_000 - len(model.spent)
    # Every month but the cut ones at both ends is used to the full.
    assert len(model.spent) >= 60 * (10_000 // 30 - 1)
    assert (quick_folder / "quota.sqlite").stat().st_size < 1 << 20, "old windows are forgotten"


SPENDER = """
import sys
from pathlib import Path
from project01.domain import SystemClock
from project01.ingest.transport import QuotaLedger
from project01.ingest.vendor import Budget
ledger = QuotaLedger(Path(sys.argv[1]), SystemClock())
budgets = (Budget(unit="call", limit=75, period_s=10**9),)
print(sum(ledger.try_spend("vendor", budgets) is None for _ in range(60)))
ledger.close()
"""


@pytest.mark.slow
def test_two_processes_share_a_budget(tmp_path: Path) -> None:
    path = str(tmp_path / "quota.sqlite")
    command = [sys.executable, "-c", SPENDER, path]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    spent = [int(process.communicate(timeout=120)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(spent) == 75, spent


def test_all_budgets_or_none(tmp_path: Path) -> None:
    clock = SleepingClock()
    budgets = (Budget(unit="call", limit=10, period_s=DAY), Budget(unit="call", limit=2, period_s=60))
    ledger = QuotaLedger(tmp_path / "quota.sqlite", clock)
    for _ in range(2):
        ledger.spend("vendor", budgets)
    with pytest.raises(QuotaError, match="2 calls in 60 s"):
        ledger.spend("vendor", budgets)
    assert ledger.left("vendor", budgets) == {budgets[0]: 8, budgets[1]: 0}
    assert ledger.left("another", budgets) == {budgets[0]: 10, budgets[1]: 2}
    clock.sleep(60)
    ledger.spend("vendor", budgets)
    ledger.spend("vendor", budgets, 1_000, "item")
    assert ledger.left("vendor", budgets) == {budgets[0]: 7, budgets[1]: 1}
    ledger.close()


def test_a_smaller_plan_counts_what_was_spent_under_the_larger(tmp_path: Path) -> None:
    ledger = QuotaLedger(tmp_path / "quota.sqlite", SleepingClock())
    ledger.spend("vendor", (Budget(unit="call", limit=100, period_s=DAY),), 50)
    small = Budget(unit="call", limit=20, period_s=DAY)
    assert ledger.left("vendor", (small,)) == {small: 0}
    with pytest.raises(QuotaError):
        ledger.spend("vendor", (small,))
    ledger.close()


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / "quota.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(SourceError, match=r"quota\.sqlite cannot be used.*remove it"):
        QuotaLedger(tmp_path / "quota.sqlite", SleepingClock())
    with pytest.raises(SourceError, match="cannot be used"):
        QuotaLedger(tmp_path / "quota.sqlite" / "below a file" / "x", SleepingClock())
