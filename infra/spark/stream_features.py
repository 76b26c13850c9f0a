#!/usr/bin/env python3
"""Compute features of one-second bars from Kafka, into the lake and the online store.

    spark-submit --master spark://head:7077 --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0
        infra/spark/stream_features.py --bus kafka://broker:9092 --lake s3://bucket/lake
        --checkpoint s3a://bucket/checkpoints/intraday --feast out/feast --trigger 1

Kafka's security comes from PROJECT01_KAFKA_*, S3's from AWS_*. Ctrl-C and SIGTERM end it; the same checkpoint goes on.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event

from project01.bus import java_settings
from project01.domain import TICKS, Project01Error
from project01.lake import Lake
from project01.pipelines.feature_stream import TABLE
from project01.pipelines.spark_features import feature_session
from project01.pipelines.spark_features_stream import Push, SecondsJob, SparkStreamed, stream_on_spark
from project01.store import FeatureStore


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    chosen = _parser().parse_args(arguments)
    job = SecondsJob(
        names=tuple(chosen.names.split(",")) if chosen.names else (),
        files=tuple(chosen.file),
        source=chosen.source,
        topic=chosen.topic,
        every_s=chosen.trigger,
    )
    try:
        java_settings(chosen.bus)  # what cannot work is said before Spark's long start
        with ExitStack() as stack:
            push = _pushing(stack, chosen, job)
            session = feature_session(name="project01-feature-stream")
            stack.callback(session.stop)
            stop = Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stop.set())
            lake = Lake(chosen.lake)
            stream_on_spark(session, chosen.bus, lake, chosen.checkpoint, job, push=push, stop=stop, report=_tell)
    except Project01Error as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


def _pushing(stack: ExitStack, chosen: argparse.Namespace, job: SecondsJob) -> Push | None:
    """Writes to the online store of `--feast`; None without one."""
    if chosen.feast is None:
        return None
    store = FeatureStore(chosen.feast, chosen.lake, table=TABLE)
    stack.callback(store.close)
    store.apply(job.features())
    return store.push


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bus", required=True, help="kafka://host:port, several separated by commas")
    parser.add_argument("--lake", required=True, help="a folder, or s3://bucket/lake")
    parser.add_argument("--checkpoint", required=True, help="folder of this stream's offsets and states")
    parser.add_argument("--names", help="features of the intraday set, separated by commas; all if not given")
    parser.add_argument("--file", type=Path, action="append", default=[], help="Python file with features of your own")
    parser.add_argument("--source", help="whose bars are taken, where several publish them")
    parser.add_argument("--topic", default=TICKS, help="default: %(default)s")
    parser.add_argument("--trigger", type=float, help="look every so many seconds; not given: take what is there, end")
    parser.add_argument("--feast", type=Path, help="folder of the feature store whose online store is told")
    return parser


def _tell(done: SparkStreamed) -> None:
    sys.stdout.write(f"batch {done.number}: {done.symbols} symbols, {done.settled} rows final, newest {done.newest}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
