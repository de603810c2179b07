"""What two forward passes leave behind: nothing that one would not."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.functional.antithetic import AntitheticPair, bernoulli_dropout, draw_pair


def network(drop: nn.Module | None = None) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(4, 8), ad.BernoulliDropout(0.4), nn.ReLU(), ad.GaussianDropout(0.3), drop or nn.Dropout(0.2),
        nn.Linear(8, 1),
    )  # fmt: skip


def seen_by(module: nn.Module) -> list[Tensor]:
    seen: list[Tensor] = []
    module.register_forward_hook(lambda _, inputs, output: seen.append((output / inputs[0]).detach().clone()))
    return seen


def mean_square(model: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    return lambda: model(x).float().square().mean()


def rate_of(model: nn.Module) -> ad.LearnedRate:
    ((_, rate),) = ad.named_rates(model, ad.LearnedRate)
    return rate


def test_the_antithetic_mask_is_drawn_from_one_minus_u_of_the_same_numbers() -> None:
    x, p = torch.ones(100_000), torch.tensor([0.3])
    pair = draw_pair(x, p)
    u, kept, antithetic = pair.uniform(), pair.kept(), pair.antithetic()
    lost = pair.lost / 2**16
    assert torch.equal(kept, (u >= lost).float())
    assert torch.equal(antithetic, (1 - u >= lost).float())
    assert abs(u.mean() - 0.5) < 5 / (12 * len(u)) ** 0.5
    torch.manual_seed(4)
    y = bernoulli_dropout(x, p)
    torch.manual_seed(4)
    assert torch.equal(y > 0, draw_pair(x, p).kept() > 0)


@pytest.mark.parametrize(("p", "same"), [(0.0, 1.0), (1.0, 0.0)])
def test_both_masks_agree_at_both_ends(p: float, same: float) -> None:
    pair: AntitheticPair = draw_pair(torch.ones(1000), p)
    assert (pair.kept() == same).all()
    assert (pair.antithetic() == same).all()
    assert not ad.DisARM().weight(pair).any()


def test_all_other_layers_draw_the_same_noise_twice() -> None:
    model, x = network(), torch.rand(16, 4) + 1
    masks, gaussian = seen_by(model[1]), seen_by(model[3])
    ad.DisARM().loss(model, mean_square(model, x)).backward()
    assert not torch.equal(masks[0] > 0, masks[1] > 0)
    both = gaussian[0].isfinite() & gaussian[1].isfinite()
    assert both.any()
    assert torch.allclose(gaussian[0][both], gaussian[1][both])


def test_value_weights_and_random_stream_are_those_of_a_single_run() -> None:
    model, x = network(), torch.rand(16, 4)
    clone = copy.deepcopy(model)
    clone[1] = ad.BernoulliDropout(ad.SettableRate(rate_of(model).p))
    torch.manual_seed(1)
    loss = ad.DisARM().loss(model, mean_square(model, x))
    loss.backward()
    after = torch.rand(3)
    torch.manual_seed(1)
    plain = mean_square(clone, x)()
    plain.backward()
    assert torch.equal(after, torch.rand(3))
    assert torch.allclose(loss, plain)
    for index in (0, 5):
        assert torch.allclose(model[index].weight.grad, clone[index].weight.grad, atol=1e-6)


def test_batch_norm_sees_the_batch_once() -> None:
    model, x = network(nn.BatchNorm1d(8)), torch.rand(16, 4)
    ad.DisARM().loss(model, mean_square(model, x)).backward()
    assert model[4].num_batches_tracked == 1


def test_losses_of_examples_that_batch_norm_mixes_are_refused() -> None:
    model, x = network(nn.BatchNorm1d(8)), torch.rand(16, 4)
    with pytest.raises(ValueError, match=r"BatchNorm '4' mixes the examples.*shape \(16,\).*return their mean"):
        ad.DisARM().loss(model, lambda: model(x).square()[:, 0])


def test_losses_that_are_not_the_examples_are_refused() -> None:
    model, x = network(), torch.rand(16, 4)
    with pytest.raises(ValueError, match="returned 8 losses, but a BernoulliDropout had 16 examples"):
        ad.DisARM().loss(model, lambda: model(x).reshape(8, 2).sum(1)).backward()


@pytest.mark.parametrize("drop", [ad.Dropout(0.3), ad.BernoulliDropout(ad.SettableRate(0.3))])
def test_a_model_with_nothing_to_estimate_is_told(drop: nn.Module) -> None:
    with pytest.raises(ValueError, match="has no BernoulliDropout with a learned p in training mode"):
        ad.ARM().loss(drop, lambda: drop(torch.ones(3)).sum())


def test_a_backward_pass_without_an_estimator_is_refused_and_evaluation_is_not() -> None:
    model, x = network(), torch.rand(16, 4)
    with pytest.raises(RuntimeError, match=r"needs a second forward pass; train on DisARM\(\)\.loss"):
        mean_square(model, x)().backward()
    ad.DisARM().loss(model, mean_square(model, x)).backward()
    with pytest.raises(RuntimeError, match="second forward pass"):
        mean_square(model, x)().backward()
    model.eval()
    mean_square(model, x)().backward()


def test_autocast_leaves_the_weights_their_gradient() -> None:
    model, x = network(), torch.rand(16, 4)
    with torch.autocast("cpu", torch.bfloat16):
        loss = ad.DisARM().loss(model, mean_square(model, x))
    loss.backward()
    assert model[0].weight.grad is not None
    assert model[5].weight.grad is not None
    logit = rate_of(model).logit
    assert logit.grad is not None
    assert logit.grad.isfinite()


def test_a_scaled_and_accumulated_loss_scales_the_gradient() -> None:
    model, x = network(), torch.rand(16, 4)
    logit = rate_of(model).logit
    for scales in ((1.0,), (1024.0,), (0.5, 0.5)):
        logit.grad = None
        for scale in scales:
            torch.manual_seed(2)
            (scale * ad.DisARM().loss(model, mean_square(model, x))).backward()
        assert logit.grad is not None
        if scales == (1.0,):
            wanted = logit.grad.clone()
        assert torch.allclose(logit.grad, sum(scales) * wanted)


def test_a_penalty_that_no_mask_changes_adds_its_own_gradient_only() -> None:
    model, x = network(), torch.rand(16, 4)
    rate = rate_of(model)
    found = []
    for factor in (0.0, 3.0):
        torch.manual_seed(2)
        loss = ad.DisARM().loss(model, lambda factor=factor: mean_square(model, x)() + factor * rate.value)
        found.append(torch.autograd.grad(loss, rate.logit)[0])
    assert torch.allclose(found[1] - found[0], torch.tensor(3 * rate.p * (1 - rate.p)), atol=1e-5)


@pytest.mark.slow
def test_a_compiled_model_gives_the_gradient_of_the_eager_one(short_noise: None) -> None:
    model, x = network(), torch.rand(16, 4)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager")
    found = []
    for run in (model, compiled):
        torch.manual_seed(5)
        found.append(torch.autograd.grad(ad.DisARM().loss(model, mean_square(run, x)), rate_of(model).logit)[0])
    assert torch.allclose(found[0], found[1], atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_logits_stay_float32_in_models_of_other_dtypes(dtype: torch.dtype) -> None:
    model, x = network().to(dtype), torch.rand(16, 4).to(dtype)
    ad.DisARM().loss(model, lambda: F.mse_loss(model(x), torch.ones(16, 1, dtype=dtype))).backward()
    logit = rate_of(model).logit
    assert logit.grad is not None
    assert logit.grad.dtype == torch.float32
    assert logit.grad != 0


@pytest.mark.parametrize("estimator", [ad.ARM(), ad.DisARM()])
def test_a_p_for_each_channel_gets_the_gradient_of_its_channel(estimator: ad.Estimator) -> None:
    rate = ad.LearnedRate(0.3, (3, 1, 1))
    with torch.no_grad():
        rate.logit += torch.tensor([-1.0, 0.0, 1.5])[:, None, None]
    layer, x, weight = ad.BernoulliDropout(rate), torch.ones(40, 3, 4, 5), torch.tensor([1.0, -2.0, 3.0])

    def kept() -> Tensor:
        return (layer(x) > 0).float().mean((2, 3)) @ weight

    rows = torch.stack([torch.autograd.grad(estimator.loss(layer, kept), rate.logit)[0] for _ in range(200)])
    p = rate.value.detach()
    wanted = -weight[:, None, None] * p * (1 - p)
    assert ((rows.mean(0) - wanted).abs() <= 5 * rows.std(0) / 200**0.5).all()


def test_a_loss_without_a_derivative_is_descended_all_the_same() -> None:
    layer, x = ad.BernoulliDropout(0.3), torch.ones(256, 4)
    optimizer = torch.optim.Adam([rate_of(layer).logit], lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        ad.DisARM().loss(layer, lambda: (layer(x) > 0).float().mean(1)).backward()  # how many are kept
        optimizer.step()
    assert layer.p > 0.9


def test_without_a_learned_bernoulli_rate_the_message_names_the_layer() -> None:
    with pytest.raises(TypeError, match="BernoulliDropout with DisARM"):
        ad.Dropout(ad.LearnedRate(0.1))
