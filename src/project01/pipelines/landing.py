"""From the bus to the lake: land every topic, curate what landed, keep the built bars true."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from project01.bus import TOPICS, Bus
from project01.domain import TABLES, TRADES, InputError
from project01.lake import CurationCounts, Curator, Lake, Landed, Lander, LandingLimits
from project01.pipelines.built_bars import rebuild_bars
from project01.pipelines.place import Place

Report = Callable[[str, "TopicFigures"], None]


@dataclass
class TopicFigures:
    """What became of one topic.

    Attributes:
        landed: messages landed by this run.
        unreadable: of those, how many hold no record of ours.
        lag: messages on the bus that had not landed at the last look.
        rows: rows added to curated tables, by table.
        known: rows that were there already.
        refused: messages that went to the dead letters.
        erased: rows deleted for posts taken back.
    """

    landed: int = 0
    unreadable: int = 0
    lag: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    known: int = 0
    refused: int = 0
    erased: int = 0

    def count(self, done: CurationCounts) -> None:
        """Add what one piece of curation did."""
        for table, rows in done.added.items():
            self.rows[table] = self.rows.get(table, 0) + rows
        self.known += sum(done.known.values())
        self.refused += done.refused
        self.erased += done.erased


def check_topics(topics: Sequence[str]) -> tuple[str, ...]:
    """The topics asked for; all where none are named.

    Raises:
        InputError: one is unknown.
    """
    unknown = [name for name in topics if name not in TOPICS]
    if unknown:
        raise InputError(f"There is no topic {', '.join(unknown)}; choose among {', '.join(TOPICS)}.")
    return tuple(topics) or tuple(TOPICS)


def land(
    place: Place,
    topics: Sequence[str] = (),
    *,
    limits: LandingLimits | None = None,
    accept_loss: bool = False,
    report: Report = lambda *_: None,
) -> dict[str, TopicFigures]:
    """Land and curate all that is on the bus now.

    Raises:
        BusError: a topic cannot be read, or messages were removed before they were landed.
        LakeError: a table cannot be written. What was committed stays; the next call goes on from there.
    """
    figures = {topic: TopicFigures() for topic in check_topics(topics)}
    with place.bus() as bus:
        for topic, counted in figures.items():
            lander = Lander(place.lake, bus, topic, limits, accept_loss=accept_loss)
            lander.run(threading.Event(), until_caught_up=True, report=_counting(topic, counted, report))
            with place.curating():
                curate_topic(place.lake, topic, counted)
            report(topic, counted)
    return figures


def follow(
    place: Place,
    topics: Sequence[str],
    stop: threading.Event,
    *,
    limits: LandingLimits | None = None,
    curate_every_s: float = 5.0,
    accept_loss: bool = False,
    report: Report = lambda *_: None,
) -> dict[str, TopicFigures]:
    """Land and curate until `stop` is set; each topic has a lander of its own, curation takes turns.

    Raises:
        BusError, LakeError: one topic failed; the others were stopped in order, nothing is half-written.
    """
    figures = {topic: TopicFigures() for topic in check_topics(topics)}

    def land_topic(bus: Bus, topic: str) -> None:
        lander = Lander(place.lake, bus, topic, limits, accept_loss=accept_loss)
        lander.run(stop, report=_counting(topic, figures[topic], report))

    def curate() -> None:
        while not stop.is_set():
            started = time.monotonic()
            for topic, counted in figures.items():
                with place.curating():
                    curate_topic(place.lake, topic, counted)
                report(topic, counted)
            stop.wait(max(0.0, curate_every_s - (time.monotonic() - started)))

    with place.bus() as bus, ThreadPoolExecutor(len(figures) + 1) as pool:
        work = [pool.submit(land_topic, bus, topic) for topic in figures] + [pool.submit(curate)]
        try:
            done, _ = wait(work, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
        for finished in done:
            finished.result()
    for topic, counted in figures.items():
        with place.curating():
            curate_topic(place.lake, topic, counted)
    return figures


def curate_topic(lake: Lake, topic: str, counted: TopicFigures, into: Lake | None = None) -> None:
    """Curate what has landed of one topic, and build the bars its trades touch."""
    for done in Curator(lake, into).run(topic):
        counted.count(done)
        trades = done.rows.get(TRADES.name)
        if trades is not None and trades.height:
            built = rebuild_bars(into or lake, trades)
            counted.rows["built bars"] = counted.rows.get("built bars", 0) + built.added


def rebuild(place: Place, into: Path, topics: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Curate everything anew from the raw tables into another lake, and compare.

    Returns:
        One row a table: digest here, digest of the rebuilt one, whether they are equal.
    Raises:
        InputError: the other folder holds tables already.
    """
    other = Lake(into)
    if other.tables():
        raise InputError(f"{into} holds tables already; a rebuild needs a new folder.")
    for topic in check_topics(topics):
        curate_topic(place.lake, topic, TopicFigures(), other)
    rows = []
    for table in TABLES:
        if not (place.lake.exists(table) or other.exists(table)):
            continue
        here, there = (lake.digest(table)[:16] if lake.exists(table) else "none" for lake in (place.lake, other))
        rows.append({"table": table, "here": here, "rebuilt": there, "equal": here == there})
    return rows


def _counting(topic: str, counted: TopicFigures, report: Report) -> Callable[[Landed], None]:
    def count(done: Landed) -> None:
        counted.landed += done.rows
        counted.unreadable += done.unreadable
        counted.lag = done.lag
        report(topic, counted)

    return count
