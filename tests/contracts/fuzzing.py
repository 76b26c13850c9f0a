"""Payloads that no vendor should send: spoilt samples, rubbish, traps for parsers. Same seed, same payloads."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

_BIG = 10 << 20
# JSON tokens, put in as text: most could not be written by a JSON library.
_TOKENS = (
    b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"9" * 400, b"-0", b"-0.0", b"1e-400", b"0x10", b"01",
    b'"\\ud800"', b'"\\udfff\\ud800"', b'"\xff\xfe"', b'"\\u0000"', b'"\xe2\x80\xae"', b'""', b"null", b"true", b"[]",
    b"{}", b'{"a":1,"a":2}', b"-1", b"18446744073709551616", b"-9223372036854775809", b'"NaN"', b'"1e999"',
    b'"0000-00-00"', b'"9999-12-31T23:59:59.999999999Z"', b'"0001-01-01T00:00:00+14:00"', b'"12:00"', b'" "', b'"."',
    b'"-"', b"1.7976931348623157e308", b"5e-324", b'"\\n\\r\\t"', b"[[[[]]]]", b'"' + b"x" * 5_000 + b'"',
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1e308, 10**30, -(10**18), "", " ", ".", "NaN", "x" * 3_000, [], {}, [None], [[]],
    {"a": {}}, "2024-02-30", "1970-01-01", "\u202egnp", "'; DROP TABLE bars; --", "<script>", "../../etc/passwd",
    1_700_000_000, 1_700_000_000_000, 1_700_000_000_000_000, 1_700_000_000_000_000_000, 0.1 + 0.2, "BRK/B", "$", "🚀",
)  # fmt: skip
_DEEP = 100_000


def payloads(samples: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """`count` payloads; of each 1,000 about one is 10 MB large and two are nested 100,000 deep."""
    generator = random.Random(seed)
    for index in range(count):
        if index % 1000 == 17:
            yield _huge(generator, generator.choice(samples))
        elif index % 500 == 23:
            yield _deep(generator, generator.choice(samples))
        else:
            yield generator.choice(_KINDS)(generator, generator.choice(samples))


def _rubbish(generator: random.Random, _: bytes) -> bytes:
    return generator.randbytes(generator.choice((0, 1, 2, 3, 10, 100, 2_000)))


def _bytes_changed(generator: random.Random, sample: bytes) -> bytes:
    changed = bytearray(sample)
    for _ in range(generator.choice((1, 1, 2, 5, 20))):
        place = generator.randrange(len(changed) + 1)
        deed = generator.randrange(5)
        if deed == 0:
            changed[place : place + 1] = generator.randbytes(1)
        elif deed == 1:
            del changed[place : place + generator.choice((1, 1, 2, 10, 100))]
        elif deed == 2:
            changed[place:place] = generator.randbytes(generator.choice((1, 2, 10)))
        elif deed == 3:
            changed[place:place] = changed[place : place + generator.randrange(1, 200)]
        else:
            changed[place : place + 1] = generator.choice(b'"{}[],:\\\n\r;\t\0').to_bytes(1, "big")
    return bytes(changed)


def _cut(generator: random.Random, sample: bytes) -> bytes:
    return sample[: generator.randrange(len(sample) + 1)]


def _glued(generator: random.Random, sample: bytes) -> bytes:
    return sample + generator.choice((b"", b"\n", b",", b"\0")) + sample


def _token_put_in(generator: random.Random, sample: bytes) -> bytes:
    """A scalar of the text replaced by a token, whatever the format: JSON, CSV, lines."""
    ends = [i for i, byte in enumerate(sample) if byte in b",:[{}]\n"]
    if len(ends) < 2:
        return generator.choice(_TOKENS)
    place = generator.randrange(len(ends) - 1)
    return sample[: ends[place] + 1] + generator.choice(_TOKENS) + sample[ends[place + 1] :]


def _key_doubled(generator: random.Random, sample: bytes) -> bytes:
    places = [i for i, byte in enumerate(sample) if byte == ord("{")]
    if not places:
        return sample
    place = generator.choice(places) + 1
    colon = sample.find(b":", place)
    return sample[:place] + sample[place : colon + 1] + generator.choice(_TOKENS) + b"," + sample[place:]


def _value_replaced(generator: random.Random, sample: bytes) -> bytes:
    parsed = _parsed(sample)
    if parsed is None:
        return _token_put_in(generator, sample)
    for _ in range(generator.choice((1, 1, 2, 4))):
        holder, key = generator.choice(_places(parsed)) if isinstance(parsed, dict | list) else (None, None)
        if holder is None:
            return json.dumps(generator.choice(_VALUES)).encode()
        deed = generator.randrange(4)
        if deed == 0 and isinstance(holder, dict):
            holder[f"{key}_{generator.randrange(9)}"] = holder.pop(key)
        elif deed == 1:
            del holder[key]
        else:
            # A copy: the next change may go into it.
            holder[key] = deepcopy(generator.choice(_VALUES))
    return json.dumps(parsed).encode()


def _parsed(sample: bytes) -> Any:
    try:
        return json.loads(sample)
    except ValueError:
        return None


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (holder, key) of a parsed document; (None, None) for one that holds nothing."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        found += [(holder, key) for key in keys]
        waiting += [holder[key] for key in keys if isinstance(holder[key], dict | list)]
    return found or [(None, None)]


def _huge(generator: random.Random, sample: bytes) -> bytes:
    token = generator.choice((b'"' + b"x" * _BIG + b'"', b"9" * _BIG, b"[" + b"0," * (_BIG // 2) + b"0]"))
    place = sample.find(b":", generator.randrange(len(sample))) + 1
    end = min((i for i in (sample.find(b",", place), sample.find(b"}", place)) if i >= 0), default=len(sample))
    return sample[:place] + token + sample[end:]


def _deep(generator: random.Random, sample: bytes) -> bytes:
    opened, closed = generator.choice(((b"[", b"]"), (b'{"a":', b"}")))
    whole = opened * _DEEP + generator.choice((b"", b"0")) + closed * generator.choice((0, _DEEP))
    place = sample.find(b":", generator.randrange(len(sample))) + 1
    return generator.choice((whole, sample[:place] + whole + sample[place:]))


_KINDS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _rubbish, _bytes_changed, _bytes_changed, _cut, _glued, _token_put_in, _token_put_in, _key_doubled,
    _value_replaced, _value_replaced, _value_replaced,
)  # fmt: skip
