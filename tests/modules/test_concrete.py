"""The divergence of concrete dropout: formulas, factors, the layers that `ConcreteDropout.wrap` makes."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout.functional.concrete import concrete_kl

LAYERS = [
    (nn.Linear(6, 3), (4, 6), ad.ConcreteDropout, 6),
    (nn.Conv1d(6, 4, 3), (4, 6, 9), ad.ConcreteDropout1d, 6),
    (nn.Conv2d(6, 4, 3, groups=2), (4, 6, 9, 9), ad.ConcreteDropout2d, 6),
    (nn.Conv3d(6, 4, 3), (4, 6, 5, 5, 5), ad.ConcreteDropout3d, 6),
]
FORMS = pytest.mark.parametrize(("layer", "shape", "form", "units"), LAYERS, ids=lambda x: type(x).__name__)


def by_hand(layer: nn.Module, p: float, units: int, length_scale: float) -> float:
    squares = sum(part.double().square().sum().item() for part in layer.parameters())
    return length_scale**2 / 2 * squares / (1 - p) + units * (p * math.log(p) + (1 - p) * math.log(1 - p))


@FORMS
def test_the_divergence_is_that_of_the_paper(
    layer: nn.Module, shape: tuple[int, ...], form: type[ad.ConcreteDropout], units: int
) -> None:
    wrapped = ad.ConcreteDropout.wrap(layer, 0.3, length_scale=0.5)
    assert type(wrapped.dropout) is form
    assert wrapped.kl().item() == pytest.approx(by_hand(layer, 0.3, units, 0.5), rel=1e-5)
    assert ad.penalty(nn.Sequential(wrapped), n=10).item() == pytest.approx(by_hand(layer, 0.3, units, 0.5) / 10)


@FORMS
def test_the_input_is_dropped_in_training_and_untouched_in_eval_mode(
    layer: nn.Module, shape: tuple[int, ...], form: type[ad.ConcreteDropout], units: int
) -> None:
    wrapped, x = ad.ConcreteDropout.wrap(layer, 0.3), torch.rand(shape)
    torch.manual_seed(3)
    noisy = layer(form(ad.SettableRate(0.3))(x))
    torch.manual_seed(3)
    torch.testing.assert_close(wrapped(x), noisy)
    assert not torch.allclose(noisy, layer(x))
    assert torch.equal(wrapped.eval()(x), layer(x))


@pytest.mark.parametrize(
    ("kind", "precision", "d"), [("nll", None, 1), ("heteroscedastic", None, 2), ("squared_error", 4.0, 0.5)]
)
def test_the_factors_fit_the_loss_and_have_the_ratio_of_the_prior(kind: str, precision: float | None, d: float) -> None:
    loss, weight, p = ad.MeanLoss(kind, n=20, precision=precision), torch.full((3, 4), 2.0), 0.25
    weights_alone = ad.concrete_penalty(weight, 0.0, 4, 0.5, loss) - ad.concrete_penalty(0 * weight, 0.0, 4, 0.5, loss)
    entropy_alone = ad.concrete_penalty(0 * weight, p, 4, 0.5, loss).item()
    assert weights_alone.item() / 48 == pytest.approx(d / 20 * 0.5**2 / 2, rel=1e-6)
    assert entropy_alone == pytest.approx(d / 20 * 4 * (p * math.log(p) + (1 - p) * math.log(1 - p)), rel=1e-6)


def test_half_the_squared_error_and_the_heteroscedastic_loss_lead_to_one_optimum() -> None:
    """Twice a Gaussian negative log-likelihood is the heteroscedastic loss; 2 / tau times it the squared error."""
    weight, p = torch.ones(2, 2), torch.tensor(0.3)
    nats = ad.concrete_penalty(weight, p, 2, 1.0, ad.MeanLoss("nll", n=5))
    double = ad.concrete_penalty(weight, p, 2, 1.0, ad.MeanLoss("heteroscedastic", n=5))
    squared = ad.concrete_penalty(weight, p, 2, 1.0, ad.MeanLoss("squared_error", n=5, precision=0.1))
    assert (double / nats).item() == pytest.approx(2)
    assert (squared / nats).item() == pytest.approx(20)


def test_derivatives_are_right() -> None:
    weight = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    logit = torch.tensor(-0.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w, a: concrete_kl([w], a, 2, 0.8), (weight, logit))


@pytest.mark.parametrize("logit", [-200.0, -90.0, 20.0, 90.0, 200.0])
def test_a_rate_at_its_end_stays_finite(logit: float) -> None:
    wrapped = ad.ConcreteDropout.wrap(nn.Linear(1000, 1000), length_scale=1.0)
    with torch.no_grad():
        wrapped.dropout.rate.logit.fill_(logit)
    kl = wrapped.kl()
    kl.backward()
    assert kl.isfinite()
    assert all(w.grad is not None and w.grad.isfinite().all() for w in wrapped.parameters())


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_a_p_at_its_end_stays_finite(p: float) -> None:
    leaf = torch.tensor(p, requires_grad=True)
    total = ad.concrete_penalty(torch.ones(2, 2), leaf, 2, 1.0, ad.MeanLoss("nll", n=1))
    total.backward()
    assert total.isfinite()
    assert leaf.grad is not None
    assert leaf.grad.isfinite()
    fixed = ad.ConcreteDropout.wrap(nn.Linear(2, 2), ad.SettableRate(p))
    assert fixed.kl().isfinite()


def test_the_entropy_counts_features_and_not_times() -> None:
    wrapped, x = ad.ConcreteDropout.wrap(nn.Linear(6, 3)), torch.rand(2, 50, 6)
    before = wrapped.kl().item()
    wrapped(x)
    assert wrapped.kl().item() == before == pytest.approx(by_hand(wrapped.layer, 0.1, 6, 1e-4), rel=1e-5)


def test_layers_that_share_a_rate_each_count_their_mask() -> None:
    rate = ad.LearnedRate(0.2)
    model = nn.ModuleList(ad.ConcreteDropout.wrap(nn.Linear(5, 2), rate, 1e-3) for _ in range(3))
    assert len(ad.get_rates(model)) == 1
    assert ad.penalty(model, 1).item() == pytest.approx(3 * 5 * (0.2 * math.log(0.2) + 0.8 * math.log(0.8)), rel=1e-4)


def test_a_trunk_with_two_heads_counts_once() -> None:
    trunk = ad.ConcreteDropout.wrap(nn.Linear(5, 2), 0.2)
    heads = nn.ModuleDict({"mean": nn.Sequential(trunk, nn.Linear(2, 1)), "spread": nn.Sequential(trunk)})
    assert ad.penalty(heads, 1).item() == pytest.approx(trunk.kl().item())


@pytest.mark.parametrize("layer", [nn.ConvTranspose2d(2, 2, 3), nn.LSTM(2, 2), nn.ReLU()])
def test_what_cannot_be_wrapped_is_told_what_can(layer: nn.Module) -> None:
    with pytest.raises(TypeError, match=rf"nn.Linear, .*nn.Conv3d can be wrapped, but got {type(layer).__name__}"):
        ad.ConcreteDropout.wrap(layer)


def test_a_layer_with_learned_noise_of_its_own_is_refused() -> None:
    with pytest.raises(TypeError, match="but got ConcreteLayer"):
        ad.ConcreteDropout.wrap(ad.ConcreteDropout.wrap(nn.Linear(2, 2)))


@pytest.mark.parametrize("length_scale", [0.0, -1.0, math.inf, math.nan])
def test_a_length_scale_is_above_zero(length_scale: float) -> None:
    with pytest.raises(ValueError, match=r"length_scale has to be above 0 and finite, but got"):
        ad.ConcreteDropout.wrap(nn.Linear(2, 2), length_scale=length_scale)
    with pytest.raises(ValueError, match=r"length_scale has to be above 0 and finite, but got"):
        ad.concrete_penalty(torch.ones(2, 2), 0.1, 2, length_scale, ad.MeanLoss("nll", n=1))


def test_a_temperature_can_be_given() -> None:
    assert ad.ConcreteDropout.wrap(nn.Conv1d(2, 2, 1)).dropout.temperature == 2 / 3
    assert ad.ConcreteDropout.wrap(nn.Conv1d(2, 2, 1), temperature=0.5).dropout.temperature == 0.5


def test_a_rate_with_a_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one p for all units, but got a rate of shape \(3,\)"):
        ad.ConcreteDropout(ad.LearnedRate(0.1, shape=(3,)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "mse", "n": 5}, "kind has to be one of nll, heteroscedastic, squared_error, but got 'mse'"),
        ({"kind": "nll", "n": 0}, "n has to be at least 1, but got 0"),
        ({"kind": "nll", "n": 5, "precision": 1.0}, "precision is for 'squared_error'"),
        ({"kind": "squared_error", "n": 5}, "precision is for 'squared_error', which needs it"),
        ({"kind": "squared_error", "n": 5, "precision": 0.0}, "precision has to be above 0 and finite, but got 0.0"),
    ],
)
def test_a_loss_that_is_none_is_told(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ad.MeanLoss(**settings)  # type: ignore[arg-type]


def test_the_examples_have_to_be_given() -> None:
    with pytest.raises(TypeError, match="'n'"):
        ad.MeanLoss("nll")  # type: ignore[call-arg]


def test_wrapping_keeps_the_layer_and_its_names() -> None:
    layer = nn.Linear(3, 2)
    wrapped = ad.ConcreteDropout.wrap(layer)
    assert wrapped.layer is layer
    assert set(wrapped.state_dict()) == {"layer.weight", "layer.bias", "dropout.rate.logit"}
    weights, logits = ad.rate_param_groups(wrapped, lr=1.0)
    assert len(weights["params"]) == 2
    assert [id(w) for w in logits["params"]] == [id(wrapped.dropout.rate.logit)]


def test_known_defect_deepcopy_raises() -> None:
    """Public code keeps the penalty as an attribute with a gradient, which deepcopy and pickle refuse."""
    wrapped = ad.ConcreteDropout.wrap(nn.Linear(3, 2))
    (wrapped(torch.rand(4, 3)).sum() + ad.penalty(wrapped, 4)).backward()
    for clone in (copy.deepcopy(wrapped), pickle.loads(pickle.dumps(wrapped))):
        with torch.no_grad():
            clone.dropout.rate.logit.fill_(0.0)
        assert (round(wrapped.p, 6), clone.p) == (0.1, 0.5)
        assert clone.kl().item() != wrapped.kl().item()


def test_known_defect_input_mutated() -> None:
    x = torch.rand(4, 3)
    before = x.clone()
    ad.ConcreteDropout.wrap(nn.Linear(3, 2), 0.5)(x)
    assert torch.equal(x, before)


def test_known_defect_backward_after_relu_fails() -> None:
    """An in-place product with the mask overwrites what ReLU keeps for its backward pass; so does ReLU in place."""
    wrap = ad.ConcreteDropout.wrap
    model = nn.Sequential(wrap(nn.Linear(3, 4)), nn.ReLU(inplace=True), wrap(nn.Linear(4, 2)), nn.ReLU(inplace=True))
    model(torch.rand(5, 3, requires_grad=True)).sum().backward()
    assert all(w.grad is not None and w.grad.isfinite().all() for w in model.parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_known_defect_noise_of_a_fixed_type(dtype: torch.dtype) -> None:
    wrapped = ad.ConcreteDropout.wrap(nn.Linear(3, 2)).to(dtype)
    y = wrapped(torch.rand(4, 3, dtype=dtype))
    assert y.dtype == dtype
    assert wrapped.dropout.rate.logit.dtype == torch.float32
    assert wrapped.kl().dtype == torch.float32


def test_known_defect_noise_on_the_cpu_only() -> None:
    wrapped = ad.ConcreteDropout.wrap(nn.Linear(3, 2)).to("meta")
    assert wrapped(torch.rand(4, 3, device="meta")).device.type == "meta"
    assert wrapped.kl().device.type == "meta"


def test_known_defect_factor_two_between_the_terms() -> None:
    """Without it the best p of a layer under the prior alone is wrong: here l^2 |W|^2 / (2 K) = 1, so p is known."""
    wrapped = ad.ConcreteDropout.wrap(nn.Linear(4, 2, bias=False), 0.5, length_scale=1.0)
    with torch.no_grad():
        wrapped.layer.weight.fill_(1.0)
    optimizer = torch.optim.LBFGS([wrapped.dropout.rate.logit], max_iter=100, tolerance_grad=1e-9)

    def closure() -> Tensor:
        optimizer.zero_grad()
        kl = wrapped.kl()
        kl.backward()
        return kl.detach()

    optimizer.step(closure)  # type: ignore[arg-type]
    p = wrapped.p  # 1 / (1 - p)^2 = ln((1 - p) / p)
    assert 1 / (1 - p) ** 2 == pytest.approx(math.log((1 - p) / p), rel=1e-3)


def test_mixed_precision_keeps_the_divergence_in_float32() -> None:
    wrapped = ad.ConcreteDropout.wrap(nn.Linear(64, 64), length_scale=1.0)
    full = wrapped.kl().item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert wrapped(torch.rand(2, 64)).dtype == torch.bfloat16
        assert wrapped.kl().item() == pytest.approx(full, rel=1e-6)
