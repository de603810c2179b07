"""Studies of schedules and of places."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import pytest

import adaptive_dropout as ad
from adaptive_dropout.processes import one_quiet_thread
from benchmarks.placement.experiment import (
    ALL,
    METHODS as PLACED,
    PAGE as PLACEMENT_PAGE,
    PLACEMENT,
    choose,
    find_sweeps,
    sweeps_figure,
)
from benchmarks.report.page import write_page
from benchmarks.schedules.experiment import METHODS, PAGE, SCHEDULES
from benchmarks.schedules.text_task import TextTask
from benchmarks.study.study import Choice, Study
from benchmarks.supervised.training import TrainedRow, train
from tests.benchmarks.digits_task import DIGITS_CNN, DIGITS_MLP, cell, cnn, row

ENDS = {"none": 0, "standard": 0.3, "linear": 0.5, "cosine": 0, "annealed": 0, "curriculum": 0.5, "early": 0}
ENDS["late"] = 0.5

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")


@pytest.fixture(autouse=True)
def _quiet() -> None:
    one_quiet_thread()


@pytest.mark.slow
@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_trains_for_real_and_ends_where_it_should(method: str, tmp_path: Path) -> None:
    trained_row = train(cell(), DIGITS_MLP(epochs=8, validations=20), METHODS[method](), tmp_path, "cpu")
    assert trained_row.test_accuracy > 0.3  # 0.1 by guessing
    if method in ENDS:
        # The last of 80 steps lies 1/80 in front of the end, and no slope is above 0.5 there.
        assert trained_row.final_rate == pytest.approx(ENDS[method], abs=0.5 / 80 + 1e-4)


@pytest.mark.slow
def test_a_language_model_trains_for_real(tmp_path: Path) -> None:
    (tmp_path / "plays").mkdir()
    (tmp_path / "plays" / "input.txt").write_text("to be or not to be that is the question " * 60)
    task = TextTask(epochs=1, batch_size=8, validations=4, root="plays", n_characters=1200, context=16)
    assert task.files(tmp_path) == [tmp_path / "plays" / "input.txt"]
    trained_row = train(cell(), task, METHODS["linear"](), tmp_path, "cpu")
    assert trained_row.test_loss < math.log(13)  # by guessing one of thirteen characters
    assert math.isnan(trained_row.test_calibration)
    with pytest.raises(FileNotFoundError, match="no text in"):
        TextTask().files(tmp_path)


def test_the_table_compares_with_the_first_constant_rate(tmp_path: Path) -> None:
    constant, early = Choice("constant", "standard", {"p": 0.3}), Choice("early", "early", {})
    study = Study("small", (Choice("digits", "d", {}),), (Choice("none", "none", {}), constant, early), (0,))
    rows = [row(each, 0, (loss, loss), loss, study.tasks[0].content) for each, loss in ((constant, 1.0), (early, 0.75))]
    write_page(PAGE, [study], rows, tmp_path)
    table = (tmp_path / "table.md").read_text()
    assert "NLL minus constant's" in table
    assert "| early | 1 | 90.00 | 0.7500 | -0.2500 |" in table
    assert len(list(tmp_path.glob("small-digits-*.png"))) == 2


def test_every_committed_study_has_every_schedule() -> None:
    for file in sorted(SCHEDULES.folder.glob("*.yaml")):
        assert {method.kind for method in SCHEDULES.study(str(file)).methods} == set(METHODS)


after = PLACED["after"]


def test_dropout_is_at_the_chosen_places_and_off_at_all_others() -> None:
    method = after("conv1 dense", 0.4)
    network = method.change(cnn(method.dropout))
    assert ad.get_rates(network) == {"dropout0": 0.0, "dropout1": 0.4, "dropout2": 0.0, "dropout3": 0.4}
    assert next(iter(network)) is network.dropout0  # on the pixels, in front of everything
    everywhere = after(ALL, 0.4)
    assert set(ad.get_rates(everywhere.change(cnn(everywhere.dropout))).values()) == {0.4}


@pytest.mark.parametrize(
    ("places", "p", "message"),
    [
        ("conv3", 0.5, "no place 'conv3'; there are input, conv1, conv2, dense"),
        ("", 0.5, "places has to name at least one of input, conv1, conv2, dense, but is empty"),
        ("dense", 1.5, "p has to be between 0 and 1, but got 1.5"),
    ],
)
def test_a_place_or_rate_that_cannot_be_is_refused(places: str, p: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        after(places, p)


@pytest.mark.slow
def test_a_cell_trains_for_real(tmp_path: Path) -> None:
    trained_row = train(cell(), DIGITS_CNN(epochs=20, validations=2), after("input dense", 0.2), tmp_path, "cpu")
    assert trained_row.test_accuracy > 0.3  # 0.1 by guessing
    assert trained_row.final_rate == pytest.approx(0.1)


def method(places: str, p: float) -> Choice:
    return Choice(f"{places} {p}", "after", {"places": places, "p": p})


NO_DROPOUT = Choice("none", "none", {})
CHOICES = (NO_DROPOUT, method("dense", 0.5), method("dense", 0.2), method(ALL, 0.2))
STUDY = Study("small", (Choice("digits", "d", {}),), CHOICES, (0, 1))


def rows() -> list[TrainedRow]:
    make = functools.partial(row, task=STUDY.tasks[0].content)
    none = [make(NO_DROPOUT, seed, (1.0,), 1.0) for seed in (0, 1)]
    dense = [make(method("dense", 0.2), seed, (0.5,), 0.7 + seed / 5) for seed in (0, 1)]
    return [*none, *dense, make(method("dense", 0.5), 0, (0.75,), 0.5)]


def test_a_sweep_begins_without_dropout_and_the_choice_is_by_validation() -> None:
    by_name = {name: [each for each in rows() if each.method == name] for name in ("none", "dense 0.5", "dense 0.2")}
    found = find_sweeps(STUDY, by_name)
    assert {place: list(sweep) for place, sweep in found.items()} == {"dense": [0.0, 0.2, 0.5]}
    assert choose(found["dense"]) == 0.2  # the test would have chosen 0.5


def test_the_table_and_the_figure_are_of_all_that_was_run(tmp_path: Path) -> None:
    write_page(PLACEMENT_PAGE, [STUDY], rows(), tmp_path)
    table = (tmp_path / "table.md").read_text()
    # Differences of pairs: 0.7 - 1 and 0.9 - 1.
    assert "| dense | 0.2 | 90.00 (0.00) | 0.8000 (0.1000) | -0.2000 (0.1000) |" in table
    assert "| NLL at p | 0 | 0.2 | 0.5 |" in table
    assert "| dense | 1.0000 | 0.8000 | 0.5000 |" in table
    assert f"Not run: dense 0.5 (1 seeds), {ALL} 0.2 (2 seeds)." in table
    assert [file.name for file in tmp_path.glob("*.png")] == ["small-digits-sweeps.png"]
    assert sweeps_figure(STUDY, {"none": rows()[:2]}, "") == {}


def test_the_committed_studies_sweep_every_place_at_nine_rates() -> None:
    for name in ("mnist", "mnist-small"):
        study = PLACEMENT.study(name)
        swept = {(each.settings["places"], each.settings["p"]) for each in study.methods if each.kind == "after"}
        assert len(swept) == 45
        assert {p for _, p in swept} == {tenths / 10 for tenths in range(1, 10)}
