"""One vendor's HTTP API: keys, quotas, retries and limits in one place."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx

from project01.domain import AuthenticationError, QuotaError, SourceError, UnreachableError, VendorError
from project01.ingest.transport.backoff import Backoff
from project01.ingest.transport.keyed import keyed_client
from project01.ingest.transport.redaction import HeaderKey, Key, QueryKey, redact, redact_data
from project01.ingest.transport.retry_after import stated_wait_s
from project01.ingest.transport.session import Disconnected
from project01.ingest.transport.tls import checked_address

if TYPE_CHECKING:
    from project01.ingest.connection import Connection

_LOG = logging.getLogger(__name__)
_ONE_CALL = {"call": 1}
_EXCERPT_CHARACTERS = 300
# An answer that drips in forever never meets the timeout of a single read.
_WHOLE_ANSWER_TIMEOUTS = 10
Parameters = Mapping[str, str | int]


@dataclass(frozen=True)
class Answer:
    """A successful answer.

    Attributes:
        status: 2xx.
        headers: names in lower case.
        body: whole, decompressed, without our own keys.
        url: what was asked, without the key.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    url: str


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """Worth trying again, after `wait_s` where the vendor named a time; `status` 0: no answer at all."""

    def __init__(self, found: str, status: int = 0, wait_s: float | None = None) -> None:
        super().__init__(found)
        self.found, self.status, self.wait_s = found, status, wait_s


