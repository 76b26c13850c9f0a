"""The settings of Kafka's Java client say the same as those of our own."""

from pathlib import Path

import pytest

from project01.bus import java_settings
from project01.domain import InputError, SettingsError

PREFIX = "PROJECT01_KAFKA_"


def test_without_security() -> None:
    assert java_settings("kafka://a:1,b:2", {}) == {
        "bootstrap.servers": "a:1,b:2",
        "client.id": "project01",
        "isolation.level": "read_committed",
        "security.protocol": "PLAINTEXT",
    }


@pytest.mark.parametrize(
    ("mechanism", "module"),
    [("PLAIN", "plain.PlainLoginModule"), ("SCRAM-SHA-512", "scram.ScramLoginModule")],
)
def test_a_password_is_quoted_and_not_shown(mechanism: str, module: str) -> None:
    made = java_settings(
        "kafka://a:1",
        {
            f"{PREFIX}SECURITY_PROTOCOL": "SASL_SSL", f"{PREFIX}SASL_MECHANISM": mechanism,
            f"{PREFIX}USERNAME": "quant", f"{PREFIX}PASSWORD": 'MARKER-a"b\\c',
        },
    )  # fmt: skip
    login = f'org.apache.kafka.common.security.{module} required username="quant" password="MARKER-a\\"b\\\\c";'
    assert made["sasl.jaas.config"] == login
    assert made["sasl.mechanism"] == mechanism
    assert "MARKER" not in repr(made)


def test_certificates_and_key(tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.pem" for name in ("CA_FILE", "CERTIFICATE_FILE", "KEY_FILE")}
    for name, file in files.items():
        file.write_text(f"pem of {name}")
    environment = {PREFIX + name: str(file) for name, file in files.items()}
    made = java_settings("kafka://a:1", {f"{PREFIX}SECURITY_PROTOCOL": "SSL", **environment})
    assert made["ssl.truststore.type"] == made["ssl.keystore.type"] == "PEM"
    assert made["ssl.truststore.location"] == str(files["CA_FILE"])
    assert made["ssl.keystore.certificate.chain"] == "pem of CERTIFICATE_FILE"
    assert made["ssl.keystore.key"] == "pem of KEY_FILE"
    files["KEY_FILE"].write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"KEY_FILE.pem cannot be read as a PEM file"):
        java_settings("kafka://a:1", {f"{PREFIX}SECURITY_PROTOCOL": "SSL", **environment})


@pytest.mark.parametrize("url", ["memory://", "sqlite:///bus.db", "bus.db"])
def test_another_bus_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="from Kafka only"):
        java_settings(url, {})
