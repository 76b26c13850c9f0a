"""Which data a run reads, and a fingerprint that tells whether it changed."""

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from project01.domain import BARS, MACRO, InputError
from project01.ingest import ADJUSTED
from project01.lake import Lake
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
    """What the user pointed at: exactly one of a path of bars, a lake, a sample set or the simulator.

    Attributes:
        bars: file or folder of the user's own bars.
        sample: name of a sample set.
        simulate: whether the simulator is asked for.
        mapping: column overrides for `bars`, ours -> theirs.
        date_format: strptime form of the dates in `bars`; None: guessed from the whole file.
        timezone: IANA zone of times in `bars` that carry none.
        macro: folder with VIX and Treasury yield files.
        benchmark: file with an index or fund to compare with.
        lake: folder of live data, or an ``s3://`` address, whose daily bars are read.
        adjusted: for what the prices in `bars` were adjusted; None: they stand as traded.
        vendor: which source's bars of `lake`; None: the only one there is.
    """

    bars: Path | None
    sample: str | None
    simulate: bool
    mapping: dict[str, str]
    macro: Path | None
    benchmark: Path | None
    date_format: str | None = None
    timezone: str | None = None
    adjusted: str | None = None
    lake: str | None = None
    vendor: str | None = None

    @classmethod
    def from_options(  # noqa: PLR0913
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
        adjusted: str | None = None,
    ) -> "SourceChoice":
        """Check what was asked for.

        Raises:
            InputError: none or several sources, a path that does not exist, or an unknown sample set.
        """
        if sum((bars is not None, sample is not None, simulate)) != 1:
            raise InputError(
                "Say where prices come from: exactly one of --bars PATH, --from-lake DIR, --sample NAME or --simulate."
            )
        if sample is not None and sample not in SAMPLES:
            raise InputError(f"--sample {sample!r} is not known; choose one of {', '.join(SAMPLES)}.")
        if adjusted is not None and adjusted not in ADJUSTED:
            raise InputError(f"--adjusted {adjusted!r} is not known; choose one of {', '.join(ADJUSTED)}.")
        of_files = {"map": mapping, "date-format": date_format, "timezone": timezone, "adjusted": adjusted}
        for option, value in of_files.items():
            if value and bars is None:
                raise InputError(f"--{option} goes with --bars; sample and simulated data are read as they are.")
        for name, path in (("bars", bars), ("macro", macro), ("benchmark", benchmark)):
            if path is not None and not path.exists():
                raise InputError(f"--{name} {path} does not exist. Pass an existing file or folder.")
        return cls(bars, sample, simulate, parse_mapping(mapping), macro, benchmark, date_format, timezone, adjusted)

    @classmethod
    def of_lake(cls, lake: str, vendor: str | None, benchmark: Path | None) -> "SourceChoice":
        """Daily bars that landed from a vendor.

        Raises:
            InputError: the benchmark's file does not exist.
        """
        if benchmark is not None and not benchmark.exists():
            raise InputError(f"--benchmark {benchmark} does not exist. Pass an existing file or folder.")
        return cls(None, None, False, {}, None, benchmark, lake=lake, vendor=vendor)

    @property
    def label(self) -> str:
        """What the report calls the data."""
        if self.simulate:
            return "SIMULATED market"
        if self.lake:
            return f"lake {Path(self.lake).name}" + (f", {self.vendor}" if self.vendor else "")
        return f"sample {self.sample}" if self.sample else str(self.bars.name if self.bars else "")

    def command(self) -> str:
        """How to ask for the same data, file and folder names without their place."""
        if self.simulate:
            return "project01 run --simulate"
        if self.sample:
            return f"project01 run --sample {self.sample}"
        lake = Path(self.lake) if self.lake else None
        options = [("bars", self.bars), ("from-lake", lake), ("macro", self.macro), ("benchmark", self.benchmark)]
        words = [f"--{name} {path.name}" for name, path in options if path is not None]
        words += [f"--map {ours}={theirs}" for ours, theirs in self.mapping.items()]
        given = {
            "date-format": self.date_format, "timezone": self.timezone, "adjusted": self.adjusted,
            "from-source": self.vendor,
        }  # fmt: skip
        words += [f"--{name} {shlex.quote(value)}" for name, value in given.items() if value is not None]
        return " ".join(["project01 run", *words])

    def open_lake(self) -> Lake:
        """The lake that `lake` names: an address, a folder of live data, or the lake's own folder."""
        place = self.lake or ""
        inner = Path(place) / "lake"
        return Lake(inner if "://" not in place and inner.is_dir() else place)

    def fingerprint(self) -> str:
        """Hash of the content read: file contents or package versions; never of paths or times."""
        if self.sample:
            return content_hash("sample", self.sample, library_versions(("skfolio", "arch", "bokeh-sampledata")))
        if self.simulate:
            return content_hash("simulator")
        if self.lake:
            lake = self.open_lake()
            digests = [lake.digest(table) for table in (BARS.name, MACRO.name) if lake.exists(table)]
            return content_hash("lake", digests, self.vendor)
        parts = [_digest_of(path) if path else "" for path in (self.bars, self.macro, self.benchmark)]
        return content_hash("files", parts, self.mapping, self.date_format, self.timezone, self.adjusted)