class HttpClient:
    """Asks one vendor, with its key, within its plan's budgets, patiently.

    Tried again with full jitter: refused, reset and cut connections, timeouts, 429 (after the time the vendor asks for)
    and 5xx. Not tried again: 401 and 403 (`AuthenticationError`), other refusals (`VendorError`).

    Args:
        base_url: https, or http on this machine; paths are joined to it.
        source: for messages and the quota ledger.
        key: sent with each request, and to this host only.
        connection: secrets to keep out of texts, budgets, clock, patience.
        user_agent: who we say we are; some vendors want a contact in it.
        max_body_bytes: a longer answer is an error.
    """

    def __init__(
        self,
        base_url: str,
        *,
        source: str,
        key: Key,
        connection: "Connection",
        user_agent: str = "project01",
        max_body_bytes: int = 64 << 20,
    ) -> None:
        self._base = httpx.URL(checked_address(base_url, "https", "http").rstrip("/") + "/")
        self._source, self._connection, self._max_body_bytes = source, connection, max_body_bytes
        self._timeout_s = connection.timeout_s
        self._secrets = list(connection.secrets.values())
        if isinstance(key, HeaderKey | QueryKey):
            self._secrets.append(key.secret)
        self._client = keyed_client(
            key, base_url=base_url, trust=connection.trust, user_agent=user_agent, timeout_s=connection.timeout_s
        )

    def get(self, path: str, parameters: Parameters | None = None, *, units: Mapping[str, int] | None = None) -> Answer:
        """Ask for a page.

        Args:
            path: below the base address, or a whole address on the same host, as vendors' links to the next page are.
            parameters: added to those that `path` has.
            units: what one call costs in the plan's units, one ``call`` by default; every attempt is counted.

        Raises:
            AuthenticationError: 401 or 403.
            QuotaError: the plan is used up for longer than a process should sleep.
            VendorError: another refusal, an answer that is too large, or refusals to the last attempt.
            UnreachableError: no answer to the last attempt.
        """
        return self._ask(self._client.build_request("GET", self._url(path, parameters)), units or _ONE_CALL)

    def post(self, path: str, body: bytes, parameters: Parameters | None = None) -> Answer:
        """Send JSON; raises as `get` does. Repeated after a lost answer: only for what may be done twice."""
        request = self._client.build_request(
            "POST", self._url(path, parameters), content=body, headers={"Content-Type": "application/json"}
        )
        return self._ask(request, _ONE_CALL)

    @contextmanager
    def lines(
        self, path: str, parameters: Parameters | None = None, *, idle_timeout_s: float
    ) -> Iterator[Iterator[bytes]]:
        """Lines of an endless answer, without their line ends; a blank keep-alive line is ``b""``.

        One attempt: `listen` does the repeating. The iterator ends by raising `Disconnected`, whatever ended it.

        Raises:
            AuthenticationError: 401 or 403.
            Disconnected: no connection, any other refusal, or silence for `idle_timeout_s`.
        """
        with self.endless(path, parameters, idle_timeout_s=idle_timeout_s) as response:
            yield self.split(response)

    @contextmanager
    def endless(
        self, path: str, parameters: Parameters | None = None, *, idle_timeout_s: float
    ) -> Iterator[httpx.Response]:
        """The response that `lines` reads."""
        request = self._client.build_request("GET", self._url(path, parameters))
        idle_s = self._connection.idle_timeout_s or idle_timeout_s
        request.extensions["timeout"] = httpx.Timeout(self._timeout_s, read=idle_s).as_dict()
        self._pay(_ONE_CALL)
        try:
            response = self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise Disconnected(self._told(error)) from None
        try:
            self._check_stream(response)
            yield response
        finally:
            response.close()

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _url(self, path: str, parameters: Parameters | None) -> httpx.URL:
        url = self._base.join(path if "://" in path else path.lstrip("/"))
        if (url.scheme, url.host, url.port) != (self._base.scheme, self._base.host, self._base.port) or url.userinfo:
            raise VendorError(
                f"{self._source}: a link leads to {url.scheme}://{url.host}, expected {self._base.scheme}://"
                f"{self._base.host}; the key goes nowhere else. If the link is right, set the vendor's address to it."
            )
        # httpx would drop the link's own parameters where others are given.
        return url.copy_merge_params(dict(parameters)) if parameters else url

    def _ask(self, request: httpx.Request, units: Mapping[str, int]) -> Answer:
        policy = self._connection.retry
        backoff = Backoff(base_s=policy.base_s, cap_s=policy.cap_s, random=self._connection.random)
        for attempt in range(1, policy.attempts + 1):
            self._pay(units)
            try:
                return self._once(request)
            except _Refused as refused:
                if attempt == policy.attempts:
                    raise self._given_up(request, refused, attempt) from None
                delay_s = backoff.next_delay() if refused.wait_s is None else refused.wait_s + backoff.next_delay()
                if delay_s > policy.longest_wait_s:
                    raise self._given_up(request, refused, attempt) from None
                _LOG.debug("%s: attempt %d: %s; again in %.2f s", self._source, attempt, refused.found, delay_s)
                self._connection.sleep(delay_s)
        raise AssertionError("a policy has at least one attempt")

    def _once(self, request: httpx.Request) -> Answer:
        _LOG.debug("%s: %s %s", self._source, request.method, self._shown(request))
        try:
            response = self._client.send(request, stream=True)
            try:
                body = self._body(response)
            finally:
                response.close()
        except httpx.TransportError as error:
            raise _Refused(self._told(error)) from None
        except httpx.DecodingError as error:
            raise _Refused(self._told(error), response.status_code) from None
        self._check(response, body)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, redact_data(body, self._secrets), self._shown(request))

    def _body(self, response: httpx.Response) -> bytes:
        deadline = time.monotonic() + _WHOLE_ANSWER_TIMEOUTS * self._timeout_s
        pieces, size = [], 0
        for piece in response.iter_bytes():
            size += len(piece)
            if size > self._max_body_bytes:
                raise VendorError(
                    f"{self._source}: the answer of {self._shown(response.request)} is larger than "
                    f"{self._max_body_bytes:,} bytes, the most that is read at once. Ask for smaller pages."
                )
            if time.monotonic() > deadline:
                raise _Refused("an answer that came too slowly", response.status_code)
            pieces.append(piece)
        return b"".join(pieces)

    def _check(self, response: httpx.Response, body: bytes) -> None:
        status = response.status_code
        if 200 <= status < 300:
            return
        found = f"status {status}: {self._excerpt(body)}"
        if status in {401, 403}:
            raise self._forbidden(response, found)
        if status == 429 or status >= 500:
            raise _Refused(found, status, stated_wait_s(response.headers, self._connection.clock.now()))
        raise VendorError(
            f"{self._source} refused {self._shown(response.request)} with {found}. Check what was asked for."
        )

    def _check_stream(self, response: httpx.Response) -> None:
        if 200 <= response.status_code < 300:
            return
        try:
            found = f"status {response.status_code}: {self._excerpt(self._body(response))}"
        except (httpx.HTTPError, _Refused):
            found = f"status {response.status_code}"
        if response.status_code in {401, 403}:
            raise self._forbidden(response, found)
        raise Disconnected(found)

    def split(self, response: httpx.Response) -> Iterator[bytes]:
        """Lines of a response of `endless`, as `lines` gives them."""
        rest = b""
        try:
            for piece in response.iter_bytes():
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield redact_data(line.removesuffix(b"\r"), self._secrets)
                if len(rest) > self._max_body_bytes:
                    raise Disconnected(f"a line longer than {self._max_body_bytes:,} bytes")
        except httpx.HTTPError as error:
            raise Disconnected(self._told(error)) from None
        raise Disconnected("closed by the vendor")

    def _pay(self, units: Mapping[str, int]) -> None:
        for unit, amount in units.items():
            self._pay_unit(unit, amount)

    def _pay_unit(self, unit: str, amount: int) -> None:
        ledger, budgets = self._connection.quota, self._connection.budgets
        for _ in range(self._connection.retry.attempts):
            full = ledger.try_spend(self._source, budgets, amount, unit)
            if full is None:
                return
            wait_s = (full[1] - self._connection.clock.now()).total_seconds()
            if wait_s > self._connection.retry.longest_wait_s or amount > full[0].limit:
                break
            _LOG.debug("%s: %s budget used up; waiting %.1f s", self._source, unit, wait_s)
            self._connection.sleep(max(0.0, wait_s))
        ledger.spend(self._source, budgets, amount, unit)

    def _given_up(self, request: httpx.Request, refused: _Refused, attempts: int) -> SourceError:
        found = f"{self._source}: {self._shown(request)} failed {attempts} times, the last with {refused.found}. "
        kept = "Everything fetched so far is kept."
        if refused.status == 429:
            until = "later"
            if refused.wait_s is not None:
                until = f"from {self._connection.clock.now() + timedelta(seconds=refused.wait_s):%Y-%m-%d %H:%M:%S} UTC"
            return QuotaError(f"{found}Try again {until}, or lower the budget in the settings. {kept}")
        if refused.status:
            return VendorError(f"{found}Try again later. {kept}")
        return UnreachableError(f"{found}Check the network and the vendor's address. {kept}")

    def _forbidden(self, response: httpx.Response, found: str) -> AuthenticationError:
        return AuthenticationError(
            f"{self._source} refused the key for {self._shown(response.request)} with {found}. "
            f"Check the key, and whether the plan includes what was asked for; trying again is no use."
        )

    def _shown(self, request: httpx.Request) -> str:
        return redact(str(request.url), self._secrets)

    def _excerpt(self, body: bytes) -> str:
        # Masked before it is cut, or half a key could remain at the cut.
        text = redact(body[: 64 << 10].decode("utf-8", "replace"), self._secrets)
        return " ".join(text.split())[:_EXCERPT_CHARACTERS]

    def _told(self, error: Exception) -> str:
        return redact(f"{type(error).__name__}: {error}", self._secrets)
