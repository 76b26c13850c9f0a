"""One Spark on two threads for a module of tests, on loopback, with the jars of `make spark-jars`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra import maven

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CONF = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    # Delta's own reader and writer, to hold our commits against.
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


def spark_environment() -> dict[str, str]:
    """What a process is told so that its Spark runs here, small, and on loopback only."""
    conf = " ".join(f"--conf {name}={value}" for name, value in CONF.items())
    return {
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": f"--master local[2] --driver-memory 1g {conf} pyspark-shell",
    }


@pytest.fixture(scope="session")
def spark_jars() -> Path:
    """Folder of jars; the test is skipped where Java or Maven is missing."""
    missing = maven.missing_tools("spark")
    if missing:
        pytest.skip(missing)
    return maven.fetch_jars("spark")


@pytest.fixture(scope="module")
def spark(spark_jars: Path) -> "Iterator[SparkSession]":
    """The session."""
    from project01.lake.spark_landing import open_session

    with pytest.MonkeyPatch.context() as patch:
        for name, value in spark_environment().items():
            patch.setenv(name, value)
        session = open_session(spark_jars)
        session.sparkContext.setLogLevel("ERROR")
        yield session
        gateway = session.sparkContext._gateway
        session.stop()
        _end(gateway)


def _end(gateway: object) -> None:
    """Spark leaves its Java process to the end of this one, and with it pipes and sockets."""
    from pyspark import SparkContext

    process = gateway.proc  # type: ignore[attr-defined]
    gateway.shutdown()  # type: ignore[attr-defined]
    process.stdin.close()
    process.wait(30)
    SparkContext._gateway = SparkContext._jvm = None
