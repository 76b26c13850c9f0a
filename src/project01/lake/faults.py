"""Failures of delta-rs, the disk and S3 as one clear `LakeError`, without backtraces and without credentials."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl
import pyarrow as pa
from deltalake.exceptions import DeltaError
from polars.exceptions import PanicException

from project01.domain import LakeError
from project01.lake.location import Location

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_BACKTRACE = re.compile(r"\n\s*0: .*", re.DOTALL)
_WRAPPER = re.compile(r"^(Failed to parse parquet: |External: |Kernel error:? (-> )?|Generic \w+ (kernel )?error:? )+")
_LONGEST = 400

_ADVICE = (
    (
        re.compile(r"no space left|os error 28|disk quota|os error 122", re.IGNORECASE),
        "The disk is full. Nothing was committed and the previous version stays readable: free some space and repeat.",
    ),
    (
        re.compile(
            r"permission denied|read-only file system|operation not permitted|os error (1|13|30)\b", re.IGNORECASE
        ),
        "This process may not write (or read) there. Change the folder's rights or point the lake elsewhere.",
    ),
    (
        re.compile(r"not a directory|file exists|os error (17|20)\b", re.IGNORECASE),
        "A file stands where the lake needs a folder. Move it away or point the lake elsewhere.",
    ),
    (
        re.compile(r"AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|\b40[13]\b"),
        "S3 refused the credentials. Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket's policy.",
    ),
    (re.compile(r"NoSuchBucket"), "The bucket does not exist. Create it or correct the lake's URL."),
    (
        re.compile(r"connection refused|error sending request|dns error|timed out", re.IGNORECASE),
        "The storage did not answer. Check AWS_ENDPOINT_URL and the network, then repeat.",
    ),
    (
        re.compile(
            r"json error|invalid json|log segment|contiguous commit|EOF while parsing|missing protocol", re.IGNORECASE
        ),
        "The table's log (_delta_log) is damaged. Restore it from a backup, or read scan(name, version=...).",
    ),
    (
        re.compile(r"parquet|thrift|magic|footer", re.IGNORECASE),
        "A data file of the table is damaged or gone. Restore it from a backup, or ingest the table again.",
    ),
)


@contextmanager
def told_clearly(doing: str, location: Location) -> Iterator[None]:
    """Turns what the storage raises into a `LakeError` that says what was tried, what happened and what to do."""
    try:
        yield
    except (DeltaError, OSError, pl.exceptions.PolarsError, PanicException, pa.ArrowException) as error:
        raw = str(error)
        text = brief(location.without_secrets(raw))
        # The cause prints its own text in a traceback, so it is passed on only when it holds no credential.
        cause = error if location.without_secrets(raw) == raw else None
        raise LakeError(f"{doing} failed: {text}. {_advice_for(raw)}") from cause


def brief(text: str) -> str:
    """An error text on one line: no colour codes, no backtrace, no error chain that runs for pages."""
    flat = _WRAPPER.sub("", " ".join(_BACKTRACE.sub("", _COLOUR.sub("", text)).split()))
    return (flat if len(flat) <= _LONGEST else f"{flat[:_LONGEST]} ...").rstrip(". ")


def _advice_for(text: str) -> str:
    for pattern, advice in _ADVICE:
        if pattern.search(text):
            return advice
    return "Repeat the command; if it fails again, look into the table's folder and its _delta_log."
