"""What can be checked of compose.yaml without Docker: it parses, binds loopback only, and pins what it pulls."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

INFRA = Path(__file__).parents[2] / "infra"
COMPOSE: dict[str, Any] = yaml.safe_load((INFRA / "docker" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_it_starts_kafka_an_s3_server_and_redis() -> None:
    assert set(SERVICES) == {"kafka", "s3", "redis"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_port_is_bound_to_loopback(name: str) -> None:
    ports = SERVICES[name]["ports"]
    assert ports
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned_to_a_version(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9./-]+:\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?", SERVICES[name]["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_health_check_and_keeps_its_data(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    volumes = [volume.split(":")[0] for volume in SERVICES[name]["volumes"]]
    assert volumes
    assert set(volumes) <= set(COMPOSE["volumes"])


def test_no_password_stands_in_the_file() -> None:
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if re.search("KEY|SECRET|PASSWORD|TOKEN", variable):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?.+\}", value), variable


def test_docker_and_maven_bring_the_same_kafka() -> None:
    project = ElementTree.parse(INFRA / "kafka" / "pom.xml").getroot()  # noqa: S314
    namespace = {"m": "http://maven.apache.org/POM/4.0.0"}
    versions = {
        found.findtext("m:artifactId", namespaces=namespace): found.findtext("m:version", namespaces=namespace)
        for found in project.iterfind(".//m:dependency", namespace)
    }
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{versions['kafka_2.13']}"
