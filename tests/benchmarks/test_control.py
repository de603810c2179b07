"""The cells of the grid and the rules, and what their runs are measured by."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import lightning.pytorch as L
import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.data.images import PixelsToInputs
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Task
from benchmarks.control.cells import Cell, run_cell
from benchmarks.control.command import list_cells, main, select
from benchmarks.control.data import CropsAndFlips, digits
from benchmarks.control.methods import METHODS
from benchmarks.control.study_task import Fitting
from benchmarks.control.tasks import TASKS
from benchmarks.study.cells import find_missing
from benchmarks.study.training import BestWeights, ConcretePenalty, GradientCost
from benchmarks.study.windows import Windows
from tests.benchmarks.rows import row
from tests.callbacks.test_gradient_meters import Listener

TINY = "digits:200"


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, TINY, replace(TASKS[TINY], fitting=Fitting(steps=100, batch_size=32)))
    for module in ("cells", "study_task"):
        monkeypatch.setattr(f"benchmarks.control.{module}.VALIDATIONS", 10)


@pytest.mark.slow
@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize("method", ["plateau:0.3", "concrete"])
def test_a_cell_trains_for_real_and_gives_the_same_row_again(method: str) -> None:
    first, second = (run_cell(Cell(TINY, 1, method)) for _ in range(2))
    assert asdict(first) | {"seconds": 0} == asdict(second) | {"seconds": 0}
    assert first.test_accuracy is not None
    assert first.test_accuracy > 0.6  # 0.1 by guessing
    looked = 32 / 3 if method == "plateau:0.3" else 0  # a forward of the first batch shows what validation logs
    assert first.gradient_examples == pytest.approx(100 * 32 + looked)
    assert first.start == METHODS[method].start


@pytest.mark.slow
@pytest.mark.usefixtures("_tiny")
def test_a_rate_trained_again_has_other_noise() -> None:
    once, again = (run_cell(Cell(TINY, 1, method)) for method in ("fixed:0.5", "again:0.5"))
    assert once.test_loss != again.test_loss


@pytest.mark.slow
@pytest.mark.usefixtures("_tiny")
def test_the_weights_tested_are_those_with_the_lowest_validation_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    rough = Fitting(100, 32, functools.partial(torch.optim.Adam, lr=0.03))  # the last weights are not the best
    monkeypatch.setitem(TASKS, TINY, replace(TASKS[TINY], fitting=rough))
    data = TASKS[TINY].data(None, 1)
    data.setup("fit")
    seen: list[float] = []
    original = BestWeights.restore

    def loss(model: Task) -> float:
        return model.eval().loss(model(data.val_set.x), data.val_set.y).item()

    def restore(best: BestWeights, model: Task) -> None:
        last = loss(model)
        original(best, model)
        seen.extend((last, best.val_loss, loss(model)))

    monkeypatch.setattr(BestWeights, "restore", restore)
    run_cell(Cell(TINY, 1, "fixed:0.5"))
    last, lowest, now = seen
    assert now == pytest.approx(lowest, rel=1e-5)
    assert last > 1.1 * lowest


def test_windows_go_on_through_whole_passes() -> None:
    data = Windows(functools.partial(digits, 100, 0.0, 3), batch_size=15, steps=4, seed=3)
    data.setup()
    loader = data.train_dataloader()
    seen = torch.cat([x for _ in range(5) for x, _ in loader])
    assert [len(x) for x, _ in loader] == [15] * 4
    for one_pass in seen.split(100):
        assert torch.equal(one_pass.flatten(1).sort(0).values, data.train_set.x.flatten(1).sort(0).values)


def test_crops_and_flips_move_and_mirror_but_change_no_pixel() -> None:
    plain = PixelsToInputs(torch.zeros(3, 1, 1), torch.ones(3, 1, 1))
    image = torch.arange(1, 3 * 8 * 8 + 1, dtype=torch.uint8).reshape(1, 3, 8, 8)
    padded = nn.functional.pad(plain(image), [1] * 4)
    both = (padded, padded.flip(3))
    crops = [p[0, :, i : i + 8, j : j + 8] for p in both for i in range(3) for j in range(3)]
    batch = CropsAndFlips(plain, pixels=1)(image.expand(400, -1, -1, -1))
    found = [[torch.equal(x, crop) for crop in crops] for x in batch]
    assert all(sum(hits) == 1 for hits in found)
    assert all(map(any, zip(*found, strict=True)))  # each of 18 is missed with probability 18 (17/18)^400, 2e-9


def test_the_concrete_penalty_is_the_formula() -> None:
    network = MLP(2, 1, (3,), functools.partial(ad.ConcreteDropout, 0.25))
    p, weight = 0.25, network.output.weight
    entropy = p * torch.tensor(p).log() + (1 - p) * torch.tensor(1 - p).log()
    expected = 0.5**2 / (2 * 10) * weight.square().sum() / (1 - p) + 3 / 10 * entropy
    assert ConcretePenalty(0.5).penalty(network, 10).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_quarter_of_the_tasks_is_held_out() -> None:
    assert sum(task.held_out for task in TASKS.values()) >= len(TASKS) / 4


def test_validations_divide_the_steps_of_every_task() -> None:
    assert {name: task.fitting.steps % 50 for name, task in TASKS.items()} == dict.fromkeys(TASKS, 0)


def test_cells_that_are_done_are_skipped() -> None:
    cells = find_missing(list_cells(["a", "b"], ["m"], [0, 1]), [row("b", 0, "m", 1.0, 1.0)])
    assert cells == [Cell("a", 0, "m"), Cell("a", 1, "m"), Cell("b", 1, "m")]


def test_names_are_selected_by_pattern_in_their_own_order() -> None:
    assert select(["b", "a*"], ["a1", "a2", "b", "c"], "task") == ["a1", "a2", "b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tasks", "digit"], "no task named 'digit'; there are digits:200, "),
        (["--methods", "fixed:2"], "no method named 'fixed:2'; there are fixed:0, "),
        (
            ["--tasks", "boston"],
            "files of boston are needed; --data-dir is None, and has to hold uci/bostonHousing.npz",
        ),
        (["--jobs", "0"], "jobs has to be at least 1, but got 0"),
    ],
)
def test_what_cannot_run_is_said_before_anything_runs(arguments: Sequence[str], message: str, tmp_path: Path) -> None:
    out = tmp_path / "results.csv"
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--out", str(out)])
    assert message in str(stopped.value)
    assert "\n" not in str(stopped.value)
    assert not out.exists()


def cost(asks: tuple[str, ...], folder: Path) -> float:
    """The count of a run of two windows of 40 batches of 32."""
    task = TASKS["digits:200"]
    task = replace(task, fitting=replace(task.fitting, steps=2000, batch_size=32))
    data = task.data(None, 1)
    data.setup("fit")
    counted = GradientCost()
    trainer = L.Trainer(
        accelerator="cpu", max_steps=80, val_check_interval=40, check_val_every_n_epoch=None, logger=False,
        callbacks=[counted, DropoutRateControl(Listener(asks))], enable_checkpointing=False, default_root_dir=folder,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(task.model(data, functools.partial(ad.Dropout, 0.3)), data)
    return counted.examples


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_what_measuring_costs_is_counted(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = cost((), tmp_path)
    assert plain == pytest.approx(80 * 32 + 32 / 3)  # a forward of the first batch shows what validation logs
    # Two turns a window on 23 examples, on 16 before the first validation; 10/3 of a gradient for each.
    assert cost(("hypergradient",), tmp_path) - plain == pytest.approx((2 * 16 + 2 * 23) * 10 / 3)
    # Four turns a window on 32 examples, on 16 before the first validation.
    assert cost(("response",), tmp_path) - plain == pytest.approx(4 * 16 + 4 * 32)
