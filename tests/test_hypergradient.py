from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

import adaptive_dropout as ad
from adaptive_dropout.networks import GPT
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


def central_difference(rate: ad.SettableRate, loss: Callable[[], float], width: float = 0.02) -> float:
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
        expected = central_difference(rate, lambda: look_ahead(model, [lr] * 6, training, validation))
        assert found == pytest.approx(expected, rel=1e-3)  # the square of the width, and lr times the curvature


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
        expected = central_difference(rate, lambda: look_ahead(model, scale, training, validation))
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


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.drop, self.out = nn.GRU(6, 6, batch_first=True), ad.Dropout(0.3), nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.drop(self.rnn(x[:, None])[0][:, 0]))


class Attentive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.drop = nn.MultiheadAttention(6, 2, dropout=0.1, batch_first=True), ad.Dropout(0.3)
        self.out = nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        sequence = self.drop(x[:, None].expand(-1, 3, -1))
        return self.out(self.attention(sequence, sequence, sequence, need_weights=False)[0][:, 0])


@pytest.mark.parametrize("make", [Recurrent, Attentive])
def test_recurrent_networks_and_attention_are_differentiated_twice(make: Callable[[], nn.Module]) -> None:
    model = make()
    training, validation = losses(model, torch.randn(40, 6), torch.randn(40, 1))
    assert hypergradient(model, [torch.optim.Adam(model.parameters())], training, validation)["drop"] != 0


def test_a_transformer_is_differentiated_twice() -> None:
    model = GPT(11, 8, layers=1, heads=2, channels=8, dropout=lambda: ad.Dropout(0.2))
    tokens = torch.randint(11, (16, 9))

    def loss() -> Tensor:
        return nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())

    measured = hypergradient(model, [torch.optim.AdamW(model.parameters())], loss, loss)
    assert measured
    assert all(measured.values())


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * ctx.saved_tensors[0] * gradient


def test_what_cannot_be_differentiated_twice_is_told_in_one_line() -> None:
    class Squared(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return Once.apply(x)

    model = nn.Sequential(nn.Linear(6, 6), ad.Dropout(0.3), Squared(), nn.Linear(6, 1))
    training, validation = losses(model, torch.randn(40, 6), torch.randn(40, 1))
    optimizer = torch.optim.Adam(model.parameters())
    with pytest.raises(RuntimeError, match=r"\(Once is marked with @once_differentiable\); Resp") as told:
        hypergradient(model, [optimizer], training, validation)
    assert "\n" not in str(told.value)
    assert "noise" not in vars(model[1])


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


def test_a_layer_without_a_relaxed_form_is_named() -> None:
    class Mine(ad.NoiseLayer):
        def noise(self, x: Tensor, p: Tensor) -> Tensor:
            return x

    model = nn.Sequential(nn.Linear(6, 6), Mine(0.3), nn.Linear(6, 1))
    training, validation = losses(model, torch.randn(40, 6), torch.randn(40, 1))
    with pytest.raises(TypeError, match="the noise of '1', a Mine, passes no gradient to its rate; make it learnable"):
        hypergradient(model, [torch.optim.SGD(model.parameters())], training, validation)


def test_a_compiled_model_is_measured_without_another_graph() -> None:
    graphs: list[torch.fx.GraphModule] = []
    torch._dynamo.reset()
    model = nn.Sequential(nn.Linear(6, 6), ad.Dropout(0.3), nn.Linear(6, 1))
    compiled = torch.compile(model, backend=lambda graph, _: graphs.append(graph) or graph)
    x, y, optimizer = torch.randn(40, 6), torch.randn(40, 1), torch.optim.SGD(model.parameters())
    losses(compiled, x, y)[0]()
    found = []
    for module in (model, compiled):
        torch.manual_seed(2)
        found += hypergradient(module, [optimizer], *losses(module, x, y)).values()
    losses(compiled, x, y)[0]()
    assert found[0] == found[1] != 0
    assert len(graphs) == 1


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


def test_it_raises_the_rate_where_a_network_overfits_and_lowers_it_where_noise_is_too_strong() -> None:
    assert mean_in_errors(0.01) < -5
    assert mean_in_errors(0.8) > 5
