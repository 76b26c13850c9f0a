#!/usr/bin/env python3
"""Build the feature table on a cluster.

    spark-submit --master spark://head:7077 infra/spark/build_features.py --lake s3://bucket/lake --sets core,alpha158

Executors need Project01 and its core libraries, at the driver's version. S3's settings come from AWS_* on the driver
and on the executors. The last line written is a JSON object with the figures.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from project01.domain import Project01Error
from project01.pipelines import parse_instant
from project01.pipelines.features import END_OF_TIME
from project01.pipelines.spark_features import ROWS_A_BLOCK, build_on_spark


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        done = build_on_spark(
            chosen.lake,
            sets=chosen.sets.split(","),
            files=chosen.file,
            industries=chosen.industries,
            as_of=_instant(chosen.as_of),
            rows_a_block=chosen.rows_a_block,
        )
    except Project01Error as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(done) + "\n")
    return 0


def _instant(text: str | None) -> datetime:
    return END_OF_TIME if text is None else parse_instant(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", required=True, help="a folder that every executor sees, or s3://bucket/lake")
    parser.add_argument("--sets", default="core", help="sets of the catalogue, separated by commas")
    parser.add_argument("--file", type=Path, action="append", default=[], help="Python file with features of your own")
    parser.add_argument("--industries", type=Path, help="CSV of symbol, industry and known_from")
    parser.add_argument("--as-of", help="nothing known later counts; a date means its end in UTC")
    parser.add_argument("--rows-a-block", type=int, default=ROWS_A_BLOCK, help="bars a task holds at a time, about")
    return parser


if __name__ == "__main__":
    sys.exit(main())
