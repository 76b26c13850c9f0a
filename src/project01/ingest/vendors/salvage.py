"""Taking apart a JSON text that as a whole cannot be read, so that one bad element does not take the good ones along.

The strict reader refuses a whole frame for one lone surrogate, NaN or byte that is no UTF-8. Here the text is only cut
at the commas of its outermost array or object; each piece is then read strictly by itself. This is the slow way, walked
only after the fast one failed.
"""

import json
import re

_BLANK = b" \t\n\r"
_MOST_ELEMENTS, _MOST_MEMBERS = 100_000, 100  # a page has 50,000 at most, an envelope about ten
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# A quotation mark that opens no string is found by itself. Commas count only between outermost elements.
_DEEPER = re.compile(_STRING + rb'|["\[\]{}]', re.DOTALL)
_OUTERMOST = re.compile(_STRING + rb'|["\[\]{},]', re.DOTALL)
_MEMBER = re.compile(rb"\s*(" + _STRING + rb")\s*:(.*)", re.DOTALL)


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
    found: list[bytes] = []
    depth, begins, place = 1, 1, 1
    while (token := (_OUTERMOST if depth == 1 else _DEEPER).search(whole, place)) is not None:
        mark, place = token[0][:1], token.end()
        if mark in b"[{":
            depth += 1
        elif mark in b"]}":
            depth -= 1
            if depth == 0:
                break
        elif mark == b",":
            found.append(whole[begins : token.start()].strip(_BLANK))
            begins = place
            if len(found) > most:
                raise ValueError(f"more than {most} elements")
        elif place - token.start() == 1:
            raise ValueError(f"a string that does not end, at byte {token.start()}")
    if depth or place != len(whole):
        raise ValueError(f"brackets that do not match, at byte {place} of {len(whole)}")
    last = whole[begins:-1].strip(_BLANK)
    return [*found, last] if found or last else []
