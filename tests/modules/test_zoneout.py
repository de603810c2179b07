from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.functional import zoneout


@pytest.mark.parametrize("p", [0.0, 0.001, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(100_000,), (333, 7, 43), (99_991, 1)])
def test_units_keep_their_old_value_with_probability_p(p: float, shape: tuple[int, ...]) -> None:
    n = torch.Size(shape).numel()
    old, new = torch.full(shape, 2.0), torch.full(shape, 3.0)
    state = zoneout(new, old, p)
    assert ((state == 2) | (state == 3)).all(), "something is rescaled"
    kept = (state == 2).sum().item()
    used = round(p * 65536) / 65536  # p comes in steps of 2^-16
    assert abs(kept - n * used) <= 5 * (n * used * (1 - used)) ** 0.5


@pytest.mark.parametrize("shape", [(1,), (0,), (2, 3)])
def test_0_takes_the_new_state_and_1_the_old_exactly(shape: tuple[int, ...]) -> None:
    new, old = torch.randn(shape), torch.full(shape, float("inf"))
    assert zoneout(new, old, 0.0) is new
    assert torch.equal(zoneout(new, old, 1.0), old)
    layer = ad.Zoneout(0.0).eval()
    assert torch.equal(layer(new, new + 1), new)
    layer.p = 1.0
    assert torch.equal(layer(new, new + 1), new + 1)


def test_the_sense_is_that_p_keeps_the_old_value_unlike_cells_that_have_it_inverted() -> None:
    # Three public cells freeze the state at their default of 0; another takes 1 - p.
    new, old = torch.ones(10_000), torch.zeros(10_000)
    assert ad.Zoneout(0.05)(new, old).mean() > 0.9
    assert ad.Zoneout(0.05).eval()(new, old).mean().item() == pytest.approx(0.95)


def test_the_mask_has_the_shape_of_the_state_unlike_one_made_of_its_size() -> None:
    # A public cell draws `new_tensor(h.size())`: a mask of as many numbers as h has dimensions.
    state = zoneout(torch.ones(50, 60), torch.zeros(50, 60), 0.5)
    assert 0 < state.mean(0).min() < state.mean(0).max() < 1
    assert 0 < state.mean(1).min() < state.mean(1).max() < 1


def test_evaluation_is_the_mean_of_training_unlike_cells_without_it() -> None:
    layer, new, old = ad.Zoneout(0.3), torch.randn(7), torch.randn(7)
    n = 20_000
    states = layer(new.expand(n, 7), old.expand(n, 7))
    mean = layer.eval()(new, old)
    assert torch.allclose(mean, 0.3 * old + 0.7 * new)
    assert ((states.mean(0) - mean).abs() <= 5 * states.std(0) / n**0.5 + 1e-5).all()


def test_each_gradient_goes_where_the_value_came_from() -> None:
    new, old = torch.randn(1000, requires_grad=True), torch.randn(1000, requires_grad=True)
    state = ad.Zoneout(0.4)(new, old)
    to_new, to_old = torch.autograd.grad(state.sum(), (new, old))
    assert torch.equal(to_new + to_old, torch.ones(1000))
    assert torch.equal(to_old == 1, state == old)


def test_it_has_an_ordinary_rate() -> None:
    model = nn.ModuleDict({"zoneout": ad.Zoneout(ad.LinearSchedule(0.0, 0.4, steps=4))})
    ad.set_step(model, 2)
    assert ad.get_rates(model) == {"zoneout": pytest.approx(0.2)}
    assert repr(copy.deepcopy(model["zoneout"])).startswith("Zoneout(p=0.2, rate=ScheduledRate(")
    assert list(model.state_dict()) == []
    with pytest.raises(AttributeError, match="written by its schedule"):
        model["zoneout"].p = 0.1
    with pytest.raises(TypeError, match="Zoneout passes no gradient to a learned p"):
        ad.Zoneout(ad.LearnedRate(0.1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_state_keeps_its_dtype(dtype: torch.dtype) -> None:
    layer, new, old = ad.Zoneout(0.3), torch.ones(8, dtype=dtype), torch.zeros(8, dtype=dtype)
    assert layer(new, old).dtype == dtype
    assert layer.eval()(new, old).dtype == dtype


def test_wrong_input_is_told() -> None:
    with pytest.raises(ValueError, match=r"have one shape, but got \(2, 3\) and \(3,\)"):
        zoneout(torch.ones(2, 3), torch.ones(3), 0.5)
    with pytest.raises(ValueError, match=r"p has to be between 0 and 1, but got 1.5"):
        zoneout(torch.ones(2), torch.ones(2), 1.5)
    with pytest.raises(RuntimeError, match="floating-point"):
        zoneout(torch.ones(2, dtype=torch.int64), torch.ones(2, dtype=torch.int64), 0.5)
