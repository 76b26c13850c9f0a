"""Address and security settings, without a broker: what is refused, and that no secret is ever shown."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from project01.bus import KafkaBus
from project01.bus.kafka_client import client_settings
from project01.domain import MissingExtraError, SettingsError

SECRET = "MARKER-Zx81-secret"  # noqa: S105
SASL = {
    "PROJECT01_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "PROJECT01_KAFKA_USERNAME": "quant",
    "PROJECT01_KAFKA_PASSWORD": SECRET,
}


def test_a_broker_on_this_machine_needs_no_settings() -> None:
    assert client_settings("127.0.0.1:9092", {})["security.protocol"] == "PLAINTEXT"


def test_user_and_password_come_from_the_environment() -> None:
    settings = client_settings("broker:9093", {**SASL, "PROJECT01_KAFKA_SASL_MECHANISM": "plain"})
    assert settings["security.protocol"] == "SASL_SSL"
    assert settings["sasl.mechanism"] == "PLAIN"
    assert settings["sasl.username"] == "quant"
    assert settings["sasl.password"] == SECRET


def test_the_password_may_lie_in_a_file_whose_last_newline_is_not_part_of_it(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    environment = {**SASL, "PROJECT01_KAFKA_PASSWORD": "", "PROJECT01_KAFKA_PASSWORD_FILE": str(file)}
    assert client_settings("broker:9093", environment)["sasl.password"] == SECRET


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"PROJECT01_KAFKA_SECURITY_PROTOCOL": "TLS"}, "SECURITY_PROTOCOL is one of PLAINTEXT, SSL"),
        ({"PROJECT01_KAFKA_SECURITY_PROTOCOL": "SSL"}, "which has no users"),
        ({"PROJECT01_KAFKA_SASL_MECHANISM": "GSSAPI"}, "SASL_MECHANISM is one of PLAIN"),
        ({"PROJECT01_KAFKA_PASSWORD": ""}, "needs PROJECT01_KAFKA_USERNAME"),
        ({"PROJECT01_KAFKA_USERNAME": ""}, "needs PROJECT01_KAFKA_USERNAME"),
        ({"PROJECT01_KAFKA_PASSWORD_FILE": "/no/such/file"}, "PASSWORD_FILE names /no/such/file"),
        ({"PROJECT01_KAFKA_CA_FILE": "/no/such/file"}, "CA_FILE names /no/such/file"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(changes: Mapping[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        client_settings("broker:9093", {**SASL, **changes})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "servers", ["", "broker", "broker:", ":9092", "broker:port", "a:1,,b:2", f"user:{SECRET}@b:1", "b:1/x"]
)
def test_an_address_that_is_none_is_refused(servers: str) -> None:
    with pytest.raises(SettingsError, match="host:port") as caught:
        KafkaBus(servers)
    assert SECRET not in str(caught.value)


def test_no_secret_in_what_can_be_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SASL.items():
        monkeypatch.setenv(name, value)
    bus = KafkaBus("127.0.0.1:1")
    producer = bus.producer()
    shown = [repr(bus), str(bus), bus.url, repr(producer), repr(vars(bus)), repr(vars(producer))]
    bus.close()
    assert all(SECRET not in text for text in shown)
    assert bus.url == "kafka://127.0.0.1:1"


def test_a_missing_client_library_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    monkeypatch.delitem(sys.modules, "confluent_kafka.admin", raising=False)
    with pytest.raises(MissingExtraError, match=r"Kafka needs the extra 'kafka'"):
        KafkaBus("127.0.0.1:9092")
