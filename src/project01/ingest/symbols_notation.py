"""One symbol in the notations of the vendors: how each writes share classes, preferred shares and exchanges.

Ours is upper case with the class after a dot: ``BRK.B``, preferred ``BAC.PRA``, warrants ``ABC.WS``.

| notation | BRK.B | BAC.PRA | AAPL |
|---|---|---|---|
| plain | BRK.B | BACpA | AAPL |
| dash | BRK-B | BAC-PA | AAPL |
| slash | BRK/B | BAC/PRA | AAPL |
| ric | BRKb.N | BAC_pa.N | AAPL.O |
| bloomberg | BRK/B US Equity | BAC/PRA US Equity | AAPL US Equity |
| cashtag | $BRK.B | $BAC.PRA | $AAPL |

Only listings in the United States are symbols of ours: ``VOD.L`` and ``VOD LN Equity`` are other securities than VOD.
"""

import re
from functools import lru_cache
from typing import Literal

Notation = Literal["plain", "dash", "ric", "bloomberg", "cashtag", "slash"]

# .X marks crypto currencies on message boards, not a share class.
_CLASS = r"[A-WYZ]|PR[A-Z]|WS|RT|WI"
_ROOT = r"[A-Z][A-Z0-9]{0,9}"
_OURS = re.compile(rf"(?P<root>{_ROOT})(?:\.(?P<share_class>{_CLASS}))?")
_PREFERRED_PLAIN = re.compile(rf"(?P<root>{_ROOT})p(?P<series>[A-Z])")
_RIC = re.compile(
    rf"(?P<root>{_ROOT})(?P<letter>[a-z])?(?:_(?P<long_class>[a-z]{{1,3}}))?"
    r"(?:\.(?P<exchange>[A-Z]{1,2}))?(?:\^[A-L]\d\d)?"  # ^H09: the RIC was retired in August 2009
)
_BLOOMBERG = re.compile(r"(?P<security>\S+) +(?P<exchange>[A-Z]{2})(?: +EQUITY)?")
_LONGEST = 32

# New York, Nasdaq, American, Arca, Cboe, consolidated, over the counter.
_RIC_EXCHANGES = frozenset(("N", "O", "OQ", "A", "K", "P", "Z", "NB", "PK", "OB", "PH", "MW"))
_BLOOMBERG_EXCHANGES = frozenset("U" + venue for venue in "SNQWPARVFBCDMOTX")
_RIC_SUFFIX = {"N": "N", "Q": "O", "A": "A", "P": "P", "Z": "Z"}


@lru_cache(maxsize=1 << 16)
def parse(text: str, notation: Notation) -> str | None:
    """Our symbol for a vendor's text, by its shape alone; None when it is no symbol of a listing in the United States.

    Args:
        text: as the vendor writes it; blanks around it are ignored.
        notation: whose way of writing it is.
    """
    stripped = text.strip()
    if not stripped or len(stripped) > _LONGEST or not stripped.isascii():
        return None
    if notation == "ric":
        return _from_ric(stripped)
    if notation == "bloomberg":
        return _from_bloomberg(stripped.upper())
    if notation == "plain" and (preferred := _PREFERRED_PLAIN.fullmatch(stripped)):
        return f"{preferred['root']}.PR{preferred['series']}"
    if notation == "cashtag":
        return _checked(stripped.removeprefix("$").replace("_", ".").upper())
    return _from_separated(stripped.upper(), notation)


def write(symbol: str, notation: Notation, exchange: str | None = None) -> str:
    """A symbol of ours the way a vendor writes it.

    Args:
        symbol: in our notation.
        notation: whose way of writing.
        exchange: N, Q, A, P or Z, for RICs; None: three letters and fewer are taken for New York, more for Nasdaq,
            which was the rule for listings before 2007 and is still the best guess.
    Raises:
        ValueError: `symbol` is not in our notation.
    """
    match = _OURS.fullmatch(symbol)
    if match is None:
        raise ValueError(
            f"{symbol!r} is no symbol of ours; expected upper case with the share class after a dot: BRK.B."
        )
    root, share_class = match["root"], match["share_class"] or ""
    if notation == "ric":
        return _to_ric(root, share_class, exchange)
    if notation == "bloomberg":
        return symbol.replace(".", "/") + " US Equity"
    if notation == "cashtag":
        return "$" + symbol
    if notation == "slash":
        return symbol.replace(".", "/")
    if notation == "dash":
        return f"{root}-{_short_preferred(share_class)}" if share_class else root
    return f"{root}p{share_class[2:]}" if share_class.startswith("PR") else symbol


def _checked(symbol: str) -> str | None:
    return symbol if _OURS.fullmatch(symbol) else None


def _from_separated(text: str, notation: Notation) -> str | None:
    """Plain, dash and slash: vendors mix the separators, so that each is understood wherever it stands."""
    root, *rest = re.split(r"[./-]", text)
    if not rest:
        return _checked(root)
    share_class = "".join(rest)  # BAC.PR.A and BAC.PRA are one
    if notation == "dash":
        share_class = _long_preferred(share_class)
    return _checked(f"{root}.{share_class}")


def _from_bloomberg(text: str) -> str | None:
    match = _BLOOMBERG.fullmatch(text)
    if match is None or match["exchange"] not in _BLOOMBERG_EXCHANGES:
        return None
    return _checked(match["security"].replace("/", "."))


def _from_ric(text: str) -> str | None:
    match = _RIC.fullmatch(text)
    if match is None or (match["exchange"] is not None and match["exchange"] not in _RIC_EXCHANGES):
        return None
    if match["letter"] and match["long_class"]:
        return None
    share_class = _long_preferred((match["letter"] or match["long_class"] or "").upper())
    return _checked(f"{match['root']}.{share_class}" if share_class else match["root"])


def _to_ric(root: str, share_class: str, exchange: str | None) -> str:
    suffix = _RIC_SUFFIX.get(exchange or "") or ("N" if len(root) <= 3 else "O")
    if len(share_class) <= 1:
        return f"{root}{share_class.lower()}.{suffix}"
    return f"{root}_{_short_preferred(share_class).lower()}.{suffix}"


def _short_preferred(share_class: str) -> str:
    return "P" + share_class[2:] if share_class.startswith("PR") else share_class


def _long_preferred(share_class: str) -> str:
    return "PR" + share_class[1:] if re.fullmatch(r"P[A-Z]", share_class) else share_class
