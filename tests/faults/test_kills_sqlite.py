"""SIGKILL at random moments of publishing, landing and curating on one SQLite bus: nothing lost, nothing twice."""

import time
from pathlib import Path
from random import SystemRandom

import pytest
from tests.faults.books import check
from tests.faults.nursery import Nursery
from tests.faults.roles import LANDED, PUBLISHED, STOP
from tests.faults.storm import Storm, grown

from project01.pipelines import Place

KILLS = 100
PAUSE_S = 0.01


@pytest.mark.slow
def test_a_hundred_kills_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    seed = SystemRandom().randrange(1 << 32)
    folder, began = tmp_path / "run", time.monotonic()
    folder.mkdir()
    with Nursery(tmp_path / "stderr") as nursery:
        starts = {"publish": (str(folder), None, PAUSE_S), "land": (str(folder), None), "curate": (str(folder), None)}
        storm = Storm(nursery, starts, seed)
        storm.wait_until(lambda: grown(folder, "curated"), "the first rows were curated")
        victims = [role for role in starts for _ in range(KILLS // len(starts))] + ["land"]
        storm.random.shuffle(victims)
        for role in victims:
            storm.pause()
            storm.kill(role)
        for role, done in (("publish", STOP), ("land", PUBLISHED), ("curate", LANDED)):
            (folder / done).touch()
            storm.finish(role)
    assert (storm.kills, storm.gave_up) == (KILLS, 0), str(storm)
    try:
        found = check(Place(folder), tmp_path / "again")
    except AssertionError as error:
        raise AssertionError(f"{storm}: {error}") from error
    print(f"{storm}, {time.monotonic() - began:.0f} s: {found}")  # noqa: T201 - figures for whoever runs with -s
