"""The feature table built by Spark, for more bars than one machine computes: the same rows to the bit.

Bars are read from the files that delta-rs names, gathered by blocks of whole instruments, and computed by the compiled
step functions; what compares instruments is a second pass over whole sessions. Executors write files of the table, the
driver commits them at once (see ADR 0020).
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from project01 import domain
from project01.domain import BARS, InputError, LakeError, MissingExtraError, Project01Error
from project01.etl import Feature, FeatureBuild, ShippedFeatures, needs_market, prepare_bars, shipped, usable
from project01.lake import DataFile, Lake, TableFiles, data_files, ready_for_files, replace_with_files
from project01.pipelines import spark_features_tasks as tasks
from project01.pipelines.feature_build import FEATURES, features_spec, keep_states
from project01.pipelines.features import feature_hash, selected
from project01.pipelines.instants import END_OF_TIME
from project01.pipelines.market import FEWEST_SYMBOLS, MarketData, read_beside, read_breaks, read_index, too_few_symbols
from project01.settings import FeatureSettings

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import DataFrame, SparkSession

ROWS_A_BLOCK = 100_000
_OURS = re.compile(r"project01\.domain\.errors\.(\w+): (.+)")
# The last line of a Python traceback, or of a Java one: which error, and what it says.
_SAID = re.compile(r"^(?:Caused by: )?([\w.]*(?:Error|Exception): .+)$", re.MULTILINE)


def feature_session(master: str | None = None, name: str = "project01-features") -> "SparkSession":
    """The Spark session that spark-submit prepared, or a new one.

    Args:
        master: such as ``local[2]``; None: what spark-submit or Spark's own configuration says.
        name: shown in Spark's pages.
    Raises:
        MissingExtraError: pyspark is not installed.
        InputError: Java is missing, or too old.
    """
    try:
        from pyspark.errors import PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise MissingExtraError("Features on Spark", "spark") from error
    # Executors on this machine run the Python that runs the driver, not the first one on the PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name).config("spark.sql.session.timeZone", "UTC")
    # A task has one core; Polars would start a thread for each of the machine's.
    builder = builder.config("spark.executorEnv.POLARS_MAX_THREADS", "1")
    builder = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", 100_000)
    try:
        return (builder if master is None else builder.master(master)).getOrCreate()
    except PySparkRuntimeError as error:
        if error.getCondition() != "JAVA_GATEWAY_EXITED":
            raise
        raise InputError(
            "Spark did not start: it needs Java 17 or newer, found through JAVA_HOME or the PATH. On Debian: apt-get "
            "install openjdk-17-jre-headless. The lines of Java above say what is wrong."
        ) from error


def build_on_spark(
    lake_url: str | Path,
    *,
    sets: Sequence[str] = ("core",),
    files: Sequence[Path] = (),
    industries: Path | None = None,
    as_of: datetime = END_OF_TIME,
    storage_options: Mapping[str, str] | None = None,
    session: "SparkSession | None" = None,
    rows_a_block: int = ROWS_A_BLOCK,
) -> dict[str, Any]:
    """Build the feature table anew on Spark; `build_table` goes on from it session by session.

    Args:
        lake_url: a folder that every executor sees, or ``s3://bucket/lake``.
        sets: sets of the catalogue.
        files: Python files with features of the user's own; they are run on the driver and on executors.
        industries: CSV of symbol, industry and known_from.
        as_of: timezone-aware; nothing known later counts.
        storage_options: of the lake; on S3 what is absent comes from the environment of driver and executors.
        session: Spark; None: `feature_session`, ended afterwards.
        rows_a_block: bars that one task holds at a time, about; the result does not depend on it.
    Returns:
        Figures: rows, instruments, features used and left out with the reason, hashes, the table's version.
    Raises:
        InputError, NotEnoughDataError: as `read_market`.
        LakeError: a table cannot be read or written, or Spark gave up; the feature table is as before.
    """
    settings = FeatureSettings(sets=tuple(sets), files=tuple(files), industries=industries)
    asked = selected(settings)
    lake = Lake(lake_url, storage_options)
    bars = data_files(lake, BARS.name)
    with ExitStack() as stack:
        if session is None:
            session = feature_session()
            stack.callback(session.stop)
        stack.enter_context(_told())
        market = _beside(lake, as_of, bars.version, settings)
        known = tasks.Known(
            as_of, read_breaks(lake, as_of), shipped(asked, settings.files), market.context(),
            lake.location.address(FEATURES), lake.location.options,
        )  # fmt: skip
        passes = SparkPasses(session, bars, known, max(1, -(-bars.rows // rows_a_block)))
        stack.callback(passes.close)
        return _built(passes, lake, market, asked, settings) | {"bars_version": bars.version}


def _beside(lake: Lake, as_of: datetime, version: int, settings: FeatureSettings) -> MarketData:
    """All but the bars of the universe."""
    index = read_index(lake.scan(BARS.name, version=version), as_of)
    return read_beside(lake, as_of, NO_BARS, index, settings.industries)


def _built(
    passes: "SparkPasses", lake: Lake, market: MarketData, asked: tuple[Feature, ...], settings: FeatureSettings
) -> dict[str, Any]:
    instruments = passes.instruments()
    symbols = instruments["symbol"].str.replace(r"#\d+$", "").n_unique()
    if symbols < FEWEST_SYMBOLS:
        raise too_few_symbols(symbols, passes.as_of)
    kept, left_out = usable(asked, _stand_in(instruments), market.context())
    spec = features_spec([feature.name for feature in kept])
    ready_for_files(lake, spec)
    done = passes.write(shipped(kept, settings.files), kept)
    written = replace_with_files(lake, spec, done.files)
    definitions = FeatureBuild(NO_BARS, kept, market.context()).digest
    keep_states(lake, market, spec, (definitions, done.digest), done.places, done.states.__getitem__)
    rows = int(instruments["rows"].sum())
    return {
        "mode": "full", "reason": "built on Spark", "new_rows": rows, "rows": rows, "instruments": instruments.height,
        "features": [feature.name for feature in kept], "left_out": dict(left_out), "feature_hash": feature_hash(kept),
        "digest": done.digest, "version": written, "files": len(done.files),
        "blocks": passes.blocks,
    }  # fmt: skip


NO_BARS = prepare_bars(pl.DataFrame(schema=pl.DataFrame(BARS.schema.empty_table()).schema))


def _stand_in(instruments: pl.DataFrame) -> pl.DataFrame:
    """Bars with a value wherever an instrument has any, which is all that `usable` asks of bars."""
    prices = [name for name in tasks.PRICES if name in instruments.columns]
    return instruments.select("symbol", *(pl.when(pl.col(name)).then(1.0).alias(name) for name in prices))


@dataclass(frozen=True)
class _Done:
    """What the executors wrote.

    Attributes:
        files: of the feature table, not yet committed.
        places: by symbol, its number of bars, and session and knowledge time of the last.
        contents: by symbol, the digest of its rows.
        states: by symbol, its state.
    """

    files: list[DataFile]
    places: dict[str, tuple[int, date, datetime]]
    contents: dict[str, str]
    states: dict[str, bytes]

    @property
    def digest(self) -> str:
        """SHA-256 over all rows; it does not hang on blocks."""
        return tasks.content_of_all(self.contents)


class SparkPasses:
    """The passes over the bars; they are read, gathered by instrument and prepared once.

    Args:
        session: Spark.
        files: of the bars table.
        known: what every task is given; of the features any.
        blocks: groups of instruments that tasks work on one at a time, and slices of sessions.
    """

    def __init__(self, session: "SparkSession", files: TableFiles, known: tasks.Known, blocks: int) -> None:
        self.blocks, self.as_of = blocks, known.as_of
        self._session, self._known = session, known
        paths = session.createDataFrame([(path,) for path in files.paths], "path string").repartition(len(files.paths))
        read = paths.mapInArrow(tasks.ReadTask(files, known.as_of, blocks), tasks.PACKED)
        self._bars = self._gathered(read, tasks.prepare_task(self._shared(known)), tasks.PACKED).persist()

    def close(self) -> None:
        """Give Spark's storage back."""
        self._bars.unpersist()

    def _shared(self, value: Any) -> "Broadcast[Any]":
        return self._session.sparkContext.broadcast(value)

    def _gathered(self, rows: "DataFrame", task: tasks.ArrowTask, schema: str) -> "DataFrame":
        """All rows of one place together; Spark sees few rows and would put them all into one task."""
        return rows.repartition(self.blocks, tasks.PLACE).groupBy(tasks.PLACE).applyInArrow(task, schema)

    def _by_block(self, task: tasks.ArrowTask, schema: str) -> "DataFrame":
        return self._bars.mapInArrow(tasks.Mapped(task), schema)

    def instruments(self) -> pl.DataFrame:
        """`tasks.SUMMARY` of every instrument, sorted by symbol."""
        return pl.DataFrame(self._by_block(tasks.summary_task, tasks.SUMMARY).toArrow()).sort("symbol")

    def means(self) -> pl.DataFrame:
        """The equal-weight market's return by session and knowledge time."""
        moves = self._by_block(tasks.moves_task(self.blocks), tasks.PACKED)
        return pl.DataFrame(self._gathered(moves, tasks.means_task, tasks.MEANS).toArrow())

    def write(self, chosen: ShippedFeatures, features: tuple[Feature, ...]) -> _Done:
        """Compute the features and write them to files of the table.

        Args:
            chosen: the features, to be sent.
            features: the same.
        """
        known = replace(self._known, chosen=chosen)
        by_mean = known.context.market is None and needs_market(features)
        shared, means = self._shared(known), self._shared(self.means() if by_mean else None)
        if any(feature.kind == "cross_section" for feature in features):
            compared = self._by_block(tasks.compared_task(shared, means, self.blocks), tasks.PACKED)
            found = self._gathered(compared, tasks.comparison_task(shared), tasks.PACKED)
            pairs = self._bars.groupBy(tasks.PLACE).cogroup(
                found.repartition(self.blocks, tasks.PLACE).groupBy(tasks.PLACE)
            )
            rows = pairs.applyInArrow(tasks.joined_write_task(shared, means), tasks.WRITTEN)
        else:
            rows = self._by_block(tasks.write_task(shared, means), tasks.WRITTEN)
        return _done(pl.DataFrame(rows.toArrow()))


def _done(rows: pl.DataFrame) -> _Done:
    files = [msgspec.json.decode(each, type=DataFile) for each in rows["file"].drop_nulls()]
    done = _Done(sorted(files, key=lambda file: file.path), {}, {}, {})
    for row in rows.filter(pl.col("symbol").is_not_null()).sort("symbol").iter_rows(named=True):
        symbol = row["symbol"]
        done.places[symbol] = (row["rows"], row["session"], row["knowledge_time"])
        done.contents[symbol], done.states[symbol] = row["content"], row["state"]
    return done


@contextmanager
def _told() -> Iterator[None]:
    """Errors of executors under the names they have here, without Spark's pages of text."""
    from py4j.protocol import Py4JError  # type: ignore[import-untyped]  # it has no types
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        ours = _OURS.search(str(error))
        kind = getattr(domain, ours[1], None) if ours else None
        if ours and isinstance(kind, type) and issubclass(kind, Project01Error):
            raise kind(ours[2].strip()) from error
        said = _SAID.findall(str(error)) or [type(error).__name__]
        raise LakeError(
            f"Spark gave up building features: {said[-1]}. The feature table is as before. Read Spark's log, then "
            f"build again."
        ) from error
