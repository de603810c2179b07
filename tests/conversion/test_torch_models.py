"""Every rate of torch's and torchvision's own models, driven and observed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from tests.conversion.observed import Case, check_every_rate

torchvision = pytest.importorskip("torchvision")


class LanguageModel(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], dropout: float = 0.2) -> None:
        super().__init__()
        self.embedding, self.drop = nn.Embedding(20, 16), nn.Dropout(dropout)
        self.recurrent = kind(16, 16, 2, dropout=dropout, batch_first=True)
        self.head = nn.Linear(16, 20)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.drop(self.recurrent(self.drop(self.embedding(ids)))[0]))


def transformer() -> Case:
    model = nn.Transformer(16, 2, 1, 1, 16, dropout=0.1, batch_first=True)
    x = torch.rand(16, 6, 16)
    return Case(model, lambda m: m(x, x))


def images(model: nn.Module, unreachable: tuple[str, ...] = ()) -> Case:
    x = torch.rand(16, 3, 32, 32)
    return Case(model, lambda m: m(x), unreachable=unreachable)


def language_model() -> Case:
    ids = torch.randint(0, 20, (8, 6))
    return Case(LanguageModel(nn.LSTM), lambda m: m(ids), elsewhere=("recurrent.dropout",))


def vision_transformer() -> nn.Module:
    return torchvision.models.VisionTransformer(32, 16, 2, 2, 16, 16, dropout=0.1, attention_dropout=0.1, num_classes=3)


def convnext() -> nn.Module:
    block = torchvision.models.convnext.CNBlockConfig
    return torchvision.models.ConvNeXt([block(8, 16, 2), block(16, None, 2)], stochastic_depth_prob=0.3, num_classes=3)


def swin() -> nn.Module:
    return torchvision.models.SwinTransformer([4, 4], 16, [2], [2], [2, 2], dropout=0.1, attention_dropout=0.1)


CASES = {
    "Transformer": transformer,
    "LSTM language model": language_model,
    "torchvision ViT": lambda: images(vision_transformer(), ("attention_dropout", "dropout")),
    "torchvision ConvNeXt": lambda: images(convnext()),
    "torchvision Swin": lambda: images(swin()),
}


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("name", CASES)
def test_every_rate_is_driven_or_listed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_every_rate(CASES[name](), monkeypatch)


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_a_recurrent_layer_drops_between_its_layers_as_often_as_it_is_told(kind: type[nn.RNNBase], gates: int) -> None:
    # The second layer's output is zero where its input is: no bias, identities for weights, one time step.
    model, width, p = kind(8, 8, 2, dropout=0.1, batch_first=True), 8, 0.37
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(0.0 if "bias" in name else 1.0)
        model.weight_ih_l1.copy_(torch.eye(width).repeat(gates, 1))
        model.bias_ih_l1[: 2 * width if gates == 4 else 0] = 1.0
    ad.convert(model)
    ad.set_rates(model, {"dropout": p})
    output = model(torch.rand(2000, 1, 8) + 0.5)[0]
    dropped = (output == 0).double().mean().item()
    assert abs(dropped - p) <= 5 * (p * (1 - p) / output.numel()) ** 0.5


def test_functional_dropout_with_a_number_in_the_code_is_counted_by_a_trace_of_one_forward() -> None:
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.dropout = nn.BatchNorm1d(4), 0.3

        def forward(self, x: Tensor) -> Tensor:
            x = nn.functional.dropout(self.norm(x), self.dropout, self.training)
            for _ in range(2):
                x = nn.functional.dropout(x, 0.3, training=self.training)
            return nn.functional.dropout(x * torch.bernoulli(torch.full_like(x, 0.5)), 0.1, training=False)

    model, x = nn.Sequential(Hidden(), nn.Dropout(0.3)).eval(), torch.rand(4, 4)
    state = torch.random.get_rng_state()
    missed = ad.inventory(model, x).unreachable()
    assert [(row.name, row.kind, row.p) for row in missed] == [("0", "dropout", 0.3), ("0", "bernoulli", None)]
    assert [row.why for row in missed] == [f"called {times}x with a number in the code" for times in (2, 1)]
    assert torch.equal(state, torch.random.get_rng_state())
    assert not model.training
    assert model[0].norm.num_batches_tracked == 0
    assert ad.inventory(model).unreachable() == []
