"""Which of a bar's open, high, low, close and volume a trade may set, by its sale conditions.

Three notations name the same conditions: the letters of the consolidated tapes (CTA: tapes A and B; UTP: tape C), the
numbers of Polygon/Massive, and the bit field of AlgoSeek as kept by LEAN. All three point into one table, `RULES`.

A field of a trade takes the lowest level that its conditions give it; a field of a bar is set by the trades that stand
at the highest level in that bar. So a print out of sequence closes a bar only if the bar holds nothing better, as a
note to the CTA and UTP matrices has it for the day: it sets the last price only if it is the only one that qualifies.

Source:
    Consolidated Tape System, output specification, and UTP trade data feed, specification: "consolidated" columns of
    the sale-condition matrices, through Polygon's glossary of conditions and its `update_rules`; LEAN's
    `TradeConditionFlags` for the bits.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import lru_cache
from types import MappingProxyType


class Level(IntEnum):
    """How strong a trade's claim to a bar's price is.

    NEVER: not even alone. LATE: only in a bar without anything better. EXTENDED: only in a bar without a trade of
    regular hours; the matrices keep such trades out of the day's prices altogether, but a bar before the open or after
    the close is made of nothing else. ALWAYS: like any regular trade.
    """

    NEVER = 0
    LATE = 1
    EXTENDED = 2
    ALWAYS = 3


class Notation(StrEnum):
    """In whose codes the conditions are written."""

    CTA = "cta"
    UTP = "utp"
    POLYGON = "polygon"
    ALGOSEEK = "algoseek"


@dataclass(frozen=True)
class Updates:
    """What one trade may set.

    Attributes:
        open: claim to the bar's open.
        high_low: claim to the bar's high and low.
        last: claim to the bar's close.
        volume: whether its size counts.
    """

    open: Level
    high_low: Level
    last: Level
    volume: bool

    def and_also(self, other: "Updates") -> "Updates":
        """What a trade may set that carries both conditions."""
        return Updates(
            min(self.open, other.open),
            min(self.high_low, other.high_low),
            min(self.last, other.last),
            self.volume and other.volume,
        )

    @property
    def code(self) -> int:
        """All four in 7 bits: open, high_low << 2, last << 4, volume << 6."""
        return self.open | self.high_low << 2 | self.last << 4 | self.volume << 6


ALL = Updates(Level.ALWAYS, Level.ALWAYS, Level.ALWAYS, volume=True)
VOLUME_ONLY = Updates(Level.NEVER, Level.NEVER, Level.NEVER, volume=True)
NOTHING = Updates(Level.NEVER, Level.NEVER, Level.NEVER, volume=False)
OUT_OF_SEQUENCE = Updates(Level.LATE, Level.ALWAYS, Level.LATE, volume=True)
EXTENDED_HOURS = Updates(Level.EXTENDED, Level.EXTENDED, Level.EXTENDED, volume=True)

# An unknown condition may mean that the price is not the market's: it then counts as volume and sets no price. Wrongly
# leaving a price out costs a tick of a high or low; wrongly taking one in can put any number there.
UNKNOWN = VOLUME_ONLY

RULES: Mapping[str, Updates] = MappingProxyType(
    {
        "regular": ALL,
        "acquisition": ALL,
        "automatic_execution": ALL,
        "bunched": ALL,
        "cap_election": ALL,
        "closing_print": ALL,
        "cross": ALL,
        "distribution": ALL,
        "intermarket_sweep": ALL,
        "opening_print": ALL,
        "opening_detail": ALL,
        "reopening_print": ALL,
        "rule_127": ALL,
        "rule_155": ALL,
        # Reported late, but in its place; our order is by event time.
        "sold_last": ALL,
        "split": ALL,
        # A leg of a stock-option order; since July 2015 such trades are printed as contingent.
        "stock_option": ALL,
        "stopped_stock": ALL,
        "trade_through_exempt": ALL,
        "yellow_flag": ALL,
        "bunched_sold": OUT_OF_SEQUENCE,
        "derivatively_priced": OUT_OF_SEQUENCE,
        "prior_reference": OUT_OF_SEQUENCE,
        "sold_out_of_sequence": OUT_OF_SEQUENCE,
        "extended_hours": EXTENDED_HOURS,
        "extended_sold": EXTENDED_HOURS.and_also(OUT_OF_SEQUENCE),
        "average_price": VOLUME_ONLY,
        "contingent": VOLUME_ONLY,
        "qualified_contingent": VOLUME_ONLY,
        "odd_lot": VOLUME_ONLY,
        "price_variation": VOLUME_ONLY,
        # Other settlement, other price.
        "cash": VOLUME_ONLY,
        "next_day": VOLUME_ONLY,
        "seller": VOLUME_ONLY,
        # A price on its own: the shares were printed already, by the trade that made it.
        "corrected_close": Updates(Level.ALWAYS, Level.ALWAYS, Level.ALWAYS, volume=False),
        "official_close": NOTHING,
        "official_open": NOTHING,
    }
)

# Letters that mean the same on both tapes.
_BOTH_TAPES = {
    "@": "regular", "C": "cash", "F": "intermarket_sweep", "H": "price_variation", "I": "odd_lot", "L": "sold_last",
    "M": "official_close", "N": "next_day", "O": "opening_print", "P": "prior_reference", "Q": "official_open",
    "R": "seller", "T": "extended_hours", "U": "extended_sold", "V": "contingent", "X": "cross",
    "Z": "sold_out_of_sequence", "4": "derivatively_priced", "5": "reopening_print", "6": "closing_print",
    "7": "qualified_contingent", "8": "trade_through_exempt", "9": "corrected_close",
}  # fmt: skip
_CTA = _BOTH_TAPES | {
    "B": "average_price", "D": "distribution", "E": "automatic_execution", "G": "bunched_sold", "K": "rule_127",
}  # fmt: skip
_UTP = _BOTH_TAPES | {
    "A": "acquisition", "B": "bunched", "D": "distribution", "G": "bunched_sold", "K": "rule_155", "S": "split",
    "W": "average_price", "Y": "yellow_flag", "1": "stopped_stock",
}  # fmt: skip
_POLYGON = {
    0: "regular", 1: "acquisition", 2: "average_price", 3: "automatic_execution", 4: "bunched", 5: "bunched_sold",
    6: "cap_election", 7: "cash", 8: "closing_print", 9: "cross", 10: "derivatively_priced", 11: "distribution",
    12: "extended_hours", 13: "extended_sold", 14: "intermarket_sweep", 15: "official_close", 16: "official_open",
    17: "opening_print", 18: "reopening_print", 19: "closing_print", 20: "next_day", 21: "price_variation",
    22: "prior_reference", 23: "rule_155", 24: "rule_127", 25: "opening_print", 27: "stopped_stock",
    28: "reopening_print", 29: "seller", 30: "sold_last", 31: "sold_last", 32: "sold_out_of_sequence",
    33: "sold_out_of_sequence", 34: "split", 35: "stock_option", 36: "yellow_flag", 37: "odd_lot",
    38: "corrected_close", 41: "trade_through_exempt", 52: "contingent", 53: "qualified_contingent",
    55: "opening_detail",
}  # fmt: skip
_ALGOSEEK_BITS = {
    0: "regular", 1: "cash", 2: "next_day", 3: "seller", 4: "yellow_flag", 5: "intermarket_sweep", 6: "opening_print",
    7: "closing_print", 8: "reopening_print", 9: "derivatively_priced", 10: "extended_hours", 11: "sold_last",
    12: "stopped_stock", 13: "extended_hours", 14: "sold_out_of_sequence", 15: "split", 16: "acquisition",
    17: "bunched", 18: "stock_option", 19: "distribution", 20: "average_price", 21: "cross", 22: "price_variation",
    23: "rule_155", 24: "official_close", 25: "prior_reference", 26: "official_open", 27: "cap_election",
    28: "automatic_execution", 29: "trade_through_exempt", 31: "odd_lot",
}  # fmt: skip

CODES: Mapping[Notation, Mapping[str, str]] = MappingProxyType(
    {
        Notation.CTA: MappingProxyType(_CTA),
        Notation.UTP: MappingProxyType(_UTP),
        Notation.POLYGON: MappingProxyType({str(number): name for number, name in _POLYGON.items()}),
        Notation.ALGOSEEK: MappingProxyType({f"{1 << bit:x}": name for bit, name in _ALGOSEEK_BITS.items()}),
    }
)

# The tapes as vendors write them: A (NYSE) and B (Arca, American and others) are CTA's, C (Nasdaq) is UTP's.
TAPES: Mapping[str, Notation] = MappingProxyType(
    {"A": Notation.CTA, "B": Notation.CTA, "C": Notation.UTP, "1": Notation.CTA, "2": Notation.CTA, "3": Notation.UTP}
)
# Sources that do not write letters. Those that are not named here do; without a tape they are read as UTP's.
NOTATIONS: Mapping[str, Notation] = MappingProxyType(
    {"polygon": Notation.POLYGON, "simulator": Notation.POLYGON, "algoseek": Notation.ALGOSEEK}
)


_HEX = re.compile("[0-9a-fA-F]{1,16}")


def notation_of(source: str, tape: str | None, notations: Mapping[str, Notation] = NOTATIONS) -> Notation:
    """In whose codes `source` writes the conditions of a trade on `tape`."""
    return notations.get(source) or TAPES.get(tape or "", Notation.UTP)


@lru_cache(maxsize=65_536)
def updates(conditions: str, notation: Notation) -> tuple[Updates, int]:
    """What a trade with these conditions may set.

    Args:
        conditions: the vendor's codes joined by "|"; empty for a regular trade. AlgoSeek: one bit field in hex.
        notation: whose codes they are.
    Returns:
        What it may set, and how many of its codes are in no table; each of those leaves it its volume only.
    """
    known = CODES[notation]
    found, unknown = ALL, 0
    for code in _codes(conditions, notation):
        name = known.get(code)
        unknown += name is None
        found = found.and_also(UNKNOWN if name is None else RULES[name])
    return found, unknown


def _codes(conditions: str, notation: Notation) -> list[str]:
    """The single codes; a bit field becomes its bits, and text that is no bit field stays one unknown code."""
    parts = [part for part in (piece.strip() for piece in conditions.split("|")) if part]
    if notation is not Notation.ALGOSEEK:
        return parts
    bits: list[str] = []
    for part in parts:
        if not _HEX.fullmatch(part):
            bits.append(part)
            continue
        field = int(part, 16)
        bits += [f"{1 << place:x}" for place in range(field.bit_length()) if field >> place & 1]
    return bits
