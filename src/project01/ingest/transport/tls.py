"""Addresses we may talk to, and the certificates we trust. Verification is never off."""

import ipaddress
import os
import ssl
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from project01.domain import InputError


def is_loopback(address: str) -> bool:
    """Whether the address names this machine."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def checked_address(address: str, encrypted: str, plain: str) -> str:
    """The address, if it is encrypted or this machine's own.

    Raises:
        InputError: another scheme, no host, or unencrypted to another machine, where the key could be read on the way.
    """
    parts = urlsplit(address)
    if parts.hostname and (parts.scheme == encrypted or (parts.scheme == plain and is_loopback(address))):
        return address
    host = parts.hostname or "no host"
    raise InputError(
        f"address {parts.scheme}://{host} cannot be used: expected {encrypted}://HOST "
        f"({plain}:// only for this machine). Correct the vendor's address in the settings."
    )


def trust_context(trust: Path | None) -> ssl.SSLContext:
    """The usual certificate authorities (or those of SSL_CERT_FILE), and those of the file `trust` as well.

    Without `trust` it is one for all who ask, and not to be changed.
    """
    if trust is None:
        file = Path(os.environ.get("SSL_CERT_FILE", ""))
        changed_at = file.stat().st_mtime_ns if file.is_file() else 0
        return _usual_authorities(file, os.environ.get("SSL_CERT_DIR", ""), changed_at)
    context = httpx.create_ssl_context()
    context.load_verify_locations(cafile=trust)
    return context


@lru_cache(maxsize=1)
def _usual_authorities(_file: Path, _folder: str, _changed_at: int) -> ssl.SSLContext:
    """Made anew where the environment names others. Reading them takes 40 ms, at each reconnect."""
    return httpx.create_ssl_context()


def proxy_for(address: str) -> str | None:
    """The proxy that the environment names for the address; never one for this machine, which proxies cannot reach."""
    parts = urlsplit(address)
    if is_loopback(address) or proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    return proxies.get({"wss": "https", "ws": "http"}.get(parts.scheme, parts.scheme)) or proxies.get("all")
