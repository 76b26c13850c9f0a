"""Keys, and keeping them out of every text that people or disks may see."""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

MASK = "***"
# A shorter secret may be an ordinary word; taken out of data it would damage them.
_SHORTEST_IN_DATA = 12


@dataclass(frozen=True)
class HeaderKey:
    """A key sent in a header: `prefix` and then the secret, e.g. ``Bearer ``."""

    name: str
    secret: SecretStr
    prefix: str = ""


@dataclass(frozen=True)
class QueryKey:
    """A key sent as a parameter of the address."""

    name: str
    secret: SecretStr


@dataclass(frozen=True)
class NoKey:
    """No key at all."""


Key = HeaderKey | QueryKey | NoKey


@lru_cache(maxsize=256)
def _forms(secret: str) -> tuple[str, ...]:
    raw = secret.encode()
    encoded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    forms = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1]}
    forms |= encoded | {form.rstrip("=") for form in encoded}
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def redact(text: str, secrets: Iterable[SecretStr]) -> str:
    """The text with each secret masked: plain, URL-encoded, JSON-escaped or in base64."""
    for secret in secrets:
        if value := secret.get_secret_value():
            for form in _forms(value):
                text = text.replace(form, MASK)
    return text


def redact_data(payload: bytes, secrets: Iterable[SecretStr]) -> bytes:
    """What a vendor sent, without our own keys, which some vendors echo; so they never reach a table or dead letter."""
    for secret in secrets:
        value = secret.get_secret_value()
        if len(value) >= _SHORTEST_IN_DATA:
            for form in _forms(value):
                if (found := form.encode()) in payload:
                    payload = payload.replace(found, MASK.encode())
    return payload
