"""The estimates of a rate's gradient, against the sum over all masks."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout.estimators.antithetic import estimating, run_antithetic

ESTIMATORS = [ad.ARM(), ad.DisARM()]
X = torch.tensor([1.0, 0.7, -1.3])


def logit_of(layer: ad.NoiseLayer) -> nn.Parameter:
    assert isinstance(layer.rate, ad.LearnedRate)
    return layer.rate.logit


class OneLayer(nn.Module):
    """A mask on three inputs; the loss of an example is a square."""

    def __init__(self, p: float, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.drops = nn.ModuleList([ad.BernoulliDropout(ad.LearnedRate(p, shape))])

    def losses(self, x: Tensor) -> Tensor:
        return self.after(self.drops[0](x))

    def after(self, y: Tensor) -> Tensor:
        return (y @ torch.tensor([1.0, -2.0, 0.5]) - 1.0) ** 2 + 2.0

    def given(self, masks: Tensor) -> Tensor:
        return self.after(X * masks[:3] / (1 - self.drops[0].rate.value))


class TwoLayers(OneLayer):
    """Masks on three inputs and two hidden units, of one rate or two."""

    def __init__(self, first: ad.LearnedRate, second: ad.LearnedRate) -> None:
        super().__init__(0.5)
        self.drops = nn.ModuleList([ad.BernoulliDropout(first), ad.BernoulliDropout(second)])
        self.weight = torch.tensor([[0.5, -1.0], [1.5, 0.3], [-0.7, 0.9]])

    def losses(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.drops[0](x) @ self.weight)
        return self.top(self.drops[1](hidden))

    def top(self, hidden: Tensor) -> Tensor:
        return (hidden @ torch.tensor([1.0, 2.0]) - 0.5) ** 2

    def given(self, masks: Tensor) -> Tensor:
        hidden = torch.tanh(X * masks[:3] / (1 - self.drops[0].rate.value) @ self.weight)
        return self.top(hidden * masks[3:] / (1 - self.drops[1].rate.value))


def networks() -> dict[str, OneLayer]:
    shared = ad.LearnedRate(0.4)
    units = ad.LearnedRate(0.4, (3,))
    with torch.no_grad():
        units.logit += torch.tensor([-1.0, 0.0, 1.5])
    return {
        "one p, low": OneLayer(0.15),
        "one p, high": OneLayer(0.8),
        "a p for each unit": OneLayer(0.3, (3,)),
        "two layers": TwoLayers(ad.LearnedRate(0.3), ad.LearnedRate(0.6)),
        "two layers, one rate": TwoLayers(shared, shared),
        "two layers, units and one p": TwoLayers(units, ad.LearnedRate(0.2)),
    }


def logits(network: OneLayer) -> list[nn.Parameter]:
    return [rate.logit for _, rate in ad.named_rates(network, ad.LearnedRate)]


def exact(network: OneLayer) -> Tensor:
    """The derivative of the mean loss by each logit, summed over every mask."""
    sizes = [3, 2][: len(network.drops)]
    p = torch.cat([drop.rate.value.expand(n) for drop, n in zip(network.drops, sizes, strict=True)])
    total = torch.zeros(())
    for bits in itertools.product([0.0, 1.0], repeat=len(p)):
        masks = torch.tensor(bits)
        total = total + torch.where(masks > 0, 1 - p, p).prod() * network.given(masks)
    return torch.cat([g.flatten() for g in torch.autograd.grad(total, logits(network))])


def estimates(network: OneLayer, loss: Callable[[], Tensor], n: int) -> Tensor:
    """``n`` independent gradients by the logits; (n, logits)."""
    rows = [torch.autograd.grad(loss(), logits(network)) for _ in range(n)]
    return torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])


def assert_mean(rows: Tensor, wanted: Tensor) -> None:
    error = rows.std(0) / len(rows) ** 0.5
    assert ((rows.mean(0) - wanted).abs() <= 5 * error).all(), (rows.mean(0), wanted, error)
    assert (5 * error < 0.5 * wanted.abs().max()).all(), "too noisy to tell"


@pytest.mark.parametrize("name", networks())
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_mean_over_examples_is_the_sum_over_all_masks(estimator: ad.Estimator, name: str) -> None:
    network = networks()[name]
    batch = X.expand(1500, 3)
    rows = estimates(network, lambda: estimator.loss(network, lambda: network.losses(batch)), 40)
    assert_mean(rows, exact(network))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "name", "n"), [(ad.ARM(), "two layers", 800), (ad.DisARM(), "a p for each unit", 1600)]
)
def test_the_mean_over_batches_is_the_sum_over_all_masks(estimator: ad.Estimator, name: str, n: int) -> None:
    network = networks()[name]
    batch = X.expand(2, 3)
    rows = estimates(network, lambda: estimator.loss(network, lambda: network.losses(batch).mean()), n)
    assert_mean(rows, exact(network))


def test_the_gradient_of_the_scale_alone_is_not_that_of_the_mean() -> None:
    network = networks()["one p, low"]
    batch = X.expand(400, 3)

    def loss() -> Tensor:
        network.drops[0].estimated = True
        return network.losses(batch).mean()

    rows = estimates(network, loss, 50)
    assert ((rows.mean(0) - exact(network)).abs() > 5 * rows.std(0) / 50**0.5).all()


def reinforce(network: OneLayer, n: int) -> Tensor:
    """The score function's estimates, each from one mask; (n, logits)."""
    drop = network.drops[0]
    p = drop.rate.value.detach()
    masks = (torch.rand(n, 3) >= p).float()
    score = (1 - masks) - p  # d ln P / d logit p
    rows = network.after(X * masks / (1 - p)).detach()[:, None] * score
    return rows if logit_of(drop).dim() else rows.sum(1, keepdim=True)


def by_example(network: OneLayer, estimator: ad.Estimator, n: int) -> Tensor:
    """What the masks of each of ``n`` examples contribute, without the scale's gradient; (n, logits)."""
    batch = X.expand(n, 3)
    antithetic = run_antithetic(network, lambda: network.losses(batch), estimator.weight)
    with estimating(network):
        losses = network.losses(batch).detach()
    ((_, weight),) = antithetic.weights
    return (losses - antithetic.losses)[:, None] * weight.reshape(n, -1)


@pytest.mark.parametrize("name", ["one p, low", "one p, high", "a p for each unit"])
def test_disarm_varies_less_than_arm_and_both_less_than_reinforce(name: str) -> None:
    network, n = networks()[name], 100_000
    arm, disarm = (by_example(network, estimator, n).var(0) for estimator in ESTIMATORS)
    score = reinforce(network, n).var(0)
    assert (disarm < arm).all(), (disarm, arm)
    assert (arm < score).all(), (arm, score)


def test_disarm_varies_less_than_reinforce_with_two_masks_for_the_same_cost() -> None:
    network, n = networks()["one p, low"], 100_000
    disarm = by_example(network, ad.DisARM(), n).var(0)
    score = (reinforce(network, n) + reinforce(network, n)).var(0) / 4
    assert (disarm < 0.5 * score).all(), (disarm, score)  # a third of it; at p = 0.8 they are equal
