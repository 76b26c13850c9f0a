"""Which addresses we talk to, through which proxy, and whose certificates we trust."""

import os
import ssl
from pathlib import Path

import pytest

from project01.domain import InputError
from project01.ingest.transport.tls import checked_address, is_loopback, proxy_for, trust_context


@pytest.mark.parametrize(
    "address", ["https://api.vendor.com", "https://127.0.0.1:8443/v2", "http://127.0.0.1:80", "http://[::1]:1", "http://localhost:9"]
)  # fmt: skip
def test_encrypted_or_local_addresses_are_taken(address: str) -> None:
    assert checked_address(address, "https", "http") == address


@pytest.mark.parametrize(
    "address", ["http://api.vendor.com", "ftp://api.vendor.com", "api.vendor.com", "", "https://", "file:///etc/passwd",
                "http://127.0.0.1.evil.com", "http://2130706433.evil.com", "http://localhost.evil.com"],
)  # fmt: skip
def test_other_addresses_are_refused_with_a_reason(address: str) -> None:
    with pytest.raises(InputError, match="https://HOST"):
        checked_address(address, "https", "http")


def test_a_refused_address_does_not_tell_its_secrets() -> None:
    with pytest.raises(InputError) as refused:
        checked_address("http://user:s3cr3t@api.vendor.com/x?apikey=t0ken", "https", "http")
    assert "s3cr3t" not in str(refused.value)
    assert "t0ken" not in str(refused.value)


def test_a_proxy_is_for_the_outside_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "no_proxy", "NO_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    assert proxy_for("https://api.vendor.com") == proxy_for("wss://stream.vendor.com") == "http://proxy:3128"
    assert proxy_for("http://127.0.0.1:80") is None
    assert proxy_for("wss://localhost:80") is None
    monkeypatch.setenv("no_proxy", "vendor.com")
    assert proxy_for("https://api.vendor.com") is None
    assert is_loopback("ws://[::1]:5")


def test_authorities_are_read_once_and_anew_where_others_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    usual = trust_context(None)
    assert trust_context(None) is usual
    file = tmp_path / "authorities.pem"
    file.write_text(ssl.DER_cert_to_PEM_cert(usual.get_ca_certs(binary_form=True)[0]))
    assert trust_context(file) is not trust_context(file), "what a source trusts is its own"
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    named = trust_context(None)
    assert named is not usual
    os.utime(file, (1, 1))
    assert trust_context(None) is not named, "the file was written anew"
