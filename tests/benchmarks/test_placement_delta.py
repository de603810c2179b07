"""The delta form of the response, and the rules over four places."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.networks import CNN
from adaptive_dropout.processes import one_quiet_thread
from benchmarks.placement.delta import DeltaControl, DeltaResponse
from benchmarks.placement.experiment import PAGE, PLACEMENT
from benchmarks.placement.places import ALL, PlacedRow, each, train_placed
from benchmarks.placement.rules import RULES
from benchmarks.placement.rules_table import separation
from benchmarks.report.page import write_page
from benchmarks.study.study import Choice, Study
from tests.benchmarks.digits_task import DIGITS_CNN, cell, row

# Torch's own forward derivatives script some functions when they are used first.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
]

X, Y = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(6)


def network() -> nn.Module:
    torch.manual_seed(0)
    return CNN(1, 10, 8, (4, 8), 16, lambda: ad.Dropout(0.3)).train()


def fill(response: DeltaResponse, factor: float) -> None:
    """Let A and C be the same numbers, times ``factor``."""
    torch.manual_seed(5)
    for tensor in response.parameters():
        tensor.data = factor * 0.1 * torch.randn(tensor.shape)


def outputs(model: nn.Module, factor: float) -> Tensor:
    """What the loss of a lesson gets, with A and C times ``factor``; masks and changes are the same."""
    response, heard = DeltaResponse(model), list[Tensor]()
    response.teach(lambda: model(X), 6, lambda output: F.cross_entropy(output, Y))
    fill(response, factor)
    torch.manual_seed(7)
    response.teach(lambda: model(X), 6, lambda output: heard.append(output) or F.cross_entropy(output, Y))
    return heard[0].detach()


def whole(model: nn.Module, factor: float) -> Tensor:
    """The output with the whole response in place of its first order."""
    response = DeltaResponse(model)
    response.teach(lambda: model(X), 6, lambda output: F.cross_entropy(output, Y))
    fill(response, factor)
    torch.manual_seed(7)
    response.install()
    response.draw(6)
    output = model(X).detach()
    response.remove()
    return output


def test_a_lesson_is_on_the_output_plus_the_first_order_of_the_response() -> None:
    model = network()
    plain = outputs(model, 0.0)
    # Twice as much response adds twice as much.
    assert torch.allclose(outputs(model, 2.0) - plain, 2 * (outputs(model, 1.0) - plain), atol=1e-6)
    # A small one adds what it does as a whole; the rest is of second order, .001 of it here.
    added, exact = outputs(model, 1e-2) - plain, whole(model, 1e-2) - whole(model, 0.0)
    assert torch.allclose(plain, whole(model, 0.0), atol=1e-6)
    assert (added - exact).norm() < 0.01 * exact.norm()


def test_a_lesson_moves_the_response_alone() -> None:
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    response = DeltaResponse(model)
    for _ in range(3):
        response.teach(lambda: model(X), 6, lambda output: F.cross_entropy(output, Y))
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(tensor.abs().max() > 0 for tensor in response.parameters())
    assert not any("noise" in vars(module) for module in model.modules())


def test_the_part_that_trains_the_weights_is_a_part() -> None:
    with pytest.raises(ValueError, match=r"share has to be above 0 and at most 1, but got 1\.5"):
        DeltaControl(ad.RewindController(ad.ResponseController()), 1.5)


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_trains_for_real_and_its_rates_are_known(rule: str, tmp_path: Path) -> None:
    one_quiet_thread()
    row = train_placed(cell(), DIGITS_CNN(epochs=20, validations=20, lr=0.01), RULES[rule](), tmp_path, "cpu")
    assert row.test_accuracy > 0.3  # 0.1 by guessing
    assert len(row.best_rates) == len(row.last_rates) == 4
    assert all(0 < p < 0.95 for p in (*row.best_rates, *row.last_rates))
    assert row.last_rates != (0.2,) * 4
    if rule == "default":
        assert len(set(row.last_rates)) == 1  # all places alike
    if rule == "bounded-delta":
        assert min(row.last_rates) >= 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("share", "seen"), [(0.5, 16), (1.0, 32)])
def test_the_weights_see_their_share_of_each_batch(share: float, seen: int, tmp_path: Path) -> None:
    one_quiet_thread()
    sizes = list[int]()

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        sizes.append(len(y))
        return F.cross_entropy(logits, y)

    method = replace(RULES["delta"](share=share), train_loss=loss)
    train_placed(cell(), DIGITS_CNN(epochs=3, validations=20), method, tmp_path, "cpu")
    # Lessons of 16 and the weights' part in turn; measurements and the clean loss are in eval mode.
    assert sizes[:2] == [16, seen]


def test_fixed_rates_are_known_too(tmp_path: Path) -> None:
    one_quiet_thread()
    row = train_placed(cell(), DIGITS_CNN(epochs=1, validations=1), each(conv2=0.7, dense=0.4), tmp_path, "cpu")
    assert row.best_rates == row.last_rates == pytest.approx((0, 0, 0.7, 0.4))


def test_the_table_compares_with_the_best_fixed_rates_and_the_default(tmp_path: Path) -> None:
    uniform = [Choice(f"all {p}", "after", {"places": ALL, "p": p}) for p in (0.1, 0.2)]
    dense, default, delta = (
        Choice("dense", "after", {"places": "dense", "p": 0.4}),
        Choice("default", "default", {}),
        Choice("delta", "delta", {}),
    )
    task = Choice("digits", "d", {})
    study = Study("some", (task,), (*uniform, dense, default, delta), (0, 1))
    rows = [
        PlacedRow(**asdict(row(method, seed, (val,), test + seed / 10, task.content)), best_rates=p, last_rates=p)
        for method, val, test, p in (
            (uniform[0], 1.0, 3.0, (0.1,) * 4),
            (uniform[1], 2.0, 2.0, (0.2,) * 4),
            (dense, 1.0, 1.0, (0.0, 0.0, 0.0, 0.4)),
            (default, 1.0, 1.5, (0.2,) * 4),
            (delta, 1.0, 1.25, (0.2, 0.2, 0.5, 0.5)),
        )
        for seed in (0, 1)
    ]  # fmt: skip
    write_page(PAGE, [study], rows, tmp_path)
    lines = (tmp_path / "table.md").read_text().splitlines()
    begin = lines.index("### some: digits") + 6
    header, _, *body = lines[begin : begin + 7]
    names = ["method", "seeds", "test NLL", "minus all 0.1", "minus dense", "minus default"]
    assert header.strip("| ").split(" | ") == [*names, "input", "conv1", "conv2", "dense", "apart"]
    assert [line.split(" | ")[0] for line in body] == ["| all 0.1", "| all 0.2", "| default", "| delta", "| dense"]
    assert (
        "| -1.7500 (0.0000) | +0.2500 (0.0000) | -0.2500 (0.0000) | 0.20 | 0.20 | 0.50 | 0.50 | +1.4 (0.0) |" in body[3]
    )
    assert separation(rows[-1]) == pytest.approx(1.386294)  # ln 4
    assert list(tmp_path.glob("*.png")) == []


def test_the_committed_studies_are_the_sweep_and_the_rules() -> None:
    kinds = {
        file.stem: {each.kind for each in PLACEMENT.study(str(file)).methods}
        for file in PLACEMENT.folder.glob("*.yaml")
    }
    assert kinds["mnist-small"] == {"none", "after"}
    assert kinds["rules"] == {"none", "after", "each", *RULES}
