from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout.signals import Response


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 6), ad.Dropout(0.3), nn.Tanh(), nn.Linear(6, 5), ad.Dropout(0.1), nn.Linear(5, 1))


def train(model: nn.Module, response: Response, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    seen = []
    for _ in range(steps):
        x = torch.randn(16, 4)
        response.draw(16)
        optimizer.zero_grad()
        loss = (model(x) - x[:, :1]).square().mean()
        loss.backward()
        optimizer.step()
        response.learn()
        seen.append(loss.item())
    return seen


def test_the_signal_is_the_derivative_of_the_validation_loss_through_the_response() -> None:
    model, x = net(), torch.randn(20, 4)
    response = Response(model)
    response.install()
    train(model, response, torch.optim.SGD(model.parameters(), lr=0.1), 5)
    learned = response.state_dict()["learned"]

    def loss(change: Tensor) -> float:
        (a1, c1), (a2, c2) = learned["1"], learned["4"]
        h = model[0](x)
        h = torch.tanh(h * (1 + a1 @ change) + c1 @ change)
        h = model[3](h)
        h = h * (1 + a2 @ change) + c2 @ change
        return (model[5](h) - x[:, :1]).square().mean().item()

    model.double()
    x, learned = x.double(), {path: [t.double() for t in pair] for path, pair in learned.items()}
    width = 1e-4
    moves = width * torch.eye(2, dtype=torch.float64)
    expected = [(loss(move) - loss(-move)) / (2 * width) for move in moves]
    measured = response.signal(lambda: (model(x) - x[:, :1]).square().mean())
    assert list(measured) == ["1", "4"]
    # float32 in the response, 1e-3 of learned A and C, and 1e-8 of the width squared
    assert list(measured.values()) == pytest.approx(expected, rel=1e-3)
    assert all(measured.values())


def test_after_a_lesson_the_layers_have_their_own_noise_for_any_number_of_examples() -> None:
    response = Response(model := net())
    response.install()
    response.draw(16)
    model(torch.randn(16, 4)).sum().backward()
    response.learn()
    torch.manual_seed(3)
    after = model(x := torch.randn(5, 4))
    response.remove()
    torch.manual_seed(3)
    assert torch.randn(5, 4).equal(x)
    assert model(x).equal(after)


@pytest.mark.parametrize("layer", [ad.Dropout(0.3), ad.AlphaDropout(0.3)])
def test_each_example_is_dropped_at_its_own_rate(layer: ad.NoiseLayer) -> None:
    n, x = 20_000, torch.full((8, 20_000), 2.0)
    response = Response(model := nn.Sequential(layer))
    response.install()
    torch.manual_seed(4)
    response.draw(8)
    torch.manual_seed(4)
    logits = math.log(0.3 / 0.7) + 0.5 * torch.randn(8, 1)
    with torch.no_grad():
        y = model(x)
    for row, logit in zip(y, logits, strict=True):
        p = torch.sigmoid(logit).item()
        assert len(row.unique()) == 2
        assert abs((row != row.max()).double().mean().item() - p) < 5 * (p * (1 - p) / n) ** 0.5


def test_layers_that_share_a_rate_share_its_column() -> None:
    rate = ad.SettableRate(0.3)
    model = nn.Sequential(nn.Linear(4, 6), ad.Dropout(rate), nn.Linear(6, 6), ad.Dropout(rate), nn.Linear(6, 1))
    response = Response(model)
    response.install()
    train(model, response, torch.optim.SGD(model.parameters(), lr=0.1), 3)
    assert [tuple(tensor.shape) for tensor in response.parameters()] == [(6, 1)] * 4
    assert list(response.signal(lambda: model(torch.ones(4, 4)).mean())) == ["1"]


def test_it_learns_on_the_training_loss_and_stays_out_of_the_model() -> None:
    model = net()
    names = list(model.state_dict())
    response = Response(model)
    response.install()
    train(model, response, torch.optim.SGD(model.parameters(), lr=0.1), 3)
    assert [tuple(tensor.shape) for tensor in response.parameters()] == [(6, 2), (6, 2), (5, 2), (5, 2)]
    assert all(tensor.any() for tensor in response.parameters())
    assert all(tensor.grad is None for tensor in response.parameters())
    assert list(model.state_dict()) == names
    assert len(list(model.parameters())) == 6


def test_eval_mode_sees_nothing_of_it_and_removal_leaves_nothing() -> None:
    model, x = net(), torch.randn(8, 4)
    before = copy.deepcopy(model)
    response = Response(model)
    response.install()
    train(model, response, torch.optim.SGD(model.parameters(), lr=0.0), 3)
    assert torch.equal(model.eval()(x), before.eval()(x))
    response.remove()
    model.train()
    before.train()
    torch.manual_seed(2)
    expected = before(x)
    torch.manual_seed(2)
    assert torch.equal(model(x), expected)
    assert all(vars(layer).keys() == vars(twin).keys() for layer, twin in zip(model, before, strict=True))


def test_measuring_leaves_no_trace() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), ad.Dropout(0.3), nn.Linear(6, 1))
    response = Response(model)
    response.install()
    train(model, response, torch.optim.SGD(model.parameters(), lr=0.1), 3)
    before = copy.deepcopy((model.state_dict(), response.state_dict(), [w.grad for w in model.parameters()]))
    generator = torch.get_rng_state()
    response.signal(lambda: model(torch.randn(8, 4)).square().mean())
    after = (model.state_dict(), response.state_dict(), [w.grad for w in model.parameters()])
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert torch.equal(generator, torch.get_rng_state())
    assert all(module.training for module in model.modules())


