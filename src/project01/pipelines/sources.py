"""Which data a run reads, and a fingerprint that tells whether it changed."""

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from project01.domain import InputError
from project01.pipelines.doctor import library_versions
from project01.pipelines.workspace import content_hash

SAMPLES = ("sp500", "ohlcv")


def parse_mapping(pairs: Sequence[str]) -> dict[str, str]:
    """``["close=PX_LAST"]`` as ``{"close": "PX_LAST"}``.

    Raises:
        InputError: a part without exactly one name on each side, or a column named twice.
    """
    mapping: dict[str, str] = {}
    for pair in pairs:
        ours, separator, theirs = pair.partition("=")
        if not separator or not ours or not theirs:
            raise InputError(f"--map {pair!r} is not of the form OURS=THEIRS, e.g. --map close=PX_LAST.")
        if ours in mapping:
            raise InputError(f"--map names the column {ours!r} twice; give it once.")
        mapping[ours] = theirs
    return mapping


def _digest_of(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(file.name.encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class SourceChoice:
    """What the user pointed at: exactly one of a path of bars, a sample set or the simulator.

    Attributes:
        bars: file or folder of the user's own bars.
        sample: name of a sample set.
        simulate: whether the simulator is asked for.
        mapping: column overrides for `bars`, ours -> theirs.
        date_format: strptime form of the dates in `bars`; None: guessed from the whole file.
        timezone: IANA zone of times in `bars` that carry none.
        macro: folder with VIX and Treasury yield files.
        benchmark: file with an index or fund to compare with.
    """

    bars: Path | None
    sample: str | None
    simulate: bool
    mapping: dict[str, str]
    macro: Path | None
    benchmark: Path | None
    date_format: str | None = None
    timezone: str | None = None

    @classmethod
    def from_options(
        cls,
        *,
        bars: Path | None = None,
        mapping: Sequence[str] = (),
        macro: Path | None = None,
        benchmark: Path | None = None,
        sample: str | None = None,
        simulate: bool = False,
        date_format: str | None = None,
        timezone: str | None = None,
    ) -> "SourceChoice":
        """Check what was asked for.

        Raises:
            InputError: none or several sources, a path that does not exist, or an unknown sample set.
        """
        if sum((bars is not None, sample is not None, simulate)) != 1:
            raise InputError("Say where prices come from: exactly one of --bars PATH, --sample NAME or --simulate.")
        if sample is not None and sample not in SAMPLES:
            raise InputError(f"--sample {sample!r} is not known; choose one of {', '.join(SAMPLES)}.")
        for option, value in (("map", mapping), ("date-format", date_format), ("timezone", timezone)):
            if value and bars is None:
                raise InputError(f"--{option} goes with --bars; sample and simulated data are read as they are.")
        for name, path in (("bars", bars), ("macro", macro), ("benchmark", benchmark)):
            if path is not None and not path.exists():
                raise InputError(f"--{name} {path} does not exist. Pass an existing file or folder.")
        return cls(bars, sample, simulate, parse_mapping(mapping), macro, benchmark, date_format, timezone)

    @property
    def label(self) -> str:
        """What the report calls the data."""
        if self.simulate:
            return "SIMULATED market"
        return f"sample {self.sample}" if self.sample else str(self.bars.name if self.bars else "")

    def command(self) -> str:
        """How to ask for the same data, file and folder names without their place."""
        if self.simulate:
            return "project01 run --simulate"
        if self.sample:
            return f"project01 run --sample {self.sample}"
        options = [("bars", self.bars), ("macro", self.macro), ("benchmark", self.benchmark)]
        words = [f"--{name} {path.name}" for name, path in options if path is not None]
        words += [f"--map {ours}={theirs}" for ours, theirs in self.mapping.items()]
        given = [("date-format", self.date_format), ("timezone", self.timezone)]
        words += [f"--{name} {shlex.quote(value)}" for name, value in given if value is not None]
        return " ".join(["project01 run", *words])

    def fingerprint(self) -> str:
        """Hash of the content read: file contents or package versions; never of paths or times."""
        if self.sample:
            return content_hash("sample", self.sample, library_versions(("skfolio", "arch", "bokeh-sampledata")))
        if self.simulate:
            return content_hash("simulator")
        parts = [_digest_of(path) if path else "" for path in (self.bars, self.macro, self.benchmark)]
        return content_hash("files", parts, self.mapping, self.date_format, self.timezone)
