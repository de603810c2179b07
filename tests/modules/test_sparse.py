"""Sparse layers: their law, what they drop, and that they live in models as torch's layers do."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import adaptive_dropout as ad
from adaptive_dropout.functional import exact_kl, molchanov_kl

DENSE = {
    ad.SparseLinear: (nn.Linear(6, 4), (5, 6)),
    ad.SparseConv1d: (nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), (5, 4, 9)),
    ad.SparseConv2d: (nn.Conv2d(4, 6, (3, 2), padding=1, padding_mode="reflect", bias=False), (5, 4, 6, 7)),
    ad.SparseConv3d: (nn.Conv3d(2, 3, 2, dilation=2, padding="same"), (5, 2, 4, 4, 4)),
}
every_layer = pytest.mark.parametrize("kind", DENSE)


def sparse(kind: type[ad.SparseLayer], log_variance: float = -3.0) -> ad.SparseLayer:
    layer = kind.from_dense(copy.deepcopy(DENSE[kind][0]))
    nn.init.constant_(layer.rate.log_variance, log_variance)
    return layer


def input_of(kind: type[ad.SparseLayer], dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(DENSE[kind][1]).to(dtype)


def drop_every_other(layer: ad.SparseLayer) -> Tensor:
    """Make every other weight as noisy as weights that are dropped, and return which ones stay."""
    stay = torch.arange(layer.weight.numel()).reshape(layer.weight.shape) % 2 == 0
    with torch.no_grad():
        ln_alpha = torch.where(stay, 2.9, 3.1)
        layer.rate.log_variance.copy_(ln_alpha + layer.weight.square().log())
    return stay


@every_layer
def test_outputs_have_the_mean_and_variance_of_noisy_weights(kind: type[ad.SparseLayer]) -> None:
    layer, dense = sparse(kind), DENSE[kind][0]
    x = input_of(kind)[:1]
    with torch.no_grad():
        ours = layer(x.expand(20_000, *x.shape[1:])).double()
        mean = dense(x)
        clone = copy.deepcopy(dense).double()
        nn.init.constant_(clone.weight, torch.tensor(-3.0).exp().item())
        if clone.bias is not None:
            nn.init.zeros_(clone.bias)
        variance = clone(x.double().square())
    for samples in (ours - mean, (ours - mean) ** 2 - variance):
        error = samples.std(0) / len(samples) ** 0.5
        assert (samples.mean(0).abs() < 5 * error + 1e-6).all()


@every_layer
def test_eval_mode_drops_the_weights_with_ln_alpha_above_3(kind: type[ad.SparseLayer]) -> None:
    layer = sparse(kind).eval()
    stay = drop_every_other(layer)
    assert torch.equal(layer.kept(), stay)
    clone = copy.deepcopy(DENSE[kind][0])
    with torch.no_grad():
        clone.weight.mul_(stay)
    x = input_of(kind)
    assert torch.equal(layer(x), clone(x))
    layer.threshold = 2.0
    assert not layer.kept().any()


@every_layer
def test_from_dense_keeps_the_parameters_and_the_mode_and_draws_nothing(kind: type[ad.SparseLayer]) -> None:
    dense, _ = DENSE[kind]
    state = torch.get_rng_state()
    layer = kind.from_dense(dense)
    assert torch.equal(state, torch.get_rng_state())
    assert layer.weight is dense.weight
    assert layer.bias is dense.bias
    assert layer.training == dense.training
    assert (layer.rate.log_variance == -10).all()
    clone = copy.deepcopy(dense)
    with torch.no_grad():
        clone.weight[clone.weight.abs() < torch.tensor(-6.5).exp()] = 0  # ln alpha = -10 - ln theta^2 is above 3 there
    x = input_of(kind)
    assert torch.equal(layer.eval()(x), clone(x))


@every_layer
def test_to_dense_is_torchs_layer_with_the_same_outputs(kind: type[ad.SparseLayer]) -> None:
    layer = sparse(kind).eval()
    drop_every_other(layer)
    dense = layer.to_dense()
    assert type(dense) is kind.dense
    assert list(dense.state_dict()) == list(DENSE[kind][0].state_dict())
    x = input_of(kind)
    assert torch.equal(dense(x), layer(x))
    nn.init.zeros_(dense.weight)
    assert layer.weight.any()


@pytest.mark.slow
@every_layer
def test_training_is_one_compiled_graph_with_the_noise_of_eager_mode(
    kind: type[ad.SparseLayer], short_noise: None
) -> None:
    layer, x, graphs = sparse(kind), input_of(kind), []

    def loss(x: Tensor) -> Tensor:
        return layer(x).square().sum() + layer.kl()

    torch._dynamo.reset()
    compiled = torch.compile(loss, backend=lambda graph, _: graphs.append(graph) or graph, fullgraph=True)
    results = []
    for function in (loss, compiled, compiled):
        torch.manual_seed(3)
        layer.zero_grad()
        y = function(x)
        y.backward()
        results.append([y.detach(), layer.weight.grad, layer.rate.log_variance.grad])
    assert len(graphs) == 1
    torch.testing.assert_close(results[0], results[1])
    torch.testing.assert_close(results[0], results[2])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@every_layer
def test_the_variance_stays_float32_in_a_model_of_half_precision(
    kind: type[ad.SparseLayer], dtype: torch.dtype
) -> None:
    layer = sparse(kind, log_variance=-20.0).to(dtype)  # exp(-20) is 0 in float16
    assert (layer.weight.dtype, layer.rate.log_variance.dtype) == (dtype, torch.float32)
    y = layer(input_of(kind, dtype))
    assert y.dtype == dtype
    (y.float().square().sum() + layer.kl()).backward()
    assert layer.rate.log_variance.grad.all()


def test_the_variance_is_not_lost_under_autocast() -> None:
    layer, x = ad.SparseLinear(8, 1), torch.ones(10_000, 8)
    nn.init.constant_(layer.weight, 1e-3)
    nn.init.constant_(layer.rate.log_variance, -17.0)
    with torch.autocast("cpu", torch.float16):
        y = layer(x)
    assert y.dtype == torch.float16
    variance = 8 * torch.tensor(-17.0).exp().item()
    spread = (y.float() - 8e-3 - layer.bias).square().detach()
    # float16 rounds y, of about 0.3 at most, by up to 1.2e-4.
    error = 5 * spread.std().item() / 100
    assert abs(spread.mean().item() - variance) < error + 1.2e-4**2 / 3


def test_checkpoint_recomputation_draws_the_same_noise() -> None:
    layer, x = ad.SparseLinear(6, 4), torch.randn(5, 6)
    nn.init.zeros_(layer.rate.log_variance)
    gradients = []
    for run in (layer, lambda x: checkpoint(layer, x, use_reentrant=False)):
        torch.manual_seed(3)
        layer.zero_grad()
        run(x).square().sum().backward()
        gradients.append([layer.weight.grad.clone(), layer.rate.log_variance.grad.clone()])
    assert torch.equal(gradients[0][0], gradients[1][0])
    assert torch.equal(gradients[0][1], gradients[1][1])


def test_no_noise_is_kept_for_the_backward_pass() -> None:
    layer, x = ad.SparseLinear(50, 40), torch.randn(30, 50, requires_grad=True)
    saved: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        layer(x)
    of_outputs = {t.data_ptr() for t in saved if t.shape == (30, 40)}
    assert len(of_outputs) == 2  # the variances, which are clamped, and their roots
    assert {t.data_ptr() for t in saved if t.shape == (30, 50)} >= {x.data_ptr()}


@every_layer
def test_copies_pickles_and_strict_state_dicts_hold_weights_and_variances(kind: type[ad.SparseLayer]) -> None:
    layer = sparse(kind)
    for clone in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert clone.p == layer.p
        nn.init.constant_(clone.weight, 1e-3)
        assert clone.p > 0.99, "the copy's rate looks at the weight of the original"
        assert layer.p < 0.99
    other = kind.from_dense(copy.deepcopy(DENSE[kind][0]))
    other.load_state_dict(layer.state_dict(), strict=True)
    assert torch.equal(other.rate.log_variance, layer.rate.log_variance)
    assert "rate.log_variance" in layer.state_dict()


def test_p_and_alpha_are_those_of_sigma_over_theta() -> None:
    layer = ad.SparseLinear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.5, 0.0]]))
        layer.rate.log_variance.fill_(torch.tensor(0.25).log().item())
    assert layer.alpha[0, 0].item() == pytest.approx(1.0)
    assert layer.p == pytest.approx((0.5 + 1) / 2)
    assert ad.get_rates(nn.Sequential(layer)) == {"0": layer.p}
    layer.kl().backward()
    assert layer.weight.grad.isfinite().all()
    assert repr(layer) == "SparseLinear(in_features=2, out_features=1, bias=True, p=0.75)"


def test_the_divergence_is_summed_over_the_weights_and_can_be_the_published_one() -> None:
    layer = ad.SparseLinear(6, 4)
    for kl in (exact_kl, molchanov_kl):
        layer.divergence = kl
        assert layer.kl().item() == pytest.approx(kl(layer.alpha.log()).sum().item())
    assert ad.penalty(nn.Sequential(layer, layer), n=10).item() == pytest.approx(layer.kl().item() / 10)


def test_the_variance_is_kept_out_of_weight_decay() -> None:
    model = nn.Sequential(ad.SparseLinear(6, 4), nn.Linear(4, 2))
    weights, rates = ad.rate_param_groups(model, lr=0.1)
    assert [parameter is model[0].rate.log_variance for parameter in rates["params"]] == [True]
    assert rates["weight_decay"] == 0
    assert len(weights["params"]) == 4


def test_inputs_of_other_dtypes_and_other_layers_are_refused() -> None:
    with pytest.raises(RuntimeError, match="floating-point"):
        ad.SparseLinear(6, 4)(torch.ones(2, 6, dtype=torch.int64))
    with pytest.raises(TypeError, match=r"SparseConv2d\.from_dense takes an nn\.Conv2d, but got Linear"):
        ad.SparseConv2d.from_dense(nn.Linear(2, 2))
    with pytest.raises(TypeError, match=r"takes an nn\.Linear, but got SparseLinear"):
        ad.SparseLinear.from_dense(ad.SparseLinear(2, 2))
