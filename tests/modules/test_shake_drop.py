from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout.functional import shake_drop
from adaptive_dropout.functional.shake_drop import _draw, _reference, _ShakeDrop
from adaptive_dropout.signals import Response, hypergradient
from tests.contracts import check_rates
from tests.fake_device import backward, fake_cuda, no_waits

PS = [0.0, 0.001, 0.1, 0.5, 0.9, 1.0]


def factors(p: float | Tensor, batch: int) -> tuple[Tensor, Tensor]:
    """What each example, and its gradient, is multiplied by."""
    x = torch.ones(batch, 2, requires_grad=True)
    y = shake_drop(x, p)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(y[:, 0], y[:, 1])
    assert torch.equal(gradient[:, 0], gradient[:, 1])
    return y[:, 0].detach().double(), gradient[:, 0].double()


def within_5_standard_errors(samples: Tensor, mean: float) -> bool:
    return abs(samples.mean() - mean).item() <= 5 * (samples.std() / len(samples) ** 0.5).item() + 1e-12


@pytest.mark.parametrize("p", PS)
def test_the_factors_have_the_closed_forms(p: float) -> None:
    torch.manual_seed(2)
    forward, back = factors(p, 40_000)
    shaken = (forward != 1).double()
    assert abs(shaken.mean() - p).item() <= 5 * (p * (1 - p) / 40_000) ** 0.5
    assert within_5_standard_errors(forward, 1 - p)
    assert within_5_standard_errors(forward**2, 1 - p + p / 3)
    assert within_5_standard_errors(back, 1 - p / 2)
    assert within_5_standard_errors(back**2, 1 - p + p / 3)
    assert ((forward >= -1) & (forward <= 1)).all()
    assert ((back >= 0) & (back <= 1)).all()
    assert torch.equal(back[forward == 1], torch.ones(int((forward == 1).sum())).double())
    if p > 0.01:
        both = forward[shaken > 0] * (back[shaken > 0] - 0.5)
        assert within_5_standard_errors(both, 0.0)  # drawn apart


def test_evaluation_takes_the_mean_of_training() -> None:
    layer, x = ad.ShakeDrop(0.3), torch.ones(40_000, 1)
    torch.manual_seed(2)
    trained = layer(x)[:, 0].double()
    assert within_5_standard_errors(trained, layer.eval()(x)[0].item())
    assert torch.equal(layer(x), 0.7 * x)
    assert layer(x.bfloat16()).dtype == torch.bfloat16


def test_a_rate_of_0_is_the_identity_and_draws_nothing() -> None:
    layer, x = ad.ShakeDrop(0.0), torch.randn(3, 4)
    before = torch.get_rng_state()
    assert layer(x) is x
    assert layer.eval()(x) is x
    assert torch.equal(torch.get_rng_state(), before)


def test_each_example_has_a_gate_of_its_own_where_public_code_has_one_for_the_batch() -> None:
    torch.manual_seed(2)
    forward, _ = factors(0.5, 50)
    assert 0 < (forward == 1).sum() < 50
    p = torch.tensor([0.0, 1.0]).repeat(25)
    forward, _ = factors(p.view(50, 1), 50)
    assert (forward[::2] == 1).all()
    assert (forward[1::2] != 1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_fast_form_is_the_slow_one(dtype: torch.dtype) -> None:
    x = torch.randn(30, 3, 2, dtype=dtype, requires_grad=True)
    drawn = _draw(x, 0.5, 3)
    results = []
    for call in (_ShakeDrop.apply, _reference):
        y = call(x, *drawn)
        assert y.dtype == dtype
        results.append((y, *torch.autograd.grad(y.square().sum(), x)))
    tolerance = {"rtol": 0.02, "atol": 0.02} if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(*results, **tolerance)


def test_rates_are_taken_as_by_every_layer() -> None:
    check_rates(ad.ShakeDrop)
    layer = ad.ShakeDrop(ad.SettableRate(0.25))
    assert ad.get_rates(nn.Sequential(layer)) == {"0": 0.25}
    assert ad.inventory(nn.Sequential(layer))[0].kind == "ShakeDrop"
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        twin.p = 0.5
        assert (twin.p, layer.p, repr(twin)) == (0.5, 0.25, "ShakeDrop(p=0.5)")


def test_a_signal_that_would_differentiate_through_it_raises() -> None:
    model, x = nn.Sequential(nn.Linear(3, 3), ad.ShakeDrop(0.5)), torch.randn(8, 3)
    loss = lambda: model(x).square().mean()  # noqa: E731
    with pytest.raises(TypeError, match="the noise of '1', a ShakeDrop, passes no gradient to its rate"):
        hypergradient(model, [torch.optim.SGD(model.parameters(), lr=0.1)], loss, loss)
    with pytest.raises(TypeError, match="'1', a ShakeDrop, takes one rate for all"):
        Response(model)


def test_twenty_changes_of_p_are_one_graph_with_the_numbers_of_eager_code(short_noise: None) -> None:
    layer, x, graphs = ad.ShakeDrop(0.5), torch.randn(20, 3), []
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend=lambda graph, _: graphs.append(graph) or graph, fullgraph=True)
    for step in range(1, 21):
        layer.p = step / 20
        torch.manual_seed(step)
        expected = layer(x)
        torch.manual_seed(step)
        torch.testing.assert_close(compiled(x), expected)
    assert len(graphs) == 1


def test_it_waits_for_no_device() -> None:
    with fake_cuda():
        layer = ad.ShakeDrop(0.2)
        x = torch.ones(2, 4, 4, requires_grad=True)
        with no_waits():
            backward(layer(x).square().mean())
            layer.eval()(x)
    assert x.grad is not None


def test_it_can_be_traced_and_vmapped() -> None:
    traced = torch.fx.symbolic_trace(nn.Sequential(nn.Linear(3, 3), ad.ShakeDrop(0.5)))
    assert traced(torch.ones(4, 3)).shape == (4, 3)
    y = torch.vmap(ad.ShakeDrop(0.5), randomness="different")(torch.ones(30, 5, 2))
    assert len(y[..., 0].unique()) > 20


def test_wrong_inputs_are_told() -> None:
    with pytest.raises(RuntimeError, match=r"takes \(batch, \.\.\.\), but got shape \(\)"):
        shake_drop(torch.tensor(1.0), 0.5)
    with pytest.raises(RuntimeError, match="floating-point"):
        shake_drop(torch.ones(3, dtype=torch.int64), 0.5)
    with pytest.raises(ValueError, match=r"has to be between 0 and 1, but got 1\.5"):
        shake_drop(torch.ones(3, 1), 1.5)
    with pytest.raises(ValueError, match="passes no gradient to p"):
        shake_drop(torch.ones(3), torch.tensor(0.5, requires_grad=True))
