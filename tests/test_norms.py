from __future__ import annotations

import pytest
from torch import nn

import adaptive_dropout as ad


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
