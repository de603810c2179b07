from __future__ import annotations

import functools
import math
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from PIL import Image
from torch import Tensor

import adaptive_dropout as ad
from adaptive_dropout.processes import one_quiet_thread
from benchmarks.effect.experiment import EFFECT, PAGE
from benchmarks.effect.methods import METHODS, max_norm
from benchmarks.effect.networks import small_resnet, small_vit
from benchmarks.effect.tasks import TASKS, MomentumTask
from benchmarks.report.comparison import epochs_to, measure_convergence
from benchmarks.report.page import list_missing, write_page
from benchmarks.study.cells import Cell
from benchmarks.study.statistics import paired_difference
from benchmarks.study.study import Choice, Study, read_study
from benchmarks.supervised.method import Method, none
from benchmarks.supervised.training import TrainedRow, train
from tests.benchmarks.digits_task import DIGITS_MLP, SOURCE, cell, mlp, row

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")


@pytest.fixture(autouse=True)
def _quiet() -> None:
    one_quiet_thread()


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"population"}))  # which has tests of its own
def test_every_method_trains_for_real(method: str, tmp_path: Path) -> None:
    row = train(cell(method), DIGITS_MLP(epochs=20, validations=20), METHODS[method](), tmp_path, "cpu")
    assert row.test_accuracy > 0.6  # 0.1 by guessing
    assert len(row.train_losses) == len(row.val_losses) == len(row.val_accuracies) == 20
    # What is validated after the run, the gap's training examples too, is not part of it.
    assert row.val_loss == min(row.val_losses)
    assert row.epochs_apart == pytest.approx(9 * 32 / 300)
    assert (row.final_rate == 0.0) == (method == "none")


@pytest.mark.slow
def test_a_cell_gives_the_same_row_again(tmp_path: Path) -> None:
    first, second = (
        asdict(train(cell(), DIGITS_MLP(epochs=2, validations=2), METHODS["standard"](p=0.5), tmp_path, "cpu"))
        for _ in range(2)
    )
    assert first | {"seconds": 0} == second | {"seconds": 0}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder-resnet", "folder-vit"])
