"""A real broker that asks for TLS, a user and a password."""

import ipaddress
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from infra.kafka.broker import KafkaBroker, missing_tools

from project01.bus import KafkaBus, TopicSpec
from project01.domain import BusError

pytestmark = pytest.mark.slow
SECRET = "MARKER-Zx81-secret"  # noqa: S105
WRONG = "MARKER-wrong-secret"


def certificate(folder: Path) -> tuple[Path, Path]:
    """Files with the certificate alone, and with key and certificate, for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    alone, both = folder / "ca.pem", folder / "broker.pem"
    alone.write_bytes(pem)
    both.write_bytes(private + pem)
    return alone, both


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address of a SASL_SSL broker with the user ``quant``, and the file of its certificate."""
    missing = missing_tools()
    if missing:
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("secured")
    alone, both = certificate(folder)
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    properties = {
        "listener.security.protocol.map": "BROKER:SASL_SSL,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.broker.plain.sasl.jaas.config": (
            f'{login} username="broker" password="inner" user_broker="inner" user_quant="{SECRET}";'
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(alone),
    }
    with KafkaBroker(folder / "kafka", properties=properties) as broker:
        yield broker.servers, alone


def log_in(monkeypatch: pytest.MonkeyPatch, password: str, ca_file: Path | None) -> None:
    monkeypatch.setenv("PROJECT01_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("PROJECT01_KAFKA_SASL_MECHANISM", "PLAIN")
    monkeypatch.setenv("PROJECT01_KAFKA_USERNAME", "quant")
    monkeypatch.setenv("PROJECT01_KAFKA_PASSWORD", password)
    if ca_file is not None:
        monkeypatch.setenv("PROJECT01_KAFKA_CA_FILE", str(ca_file))


def test_the_right_password_publishes_and_reads(secured: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    servers, ca_file = secured
    log_in(monkeypatch, SECRET, ca_file)
    with closing(KafkaBus(servers)) as bus:
        bus.create(TopicSpec("secured", 1, retention_ms=-1))
        with bus.producer() as producer:
            producer.publish("secured", [(b"key", b"value")])
            assert producer.flush() == 1
        with bus.consumer("secured", {0: 0}) as consumer:
            assert [each.value for each in consumer.poll(10, 20.0)] == [b"value"]


@pytest.mark.parametrize(
    ("password", "trusted", "said"),
    [(WRONG, True, "[Aa]uthentication failed"), (SECRET, False, "certificate")],
    ids=["wrong password", "unknown certificate"],
)
def test_what_the_broker_refuses_is_said_without_the_password(
    secured: tuple[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    password: str,
    trusted: bool,
    said: str,
) -> None:
    servers, ca_file = secured
    log_in(monkeypatch, password, ca_file if trusted else None)
    with closing(KafkaBus(servers)) as bus, pytest.raises(BusError, match=said) as caught:
        bus.topics()
    printed = capfd.readouterr()
    assert all("MARKER" not in text for text in (str(caught.value), repr(bus), printed.out, printed.err))
