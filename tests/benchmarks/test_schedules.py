from __future__ import annotations

import math
from pathlib import Path

import pytest

from adaptive_dropout.processes import one_quiet_thread
from benchmarks.report.page import write_page
from benchmarks.schedules.experiment import METHODS, PAGE, SCHEDULES
from benchmarks.schedules.text_task import TextTask
from benchmarks.study.study import Choice, Study
from benchmarks.supervised.training import train
from tests.benchmarks.digits_task import DIGITS_MLP, cell, row

ENDS = {
    "none": 0,
    "standard": 0.3,
    "linear": 0.5,
    "cosine": 0,
    "annealed": 0,
    "curriculum": 0.5,
    "early": 0,
    "late": 0.5,
}

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
