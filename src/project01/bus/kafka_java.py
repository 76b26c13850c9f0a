"""The same brokers for programs on Java, as Spark is: our settings under the names of Kafka's own client."""

import os
from collections.abc import Mapping
from pathlib import Path

from project01.bus.kafka_client import ClientSettings, client_settings
from project01.domain import InputError, SettingsError

_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"


def java_settings(url: str, environment: Mapping[str, str] = os.environ) -> ClientSettings:
    """Settings of a Java client that reads committed messages only, as `KafkaBus` does.

    Args:
        url: ``kafka://host:port[,host:port]``.
        environment: where security is read from, see `client_settings`.

    Raises:
        InputError: the bus is none of Kafka's.
        SettingsError: the address, a variable or a key's file cannot be used; the message holds no secret.
    """
    scheme, _, servers = url.partition("://")
    if scheme != "kafka":
        # The address is not shown: it may hold a password.
        raise InputError("Spark reads topics from Kafka only; give the bus as kafka://host:port[,host:port].")
    held = {name: str(value) for name, value in client_settings(servers, environment).items()}
    settings = {
        "bootstrap.servers": held["bootstrap.servers"],
        "client.id": held["client.id"],
        "isolation.level": "read_committed",
        "security.protocol": held["security.protocol"],
    }
    if "sasl.mechanism" in held:
        settings |= {"sasl.mechanism": held["sasl.mechanism"], "sasl.jaas.config": _login(held)}
    if "ssl.ca.location" in held:
        settings |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": held["ssl.ca.location"]}
    if "ssl.certificate.location" in held and "ssl.key.location" in held:
        settings |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": _text(held["ssl.certificate.location"]),
            "ssl.keystore.key": _text(held["ssl.key.location"]),
        }
    return ClientSettings(settings)


def _login(held: Mapping[str, str]) -> str:
    module = _PLAIN if held["sasl.mechanism"] == "PLAIN" else _SCRAM
    return f"{module} required username={_quoted(held['sasl.username'])} password={_quoted(held['sasl.password'])};"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as a PEM file: {type(error).__name__}.") from error
