"""Which models have a hypergradient, and what is said of those that have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

import adaptive_dropout as ad
from adaptive_dropout.networks import GPT
from adaptive_dropout.signals import hypergradient, second_order
from tests.signals.test_hypergradient import losses


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


def test_a_torch_that_marks_them_otherwise_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    second_order.check_detection()
    monkeypatch.setattr(second_order, "_once_differentiable", lambda loss: None)
    with pytest.raises(RuntimeError, match="second derivatives could be silently wrong"):
        second_order.check_detection.__wrapped__()


def test_a_layer_whose_noise_has_no_gaussian_form_is_named() -> None:
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
