"""What runs on Ray: the engine on a cluster of two nodes, and population based training, each on a Ray of its own."""

from __future__ import annotations

import copy
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch

from adaptive_dropout.processes import one_quiet_thread, run_in_processes
from benchmarks.effect.methods import METHODS
from benchmarks.effect.population import Population, Start, check_tune
from benchmarks.study.cells import Cell
from benchmarks.study.cluster import connect, run_on_ray
from benchmarks.study.rows import read
from benchmarks.supervised.method import Run, standard, train_run
from benchmarks.supervised.training import TrainedRow, train
from tests.benchmarks.digits_task import DIGITS_MLP, cell
from tests.benchmarks.test_study_runs import Place
from tests.benchmarks.toy_study import ToyRow

# Ray 2.60 leaves files and sockets to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
TASK = DIGITS_MLP(epochs=2, validations=4)  # one every 5 steps: amid an epoch of 10, and where it ends
ROOT = Path(__file__).parents[2]

Members = Callable[[Start, float], Any]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    one_quiet_thread()


def needs_tune() -> None:
    for name in ("ray", "pandas", "pyarrow"):
        pytest.importorskip(name, reason="Ray Tune is not installed")


@pytest.fixture
def members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Members:
    """Makes a member in this process from a start and a p."""
    needs_tune()
    from benchmarks.effect.population_member import Member

    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path))

    def member(start: Start, p: float) -> Any:
        class Here(Member):
            def setup(self, config: dict[str, Any]) -> None:  # type: ignore[override]
                super().setup(config, start)

        return Here({"p": p})

    return member


def started() -> tuple[Start, TrainedRow]:
    """Where a run begins, and what it becomes at p = 0.3."""
    kept: list[Start] = []

    def fit(run: Run, trainer: L.Trainer) -> Run:
        kept.append(Start(copy.deepcopy(run), torch.initial_seed(), torch.get_rng_state()))
        return train_run(run, trainer)

    row = train(cell(), TASK, replace(standard(p=0.3), fit=fit), Path(), "cpu")
    return kept[0], row


def losses(member: Any, folder: Path) -> list[float]:
    from benchmarks.effect.population_member import load_results

    member.save(str(folder))
    return load_results(str(folder))[1].val_losses


@pytest.mark.slow
def test_a_member_whose_rate_stays_is_the_run_of_that_rate(members: Members, tmp_path: Path) -> None:
    from benchmarks.effect.population_member import load_results

    start, row = started()
    first, second = members(start, 0.3), members(start, 0.5)
    told = [first.train()["val_loss"], first.train()["val_loss"]]
    second.train()  # it has been another member before
    second.reset({"p": 0.3})
    second.restore(first.save(str(tmp_path / "half")))
    told += [second.train()["val_loss"], second.train()["val_loss"]]
    second.save(str(tmp_path / "whole"))
    best, curves = load_results(str(tmp_path / "whole"))
    assert best.val_loss == row.val_loss
    assert tuple(curves.train_losses) == row.train_losses
    assert tuple(curves.val_accuracies) == row.val_accuracies
    assert tuple(told) == tuple(curves.val_losses) == row.val_losses


@pytest.mark.slow
def test_a_copy_goes_on_where_the_other_is_with_a_rate_of_its_own(members: Members, tmp_path: Path) -> None:
    start, _ = started()
    other = members(start, 0.1)
    other.train()
    saved = other.save(str(tmp_path / "one"))
    found = {}
    for p in (0.1, 0.5):
        member = members(start, p)
        member.restore(saved)
        member.train()
        found[p] = losses(member, tmp_path / str(p))
    other.train()
    assert found[0.1] == losses(other, tmp_path / "two")
    assert found[0.5][0] == found[0.1][0]
    assert found[0.5][1] != found[0.1][1]


@pytest.mark.slow
def test_a_member_that_diverged_is_the_worst(members: Members) -> None:
    start, _ = started()
    with torch.no_grad():
        next(start.run.model.parameters()).fill_(math.nan)
    assert members(start, 0.3).train()["val_loss"] == math.inf


def population_row(cell: Cell) -> TrainedRow:
    method = METHODS["population"](size=2, interval=2, low=0.3, high=0.3)
    return train(cell, TASK, method, Path(), "cpu")


@pytest.fixture
def one_core() -> Iterator[Any]:
    """A Ray of one core."""
    needs_tune()
    import ray

    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    with tempfile.TemporaryDirectory() as folder:  # short, for sockets
        options = {"include_dashboard": False, "log_to_driver": False, "_temp_dir": folder}
        ray.init("local", num_cpus=1, runtime_env=environment, **options)
        yield ray
        ray.shutdown()


@pytest.mark.slow
def test_where_its_cell_holds_the_only_core_a_population_gives_the_row_of_the_local_engine(one_core: Any) -> None:
    cells = [cell("population", seed=4)]
    with ThreadPoolExecutor(1) as pool:  # side by side: most of the time passes with imports
        local = pool.submit(lambda: next(run_in_processes(population_row, cells, 1)))
        _, theirs = next(run_on_ray(one_core, population_row, cells, 0))
    _, mine = local.result()
    assert asdict(mine) | {"seconds": 0} == asdict(theirs) | {"seconds": 0}
    assert len(mine.val_losses) == 4
    assert mine.val_loss == min(mine.val_losses)
    assert mine.final_rate == pytest.approx(0.8 * 0.3)  # a copy was the best, so its draw is compared as well


def test_members_begin_in_the_middle_of_equal_parts() -> None:
    assert Population(3, 1, 0.0, 0.6).first == pytest.approx([0.1, 0.3, 0.5])
    assert Population(1, 1, 0.2, 0.2).first == [0.2]


def test_no_rate_grows_beyond_the_highest(members: Members) -> None:
    from benchmarks.effect.population_search import limit

    assert limit({"p": 0.9 * 1.2}) == {"p": 0.95}
    assert limit({"p": 0.5 * 0.8}) == {"p": 0.4}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, "size has to be at least 1, but got 0"),
        ({"interval": 0}, "interval has to be at least 1, but got 0"),
        ({"low": -0.1}, "but got low -0.1 and high 0.6"),
        ({"low": 0.5, "high": 0.4}, "but got low 0.5 and high 0.4"),
        ({"high": 0.96}, r"0 <= low <= high <= 0.95 has to hold, but got low 0.0 and high 0.96"),
    ],
)
def test_settings_out_of_range_are_told_when_a_study_is_read(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        METHODS["population"](**settings)


@pytest.mark.parametrize("name", ["ray", "pandas", "pyarrow"])
def test_without_ray_tune_it_is_said_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(name)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf'{name} is missing: pip install "adaptive-dropout\[ray\]"'):
        check_tune()
    METHODS["population"]()  # the tables of other studies are written from all studies, by those without Ray too


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes.add_node(num_cpus=1)
    yield connect(nodes.address)
    ray.shutdown()
    nodes.shutdown()


@pytest.mark.slow
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
