"""``adaptive-dropout inventory``: a table of any model, or one line of what is wrong."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

from adaptive_dropout.cli import main
from tests.cli.commands import error_of


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.25)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(self.drop(x), 0.125)


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def test_it_shows_the_rates_of_a_class_and_with_a_shape_those_in_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inventory", "--model", "tests.cli.test_inventory.Small"]) == 0
    shown = capsys.readouterr().out
    assert "0.25" in shown
    assert "1 can be moved, 0 cannot; give --shape" in shown
    assert main(["inventory", "--model", "tests.cli.test_inventory.Small", "--shape", "2", "3"]) == 0
    shown = capsys.readouterr().out
    assert "0.125" in shown
    assert "1 can be moved, 1 cannot; one forward on (2, 3) was watched" in shown


@pytest.mark.slow
def test_it_builds_a_model_of_timm(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("timm")
    assert main(["inventory", "--model", "timm:test_vit"]) == 0
    shown = capsys.readouterr().out
    assert "blocks.0.attn.attn_drop" in shown
    assert "one forward on (2, 3, 160, 160) was watched" in shown


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("resnet18", "--model has to be timm:NAME or a path such as torchvision.models.resnet18, but got 'resnet18'"),
        ("no_such_module.Net", "No module named 'no_such_module'; give the path of a class that can be imported"),
        ("collections.Counter", "collections.Counter makes a Counter, which is not a torch.nn.Module"),
        ("tests.cli.test_inventory.Large", "module 'tests.cli.test_inventory' has no attribute 'Large'"),
    ],
)
def test_what_is_no_model_is_one_line(model: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert error_of(["inventory", "--model", model], capsys) == says
