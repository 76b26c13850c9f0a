"""Under whose terms a record was obtained, and whether it may leave the house."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Licence:
    """Terms of one vendor, as a tag on each record.

    Attributes:
        tag: what stands in the `licence` column.
        may_leave: whether records may be exported to others; False unless the terms say otherwise.
        terms: in a few words, with what to read.
    """

    tag: str
    may_leave: bool
    terms: str


_LICENCES = (
    Licence("polygon", False, "Massive/Polygon market data terms: internal use; no redistribution of data"),
    Licence("bloomberg", False, "Bloomberg agreement: use on the licensed terminal or B-PIPE only"),
    Licence("ravenpack", False, "RavenPack agreement: internal use only"),
    Licence("newsapi", False, "NewsAPI terms: no republication of articles"),
    Licence("twitter", False, "X developer agreement: ids may be shared, contents may not; deletions are honoured"),
    Licence("lseg", False, "LSEG Data agreement: internal use only"),
    Licence("quandl", False, "Nasdaq Data Link: terms of each publisher; internal use unless the publisher says more"),
    Licence("fred", True, "FRED terms of use; series marked as copyrighted keep their owner's terms"),
    Licence("edgar", True, "SEC EDGAR: public domain"),
    Licence("own", False, "the user's own files"),
    Licence("sample", True, "sample prices shipped in Python packages under their licences"),
    Licence("lean-sample", True, "sample data of QuantConnect's LEAN: Apache-2.0, the notice goes with it"),
    Licence("pystock", True, "pystock-data by Chang-Hung Liang: CC BY-SA 4.0, named and under the same licence"),
    Licence("none-stated", False, "published without terms: research use only"),
    Licence("simulated", True, "made up by the simulator"),
)
LICENCES: dict[str, Licence] = {licence.tag: licence for licence in _LICENCES}


def may_leave(tag: str | None) -> bool:
    """Whether a record with this tag may be exported; an unknown or missing tag may not."""
    known = LICENCES.get(tag or "")
    return known is not None and known.may_leave