def test_it_goes_on_from_where_it_was_stored(tmp_path: object) -> None:
    runs = []
    for stored in (False, True):
        torch.manual_seed(6)
        model = net()
        optimizer, response = torch.optim.SGD(model.parameters(), lr=0.1), Response(model)
        response.install()
        train(model, response, optimizer, 4)
        if stored:
            state = copy.deepcopy(response.state_dict())
            response.remove()
            response = Response(model)
            response.load_state_dict(state)
            response.install()
        runs.append(train(model, response, optimizer, 4) + [tensor.sum().item() for tensor in response.parameters()])
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("layer", "shape", "features"),
    [
        (ad.Dropout(0.3), (4, 7, 6), 6),
        (ad.Dropout(0.3), (4, 6, 3, 3), 6),
        (ad.Dropout1d(0.3), (4, 6, 7), 6),
        (ad.Dropout2d(0.3), (4, 6, 3, 3), 6),
        (ad.DropPath(0.3), (4, 7, 6), 6),
        (ad.GaussianDropout(ad.SettableRate(0.3)), (4, 6), 6),
    ],
)
def test_channels_are_the_features_of_maps(layer: ad.NoiseLayer, shape: tuple[int, ...], features: int) -> None:
    response = Response(model := nn.Sequential(layer))
    response.install()
    response.draw(4)
    assert model(torch.ones(shape)).shape == shape
    assert [len(tensor) for tensor in response.parameters()] == [features] * 2


def test_a_layer_without_a_rate_for_each_example_is_named() -> None:
    model = nn.Sequential(nn.Linear(4, 4), ad.ConcreteDropout(ad.SettableRate(0.3)))
    with pytest.raises(TypeError, match=r"'1', a ConcreteDropout, takes one rate for all; use one of Alpha.*DropPath"):
        Response(model)


def test_rows_that_are_no_examples_are_told() -> None:
    response = Response(model := nn.Sequential(nn.Flatten(0, 1), ad.Dropout(0.3)))
    response.install()
    response.draw(4)
    with pytest.raises(ValueError, match="'1' gets 12 rows for 4 examples"):
        model(torch.ones(4, 3, 2))


def test_a_validation_loss_without_a_gradient_is_told() -> None:
    response = Response(model := net())
    with pytest.raises(ValueError, match=r"has to be the loss itself, not loss.item\(\)"):
        response.signal(lambda: model(torch.ones(4, 4)).mean().detach())


def test_a_compiled_model_is_refused() -> None:
    model = net()
    with pytest.raises(ValueError, match=r"run uncompiled, but '_orig_mod.1' is compiled"):
        Response(torch.compile(model, backend="eager"))
    model[1].compile(backend="eager")
    with pytest.raises(ValueError, match="run uncompiled, but '1' is compiled"):
        Response(model)


def test_a_compiled_part_without_a_steered_layer_is_none_of_its_business() -> None:
    model = net()
    model[0].compile(backend="eager")
    Response(model)
