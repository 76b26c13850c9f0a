"""The templates in infra/feast load, and the laptop's is what the store writes."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml

from project01.store import FeatureStore
from project01.store.feast_import import load_feast

TEMPLATES = Path(__file__).resolve().parents[2] / "infra" / "feast"


def load(path: Path, repo: Path) -> Any:
    load_feast()
    from feast.repo_config import load_repo_config

    return load_repo_config(repo, path)


@pytest.mark.slow
def test_laptop_template_loads_our_stores(tmp_path: Path) -> None:
    config = load(TEMPLATES / "feature_store.laptop.yaml", tmp_path)
    assert type(config.offline_store).__name__ == "PolarsDeltaOfflineStoreConfig"
    assert type(config.online_store).__name__ == "NewestSqliteOnlineStoreConfig"
    assert config.offline_store.lake_url == "../lake"
    assert config.materialization_config.pull_latest_features


def test_the_store_writes_the_laptop_template(tmp_path: Path, info_type: Any) -> None:
    store = FeatureStore(tmp_path / "feast", tmp_path / "lake")
    store.apply([info_type("a", "g")])
    written = yaml.safe_load((tmp_path / "feast" / "feature_store.yaml").read_text())
    assert written == yaml.safe_load((TEMPLATES / "feature_store.laptop.yaml").read_text())
    assert load(tmp_path / "feast" / "feature_store.yaml", tmp_path).project == "project01"


@pytest.fixture
def cluster_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJECT01_LAKE_URL", "s3://bucket/lake")
    monkeypatch.setenv("PROJECT01_REDIS", "redis:6379")


def test_cluster_template_loads_all_but_redis(cluster_environment: None, tmp_path: Path) -> None:
    text = yaml.safe_load((TEMPLATES / "feature_store.cluster.yaml").read_text())
    local = tmp_path / "feature_store.yaml"
    local.write_text(yaml.safe_dump(text | {"online_store": None}))
    config = load(local, tmp_path)
    assert config.offline_store.lake_url == "s3://bucket/lake"
    assert config.registry.path == "s3://bucket/lake/feast/registry.db"


@pytest.mark.skipif(importlib.util.find_spec("redis") is None, reason="the redis client is not installed")
def test_cluster_template_loads_redis(cluster_environment: None, tmp_path: Path) -> None:
    config = load(TEMPLATES / "feature_store.cluster.yaml", tmp_path)
    assert config.online_store.url == "redis://redis:6379/0"
