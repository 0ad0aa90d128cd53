"""URLs of a Redis Cluster, and what the settings say about them."""

from pathlib import Path

import pytest

from credits.config.redis_urls import ClusterUrl, is_cluster, read_cluster_url
from credits.config.settings import load_settings
from credits.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "rediscluster://one:7001,two:7002",
            ClusterUrl(nodes=(("one", 7001), ("two", 7002)), username=None, password=None, is_tls=False),
        ),
        (
            "redisscluster://gate:p%40ss@one,[::1]:7002/0",
            ClusterUrl(nodes=(("one", 6379), ("::1", 7002)), username="gate", password="p@ss", is_tls=True),
        ),
        ("rediscluster://:pw@one", ClusterUrl(nodes=(("one", 6379),), username=None, password="pw", is_tls=False)),
    ],
)
def test_a_clusters_url_names_some_of_its_nodes(url: str, expected: ClusterUrl) -> None:
    assert is_cluster(url)
    assert read_cluster_url(url) == expected


@pytest.mark.parametrize(
    "url", ["rediscluster://", "rediscluster://one:port", "rediscluster://one:0,two", "rediscluster://one/3"]
)
def test_a_wrong_url_is_refused_by_the_settings(url: str, tmp_path: Path) -> None:
    env = {"CREDITGATE_REDIS_URL": url, "CREDITGATE_BROKER_URL": "redis://127.0.0.1/0"}

    with pytest.raises(ConfigError, match="CREDITGATE_REDIS_URL"):
        load_settings(env, tmp_path)


def test_a_cluster_is_no_broker(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CREDITGATE_BROKER_URL"):
        load_settings({"CREDITGATE_REDIS_URL": "rediscluster://one:7001"}, tmp_path)
