"""What is added to the loss, and what keeps weights small: the sum of divergences, L1 and L2, and max-norm."""

from __future__ import annotations

import copy

import lightning.pytorch as L
import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import MaxNorm
from adaptive_dropout.networks import MLP
from adaptive_dropout.penalties import max_norm_
from adaptive_dropout.tasks import Regressor


class Squares(ad.Penalised):
    def __init__(self, number: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(number))

    def kl(self) -> Tensor:
        return self.weight**2


def test_each_term_is_counted_once_and_divided_by_the_examples() -> None:
    shared = Squares(3.0)
    model = nn.ModuleDict({"a": shared, "b": nn.Sequential(Squares(1.0), shared)})
    total = ad.penalty(model, n=5)
    assert total.item() == pytest.approx((9 + 1) / 5)
    total.backward()
    assert shared.weight.grad is not None
    assert shared.weight.grad.item() == pytest.approx(6 / 5)


def test_terms_of_a_model_in_bfloat16_are_summed_in_float32() -> None:
    model = nn.Sequential(Squares(16.0), Squares(1.0)).bfloat16()
    assert ad.penalty(model, n=1).item() == 257  # 256 in bfloat16


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (-3, ValueError), (2.5, TypeError)])
def test_examples_are_a_positive_integer(n: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=str(n)):
        ad.penalty(Squares(1.0), n=n)


def test_a_model_without_any_is_told_so() -> None:
    with pytest.raises(ValueError, match=r"Sequential has no module with a divergence.*ConcreteDropout\.wrap"):
        ad.penalty(nn.Sequential(nn.Linear(2, 2), ad.Dropout(0.5)), n=10)


def test_norms_are_sums_over_the_weights_alone() -> None:
    model = nn.Sequential(
        nn.Conv1d(2, 3, 2),
        nn.BatchNorm1d(3),
        ad.GaussianDropout(ad.LearnedRate(0.9, shape=(3, 1))),
        ad.ConcreteDropout.wrap(nn.Linear(4, 1)),
    )
    weights = [model[0].weight, model[3].layer.weight]
    assert ad.l1(model).item() == pytest.approx(sum(w.abs().sum().item() for w in weights))
    assert ad.l2(model).item() == pytest.approx(sum(w.square().sum().item() for w in weights))
    (ad.l1(model) + ad.l2(model)).backward()
    assert [id(w) for w in model.parameters() if w.grad is not None] == [id(w) for w in weights]


def test_tied_weights_count_once() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    assert ad.l2(nn.Sequential(first, second)).item() == pytest.approx(first.weight.square().sum().item())


def test_norms_of_a_model_in_bfloat16_are_summed_in_float32() -> None:
    layer = nn.Linear(257, 1).bfloat16()
    nn.init.ones_(layer.weight)
    assert ad.l1(layer).item() == 257  # 256 in bfloat16


@pytest.mark.parametrize("norm", [ad.l1, ad.l2])
def test_a_model_without_weights_is_told(norm: object) -> None:
    frozen = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(ValueError, match="Linear has no weights"):
        norm(frozen)  # type: ignore[operator]


def norms(weight: Tensor) -> Tensor:
    return weight.detach().flatten(1).norm(dim=1)


@pytest.mark.parametrize("layer", [nn.Linear(30, 20), nn.Conv1d(8, 20, 3), nn.Conv2d(3, 20, 3), nn.Conv3d(2, 20, 3)])
def test_only_weights_beyond_the_norm_change_and_keep_their_direction(layer: nn.Module) -> None:
    layer = copy.deepcopy(layer)
    with torch.no_grad():
        layer.weight.copy_(torch.randn_like(layer.weight))
    before, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    norm = norms(before).median().item()
    max_norm_(layer, norm)
    inside = norms(before) <= norm
    assert 0 < inside.sum() < 20
    assert torch.equal(layer.weight[inside], before[inside])
    assert torch.allclose(norms(layer.weight)[~inside], torch.tensor(norm), rtol=1e-4)
    assert torch.allclose(nn.functional.cosine_similarity(layer.weight.flatten(1), before.flatten(1)), torch.ones(20))
    assert torch.equal(layer.bias, bias)


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_weights_stay_within_it_while_they_are_trained() -> None:
    network = MLP(6, 2, (32, 32))
    data = torch.utils.data.TensorDataset(torch.randn(64, 6), 40 * torch.randn(64))
    trainer = L.Trainer(
        max_epochs=3,
        callbacks=[MaxNorm(0.7)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    fast = Regressor(network, lambda groups: torch.optim.SGD(groups, lr=0.01))
    loader = torch.utils.data.DataLoader(data, 16)
    trainer.fit(fast, loader, loader)
    largest = [norms(module.weight).max().item() for module in network.modules() if isinstance(module, nn.Linear)]
    assert max(largest) == pytest.approx(0.7, rel=1e-3)  # some weights wanted to leave
    assert all(norm <= 0.7 + 1e-4 for norm in largest)


@pytest.mark.parametrize("norm", [0.0, -1.0, float("nan")])
def test_a_norm_that_no_weight_can_have_is_refused(norm: float) -> None:
    with pytest.raises(ValueError, match=f"norm has to be above 0, but got {norm}"):
        MaxNorm(norm)
    with pytest.raises(ValueError, match=f"norm has to be above 0, but got {norm}"):
        max_norm_(nn.Linear(2, 2), norm)


def test_a_model_without_such_weights_is_told_so() -> None:
    with pytest.raises(ValueError, match=r"ReLU has no nn\.Linear and no convolution"):
        max_norm_(nn.ReLU(), 1.0)
