"""Feast's online store on a Redis server. Importing this module imports Feast and the Redis client.

One hash a view: a field for each entity, and three kinds of fields beside them that no entity key can be (those begin
with the number of their columns): the layouts of the rows, and the instant the view stands at. A few thousand symbols
are a few megabytes, so a view need not be spread over servers, and one command reads all entities of it.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Literal

from feast.entity import Entity
from feast.feature_view import FeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from pydantic import Field

from project01.domain import MissingExtraError, StoreError
from project01.store.online_packed import PackedOnlineStore, ViewRead, ViewWrite, table_of
from project01.store.packed import instant_bytes, instant_of

try:
    import redis
    from hiredis import pack_command
except ImportError as error:
    raise MissingExtraError("The feature store on Redis", "redis") from error

_WAIT_S = 10.0
_REACHED = b"reached"
_LAYOUT = b"layout:"

# Lua numbers are exact to 2^53 only, so instants are compared four bytes at a time. Redis runs a script alone: no other
# writer comes between the comparison and the write.
_WRITE = """
local function older(new, old, words)
  local form = string.rep('>I4', words)
  local a, b = {struct.unpack(form, new)}, {struct.unpack(form, old)}
  for i = 1, words do
    if a[i] ~= b[i] then return a[i] < b[i] end
  end
  return false
end
local at, changed = 1, 0
for _, view in ipairs(KEYS) do
  local count, reached = tonumber(ARGV[at]), ARGV[at + 1]
  redis.call('HSET', view, ARGV[at + 2], ARGV[at + 3])
  if reached ~= '' then
    local stands = redis.call('HGET', view, 'reached')
    if not stands or not older(reached, stands, 2) then redis.call('HSET', view, 'reached', reached) end
  end
  at = at + 4
  for _ = 1, count do
    local old = redis.call('HGET', view, ARGV[at])
    if not old or not older(ARGV[at + 1], old, 4) then
      redis.call('HSET', view, ARGV[at], ARGV[at + 1])
      changed = changed + 1
    end
    at = at + 2
  end
end
return changed
"""


class NewestRedisOnlineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]  # Feast's classes are untyped here
    """The ``online_store`` section of ``feature_store.yaml``.

    Attributes:
        type: path of the store's class.
        url: as the Redis client takes it: ``redis://host:6379/0``, ``rediss://user:password@host:6379/0`` over TLS.
    """

    type: Literal["project01.store.online_redis.NewestRedisOnlineStore"] = (
        "project01.store.online_redis.NewestRedisOnlineStore"
    )
    url: str = Field(repr=False)


class NewestRedisOnlineStore(PackedOnlineStore):
    """The newest row of each entity, one Redis hash a view."""

    _client: Any = None
    _process = 0

    def write_views(self, config: RepoConfig, writes: Sequence[ViewWrite]) -> None:
        """Write rows of several views in one script; a row older than what is there changes nothing.

        Raises:
            StoreError: the server cannot be reached, or refused.
        """
        arguments: list[bytes | int] = []
        for write in writes:
            reached = b"" if write.reached is None else instant_bytes(write.reached)
            layout = write.layout
            arguments += [len(write.rows), reached, _LAYOUT + layout.identity, layout.to_json()]
            for pair in zip(write.keys, write.rows, strict=True):
                arguments += pair
        with self._connected(config) as client:
            script = client.register_script(_WRITE)
            script(keys=[_hash(config, write.table) for write in writes], args=arguments)

    def read_views(self, config: RepoConfig, tables: Sequence[str], keys: Sequence[bytes]) -> list[ViewRead]:
        """Rows of the same entities from several views, as they stood at one moment.

        Raises:
            StoreError: the server cannot be reached, or refused.
        """
        asked = _asked(tuple(_hash(config, table) for table in tables), tuple(keys))
        with self._connected(config) as client:
            connection = client.connection_pool.get_connection()
            try:
                found = connection.retry.call_with_retry(
                    lambda: _answered(connection, asked, len(tables)), lambda _: connection.disconnect()
                )
            finally:
                client.connection_pool.release(connection)
        return [ViewRead(instant_of(first) if first else None, rows) for first, *rows in found]

    def read_layout(self, config: RepoConfig, table: str, identity: bytes) -> bytes:
        """A layout some row of `table` names, as it was written."""
        with self._connected(config) as client:
            return bytes(client.hget(_hash(config, table), _LAYOUT + identity))

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],  # noqa: ARG002  # Feast passes it by name
        entities_to_delete: Sequence[Entity],  # noqa: ARG002
        entities_to_keep: Sequence[Entity],  # noqa: ARG002
        partial: bool,  # noqa: ARG002
    ) -> None:
        """Drop the views' hashes; those to keep come into being with their first row."""
        self._drop(config, tables_to_delete)

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:  # noqa: ARG002
        """Drop the views' hashes and the connections."""
        self._drop(config, tables)
        self.close()

    def close(self) -> None:
        """Give connections back; the next call opens them again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _drop(self, config: RepoConfig, views: Sequence[FeatureView]) -> None:
        if views:
            with self._connected(config) as client:
                client.unlink(*(_hash(config, table_of(config, view)) for view in views))

    @contextmanager
    def _connected(self, config: RepoConfig) -> Iterator[Any]:
        """The client of this process; a forked child must not share its parent's connections.

        Raises:
            StoreError: the server cannot be reached, or refused. The address is not told: it may hold a password.
        """
        if self._client is None or self._process != os.getpid():
            self._client, self._process = _client(config.online_store.url), os.getpid()
        try:
            yield self._client
        except redis.RedisError as error:
            where = self._client.connection_pool.connection_kwargs
            address = f"{where.get('host', where.get('path', '?'))}:{where.get('port', '')}".rstrip(":")
            raise StoreError(
                f"The online store on Redis at {address} cannot be used: {type(error).__name__}. Check that the server "
                "runs, and that the address, user and password of the online store's url are right."
            ) from None


def _client(url: str) -> Any:
    try:
        return redis.Redis.from_url(url, socket_timeout=_WAIT_S, socket_connect_timeout=_WAIT_S)
    except ValueError:  # its text may hold the password
        raise StoreError(
            "The online store's url is no Redis address. Write redis://host:6379/0, or rediss:// for TLS."
        ) from None


@lru_cache(maxsize=16)
def _asked(hashes: tuple[str, ...], keys: tuple[bytes, ...]) -> bytes:
    """One transaction that reads the keys of all hashes, in Redis's protocol.

    The client's pipeline would put it together anew for each read, a fifth of its time, and send it in pieces.
    """
    commands = [(b"HMGET", name.encode(), _REACHED, *keys) for name in hashes]
    # Its stub says that a command has one part.
    return b"".join(pack_command(command) for command in [(b"MULTI",), *commands, (b"EXEC",)])  # type: ignore[arg-type]


def _answered(connection: Any, asked: bytes, count: int) -> list[list[bytes | None]]:
    """The hashes' answers; raises the first error among them."""
    connection.send_packed_command([asked])
    for _ in range(1 + count):  # begun, and each read queued
        connection.read_response()
    found: list[Any] = connection.read_response()
    for answer in found:
        if isinstance(answer, redis.RedisError):
            raise answer
    return found


def _hash(config: RepoConfig, table: str) -> str:
    """Name of a view's hash; the braces keep all views of a project on one server of a cluster."""
    return f"{{{config.project}}}:{table}"
