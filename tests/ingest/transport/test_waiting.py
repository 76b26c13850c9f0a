"""How long we wait: the backoff's properties, and what vendors ask for in headers."""

import math
import random
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from project01.ingest.transport import Backoff
from project01.ingest.transport.retry_after import stated_wait_s

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SEEDS = st.integers(0, 2**32)


class Always(random.Random):
    """Draws the same number every time."""

    def __init__(self, value: float) -> None:
        super().__init__(0)
        self._value = value

    def random(self) -> float:
        return self._value


@given(
    base_s=st.floats(1e-3, 10),
    cap_s=st.floats(1e-3, 600),
    tries=st.integers(1, 2_000),
    seed=SEEDS,
    draw=st.none() | st.floats(0, 1, exclude_max=True),
)
def test_a_wait_is_never_zero_and_never_above_the_cap(
    base_s: float, cap_s: float, tries: int, seed: int, draw: float | None
) -> None:
    source = random.Random(seed) if draw is None else Always(draw)
    backoff = Backoff(base_s=base_s, cap_s=cap_s, random=source)
    for number in range(tries):
        delay = backoff.next_delay()
        assert 0 < delay <= min(cap_s, base_s * 2.0 ** min(number, 1_000))


@given(seed=SEEDS)
def test_the_jitter_is_full(seed: int) -> None:
    """Over many clients the n-th waits fill the whole range evenly: mean and spread of a uniform law."""
    source = random.Random(seed)
    waits = []
    for _ in range(2_000):
        backoff = Backoff(base_s=1.0, cap_s=8.0, random=source)
        waits.append([backoff.next_delay() for _ in range(6)])
    for number, ceiling in enumerate((1, 2, 4, 8, 8, 8)):
        column = [wait[number] / ceiling for wait in waits]
        mean = sum(column) / len(column)
        spread = math.sqrt(sum((each - mean) ** 2 for each in column) / len(column))
        # Six standard errors of a uniform law's mean and spread.
        assert abs(mean - 0.5) < 6 * 0.2887 / math.sqrt(2_000)
        assert abs(spread - 0.2887) < 0.03
        assert min(column) < 0.05
        assert max(column) > 0.95


@given(
    episodes=st.lists(st.tuples(st.floats(0, 300), st.integers(1, 5)), min_size=1, max_size=30),
    healthy_s=st.floats(1, 120),
)
def test_only_a_healthy_connection_starts_anew(episodes: list[tuple[float, int]], healthy_s: float) -> None:
    """Against a model: the row of doublings counts all failures since the last connection that held long enough."""
    backoff = Backoff(base_s=1.0, cap_s=1e9, healthy_s=healthy_s, random=Always(0.999999))
    now, failures = 1_000.0, 0
    for held_s, tries in episodes:
        for _ in range(tries):
            assert backoff.next_delay() == pytest.approx(min(1e9, 2.0 ** min(failures, 64)), rel=1e-5)
            failures += 1
        lost_at = now + held_s
        backoff.connected(now)
        backoff.lost(lost_at)
        if lost_at - now >= healthy_s:
            failures = 0
        now = lost_at + 1.0


def test_a_loss_without_a_connection_changes_nothing() -> None:
    backoff = Backoff(base_s=1.0, cap_s=100.0, healthy_s=60.0, random=Always(0.5))
    first = [backoff.next_delay() for _ in range(3)]
    backoff.lost(1e6)
    assert backoff.next_delay() > first[-1]


@given(seconds=st.integers(0, 10**6))
def test_retry_after_in_seconds(seconds: int) -> None:
    assert stated_wait_s({"retry-after": f" {seconds} "}, NOW) == seconds


@given(seconds=st.integers(-(10**6), 10**7), hours=st.integers(-12, 12))
def test_retry_after_as_a_date(seconds: int, hours: int) -> None:
    then = NOW + timedelta(seconds=seconds)
    assert stated_wait_s({"retry-after": format_datetime(then, usegmt=True)}, NOW) == max(0, seconds)
    elsewhere = format_datetime(then.astimezone(timezone(timedelta(hours=hours))))
    assert stated_wait_s({"retry-after": elsewhere}, NOW) == max(0, seconds)


@given(seconds=st.integers(-(10**6), 10**6))
def test_rate_limit_reset_in_unix_seconds(seconds: int) -> None:
    reset = str(int(NOW.timestamp()) + seconds)
    assert stated_wait_s({"x-rate-limit-reset": reset}, NOW) == max(0, seconds)
    assert stated_wait_s({"x-rate-limit-reset": reset, "retry-after": "7"}, NOW) == 7
    assert stated_wait_s({"x-rate-limit-reset": reset, "retry-after": "soon"}, NOW) == max(0, seconds)


@given(text=st.text(max_size=40))
def test_any_other_text_asks_for_nothing_absurd(text: str) -> None:
    for name in ("retry-after", "x-rate-limit-reset"):
        wait_s = stated_wait_s({name: text}, NOW)
        assert wait_s is None or 0 <= wait_s < math.inf


@pytest.mark.parametrize("text", ["", "inf", "nan", "-5", "1e9", "soon", "Fri, 99 Nov 2026 12:00:00 GMT", "٣", "1.2.3"])
def test_nonsense_asks_for_nothing(text: str) -> None:
    assert stated_wait_s({"retry-after": text}, NOW) is None