def test_photographs_in_folders_train_for_real(kind: str, tmp_path: Path) -> None:
    pixels = torch.randint(0, 256, (40, 32, 40, 3), dtype=torch.uint8).numpy()
    for i, image in enumerate(pixels):
        folder = tmp_path / "photos" / ("val" if i % 4 == 0 else "train") / "ab"[i % 2 if i % 4 else i // 4 % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i}.png")
    task = Choice(kind, kind, {"root": "photos", "image_size": 32, "epochs": 1, "validations": 2, "batch_size": 4})
    row = EFFECT.run_cell(tmp_path, "cpu", Cell("s", task, Choice("none", "none", {}), 0, "d"))
    assert len(task.make(TASKS).files(tmp_path)) == 40
    assert row.n_train == 27  # a tenth of 30 validates
    assert math.isfinite(row.test_loss)


@pytest.mark.parametrize("network", [small_resnet, small_vit])
def test_a_network_has_dropout_at_each_part(network: object) -> None:
    built = network(7, 64, functools.partial(ad.Dropout, 0.5))  # type: ignore[operator]
    x = torch.randn(2, 3, 64, 64)
    assert built.eval()(x).shape == (2, 7)
    assert len(ad.get_rates(built)) == (3 if network is small_resnet else 9)
    built.train()
    for module in built.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    assert not torch.equal(built(x), built(x))


def named(method: str, seed: int, losses: tuple[float, ...], test_loss: float = 1.0, task: str = "") -> TrainedRow:
    return row(Choice(method, method, {}), seed, losses, test_loss, task)


def test_the_cost_in_convergence_is_to_the_best_loss_of_no_dropout() -> None:
    none = [named("none", 0, (3.0, 1.0, 2.0, 4.0)), named("none", 1, (3.0, 2.0, 1.5, 4.0))]
    slow = [named("m", 0, (4.0, 3.0, 2.0, 0.5)), named("m", 1, (4.0, 3.0, 2.0, 1.75)), named("m", 2, (1.0,))]
    assert epochs_to(slow[0], 2.0) == 1.5
    assert epochs_to(slow[0], 0.1) == math.inf
    found = measure_convergence(slow, none)
    assert found is not None
    assert (found.reached, found.runs, found.epochs, found.ratio) == (1, 2, 2.0, 2.0)
    never = measure_convergence(slow[1:2], none)
    assert never is not None
    assert never.reached == 0
    assert measure_convergence(slow[2:], none) is None


def test_differences_from_no_dropout_are_of_the_same_seed() -> None:
    none = [named("none", 0, (1.0,), 1.0), named("none", 1, (1.0,), 5.0)]
    other = [named("m", 1, (1.0,), 5.3), named("m", 0, (1.0,), 1.1), named("m", 2, (1.0,), 99.0)]
    assert paired_difference(other, none, lambda each: each.test_loss) == (pytest.approx(0.2), pytest.approx(0.1))
    assert paired_difference(other[2:], none, lambda each: each.test_loss) is None


def test_tables_and_figures_are_of_all_that_was_run(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("<!-- effect: generated -->\n<!-- effect: end -->\n")
    folder = tmp_path / "effect"
    folder.mkdir()
    methods = tuple(Choice(name, name, {}) for name in ("none", "m", "absent"))
    study = Study("small", (Choice("digits", "digits", {}),), methods, (0, 1))
    content = study.tasks[0].content
    rows = [named("none", seed, (3.0, 1.0), 1.0, content) for seed in (0, 1)]
    rows.append(named("m", 0, (3.0, 0.5), 1.25, content))
    write_page(PAGE, [study], rows, folder)
    table = (folder / "table.md").read_text()
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    shown = "| m | 1 | 90.00 | 1.2500 | +0.2500 | 10.00 | +0.5000 | 0.300 | 2 | 1 of 1: 1.0 epochs, "
    assert lines[2].startswith(shown)
    assert lines[3].startswith("| none | 2 | 90.00 (0.00) | 1.0000 (0.0000) | +0.0000 (0.0000) | ")
    assert "Not run: m (1 seeds), absent (2 seeds)." in table
    assert {file.name for file in folder.glob("*.png")} == {"small-digits-bars.png", "small-digits-curves.png"}
    assert "![small-digits-bars](effect/small-digits-bars.png)" in (tmp_path / "README.md").read_text()


def test_what_every_method_lacks_is_said_once() -> None:
    study = Study("s", (), tuple(Choice(name, name, {}) for name in ("none", "m")), (0, 1, 2))
    found = {name: [named(name, 0, (1.0,))] for name in ("none", "m")}
    assert list(list_missing(study, found)) == ["\nNot run: 2 of the 3 seeds of each."]
    assert list(list_missing(study, {name: 3 * rows for name, rows in found.items()})) == []


def test_one_validation_makes_no_curve() -> None:
    assert set(PAGE.figures(Study("s", (), (), ()), {"none": [named("none", 0, (1.0,))]}, "title")) == {"bars"}


def test_every_committed_study_can_be_read() -> None:
    files = sorted(EFFECT.folder.glob("*.yaml"))
    assert files
    assert [read_study(file, TASKS, METHODS).name for file in files] == [file.stem for file in files]


def test_a_study_of_populations_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match="needs Ray Tune, and ray is missing"):
        EFFECT.study("population")
    assert "population" in [study.name for study in EFFECT.studies(EFFECT.study("mnist-small"))]


def test_a_missing_data_set_is_named(tmp_path: Path) -> None:
    for name, what in (("mnist-cnn", "no MNIST in"), ("cifar10-cnn", "JPEG copy"), ("folder-vit", "no class folders")):
        with pytest.raises(FileNotFoundError, match=what):
            TASKS[name]().files(tmp_path)


def test_a_task_asks_for_no_more_than_there_is() -> None:
    with pytest.raises(ValueError, match="n_train 59000 and n_val 5000 have to sum to at most 60000"):
        TASKS["mnist-mlp"](n_train=59_000)


class Watch(L.Callback):
    """Sees the learning rate and the weights of every step."""

    def __init__(self) -> None:
        self.lrs: list[float] = []
        self.norms: list[float] = []
        self.types: set[torch.dtype] = set()

    def on_fit_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        pl_module.network.linear2.register_forward_hook(self._see)

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.lrs.append(trainer.optimizers[0].param_groups[0]["lr"])
        self.norms.append(pl_module.network.linear2.weight.detach().norm(dim=1).max().item())

    def _see(self, module: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.types.add(output.dtype)


def momentum_task(**settings: Any) -> MomentumTask:
    sizes = {"n_train": 320, "n_val": 300, "n_test": 500, "batch_size": 32, "epochs": 8, "validations": 1}
    return MomentumTask(source=SOURCE, build=mlp, **(sizes | settings))


def watched(method: Method, **settings: Any) -> tuple[Watch, TrainedRow]:
    watch = Watch()
    with_watch = replace(method, callbacks=lambda: [*method.callbacks(), watch])
    return watch, train(cell(), momentum_task(**settings), with_watch, Path(), "cpu")


@pytest.mark.slow
def test_the_learning_rate_falls_in_a_straight_line_and_the_digits_are_learned() -> None:
    watch, row = watched(none())
    assert watch.lrs[::10] == pytest.approx([0.03 * (1 - epoch / 8) for epoch in range(8)])
    assert row.test_accuracy > 0.8  # 0.1 by guessing
    assert len(row.val_losses) == 1


@pytest.mark.slow
def test_the_weights_stay_in_the_ball() -> None:
    assert max(watched(none())[0].norms) > 0.9
    assert max(watched(max_norm(norm=0.8))[0].norms) <= 0.8 * (1 + 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "dtype"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)])
def test_the_network_computes_in_the_precision_that_was_set(precision: str, dtype: torch.dtype) -> None:
    watch, row = watched(none(), precision=precision)
    assert watch.types == {dtype}
    assert row.test_accuracy > 0.8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"momentum": 1.0}, r"momentum has to be in \[0, 1\), but got 1.0"),
        ({"precision": "fp8"}, "precision has to be one of .*'bf16-mixed'.*, but got 'fp8'"),
    ],
)
def test_settings_out_of_range_are_told_when_a_study_is_read(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        momentum_task(**settings)
