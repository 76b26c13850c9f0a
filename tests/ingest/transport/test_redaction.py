"""No form of a secret survives, and nothing else is touched."""

import base64
import json
from urllib.parse import quote, quote_plus, urlencode

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr

from project01.ingest.transport import HeaderKey, QueryKey, redact, redact_data

SECRETS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=30)


@given(secret=SECRETS, before=st.text(max_size=20), after=st.text(max_size=20))
def test_every_form_is_masked(secret: str, before: str, after: str) -> None:
    assume(set(secret) != {"*"})
    raw = secret.encode()
    forms = {
        secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1],
        base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(),
        base64.b64encode(raw).decode().rstrip("="),
        urlencode({"k": secret}).removeprefix("k="), str(httpx.QueryParams({"k": secret})).removeprefix("k="),
    }  # fmt: skip
    for form in forms:
        assert form not in redact(f"{before}{form}{after}", [SecretStr(secret)]).replace("***", "\0")


@given(text=st.text(max_size=200))
def test_without_the_secret_nothing_changes(text: str) -> None:
    secret = SecretStr("a-secret-that-is-not-there")
    assert redact(text, [secret, SecretStr("")]) == text
    assert redact_data(text.encode("utf-8", "replace"), [secret, SecretStr("")]) == text.encode("utf-8", "replace")


def test_data_keep_short_words_and_lose_long_keys() -> None:
    payload = b'{"name": "demo", "echo": "Bearer 0123456789abcdef"}'
    found = redact_data(payload, [SecretStr("demo"), SecretStr("0123456789abcdef")])
    assert found == b'{"name": "demo", "echo": "Bearer ***"}'


@pytest.mark.parametrize("key", [HeaderKey("X", SecretStr("s3cr3t"), "Bearer "), QueryKey("k", SecretStr("s3cr3t"))])
def test_a_key_shows_nothing(key: HeaderKey | QueryKey) -> None:
    assert "s3cr3t" not in repr(key) + str(key) + repr(vars(key))
