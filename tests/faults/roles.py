"""What the processes do that are killed: each goes on from what it finds, without being told that it died."""

import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.faults.numbered_source import QUERY, SOURCE, TOPICS, NumberedSource

from project01.domain import DEAD_LETTER_TOPIC, TWEETS_TOPIC, BusError, SystemClock
from project01.ingest import Published, Publisher
from project01.lake import Lander, LandingLimits
from project01.pipelines import Place, follow, land
from project01.pipelines.landing import TopicFigures, curate_topic

BUS_FAILED = 75
# Small batches and few files, so that commits and compactions are what a kill strikes.
LIMITS = LandingLimits(rows=400, age_s=0.05, small_files=6, refresh_s=2.0)
POST_TOPICS = (TWEETS_TOPIC, DEAD_LETTER_TOPIC)
STOP, PUBLISHED, LANDED = "stop", "published", "landed"


def publish(folder: Path, bus_url: str | None, pause_s: float) -> None:
    """Publish pages until told to stop; note each page, on disk, once its cursor is kept."""
    place = Place(folder, bus_url)
    state = place.state()
    first = int(state.cursor(SOURCE, QUERY) or 0)
    # At least a page: the process before this one may have died between publishing it and keeping its cursor.
    source = NumberedSource(lambda number: number > first and (folder / STOP).exists(), pause_s)
    with place.bus() as bus, (folder / "acknowledged").open("a") as notes:

        def note(done: Published) -> None:
            notes.write(f"{first + done.pages}\n")
            notes.flush()
            os.fsync(notes.fileno())

        Publisher(bus, state, SystemClock()).history(source, SOURCE, QUERY, report=note)


def land_only(folder: Path, bus_url: str | None) -> None:
    """Land each topic in a thread of its own, until the publisher has ended and nothing is left."""
    place = Place(folder, bus_url)
    failures: list[BaseException] = []

    def work(lander: Lander, stop: threading.Event) -> None:
        try:
            lander.run(stop)
            lander.run(threading.Event(), until_caught_up=True)
        except BaseException as error:
            failures.append(error)

    stop = threading.Event()
    with place.bus() as bus:
        landers = [Lander(place.lake, bus, topic, LIMITS) for topic in TOPICS]
        threads = [threading.Thread(target=work, args=(lander, stop)) for lander in landers]
        for thread in threads:
            thread.start()
        while not (folder / PUBLISHED).exists() and not failures:
            time.sleep(0.02)
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def curate_only(folder: Path, bus_url: str | None) -> None:
    """Curate what has landed, until all has."""
    lake = Place(folder, bus_url).lake
    while True:
        last = (folder / LANDED).exists()
        for topic in TOPICS:
            curate_topic(lake, topic, TopicFigures())
        if last:
            return
        time.sleep(0.02)


def land_and_curate(folder: Path, bus_url: str | None) -> None:
    """What `project01 land --follow` does, until the publisher has ended; then land what is left."""
    place, stop = Place(folder, bus_url), threading.Event()

    def watch() -> None:
        while not (folder / PUBLISHED).exists():
            time.sleep(0.02)
        stop.set()

    threading.Thread(target=watch, daemon=True).start()
    follow(place, TOPICS, stop, limits=LIMITS, curate_every_s=0.2)
    land(place, TOPICS, limits=LIMITS)


def land_posts(folder: Path, bus_url: str | None) -> None:
    """What `project01 land` does with posts and dead letters, again and again until told to stop."""
    place = Place(folder, bus_url)
    while True:
        last = (folder / STOP).exists()
        land(place, POST_TOPICS, limits=LIMITS)
        if last:
            return
        time.sleep(0.02)


ROLES = {
    "publish": publish, "land": land_only, "curate": curate_only, "follow": land_and_curate, "posts": land_posts,
}  # fmt: skip


def play(role: str, folder: str, bus_url: str | None, *more: float) -> int:
    """The exit status: 0, or `BUS_FAILED` where the bus could not be used; anything else is raised."""
    try:
        ROLES[role](Path(folder), bus_url, *more)
    except BusError as error:
        with suppress(OSError):
            sys.stderr.write(f"{role}: {error}\n")
        return BUS_FAILED
    return 0
