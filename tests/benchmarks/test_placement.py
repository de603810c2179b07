from __future__ import annotations

import functools
from pathlib import Path

import pytest

import adaptive_dropout as ad
from adaptive_dropout.processes import one_quiet_thread
from benchmarks.placement.experiment import ALL, METHODS, PAGE, PLACEMENT, choose, find_sweeps, sweeps_figure
from benchmarks.report.page import write_page
from benchmarks.study.study import Choice, Study
from benchmarks.supervised.training import TrainedRow, train
from tests.benchmarks.digits_task import DIGITS_CNN, cell, cnn, row

after = METHODS["after"]


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
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_a_cell_trains_for_real(tmp_path: Path) -> None:
    one_quiet_thread()
    trained_row = train(cell(), DIGITS_CNN(epochs=20, validations=2), after("input dense", 0.2), tmp_path, "cpu")
    assert trained_row.test_accuracy > 0.3  # 0.1 by guessing
    assert trained_row.final_rate == pytest.approx(0.1)


def method(places: str, p: float) -> Choice:
    return Choice(f"{places} {p}", "after", {"places": places, "p": p})


NONE = Choice("none", "none", {})
STUDY = Study(
    "small", (Choice("digits", "d", {}),), (NONE, method("dense", 0.5), method("dense", 0.2), method(ALL, 0.2)), (0, 1)
)


def rows() -> list[TrainedRow]:
    make = functools.partial(row, task=STUDY.tasks[0].content)
    none = [make(NONE, seed, (1.0,), 1.0) for seed in (0, 1)]
    dense = [make(method("dense", 0.2), seed, (0.5,), 0.7 + seed / 5) for seed in (0, 1)]
    return [*none, *dense, make(method("dense", 0.5), 0, (0.75,), 0.5)]


def test_a_sweep_begins_without_dropout_and_the_choice_is_by_validation() -> None:
    by_name = {name: [each for each in rows() if each.method == name] for name in ("none", "dense 0.5", "dense 0.2")}
    found = find_sweeps(STUDY, by_name)
    assert {place: list(sweep) for place, sweep in found.items()} == {"dense": [0.0, 0.2, 0.5]}
    assert choose(found["dense"]) == 0.2  # the test would have chosen 0.5


def test_the_table_and_the_figure_are_of_all_that_was_run(tmp_path: Path) -> None:
    write_page(PAGE, [STUDY], rows(), tmp_path)
    table = (tmp_path / "table.md").read_text()
    # Differences of pairs: 0.7 - 1 and 0.9 - 1.
    assert "| dense | 0.2 | 90.00 (0.00) | 0.8000 (0.1000) | -0.2000 (0.1000) |" in table
    assert "| NLL at p | 0 | 0.2 | 0.5 |" in table
    assert "| dense | 1.0000 | 0.8000 | 0.5000 |" in table
    assert f"Not run: dense 0.5 (1 seeds), {ALL} 0.2 (2 seeds)." in table
    assert [file.name for file in tmp_path.glob("*.png")] == ["small-digits-sweeps.png"]
    assert sweeps_figure(STUDY, {"none": rows()[:2]}, "") == {}


def test_the_committed_studies_sweep_every_place_at_nine_rates() -> None:
    for file in sorted(PLACEMENT.folder.glob("*.yaml")):
        study = PLACEMENT.study(str(file))
        swept = {(each.settings["places"], each.settings["p"]) for each in study.methods if each.kind == "after"}
        assert len(swept) == 45
        assert {p for _, p in swept} == {tenths / 10 for tenths in range(1, 10)}
