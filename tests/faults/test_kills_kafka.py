"""SIGKILL at random moments of publishing, landing and the broker itself: nothing acknowledged lost, nothing twice."""

import time
from pathlib import Path
from random import SystemRandom

import pytest
from infra.kafka.broker import KafkaBroker
from tests.faults.books import check
from tests.faults.nursery import Nursery
from tests.faults.roles import PUBLISHED, STOP
from tests.faults.storm import Storm, grown

from project01.bus import TOPICS
from project01.pipelines import Place, apply_topics

KILLS_EACH = 11
PAUSE_S = 0.02
BROKER = "broker"


@pytest.mark.slow
def test_kills_of_producer_landing_and_broker_lose_nothing_and_repeat_nothing(
    tmp_path: Path, kafka_broker: KafkaBroker
) -> None:
    seed, url = SystemRandom().randrange(1 << 32), f"kafka://{kafka_broker.servers}"
    apply_topics(url, list(TOPICS.values()), dry_run=False)
    folder, began = tmp_path / "run", time.monotonic()
    folder.mkdir()
    with Nursery(tmp_path / "stderr") as nursery:
        storm = Storm(nursery, {"publish": (str(folder), url, PAUSE_S), "follow": (str(folder), url)}, seed)
        storm.wait_until(lambda: grown(folder, "curated"), "the first rows were curated")
        victims = ["publish", "follow", BROKER] * KILLS_EACH
        storm.random.shuffle(victims)
        for number, role in enumerate(victims):
            if number % 3:
                storm.wait_until_grown(folder / "acknowledged")
            storm.pause()
            if role == BROKER:
                kafka_broker.kill()
                storm.pause()
                kafka_broker.start()
            else:
                storm.kill(role)
        for role, done in (("publish", STOP), ("follow", PUBLISHED)):
            (folder / done).touch()
            storm.finish(role)
    assert storm.kills == 2 * KILLS_EACH, str(storm)
    try:
        found = check(Place(folder, url), tmp_path / "again")
    except AssertionError as error:
        raise AssertionError(f"{storm}: {error}") from error
    told = f"{storm} and {KILLS_EACH} of the broker; the bus was given up {storm.gave_up} times"
    print(f"{told}; {time.monotonic() - began:.0f} s: {found}")  # noqa: T201 - figures for whoever runs with -s
