"""Land Kafka topics in raw Delta tables with Spark, for more messages than one machine decodes.

It shares tables with `project01 land`: each goes on where the other stopped, and both may run at once.

    python -m project01.lake.spark_landing --bus kafka://127.0.0.1:9092 --lake out/demo/lake --jars .cache/spark-jars
    spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0 spark_landing.py
        --bus kafka://broker:9092 --lake s3://bucket/lake --topics ticks,news --trigger 10

Kafka's security comes from PROJECT01_KAFKA_*, S3's from AWS_*, on the driver and on the executors.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from project01.bus import TOPICS, java_settings, open_bus
from project01.domain import InputError, MissingExtraError, Project01Error
from project01.lake.lake import Lake
from project01.lake.spark_stream import land_topics
from project01.lake.spark_table import SparkLanded

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

AVAILABLE_NOW = "available-now"


def open_session(jars: Path | None = None) -> "SparkSession":
    """The Spark session that spark-submit prepared, or a new one.

    Args:
        jars: folder of jars that Spark needs beside its own.

    Raises:
        MissingExtraError: pyspark is not installed.
        InputError: `jars` holds none.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise MissingExtraError("Landing with Spark", "spark") from error
    # Executors on this machine run the Python that runs the driver, not the first one on the PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("project01-landing").config("spark.sql.session.timeZone", "UTC")
    # Arrow's texts hold 2 GiB a batch; this also bounds an executor's memory where messages are large.
    builder = builder.config("spark.sql.execution.arrow.maxBytesPerBatch", 32 << 20)
    if jars is not None:
        found = sorted(str(jar.resolve()) for jar in jars.glob("*.jar"))
        if not found:
            raise InputError(f"There are no jars in {jars}. Fetch them with `make spark-jars`.")
        builder = builder.config("spark.jars", ",".join(found))
    return builder.getOrCreate()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        topics, every_s = _topics(chosen.topics), _seconds(chosen.trigger)
        java_settings(chosen.bus)  # what cannot work is said before Spark's long start
        lake = Lake(chosen.lake)
        with closing(open_bus(chosen.bus)) as bus:
            session = open_session(chosen.jars)
            stop = _stopped_by_signals()
            try:
                land_topics(
                    session, bus, lake, topics, every_s=every_s, checkpoint=chosen.checkpoint, stop=stop, report=_tell
                )
            finally:
                session.stop()
    except Project01Error as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


def _stopped_by_signals() -> Event:
    """Set by Ctrl-C and SIGTERM; the batch in hand is then given up, and nothing of it is in the table."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m project01.lake.spark_landing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bus", required=True, help="kafka://host:port, several separated by commas")
    parser.add_argument(
        "--lake", required=True, help="the lake: a folder that every executor sees, or s3://bucket/lake"
    )
    parser.add_argument("--topics", default=",".join(TOPICS), help="separated by commas; default: %(default)s")
    parser.add_argument(
        "--trigger",
        default=AVAILABLE_NOW,
        help=f"{AVAILABLE_NOW} lands what is there and ends; a number of seconds looks again that often, until stopped",
    )
    parser.add_argument(
        "--checkpoint",
        help="folder for Spark's notes on this run (default: a temporary one); where to go on is read from the table, "
        "so it may be deleted at any time between runs",
    )
    parser.add_argument("--jars", type=Path, help="folder of Spark's Kafka jars, see `make spark-jars`")
    return parser


def _topics(text: str) -> list[str]:
    topics = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in topics if name not in TOPICS]
    if unknown or not topics:
        raise InputError(f"There is no topic {', '.join(unknown) or repr(text)}; choose among {', '.join(TOPICS)}.")
    return list(dict.fromkeys(topics))


def _seconds(text: str) -> float | None:
    if text == AVAILABLE_NOW:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86_400:
        raise InputError(f"--trigger is {AVAILABLE_NOW} or a number of seconds from 0.1 to 86400; found {text!r}.")
    return seconds


def _tell(topic: str, done: SparkLanded) -> None:
    sys.stdout.write(f"{topic}: {done.rows} messages landed, {done.unreadable} of them unreadable\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
