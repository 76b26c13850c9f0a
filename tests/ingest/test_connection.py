"""Keys from the environment and from files, and what is said when they are missing."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.ingest.transport.conftest import SPEC

from project01.domain import FixedClock, InputError
from project01.ingest.connection import Connection
from project01.ingest.symbols import SymbolMap
from project01.ingest.vendor import Credential, VendorSpec

CLOCK = FixedClock(datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC))
TWO = replace(SPEC, credentials=(
    Credential(name="key", variables=("VENDOR_KEY", "VENDOR_OLD_KEY")),
    Credential(name="contact", variables=("VENDOR_CONTACT",), required=False),
))  # fmt: skip


def read(environment: dict[str, str], folder: Path, spec: VendorSpec = TWO) -> Connection:
    connection = Connection.from_environment(
        spec, environment=environment, folder=folder, clock=CLOCK, symbols=SymbolMap.default()
    )
    connection.quota.close()
    return connection


def secret_file(folder: Path, text: str, mode: int = 0o600) -> str:
    path = folder / "key.txt"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_the_first_variable_that_is_set_counts(tmp_path: Path) -> None:
    both = read({"VENDOR_OLD_KEY": "old", "VENDOR_KEY": " new "}, tmp_path)
    assert both.secrets == {"key": SecretStr("new")}
    old = read({"VENDOR_OLD_KEY": "old", "VENDOR_KEY": "", "VENDOR_CONTACT": "me@example.org"}, tmp_path)
    assert old.secrets == {"key": SecretStr("old"), "contact": SecretStr("me@example.org")}
    assert (old.address, old.licence, old.simulated) == (SPEC.address, "own", False)
    assert replace(old, simulated=True).licence == "simulated"
    assert old.micros() == 1_795_176_000_123_456


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_that_only_its_owner_can_read(tmp_path: Path, mode: int) -> None:
    path = secret_file(tmp_path, "from file\n", mode)
    assert read({"VENDOR_KEY_FILE": path}, tmp_path).secrets["key"].get_secret_value() == "from file"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601, 0o777])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = secret_file(tmp_path, "s3cr3t", mode)
    with pytest.raises(InputError, match=f"VENDOR_KEY_FILE.*0{mode:o}.*chmod 600") as refused:
        read({"VENDOR_KEY_FILE": path}, tmp_path)
    assert "s3cr3t" not in str(refused.value)


def test_a_link_to_a_readable_file_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(secret_file(tmp_path, "s3cr3t", 0o644))
    with pytest.raises(InputError, match="chmod 600"):
        read({"VENDOR_KEY_FILE": str(tmp_path / "link")}, tmp_path)


def test_files_that_hold_no_secret_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is empty"):
        read({"VENDOR_KEY_FILE": secret_file(tmp_path, " \n")}, tmp_path)
    with pytest.raises(InputError, match="FileNotFoundError"):
        read({"VENDOR_KEY_FILE": str(tmp_path / "none")}, tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "binary").chmod(0o600)
    with pytest.raises(InputError, match="UnicodeDecodeError"):
        read({"VENDOR_KEY_FILE": str(tmp_path / "binary")}, tmp_path)


def test_a_missing_key_is_one_line_that_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(InputError) as missing:
        read({}, tmp_path)
    assert "set VENDOR_KEY or VENDOR_OLD_KEY (or VENDOR_KEY_FILE" in str(missing.value)
    assert "\n" not in str(missing.value)


def test_a_connection_shows_no_secret(tmp_path: Path) -> None:
    connection = read({"VENDOR_KEY": "s3cr3t-value"}, tmp_path)
    assert "s3cr3t" not in repr(connection) + str(connection) + repr(vars(connection))
