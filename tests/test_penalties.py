from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad


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


def test_a_learned_rate_with_a_shape_has_a_p_for_each_unit_and_their_mean_as_p() -> None:
    rate = ad.LearnedRate(0.25, shape=(3,))
    with torch.no_grad():
        rate.logit.copy_(torch.logit(torch.tensor([0.1, 0.2, 0.6])))
    assert torch.allclose(rate.value, torch.tensor([0.1, 0.2, 0.6]))
    assert rate.p == pytest.approx(0.3)
    layer = ad.GaussianDropout(rate)
    (layer(torch.ones(400, 3)) ** 2).sum().backward()
    assert rate.logit.grad is not None
    assert (rate.logit.grad > 0).all()
    assert "p=0.3" in repr(layer)
