from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adaptive_dropout.processes import one_quiet_thread
from benchmarks.regularisers.experiment import PAGE, REGULARISERS
from benchmarks.regularisers.factorial import interaction, joint_effect, list_regularisers, main_effect
from benchmarks.regularisers.methods import METHODS, normalised
from benchmarks.report.page import write_page
from benchmarks.study.study import Choice, Study
from benchmarks.supervised.task import Learner
from benchmarks.supervised.training import train
from tests.benchmarks.digits_task import DIGITS_MLP, cell, cnn, mlp, row

combined = METHODS["combined"]
STRENGTHS = {"dropout": 0.3, "l2": 1e-2, "l1": 1e-3, "max_norm": 0.4, "label_smoothing": 0.1, "batch_norm": 0.1}


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> float:
    one_quiet_thread()
    return train(cell(), DIGITS_MLP(epochs=3, validations=1), combined(), tmp_path_factory.mktemp("d"), "cpu").test_loss


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
@pytest.mark.parametrize("name", list(STRENGTHS))
def test_every_regulariser_changes_what_is_learned(name: str, nothing: float, tmp_path: Path) -> None:
    method = combined(**{name: STRENGTHS[name]})
    changed = train(cell(), DIGITS_MLP(epochs=3, validations=1), method, tmp_path, "cpu")
    assert changed.test_loss != nothing
    assert changed.test_accuracy > 0.2  # 0.1 by guessing


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_all_six_train_together(tmp_path: Path) -> None:
    task = DIGITS_MLP(epochs=20, validations=2)
    assert train(cell(), task, combined(**STRENGTHS), tmp_path, "cpu").test_accuracy > 0.5  # 0.1 by guessing


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("dropout", 1.5, "p has to be between 0 and 1, but got 1.5"),
        ("l2", -1.0, "strength has to be above 0 and finite, but got -1.0"),
        ("max_norm", -1.0, "norm has to be above 0, but got -1.0"),
        ("label_smoothing", 2.0, "label_smoothing has to be between 0 and 1, but got 2.0"),
        ("batch_norm", -0.1, "batch_norm has to be between 0 and 1, but got -0.1"),
    ],
)
def test_a_strength_out_of_range_is_refused(name: str, value: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        combined(**{name: value})


@pytest.mark.parametrize("build", [mlp, cnn])
def test_batch_normalisation_is_in_front_of_each_relu(build: object) -> None:
    network = normalised(0.1, build(nn.Dropout))  # type: ignore[operator]
    parts = list(network)
    places = [place for place, part in enumerate(parts) if isinstance(part, nn.ReLU)]
    assert len(places) >= 2
    for place in places:
        assert isinstance(parts[place - 1], (nn.BatchNorm1d, nn.BatchNorm2d))
    hidden = network[: places[0]](torch.randn(256, 1, 8, 8))
    # Over a batch the units have mean 0; float32 leaves 1e-6 of their size 1.
    assert hidden.transpose(0, 1).flatten(1).mean(1).abs().max() < 1e-5


def test_labels_are_smoothed_in_training_and_the_judgement_is_by_nll() -> None:
    logits, y = torch.randn(8, 10), torch.arange(8)
    learner = Learner(nn.Identity(), 10, combined(label_smoothing=0.2).train_loss, torch.optim.Adam)
    smoothed = 0.8 * F.cross_entropy(logits, y) - 0.2 * logits.log_softmax(-1).mean()
    assert learner.train().loss(logits, y) == pytest.approx(smoothed.item(), rel=1e-5)
    assert learner.eval().loss(logits, y) == F.cross_entropy(logits, y)


def losses(names: str = "abc") -> dict[tuple[frozenset[str], int], float]:
    """One half less for a, a quarter more for b; both together a tenth more than that; c does nothing."""
    sets = [frozenset(chosen) for size in range(len(names) + 1) for chosen in combinations(names, size)]
    return {
        (present, seed): seed - 0.5 * ("a" in present) + 0.25 * ("b" in present) + 0.1 * ({"a", "b"} <= present)
        for present in sets
        for seed in (0, 7)
    }


def test_effects_are_those_that_the_losses_were_made_with() -> None:
    found = losses()
    # Half of the runs with a have b too.
    mean, error = main_effect(found, "a") or (0.0, 0.0)
    assert mean == pytest.approx(-0.45)
    # Four differences of -0.5 and four of -0.4: a deviation of 0.05 sqrt(8 / 7), over the root of 8.
    assert error == pytest.approx(0.05 / 7**0.5)
    assert main_effect(found, "c") == (pytest.approx(0.0), pytest.approx(0.0))
    assert joint_effect(found, frozenset("ab")) == (pytest.approx(-0.15), pytest.approx(0.0, abs=1e-12))
    assert interaction(found, "a", "b") == (pytest.approx(0.1), pytest.approx(0.0, abs=1e-12))
    assert interaction(found, "b", "c") == (pytest.approx(0.0, abs=1e-12), pytest.approx(0.0, abs=1e-12))


def test_runs_without_their_counterpart_do_not_count() -> None:
    found = {key: loss for key, loss in losses().items() if key[0] != frozenset("a") or key[1] == 0}
    assert joint_effect({(frozenset("a"), 0): 1.0, (frozenset(), 1): 1.0}, frozenset("a")) is None
    assert interaction({(frozenset("a"), 0): 1.0}, "a", "b") is None
    assert interaction(found, "a", "b") == (pytest.approx(0.1), pytest.approx(0.0, abs=1e-12))


def test_the_table_and_the_figure_are_of_all_that_was_run(tmp_path: Path) -> None:
    off = dict.fromkeys(STRENGTHS, 0.0)
    chosen = [off, off | {"dropout": 0.3}, off | {"l2": 0.1}, off | {"dropout": 0.3, "l2": 0.1}]
    methods = tuple(Choice(str(number), "combined", settings) for number, settings in enumerate(chosen))
    study = Study("small", (Choice("digits", "d", {}),), methods, (0,))
    assert list_regularisers(study) == ["dropout", "l2"]
    tested = zip(methods, (1.0, 0.5, 0.75, 0.5), strict=True)
    write_page(PAGE, [study], [row(each, 0, (loss,), loss, study.tasks[0].content) for each, loss in tested], tmp_path)
    table = (tmp_path / "table.md").read_text()
    assert "| dropout | -0.3750 (0.1250) | -0.5000 |" in table
    assert "| dropout + l2 | -0.5000 | +0.2500 |" in table
    assert "| dropout | 1 | 90.00 | 0.5000 | -0.5000 |" in table
    assert "4 of 4 runs." in table
    assert [file.name for file in tmp_path.glob("*.png")] == ["small-digits-effects.png"]


def test_the_committed_studies_are_full_factorials() -> None:
    for file in sorted(REGULARISERS.folder.glob("*.yaml")):
        methods = REGULARISERS.study(str(file)).methods
        assert len({tuple(strength > 0 for strength in each.settings.values()) for each in methods}) == 2**6
