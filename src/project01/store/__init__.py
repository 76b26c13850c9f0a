"""The feature store: the only reader of training and online features, point in time, through Feast."""

from project01.store.definitions import FeatureInfo
from project01.store.feature_store import FeatureStore
from project01.store.versions import ServiceVersion, StoredFeature

__all__ = ["FeatureInfo", "FeatureStore", "ServiceVersion", "StoredFeature"]
