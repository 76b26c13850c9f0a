"""A clock that only sleeping moves, connections to local servers, and a throw-away certificate authority."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from project01.domain import TICKS
from project01.ingest.connection import Connection
from project01.ingest.stand_ins import TlsFiles
from project01.ingest.symbols import SymbolMap
from project01.ingest.transport import QuotaLedger, RetryPolicy
from project01.ingest.vendor import Credential, Dataset, VendorSpec

SPEC = VendorSpec(
    name="vendor",
    title="Vendor",
    licence="own",
    datasets=(Dataset(name="things", topic=TICKS, history=True, stream=True, summary="things"),),
    documentation="none",
    module="none",
    credentials=(Credential(name="key", variables=("VENDOR_KEY",)),),
    address="https://vendor.invalid",
    stream_address="wss://vendor.invalid",
)
MARKER = "MARKER+secret/value with=odd&chars"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class SleepingClock:
    """Stands still until somebody sleeps."""

    def __init__(self, instant: datetime = NOON) -> None:
        self.instant = instant
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.instant

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.instant += timedelta(seconds=seconds)


MakeConnection = Callable[..., Connection]


@pytest.fixture
def clock() -> SleepingClock:
    return SleepingClock()


@pytest.fixture
def connect(tmp_path: Path, clock: SleepingClock) -> Iterator[MakeConnection]:
    """Makes connections whose waits take no time; keyword arguments replace fields."""
    ledgers = []

    def make(**changes: Any) -> Connection:
        ledger = QuotaLedger(tmp_path / "quota.sqlite", changes.get("clock", clock))
        ledgers.append(ledger)
        usual: dict[str, Any] = {
            "spec": SPEC,
            "secrets": {"key": SecretStr(MARKER)},
            "address": "",
            "stream_address": "",
            "clock": clock,
            "quota": ledger,
            "symbols": SymbolMap.default(),
            "spill_folder": tmp_path / "spill",
            "retry": RetryPolicy(attempts=4, base_s=0.5, cap_s=4.0, longest_wait_s=900.0),
            "timeout_s": 1.0,
            "sleep": clock.sleep,
            "random": random.Random(5),
        }
        return Connection(**(usual | changes))

    yield make
    for ledger in ledgers:
        ledger.close()


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, address: str | None
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=address is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if address is not None:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256())


class Authority:
    """A certificate authority nobody else knows."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        authority = _certificate("test authority", "test authority", self._key, self._key, None)
        self.file = folder / "authority.pem"
        self.file.write_bytes(authority.public_bytes(serialization.Encoding.PEM))

    def issue(self, address: str = "127.0.0.1") -> TlsFiles:
        """A certificate for this address."""
        key = ec.generate_private_key(ec.SECP256R1())
        issued = _certificate(address, "test authority", key, self._key, address)
        files = TlsFiles(self._folder / f"{address}.pem", self._folder / f"{address}.key")
        files.certificate.write_bytes(issued.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))
