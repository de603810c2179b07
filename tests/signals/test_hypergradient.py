from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout.signals import hypergradient


def losses(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Callable[[], Tensor], Callable[[], Tensor]]:
    """The training loss of the first half and the validation loss of the second."""
    half = len(x) // 2

    def of(part: slice) -> Tensor:
        return (model(x[part]) - y[part]).square().mean()

    return lambda: of(slice(half)), lambda: of(slice(half, None))


def gaussian_net(rates: list[ad.SettableRate]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for rate in rates:
        layers += [nn.Linear(6, 6), nn.Tanh(), ad.GaussianDropout(rate)]
    return nn.Sequential(*layers, nn.Linear(6, 1)).double()


def look_ahead(model: nn.Module, scale: list[Tensor | float], training: Any, validation: Any) -> float:
    """The validation loss after the step w - scale * gradient, taken and undone, always with the same noise."""
    torch.manual_seed(7)
    weights = list(model.parameters())
    gradients = torch.autograd.grad(training(), weights)
    with torch.no_grad():
        before = [w.clone() for w in weights]
        for w, g, s in zip(weights, gradients, scale, strict=True):
            w -= s * g
        model.eval()
        loss = validation().item()
        model.train()
        for w, b in zip(weights, before, strict=True):
            w.copy_(b)
    return loss


def derivative(rate: ad.SettableRate, loss: Callable[[], float], width: float = 0.02) -> float:
    """That of ``loss`` by the logit of ``rate``, by differences at two widths, whose errors go with the square."""
    wide, narrow = central_difference(rate, loss, width), central_difference(rate, loss, width / 2)
    return (4 * narrow - wide) / 3


def central_difference(rate: ad.SettableRate, loss: Callable[[], float], width: float) -> float:
    p = rate.p
    logit, values = math.log(p / (1 - p)), []
    for move in (width, -width):
        rate.p = 1 / (1 + math.exp(-logit - move))
        values.append(loss())
    rate.p = p
    return (values[0] - values[1]) / (2 * width)


@pytest.mark.parametrize("shared", [False, True])
def test_it_is_the_derivative_of_the_validation_loss_one_step_of_sgd_ahead(shared: bool) -> None:
    first = ad.SettableRate(0.3)
    rates = [first, first if shared else ad.SettableRate(0.6)]
    model, x, y = gaussian_net(rates), torch.randn(40, 6).double(), torch.randn(40, 1).double()
    training, validation = losses(model, x, y)
    lr = 1e-5  # the derivative is exact for lr -> 0
    torch.manual_seed(7)
    measured = hypergradient(model, [torch.optim.SGD(model.parameters(), lr=lr)], training, validation)
    assert list(measured) == (["2"] if shared else ["2", "5"])
    for rate, found in zip(rates, measured.values(), strict=False):
        expected = derivative(rate, lambda: look_ahead(model, [lr] * 6, training, validation))
        assert found == pytest.approx(expected, rel=1e-3)  # float32 rates, and lr times the curvature


def test_adam_scales_the_step_by_its_corrected_second_moments_and_bounds_it() -> None:
    rates = [ad.SettableRate(0.3), ad.SettableRate(0.6)]
    model, x, y = gaussian_net(rates), torch.randn(40, 6).double(), torch.randn(40, 1).double()
    training, validation = losses(model, x, y)
    lr, optimizer = 1e-6, torch.optim.Adam(model.parameters(), lr=1e-6)
    for _ in range(3):
        optimizer.zero_grad()
        training().backward()
        optimizer.step()
    states = [optimizer.state[w] for w in model.parameters()]
    model.eval()
    target = torch.autograd.grad(validation(), list(model.parameters()))
    model.train()
    roots = [(s["exp_avg_sq"] / (1 - 0.999**3)).sqrt() + 1e-8 for s in states]
    assert 0 < sum((g.abs() > root).sum() for g, root in zip(target, roots, strict=True)) < 127, "all or none bounded"
    scale: list[Any] = [lr / torch.maximum(root, g.abs()) for g, root in zip(target, roots, strict=True)]
    torch.manual_seed(7)
    measured = hypergradient(model, [optimizer], training, validation)
    for rate, found in zip(rates, measured.values(), strict=True):
        expected = derivative(rate, lambda: look_ahead(model, scale, training, validation))
        assert found == pytest.approx(expected, rel=1e-3)


def test_a_measurement_leaves_no_trace() -> None:
    torch.manual_seed(1)
    frozen = nn.BatchNorm1d(6).eval()
    model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), ad.Dropout(0.3, inplace=True), frozen, nn.Linear(6, 1))
    optimizer = torch.optim.Adam(model.parameters())
    training, validation = losses(model, torch.randn(40, 6), torch.randn(40, 1))
    training().backward()
    optimizer.step()
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict(), [w.grad for w in model.parameters()]))
    generator, modes = torch.get_rng_state(), [module.training for module in model.modules()]
    buffers = [id(buffer) for buffer in model.buffers()]
    assert hypergradient(model, [optimizer], training, validation)["2"] != 0
    after = (model.state_dict(), optimizer.state_dict(), [w.grad for w in model.parameters()])
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert torch.equal(generator, torch.get_rng_state())
    assert modes == [module.training for module in model.modules()]
    assert buffers == [id(buffer) for buffer in model.buffers()]
    assert "noise" not in vars(model[2])


def test_what_would_quietly_measure_nothing_raises() -> None:
    model = nn.Sequential(nn.Linear(6, 6), ad.Dropout(0.3), nn.Linear(6, 1))
    training, validation = losses(model, torch.randn(40, 6), torch.randn(40, 1))
    optimizer = torch.optim.Adam(model.parameters())
    with pytest.raises(ValueError, match=r"has to be the loss itself, not loss.item\(\)"):
        hypergradient(model, [optimizer], training, lambda: validation().detach())
    with pytest.raises(ValueError, match="depends on no weight of the optimizers"):
        hypergradient(model, [torch.optim.SGD([nn.Parameter(torch.zeros(1))])], training, validation)
    with pytest.raises(ValueError, match=r"depends on no settable rate; .* training mode"):
        hypergradient(model.eval(), [optimizer], training, validation)
    with pytest.raises(ValueError, match="no settable rate in Linear"):
        hypergradient(model[0], [optimizer], training, validation)


def mean_in_errors(p: float) -> float:
    """The mean hypergradient of 400 noises and batches, in standard errors, where 40 examples have 30 inputs."""
    torch.manual_seed(1)
    x, true = torch.randn(1000, 30), 0.3 * torch.randn(30)
    y = (x @ true + torch.randn(1000))[:, None]
    model = nn.Sequential(ad.Dropout(p), nn.Linear(30, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(300):
        optimizer.zero_grad()
        (model(x[:40]) - y[:40]).square().mean().backward()
        optimizer.step()
    found = []
    for _ in range(400):
        part = torch.randint(40, 1000, (40,))
        training = lambda: (model(x[:40]) - y[:40]).square().mean()  # noqa: E731
        validation = lambda part=part: (model(x[part]) - y[part]).square().mean()  # noqa: E731
        found.append(hypergradient(model, [optimizer], training, validation)["0"])
        torch.randn(1)  # a measurement leaves the generator as it was: the next one shall have noise of its own
    values = torch.tensor(found)
    return (values.mean() / (values.std() / 20)).item()


@pytest.mark.slow
def test_it_raises_the_rate_where_a_network_overfits_and_lowers_it_where_noise_is_too_strong() -> None:
    assert mean_in_errors(0.01) < -5
    assert mean_in_errors(0.8) > 5
