from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl, L1Penalty, L2Penalty
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier, Regressor, Task
from benchmarks.control import cost
from benchmarks.control.cells import Cell, Row
from benchmarks.control.compare import Difference, index_rows
from benchmarks.control.methods import METHODS
from benchmarks.control.study_task import Fitting
from benchmarks.control.tasks import TASKS as STUDY_TASKS
from benchmarks.learned import surgery
from benchmarks.learned.compare import main, order_cells, run_cell
from benchmarks.learned.compare_table import choose_norms, compare_to, keep_complete, write_tables
from benchmarks.learned.methods import DEFAULTS, LEARNED, NORMS, TASKS, example_losses, name_with_norm
from benchmarks.study.cells import find_missing
from benchmarks.study.rows import append
from tests.benchmarks.rows import grid, row

TINY = "digits:200"
Change = Callable[[nn.Module], None]


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(STUDY_TASKS, TINY, replace(STUDY_TASKS[TINY], fitting=Fitting(steps=50, batch_size=32)))
    for module in ("cells", "study_task"):
        monkeypatch.setattr(f"benchmarks.control.{module}.VALIDATIONS", 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a study
    yield
    torch.set_num_threads(threads)


def plain() -> MLP:
    torch.manual_seed(0)
    return MLP(4, 3, (16, 16), functools.partial(ad.Dropout, 0.0))


@pytest.mark.parametrize("change", [surgery.concrete, surgery.bernoulli, surgery.sparse, surgery.standout])
def test_a_changed_network_keeps_the_weights_it_was_drawn_with(change: Change) -> None:
    network = plain()
    before = {id(weight) for weight in network.parameters()}
    change(network)
    assert before <= {id(weight) for weight in network.parameters()}


@pytest.mark.parametrize("change", [surgery.concrete, surgery.bernoulli])
def test_wraps_change_nothing_but_training(change: Change) -> None:
    network, x = plain(), torch.randn(8, 4)
    expected = network.eval()(x)
    change(network)
    assert torch.equal(network.eval()(x), expected)
    network.train()
    assert not torch.equal(network(x), expected)


@pytest.mark.parametrize("change", [surgery.concrete, surgery.bernoulli])
def test_noise_comes_where_the_grids_dropout_is(change: Change) -> None:
    network = plain()
    change(network)
    assert ad.get_rates(network) == pytest.approx({"linear2.dropout": 0.1, "output.dropout": 0.1})
    assert type(network.linear1) is nn.Linear


def test_the_divergence_of_masks_of_zeros_and_ones_is_the_concrete_one() -> None:
    soft, hard = plain(), plain()
    surgery.concrete(soft)
    surgery.bernoulli(hard)
    assert ad.penalty(hard, 10).item() == pytest.approx(ad.penalty(soft, 10).item())


def test_standout_starts_at_the_common_p_where_a_unit_has_no_input() -> None:
    network = plain()
    surgery.standout(network)
    assert ad.get_rates(network) == pytest.approx({"linear1": 0.1, "linear2": 0.1})


def test_sparse_layers_take_the_place_of_all_dense_ones() -> None:
    network = plain()
    surgery.sparse(network)
    assert [row.name for row in ad.sparsity(network)] == ["linear1", "linear2", "output"]


@pytest.mark.parametrize("task", [Classifier(nn.Identity(), 2), Regressor(nn.Identity())])
def test_example_losses_are_those_of_single_examples(task: Task) -> None:
    output = torch.randn(6, 2)
    y = torch.tensor([0, 1, 1, 0, 1, 0]) if isinstance(task, Classifier) else torch.randn(6)
    losses = example_losses(task, output, y)
    assert losses.tolist() == pytest.approx([task.loss(output[i : i + 1], y[i : i + 1]).item() for i in range(6)])
    assert losses.mean().item() == pytest.approx(task.loss(output, y).item())


@pytest.mark.slow
@pytest.mark.usefixtures("_tiny")
def test_true_masks_learn_for_the_cost_of_one_more_forward_pass(tmp_path: Path) -> None:
    found = run_cell(Cell(TINY, 1, "disarm:penalty"), tmp_path)
    assert found.gradient_examples == pytest.approx(50 * 32 * 4 / 3)
    assert found.final_rate > 0.12  # at most 0.14: 50 steps of Adam at 0.01 on the logit
    assert math.isfinite(found.test_loss)


@pytest.mark.slow
@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize("method", ["variational:unit", "sparse"])
def test_a_divergence_raises_p(method: str, tmp_path: Path) -> None:
    found = run_cell(Cell(TINY, 1, method), tmp_path)
    assert found.final_rate > (0.12 if method != "sparse" else 0.2)
    assert found.gradient_examples == 50 * 32


@pytest.mark.parametrize(("norm", "kind", "strength"), [("l1", L1Penalty, 1e-5), ("l2", L2Penalty, 1e-3)])
def test_a_norm_comes_beside_the_callbacks_of_the_method_it_is_added_to(
    norm: str, kind: type[L1Penalty] | type[L2Penalty], strength: float
) -> None:
    (alone,) = NORMS[name_with_norm(norm, strength, "fixed:0")].callbacks()
    control, beside = NORMS[name_with_norm(norm, strength, "rewind:0.05")].callbacks()
    assert isinstance(control, DropoutRateControl)
    for callback in (alone, beside):
        assert isinstance(callback, kind)
        assert callback.strength == strength


def test_every_task_and_reference_is_one_of_the_study() -> None:
    assert set(TASKS) <= STUDY_TASKS.keys()
    assert set(DEFAULTS) <= METHODS.keys()
    assert not METHODS.keys() & {**LEARNED, **NORMS}.keys()


def test_of_each_seed_learned_rates_run_before_norms_and_what_is_done_is_skipped() -> None:
    methods = [name_with_norm("l2", 1e-3, "fixed:0"), "disarm", "sparse"]
    cells = find_missing(order_cells(["a"], methods, [0, 1]), [row("a", 0, "sparse", 1.0, 1.0)])
    expected = [(0, "disarm"), (0, methods[0]), (1, "disarm"), (1, "sparse"), (1, methods[0])]
    assert [(cell.seed, cell.method) for cell in cells] == expected


def test_only_pairs_of_task_and_seed_that_have_all_methods_count() -> None:
    cells = index_rows([row("a", 0, "x", 1, 1), row("a", 0, "y", 1, 1), row("a", 1, "x", 1, 1), row("a", 0, "z", 1, 1)])
    assert set(keep_complete(cells, ["x", "y"])) == {("a", 0, "x"), ("a", 0, "y"), ("a", 0, "z")}


def test_the_strength_of_a_norm_is_chosen_by_validation_and_costs_all_that_were_tried() -> None:
    names = [name_with_norm("l2", strength, "fixed:0") for strength in (1e-4, 1e-3)]
    rows = [row("a", 0, names[0], 1.0, 9.0), row("a", 0, names[1], 2.0, 3.0), row("a", 1, names[0], 1.0, 1.0)]
    ((key, chosen),) = choose_norms(index_rows(rows)).items()
    assert key == ("a", 0, "fixed:0+l2")
    assert (chosen.test_loss, chosen.gradient_examples, chosen.seconds) == (9.0, 200.0, 20.0)


def test_a_norm_is_compared_seed_by_seed() -> None:
    rows = [row("a", 0, "x", 1, 1.5), row("a", 1, "x", 1, 2.5), row("a", 0, "y", 1, 1.0), row("a", 1, "y", 1, 1.0)]
    found = compare_to(index_rows([*rows, row("a", 2, "x", 1, 9.0)]), "a", "x", "y")
    assert found == Difference(1.0, 0.5, 2)
    assert compare_to(index_rows(rows), "b", "x", "y") is None


def comparison() -> list[Row]:
    rows = []
    for task, lost in (("boston", 0.1), ("yacht", 0.4)):
        rows += grid(task, 0, {"fixed:0": (3.0, 2.0), "fixed:0.2": (1.0, 1.0), "fixed:0.5": (2.0, 0.9)})
        rows += [row(task, 0, method, 1.0, 1.0 + lost * (method == "disarm"), seconds=20.0) for method in LEARNED]
        rows += [row(task, 0, method, 1.0, 0.95) for method in DEFAULTS]
    return [*rows, *(row("boston", 0, method, 1.0, 1.5) for method in NORMS)]


def test_the_table_lists_every_loss_of_a_method_worst_first() -> None:
    losses = write_tables(index_rows(comparison())).split("## Where one run loses")[1].split("##")[0]
    assert "| disarm | 2 of 2 | yacht +0.400; boston +0.100 |" in losses
    assert "| sparse | 0 of 2 |  |" in losses


def test_the_table_sets_methods_against_the_grids_choice() -> None:
    over = write_tables(index_rows(comparison())).split("## Over tasks")[1].split("##")[0]
    assert "| disarm | 2 | +0.250 (0.150) | +0.400 | 0 | 2 | 0 | 1.00 | 20 |" in over
    assert "| rewind:0.3 | 2 | -0.050 (0.000) | -0.050 | 2 | 0 | 0 | 1.00 | 10 |" in over
    assert "| oracle | 2 | -0.100 (0.000) | -0.100 | 2 | 0 | 0 | 10.00 | 100 |" in over
    assert over.index("| fixed:0 |") < over.index("| disarm |") < over.index("| rewind:0.3 |")


def test_norms_are_set_against_the_same_dropout_without_them() -> None:
    norms = write_tables(index_rows(comparison())).split("## L1 and L2 beside dropout")[1].split("##")[0]
    assert "| fixed:0+l1 | 1 | -0.500 | -0.500 | 1 | 0 | 0 | +0.500 | +0.500 | 2.00 | 20 |" in norms
    assert "| rewind:0.05+l2 | 1 | +0.550 | +0.550 | 0 | 1 | 0 | +0.500 | +0.500 | 2.00 | 20 |" in norms


def test_the_table_says_what_was_not_run() -> None:
    rest = write_tables(index_rows(comparison())).split("## Not run")[1].split("##")[0]
    missing = [f"{task} 0" for task in TASKS if task not in ("boston", "yacht")]
    assert f"- learned rates, task and seed: {', '.join(missing)}\n" in rest
    assert "`mnist:1000` and its variants" in rest


def test_the_table_is_written_again_from_what_is_there(tmp_path: Path) -> None:
    out = tmp_path / "compare.csv"
    append(out, row("boston", 0, "disarm", 1.0, 1.0))
    assert main(["--data-dir", str(tmp_path), "--seeds", "--out", str(out)]) == 0
    assert "norms, task and seed: digits:200 0" in (tmp_path / "compare.md").read_text()


def test_an_unknown_method_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no method named 'disarn'; there are concrete:penalty, "):
        main(["--data-dir", str(tmp_path), "--methods", "disarn", "--out", str(tmp_path / "compare.csv")])
    assert not (tmp_path / "compare.csv").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("_tiny")
def test_the_time_of_a_method_is_set_against_a_fixed_rate() -> None:
    *_, line = cost.list_lines([TINY], {"disarm": LEARNED["disarm"]}, repeats=1)
    task, method, time, gradients = line.strip("| ").split(" | ")
    assert (task, method, gradients) == (TINY, "disarm", "1.33")  # a second forward pass
    assert float(time) > 0.0
