"""An httpx client that knows no key: it is added below httpx, whose logs and errors hold whole addresses."""

from pathlib import Path

import httpx

from project01.ingest.transport.redaction import HeaderKey, Key, QueryKey
from project01.ingest.transport.tls import proxy_for, trust_context


class _KeyedTransport(httpx.BaseTransport):
    def __init__(self, key: Key, inner: httpx.BaseTransport) -> None:
        self._key, self._inner = key, inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url, headers = request.url, request.headers.copy()
        if isinstance(self._key, QueryKey):
            url = url.copy_set_param(self._key.name, self._key.secret.get_secret_value())
        elif isinstance(self._key, HeaderKey):
            headers[self._key.name] = self._key.prefix + self._key.secret.get_secret_value()
        return self._inner.handle_request(
            httpx.Request(request.method, url, headers=headers, stream=request.stream, extensions=request.extensions)
        )

    def close(self) -> None:
        self._inner.close()


def keyed_client(key: Key, *, base_url: str, trust: Path | None, user_agent: str, timeout_s: float) -> httpx.Client:
    """A client for one host that adds the key to every request, follows no redirects and verifies certificates.

    Args:
        key: added to every request.
        base_url: tells which proxy of the environment, if any, leads there.
        trust: file of further certificate authorities.
        user_agent: who we say we are.
        timeout_s: for connecting, and for each wait for more of an answer.
    """
    inner = httpx.HTTPTransport(verify=trust_context(trust), proxy=proxy_for(base_url))
    return httpx.Client(
        transport=_KeyedTransport(key, inner),
        headers={"User-Agent": user_agent},
        timeout=timeout_s,
        trust_env=False,
        follow_redirects=False,
    )
