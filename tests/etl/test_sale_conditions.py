"""The golden table of sale conditions: what each may set, in each notation."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from project01.etl.sale_conditions import ALL, CODES, RULES, Level, Notation, Updates, notation_of, updates

# open, high, low, last, volume. Y: yes. n: no. 1: only where nothing better is in the bar (the matrices: only if it is
# the only one that qualifies). x: no price of regular hours (the matrices: no), the price of a bar of extended hours.
GOLDEN = """
condition               CTA  UTP  Polygon  bit   open high low last volume
regular                 @    @    0        0     Y    Y    Y   Y    Y
acquisition             -    A    1        16    Y    Y    Y   Y    Y
average_price           B    W    2        20    n    n    n   n    Y
automatic_execution     E    -    3        28    Y    Y    Y   Y    Y
bunched                 -    B    4        17    Y    Y    Y   Y    Y
bunched_sold            G    G    5        -     1    Y    Y   1    Y
cap_election            -    -    6        27    Y    Y    Y   Y    Y
cash                    C    C    7        1     n    n    n   n    Y
closing_print           6    6    8        7     Y    Y    Y   Y    Y
cross                   X    X    9        21    Y    Y    Y   Y    Y
derivatively_priced     4    4    10       9     1    Y    Y   1    Y
distribution            D    D    11       19    Y    Y    Y   Y    Y
extended_hours          T    T    12       13    x    x    x   x    Y
extended_sold           U    U    13       -     1    x    x   1    Y
intermarket_sweep       F    F    14       5     Y    Y    Y   Y    Y
official_close          M    M    15       24    n    n    n   n    n
official_open           Q    Q    16       26    n    n    n   n    n
next_day                N    N    20       2     n    n    n   n    Y
price_variation         H    H    21       22    n    n    n   n    Y
prior_reference         P    P    22       25    1    Y    Y   1    Y
rule_155                -    K    23       23    Y    Y    Y   Y    Y
rule_127                K    -    24       -     Y    Y    Y   Y    Y
opening_print           O    O    25       6     Y    Y    Y   Y    Y
stopped_stock           -    1    27       12    Y    Y    Y   Y    Y
reopening_print         5    5    28       8     Y    Y    Y   Y    Y
seller                  R    R    29       3     n    n    n   n    Y
sold_last               L    L    30       11    Y    Y    Y   Y    Y
sold_out_of_sequence    Z    Z    33       14    1    Y    Y   1    Y
split                   -    S    34       15    Y    Y    Y   Y    Y
stock_option            -    -    35       18    Y    Y    Y   Y    Y
yellow_flag             -    Y    36       4     Y    Y    Y   Y    Y
odd_lot                 I    I    37       31    n    n    n   n    Y
corrected_close         9    9    38       -     Y    Y    Y   Y    n
trade_through_exempt    8    8    41       29    Y    Y    Y   Y    Y
contingent              V    V    52       -     n    n    n   n    Y
qualified_contingent    7    7    53       -     n    n    n   n    Y
opening_detail          -    -    55       -     Y    Y    Y   Y    Y
"""
ROWS = [line.split() for line in GOLDEN.strip().splitlines()[1:]]
LETTERS = {"Y": Level.ALWAYS, "n": Level.NEVER, "1": Level.LATE, "x": Level.EXTENDED}
NOTATIONS = (Notation.CTA, Notation.UTP, Notation.POLYGON, Notation.ALGOSEEK)
CASES = [
    pytest.param(notation, code, row[5:], id=f"{row[0]}-{notation}")
    for row in ROWS
    for notation, code in zip(NOTATIONS, row[1:5], strict=True)
    if code != "-"
]  # fmt: skip


@pytest.mark.parametrize(("notation", "code", "fields"), CASES)
def test_what_a_condition_may_set(notation: Notation, code: str, fields: list[str]) -> None:
    written = f"{1 << int(code):x}" if notation is Notation.ALGOSEEK else code
    allowed, unknown = updates(written, notation)
    assert (allowed.open, allowed.high_low, allowed.high_low, allowed.last) == tuple(LETTERS[f] for f in fields[:4])
    assert allowed.volume is (fields[4] == "Y")
    assert unknown == 0


def test_the_golden_table_names_every_rule() -> None:
    assert [row[0] for row in ROWS if row[0] not in RULES] == []
    assert set(RULES) == {row[0] for row in ROWS}
    assert len(ROWS) >= 30


def test_every_code_points_at_a_rule() -> None:
    assert {name for table in CODES.values() for name in table.values()} <= set(RULES)


def test_all_conditions_must_allow_a_field() -> None:
    assert updates("F|Z", Notation.CTA)[0] == updates("Z", Notation.CTA)[0]
    assert updates("T|Z", Notation.CTA)[0] == updates("U", Notation.CTA)[0]
    assert updates("@|F|T|W", Notation.UTP)[0] == updates("W", Notation.UTP)[0]
    assert updates("9|W", Notation.UTP)[0] == updates("M", Notation.UTP)[0]
    # Bits 5, 13, 29: an intermarket sweep in extended hours, exempt from the trade-through rule.
    assert updates("20002020", Notation.ALGOSEEK)[0] == updates("T", Notation.CTA)[0]
    assert updates("4800", Notation.ALGOSEEK)[0] == updates("Z", Notation.CTA)[0]


@pytest.mark.parametrize("nothing", ["", "|", " | "])
@pytest.mark.parametrize("notation", NOTATIONS)
def test_a_trade_without_conditions_is_regular(notation: Notation, nothing: str) -> None:
    assert updates(nothing, notation) == (ALL, 0)


@pytest.mark.parametrize(
    ("code", "notation", "unknown"),
    [
        ("?", Notation.CTA, 1), ("A", Notation.CTA, 1), ("E", Notation.UTP, 1), ("-1", Notation.POLYGON, 1),
        ("@|!|?", Notation.UTP, 2), ("40000000", Notation.ALGOSEEK, 1), ("-20", Notation.ALGOSEEK, 1),
        ("20 00", Notation.ALGOSEEK, 1), ("f" * 40, Notation.ALGOSEEK, 1), ("z", Notation.ALGOSEEK, 1),
    ],
)  # fmt: skip
def test_what_is_unknown_counts_as_volume_only(code: str, notation: Notation, unknown: int) -> None:
    allowed, found = updates(code, notation)
    assert allowed == Updates(Level.NEVER, Level.NEVER, Level.NEVER, volume=True)
    assert found == unknown


@given(st.lists(st.sampled_from(sorted(CODES[Notation.POLYGON])), min_size=1, max_size=5))
def test_neither_order_nor_repetition_of_conditions_matters(codes: list[str]) -> None:
    each = [updates(code, Notation.POLYGON)[0] for code in codes]
    together, _ = updates("|".join([*codes[::-1], *codes]), Notation.POLYGON)
    assert together == reduce(Updates.and_also, each)


def test_a_code_holds_what_it_stands_for() -> None:
    for allowed in {*RULES.values()}:
        code = allowed.code
        assert (code & 3, code >> 2 & 3, code >> 4 & 3, bool(code >> 6)) == (
            allowed.open, allowed.high_low, allowed.last, allowed.volume,
        )  # fmt: skip


def test_notations_of_sources() -> None:
    assert notation_of("polygon", "3") is Notation.POLYGON
    assert notation_of("bloomberg", "A") is Notation.CTA
    assert notation_of("bloomberg", "B") is Notation.CTA
    assert notation_of("bloomberg", "C") is Notation.UTP
    assert notation_of("bloomberg", None) is Notation.UTP
    assert notation_of("algoseek", None) is Notation.ALGOSEEK
