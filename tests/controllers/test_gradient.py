"""The rules that follow a gradient of validation by each rate."""

from __future__ import annotations

import math

import pytest
import torch

from adaptive_dropout.controllers import (
    Controller,
    HypergradientController,
    ResponseController,
    RewindController,
)

KINDS = [(HypergradientController(span=10.0), "hypergradient"), (ResponseController(span=10.0), "response")]


def signals(kind: str, gradient: float, step: int) -> dict[str, float]:
    return {f"{kind}/fc": gradient, "step": step, "total_steps": 100}


@pytest.mark.parametrize(("controller", "kind"), KINDS)
def test_the_logits_are_moved_as_torchs_adam_moves_them(controller: Controller, kind: str) -> None:
    logit = torch.nn.Parameter(torch.tensor(math.log(0.3 / 0.7), dtype=torch.float64))
    adam = torch.optim.Adam([logit], lr=0.0, betas=(0.9, 0.99), eps=1e-12)
    state = controller.init({"fc": 0.3})
    for number, gradient in enumerate([3e-5, -1e-5, 2e-5, 0.0, -4e-4, 1e-5]):
        state = controller.update(state, signals(kind, gradient, 2 * number))
        logit.grad = torch.tensor(gradient, dtype=torch.float64)
        adam.param_groups[0]["lr"] = 10.0 * 0.02 if number else 0.0
        adam.step()
        assert state.rates["fc"] == pytest.approx(torch.sigmoid(logit).item(), rel=1e-9)
    assert state.rates["fc"] != 0.3


@pytest.mark.parametrize(("controller", "kind"), KINDS)
def test_a_run_of_agreeing_gradients_moves_by_the_span_however_often_it_validates(
    controller: Controller, kind: str
) -> None:
    for every in (1, 5):
        state = controller.init({"fc": 0.02})
        for step in range(0, 51, every):
            state = controller.update(state, signals(kind, -1e-5, step))
        p = state.rates["fc"]
        assert math.log(p / (1 - p)) - math.log(0.02 / 0.98) == pytest.approx(5.0)  # half the run, half of 10 logits


@pytest.mark.parametrize(("controller", "kind"), KINDS)
def test_a_positive_gradient_lowers_and_says_so(controller: Controller, kind: str) -> None:
    state = controller.update(controller.init({"fc": 0.3}), signals(kind, 1e-5, 0))
    assert (state.rates["fc"], state.reason) == (0.3, "")
    state = controller.update(state, signals(kind, 1e-5, 5))
    assert state.rates["fc"] < 0.3
    assert state.reason == f"{kind}: 1 lowered"


@pytest.mark.parametrize(("controller", "kind"), KINDS)
def test_the_rates_stop_at_the_ends(controller: Controller, kind: str) -> None:
    for gradient, end in ((-1.0, 0.9), (1.0, 0.001)):
        state = controller.init({"fc": 0.1})
        for step in range(0, 101, 10):
            state = controller.update(state, signals(kind, gradient, step))
        assert state.rates["fc"] == end


@pytest.mark.parametrize(("controller", "kind"), KINDS)
def test_each_rate_follows_its_own_gradient(controller: Controller, kind: str) -> None:
    state = controller.init({"a": 0.3, "b": 0.3, "c": 0.3})
    for step in (0, 2):
        given = {f"{kind}/a": 1e-3, f"{kind}/b": -1e-6, f"{kind}/c": 0.0, "step": step, "total_steps": 100}
        state = controller.update(state, given)
    assert state.rates["a"] < state.rates["c"] == 0.3 < state.rates["b"]


@pytest.mark.parametrize(("controller", "kind"), KINDS)
def test_a_missing_gradient_is_named(controller: Controller, kind: str) -> None:
    with pytest.raises(KeyError, match=f"no signal named '{kind}/fc'"):
        controller.update(controller.init({"fc": 0.3}), {"step": 1, "total_steps": 2})
    assert controller.needs() == {kind}


def test_a_rewind_forgets_the_moments() -> None:
    controller = RewindController(HypergradientController())
    state = controller.init({"fc": 0.3})
    for step, val_loss in enumerate([1.0] + [2.0] * 9):
        given = signals("hypergradient", 1e-5, step) | {"val_loss": val_loss, "train_loss": 0.5, "clean_loss": 0.4}
        state = controller.update(state, given)
        if state.rewind:
            break
        assert state.inner.updates == step + 1  # type: ignore[attr-defined]
    assert state.rewind
    assert state.inner.updates == 0  # type: ignore[attr-defined]


def test_a_span_that_moves_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"span has to be above 0, or the rates never move, but got 0.0"):
        HypergradientController(span=0)
    with pytest.raises(ValueError, match=r"span has to be above 0, or the rates never move, but got -1.0"):
        ResponseController(span=-1)
