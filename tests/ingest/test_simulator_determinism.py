"""The same settings give the same bytes in any process, whatever the number of threads."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from project01.ingest.simulator import SimulatorSource
from project01.ingest.simulator_settings import Faults, MarketSettings


def digests(seed: int) -> list[str]:
    """One line for each batch: its table, height and a hash of its text, where floats keep all digits."""
    made = MarketSettings(
        seed=seed, symbols=12, sessions=150, planted_ic=0.05, intraday_symbols=1, faults=Faults(duplicate_share=0.05)
    )
    return [
        f"{batch.spec.name} {batch.rows.height} {hashlib.sha256(batch.rows.write_csv().encode()).hexdigest()}"
        for batch in SimulatorSource(made).read()
    ]


def in_another_process(threads: int, hash_seed: int) -> list[str]:
    count = str(threads)
    environment = os.environ | {
        "PYTHONHASHSEED": str(hash_seed),
        "POLARS_MAX_THREADS": count,
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
    }
    script = (
        "import runpy, sys; module = runpy.run_path(sys.argv[1]); "
        "print(*module['digests'](int(sys.argv[2])), sep=chr(10))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__)), "21"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.slow
def test_other_processes_and_thread_counts_give_the_same_bytes() -> None:
    here = digests(21)
    tables = {line.split()[0] for line in here}
    assert tables == {"corporate_actions", "bars", "news", "tweets", "facts", "macro"}
    assert in_another_process(threads=1, hash_seed=7) == here


@pytest.mark.slow
@pytest.mark.parametrize("threads", [2, 4])
def test_more_threads_give_the_same_bytes(threads: int) -> None:
    assert in_another_process(threads, hash_seed=threads) == digests(21)


def test_reading_twice_gives_the_same_batches() -> None:
    source = SimulatorSource(MarketSettings(symbols=4, sessions=60, faults=Faults()))
    for first, second in zip(source.read(), source.read(), strict=True):
        assert first.spec is second.spec
        assert first.rows.equals(second.rows)


def test_another_seed_changes_every_table() -> None:
    assert not set(digests(21)) & set(digests(22))
