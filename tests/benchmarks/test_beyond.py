"""Steering learners that are not dense networks: the loop, tasks that need no file, and closed forms of dropout."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.functional import dropout
from benchmarks.beyond.experiment import BEYOND, METHODS, fixed, none, steered
from benchmarks.beyond.gradient import Fitting, GradientLearner
from benchmarks.beyond.linear import (
    DroppedFactors,
    DroppedLogistic,
    PenalisedLogistic,
    feature_penalty,
    product_penalty,
)
from benchmarks.beyond.passages import AveragingNetwork, known_words, read_passages
from benchmarks.beyond.steering import Learner, Progress, steer
from benchmarks.beyond.task import check_file, entropy, split_rows
from benchmarks.beyond.tasks import TASKS
from benchmarks.study.cells import Cell
from benchmarks.study.study import Choice


class Scripted(Learner):
    """Validation losses from a list; remembers what it was told."""

    trivial_loss = 1.0
    every = 10

    def __init__(self, val_losses: list[float]) -> None:
        self.script = val_losses
        self.told: list[str] = []
        self.p = 0.5

    def rates(self) -> dict[str, float]:
        return {"a": self.p}

    def set_rates(self, rates: Mapping[str, float]) -> None:
        self.p = rates["a"]

    def advance(self) -> Progress:
        self.told.append("advance")
        val_loss = self.script[self.told.count("advance") - 1]
        return Progress(0.5, [0.4, 0.5], [val_loss, val_loss])

    def take(self) -> None:
        self.told.append("take")

    def restore(self) -> None:
        self.told.append("restore")

    def restart(self) -> None:
        self.told.append("restart")

    def test_loss(self) -> float:
        return 7.0


def test_the_best_by_validation_is_taken_and_tested() -> None:
    learner = Scripted([0.9, 0.7, 0.8])
    found = steer(learner, ad.FixedController(), validations=3)
    assert learner.told == ["advance", "take", "advance", "take", "advance", "restore"]
    assert (found.val_loss, found.test_loss, found.final_rate, found.rewinds) == (0.7, 7.0, 0.5, 0)


def test_a_stalled_learner_goes_back_and_gets_another_rate() -> None:
    learner = Scripted([0.5] + 39 * [0.9])
    found = steer(learner, ad.RewindController(), validations=40)
    assert found.rewinds == learner.told.count("restore") - 1 > 0
    assert learner.p == found.final_rate != 0.5


def test_a_run_without_a_finite_validation_loss_has_no_result() -> None:
    with pytest.raises(ValueError, match=r"no validation loss was finite; the last was inf"):
        steer(Scripted([math.inf]), ad.FixedController(), validations=1)


def toy_learner(p: float) -> GradientLearner:
    x = torch.randn(120, 6)
    y = (x[:, 0] > 0).long()
    parts = split_rows((x, y), 0, 60, 30)
    return GradientLearner(DroppedLogistic(6, 2, p), parts, entropy(y), Fitting(every=5, batch=20, lr=0.1), seed=0)


@pytest.mark.slow
def test_a_gradient_learner_learns_and_goes_back_to_where_it_was() -> None:
    learner = toy_learner(0.3)
    first = learner.advance()
    learner.take()
    at_best = learner.test_loss()
    for _ in range(10):
        later = learner.advance()
    assert later.train_loss < first.train_loss
    assert learner.test_loss() != at_best
    learner.restore()
    assert learner.test_loss() == at_best
    learner.restart()
    assert learner.test_loss() == pytest.approx(math.log(2))  # the weights start at 0


def test_the_training_loss_is_with_dropout_and_the_others_are_without() -> None:
    learner = toy_learner(0.0)
    for _ in range(10):
        learner.advance()
    learner.set_rates({"dropout": 0.9})
    progress = learner.advance()
    assert progress.train_loss > 2 * sum(progress.clean_losses) / len(progress.clean_losses)


def test_the_methods_say_where_a_rate_starts_and_who_moves_it() -> None:
    assert none().start == 0.0
    assert (fixed(0.7).start, fixed(0.7).controller) == (0.7, ad.FixedController())
    assert (steered(0.05).start, steered(0.05).controller) == (0.05, ad.RewindController())
    with pytest.raises(ValueError, match=r"has to be between 0 and 1, but got 1.5"):
        METHODS["fixed"](p=1.5)


def test_parts_are_disjoint_and_cover_everything() -> None:
    parts = split_rows((torch.arange(10),), 0, 5, 2)
    assert [len(part[0]) for part in parts] == [5, 2, 3]
    assert torch.cat([part[0] for part in parts]).sort().values.equal(torch.arange(10))
    with pytest.raises(ValueError, match=r"8 \+ 2 examples leave none of 10"):
        split_rows((torch.arange(10),), 0, 8, 2)


def test_the_entropy_of_even_classes_is_the_logarithm_of_their_number() -> None:
    assert entropy(torch.arange(4).repeat(3)) == pytest.approx(math.log(4))
    assert entropy(torch.zeros(3, dtype=torch.int64)) == 0


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"words\.txt'; --data-dir has to be"):
        check_file(tmp_path / "words.txt")


def test_a_passage_is_forty_words_in_a_row_and_speakers_are_not_read() -> None:
    text = "ROMEO:\n" + "\n".join(f"w{chr(97 + n // 40)} don't" for n in range(400))
    words, tenth = read_passages(text)
    assert words.shape == (20, 40)
    assert tenth.tolist() == [n // 2 for n in range(20)]
    assert len(words.unique()) == 11
    assert torch.equal(words[0], words[1])
    assert words[0].unique().numel() == words[19].unique().numel() == 2


def test_words_said_once_are_not_known() -> None:
    numbers = known_words(torch.tensor([[3, 1, 3], [5, 5, 0]]), 7)
    assert numbers.tolist() == [0, 0, 0, 1, 0, 2, 0]


def test_unknown_words_do_not_change_what_is_said() -> None:
    network = AveragingNetwork(4, 0.0)
    tenth = torch.tensor([1])
    short, padded = (network(torch.tensor([words]), tenth) for words in ([1, 2], [0, 1, 2, 0]))
    assert torch.allclose(short, padded)
    assert network(torch.zeros(1, 3, dtype=torch.int64), tenth).isfinite().all()


@pytest.mark.parametrize("model", [DroppedLogistic, PenalisedLogistic])
def test_dropout_and_its_closed_form_cost_nothing_in_eval_mode(model: type) -> None:
    x, y = torch.randn(20, 5), torch.randint(3, (20,))
    trained = model(5, 3, 0.5)
    torch.nn.init.normal_(trained.linear.weight)
    plain = torch.nn.functional.cross_entropy(trained.linear(x), y, reduction="none")
    assert torch.equal(trained.eval()(x, y), plain)
    assert not torch.equal(trained.train()(x, y), plain)


def test_factors_have_a_rate_that_is_found_by_name() -> None:
    assert ad.get_rates(DroppedFactors(4, 3, 2, 0.25)) == {"dropout": 0.25}


@pytest.mark.slow
@pytest.mark.parametrize("task", ["factors", "factors-penalty", "patches"])
def test_a_cell_without_files_gives_a_row_better_than_a_constant(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.beyond.experiment.steer", functools.partial(steer, validations=15))
    settings = {"train": 200} if task == "patches" else {"noise": 0.1}
    cell = Cell("s", Choice(task, task, settings), Choice("steered", "steered", {"start": 0.3}), 0, "none")
    row = BEYOND.run_cell(tmp_path, "cpu", cell)
    assert (row.task, row.method, row.seed, row.key) == (task, "steered", 0, cell.key)
    assert row.val_loss < row.trivial_loss
    assert 0 <= row.final_rate <= 0.9
    assert json.loads(row.method_settings)["start"] == 0.3


def test_every_task_can_be_made_from_its_defaults_and_stored_in_a_key() -> None:
    made = [kind() for kind in TASKS.values()]
    assert all(hash(task) == hash(kind()) for task, kind in zip(made, TASKS.values(), strict=True))


N = 20_000


def monte_carlo(x: Tensor, y: Tensor, weight: Tensor, p: float) -> tuple[float, float]:
    """Mean and standard error of what dropping features adds to the mean cross-entropy."""
    losses = torch.stack([F.cross_entropy(dropout(x, p) @ weight.T, y) for _ in range(N // 10)])
    plain = F.cross_entropy(x @ weight.T, y)
    return (losses.mean() - plain).item(), (losses.std() / len(losses) ** 0.5).item()


def test_two_classes_give_the_adaptive_l2_penalty_as_published() -> None:
    x, beta = torch.randn(50, 4), torch.randn(4)
    weight = torch.stack((torch.zeros(4), beta))
    probability = torch.sigmoid(x @ beta)
    published = 0.5 * 0.3 / 0.7 * (probability * (1 - probability)) * (x.square() @ beta.square())
    assert torch.allclose(feature_penalty(x, weight, x @ weight.T, torch.tensor(0.3)), published, atol=1e-6)


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5])
def test_the_feature_penalty_is_what_dropout_adds_to_the_loss_of_small_weights(p: float) -> None:
    # 30 features, standard deviation of the logits about 0.5: the terms of fourth order are some percent.
    x, y, weight = torch.randn(100, 30).double(), torch.randint(3, (100,)), 0.1 * torch.randn(3, 30).double()
    added, error = monte_carlo(x, y, weight, p)
    penalty = feature_penalty(x, weight, x @ weight.T, torch.tensor(p)).mean().item()
    assert abs(added - penalty) < 5 * error + 0.05 * penalty
    assert penalty > 20 * error, "the noise hides what is tested"


def test_the_feature_penalty_does_not_depend_on_what_all_classes_share() -> None:
    x, weight, p = torch.randn(20, 5), torch.randn(3, 5), torch.tensor(0.5)
    shared = weight + torch.randn(5)
    first, second = (feature_penalty(x, w, x @ w.T, p) for w in (weight, shared))
    assert torch.allclose(first, second, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_product_penalty_is_exactly_what_dropout_adds(p: float) -> None:
    left, right, value = torch.randn(8, 3), torch.randn(8, 3), torch.randn(8)
    products = (left * right).expand(N, -1, -1)
    errors = (dropout(products, p).sum(-1) - value).square()
    plain = ((left * right).sum(-1) - value).square()
    expected = plain + product_penalty(left, right, torch.tensor(p))
    assert ((errors.mean(0) - expected).abs() < 5 * errors.std(0) / N**0.5).all()


def test_over_a_whole_matrix_it_is_the_product_of_the_squared_norms() -> None:
    left, right = torch.randn(7, 3), torch.randn(5, 3)
    row, column = torch.cartesian_prod(torch.arange(7), torch.arange(5)).T
    total = product_penalty(left[row], right[column], torch.tensor(0.25)).sum()
    norms = left.square().sum(0) * right.square().sum(0)
    assert torch.allclose(total, 0.25 / 0.75 * norms.sum(), rtol=1e-5)


def test_without_dropout_there_is_no_penalty() -> None:
    x, weight, p = torch.randn(4, 5), torch.randn(3, 5), torch.tensor(0.0)
    assert not feature_penalty(x, weight, x @ weight.T, p).any()
    assert not product_penalty(x, x, p).any()
