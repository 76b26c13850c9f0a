"""Taking apart a JSON text that as a whole cannot be read, so that one bad element does not take the good ones along.

The strict reader refuses a whole frame for one lone surrogate, NaN or byte that is no UTF-8. Here the text is only cut
at the commas of its outermost array or object; each piece is then read strictly by itself. This is the slow way, walked
only after the fast one failed.
"""

import json
import re
from itertools import pairwise

import numpy as np

_BLANK = b" \t\n\r"
_MOST_ELEMENTS, _MOST_MEMBERS = 100_000, 100  # a page has 50,000 at most, an envelope about ten
_MEMBER = re.compile(rb'\s*("[^"\\]*+(?:\\.[^"\\]*+)*+")\s*:(.*)', re.DOTALL)
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_QUOTE, _COMMA = ord('"'), ord(",")
_STEPS = np.zeros(256, dtype=np.int8)
_STEPS[list(b"[{")], _STEPS[list(b"]}")] = 1, -1


def items(payload: bytes) -> list[bytes]:
    """The elements of a JSON array, each as it stands in the payload.

    Raises:
        ValueError: it is no array, cut off, or has more elements than any page.
    """
    return _pieces(payload, b"[]", _MOST_ELEMENTS)


def members(payload: bytes) -> dict[str, bytes]:
    """The members of a JSON object, each value as it stands in the payload; of a name given twice the last counts.

    Raises:
        ValueError: it is no object, cut off, has names that are no text, or more than any answer.
    """
    found: dict[str, bytes] = {}
    for piece in _pieces(payload, b"{}", _MOST_MEMBERS):
        match = _MEMBER.fullmatch(piece)
        if match is None:
            raise ValueError(f"expected a name and a value, found {piece[:40]!r}")
        found[str(json.loads(match[1]))] = match[2].strip(_BLANK)
    return found


def _pieces(payload: bytes, brackets: bytes, most: int) -> list[bytes]:
    whole = payload.strip(_BLANK)
    if whole[:1] != brackets[:1] or whole[-1:] != brackets[1:] or len(whole) < 2:
        raise ValueError(f"expected text from {brackets[:1]!r} to {brackets[1:]!r}, found {whole[:20]!r}")
    commas = _outermost_commas(whole)
    if len(commas) > most:
        raise ValueError(f"more than {most} elements")
    edges = [0, *commas, len(whole) - 1]
    pieces = [whole[before + 1 : after].strip(_BLANK) for before, after in pairwise(edges)]
    return pieces if len(pieces) > 1 or pieces[0] else []


def _outermost_commas(whole: bytes) -> list[int]:
    """Where the commas stand that part elements; in numpy, since a hostile text may be all brackets."""
    text = np.frombuffer(_ESCAPED.sub(b"  ", whole), dtype=np.uint8)
    quoted = np.logical_xor.accumulate(text == _QUOTE)
    if quoted[-1]:
        raise ValueError(f"a string that does not end in {len(whole)} bytes")
    depth = np.cumsum(np.where(quoted, np.int8(0), _STEPS[text]), dtype=np.int32)
    if depth[-1] != 0 or depth[:-1].min() < 1:
        raise ValueError(f"brackets that do not match in {len(whole)} bytes")
    places: list[int] = np.flatnonzero((text == _COMMA) & (depth == 1) & ~quoted).tolist()
    return places
