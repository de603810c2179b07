"""The Ray engine on a local cluster of two nodes: the rows of the local engine, whatever happens to a worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks.study.cluster import connect
from benchmarks.study.rows import read
from tests.benchmarks.test_study_runs import Place
from tests.benchmarks.toy_study import ToyRow

pytest.importorskip("ray", reason="Ray is not installed")
# Ray 2.60 leaves files and sockets to the garbage collector.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    import ray
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes.add_node(num_cpus=1)
    yield connect(nodes.address)
    ray.shutdown()
    nodes.shutdown()


def test_a_two_node_cluster_gives_the_rows_of_the_local_engine(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "ray").mkdir()
    # A worker that is killed in the middle of a cell costs no row; a cell that fails fails alike.
    local, ray = (Place(tmp_path / name, "{plain: , dying: , wrong: }", [0]) for name in ("local", "ray"))
    assert [local.run(), ray.run("--engine", "ray")] == [1, 1]
    mine, theirs = (
        {row.key: asdict(row) | {"seconds": 0, "machine": ""} for row in read(place.out, ToyRow)}
        for place in (local, ray)
    )
    assert mine == theirs
    assert sorted(row["method"] for row in theirs.values()) == ["dying", "plain"]
    assert len(ray.begun()) == 1 + 2 + 1
