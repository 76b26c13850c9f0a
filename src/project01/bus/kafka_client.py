"""What every Kafka client of ours is told: address, security, patience; and how its errors become ours."""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from project01.domain import BusError, MissingExtraError, SettingsError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

PREFIX = "PROJECT01_KAFKA_"
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
# Kafka's limit is for a batch: 61 bytes of its head, at most 21 of the record's, and room for a header of each.
FRAME_BYTES = 512
REACH_S = 6.0


Setting = str | int | float | bool


class ClientSettings(dict[str, Setting]):
    """Settings of a client; their repr names them and shows no value, for one of them is the password."""

    def __repr__(self) -> str:
        return f"ClientSettings({', '.join(self)})"


def load() -> ModuleType:
    """The module ``confluent_kafka``, with its part ``admin``.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import_module("confluent_kafka.admin")
        return import_module("confluent_kafka")
    except ImportError as error:
        raise MissingExtraError("Kafka", "kafka") from error


def client_settings(servers: str, environment: Mapping[str, str] = os.environ) -> ClientSettings:
    """Settings shared by producer, consumer and admin client.

    Args:
        servers: ``host:port``, several separated by commas.
        environment: ``PROJECT01_KAFKA_SECURITY_PROTOCOL``, ``_SASL_MECHANISM``, ``_USERNAME``, ``_PASSWORD`` (or
            ``_PASSWORD_FILE``), ``_CA_FILE``, ``_CERTIFICATE_FILE``, ``_KEY_FILE`` are read from it.
    Raises:
        SettingsError: an address or a variable cannot be used; the message holds no secret.
    """
    _check_servers(servers)
    return ClientSettings(
        {
            "bootstrap.servers": servers,
            "client.id": "project01",
            # What librdkafka would print again and again while a broker is away is told once, by the error we raise.
            "log_level": 2,
            "reconnect.backoff.max.ms": 1000,
            "socket.connection.setup.timeout.ms": 5000,
            **_security_settings(environment),
        }
    )


def _check_servers(servers: str) -> None:
    if "@" in servers or "/" in servers:
        # Not shown: what stands before an @ may be a password.
        raise SettingsError(
            f"Kafka's address is host:port, several separated by commas, without a user or a password in it. "
            f"Those go into {PREFIX}USERNAME and {PREFIX}PASSWORD_FILE."
        )
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdecimal():
            raise SettingsError(f"Kafka's address is host:port, several separated by commas; found {server!r}.")


def _security_settings(environment: Mapping[str, str]) -> dict[str, str]:
    protocol = environment.get(f"{PREFIX}SECURITY_PROTOCOL", "PLAINTEXT").upper()
    if protocol not in PROTOCOLS:
        raise SettingsError(f"{PREFIX}SECURITY_PROTOCOL is one of {', '.join(PROTOCOLS)}; found {protocol!r}.")
    settings = {"security.protocol": protocol}
    if protocol.startswith("SASL"):
        settings |= _sasl_settings(environment)
    elif environment.get(f"{PREFIX}USERNAME"):
        raise SettingsError(
            f"{PREFIX}USERNAME is set, but {PREFIX}SECURITY_PROTOCOL is {protocol}, which has no users. "
            f"Set it to SASL_SSL."
        )
    files = {
        "CA_FILE": "ssl.ca.location",
        "CERTIFICATE_FILE": "ssl.certificate.location",
        "KEY_FILE": "ssl.key.location",
    }
    for variable, setting in files.items():
        path = environment.get(PREFIX + variable)
        if path:
            if not Path(path).is_file():
                raise SettingsError(f"{PREFIX}{variable} names {path}, which is no file.")
            settings[setting] = path
    return settings


def _sasl_settings(environment: Mapping[str, str]) -> dict[str, str]:
    mechanism = environment.get(f"{PREFIX}SASL_MECHANISM", "SCRAM-SHA-512").upper()
    if mechanism not in MECHANISMS:
        raise SettingsError(f"{PREFIX}SASL_MECHANISM is one of {', '.join(MECHANISMS)}; found {mechanism!r}.")
    user, password = environment.get(f"{PREFIX}USERNAME"), _password(environment)
    if not user or not password:
        raise SettingsError(f"SASL needs {PREFIX}USERNAME, and {PREFIX}PASSWORD or {PREFIX}PASSWORD_FILE; set both.")
    return {"sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": password}


def _password(environment: Mapping[str, str]) -> str | None:
    file = environment.get(f"{PREFIX}PASSWORD_FILE")
    if not file:
        return environment.get(f"{PREFIX}PASSWORD")
    try:
        return Path(file).read_text().rstrip("\r\n")
    except OSError as error:
        raise SettingsError(f"{PREFIX}PASSWORD_FILE names {file}, which cannot be read: {error.strerror}.") from error


def unreachable(servers: str, waited_s: float, last: str) -> BusError:
    """The error for brokers that do not answer."""
    return BusError(
        f"No Kafka broker at {servers} answered within {waited_s:.0f} s{f' ({last})' if last else ''}. "
        f"Start one on this machine with `make kafka`, or correct the address."
    )


def refused(servers: str, reason: str) -> BusError:
    """The error for brokers that answer and do not let us in; trying again is no use."""
    return BusError(
        f"The Kafka brokers at {servers} did not accept the connection: {reason}. Set {PREFIX}USERNAME, "
        f"{PREFIX}PASSWORD_FILE, {PREFIX}SASL_MECHANISM and {PREFIX}CA_FILE to what the cluster asks for."
    )


class ConnectionState:
    """Keeps what a client last said about its connections, for the error that is raised in the end."""

    def __init__(self) -> None:
        self.text = ""
        self.brokers_down = False
        self.refused = ""
        self.fatal = ""

    def __call__(self, error: "KafkaError") -> None:
        """Librdkafka's ``error_cb``."""
        if error.fatal():
            self.fatal = error.str()
        elif error.name() == "_ALL_BROKERS_DOWN":
            self.brokers_down = True
        elif error.name() in {"_AUTHENTICATION", "_SSL"}:
            self.refused = error.str()
        else:
            self.text = error.str()
