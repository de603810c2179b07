from __future__ import annotations

import copy

import lightning.pytorch as L
import pytest
import torch
from torch import Tensor, nn

from adaptive_dropout.callbacks import MaxNorm
from adaptive_dropout.networks import MLP
from adaptive_dropout.penalties import max_norm_
from adaptive_dropout.tasks import Regressor


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
