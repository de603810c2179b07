"""Uncertainties of samples: closed forms, and the relations between them."""

from __future__ import annotations

import math

import pytest
import torch

import adaptive_dropout as ad


def test_agreement_and_disagreement_are_told_apart() -> None:
    sure, even = [1.0, 0.0], [0.5, 0.5]
    probabilities = torch.tensor([[sure, even, sure], [sure, even, [0.0, 1.0]]])  # agree, agree on noise, disagree
    torch.testing.assert_close(ad.predictive_entropy(probabilities), torch.tensor([0.0, math.log(2), math.log(2)]))
    torch.testing.assert_close(ad.mutual_information(probabilities), torch.tensor([0.0, 0.0, math.log(2)]))


def test_mutual_information_lies_between_zero_and_the_entropy_which_is_at_most_ln_classes() -> None:
    probabilities = (3 * torch.randn(20, 50, 7, 4)).softmax(-1)
    entropy, doubt = ad.predictive_entropy(probabilities), ad.mutual_information(probabilities)
    assert entropy.shape == doubt.shape == (50, 7)
    assert ((doubt >= 0) & (doubt <= entropy)).all()
    assert entropy.max() <= math.log(4) * (1 + 1e-6)


@pytest.mark.parametrize("function", [ad.predictive_entropy, ad.mutual_information])
def test_what_is_no_probability_is_refused(function: object) -> None:
    with pytest.raises(ValueError, match=r"add up to 1 .* use logits.softmax\(-1\)"):
        function(torch.randn(5, 3, 4))
    for shape in ((3, 4), (0, 3, 4)):
        with pytest.raises(ValueError, match=r"have to be \(samples, batch, ..., classes\)"):
            function(torch.ones(shape))


def test_the_mean_of_classes_has_the_softmax_and_the_likelihood_of_the_mean_probabilities() -> None:
    samples = 4 * torch.randn(10, 6, 3)
    found, mean = ad.class_uncertainty(samples), samples.softmax(-1).mean(0)
    torch.testing.assert_close(found["mean"].softmax(-1), mean)
    torch.testing.assert_close(found["mean"], mean.log())
    assert set(found) == {"mean", "entropy", "mutual_information"}


def test_the_variance_of_a_mixture_is_aleatoric_plus_epistemic() -> None:
    torch.manual_seed(0)
    means, log_variances = torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [math.log(3.0)]])
    found = ad.gaussian_uncertainty(torch.stack([means, log_variances], 2))
    torch.testing.assert_close(found["aleatoric"], torch.tensor([2.0]))
    torch.testing.assert_close(found["epistemic"], torch.tensor([1.0]))
    torch.testing.assert_close(found["mean"], torch.tensor([[1.0, math.log(3.0)]]))
    with pytest.raises(ValueError, match=r"\(samples, batch, 2\)"):
        ad.gaussian_uncertainty(torch.zeros(4, 3))


def test_the_uncertainty_of_any_output_is_mean_and_standard_deviation() -> None:
    found = ad.output_uncertainty(torch.tensor([[[1.0]], [[3.0]]]))
    torch.testing.assert_close(found, {"mean": torch.tensor([[2.0]]), "std": torch.tensor([[math.sqrt(2)]])})
    assert ad.output_uncertainty(torch.ones(1, 2))["std"].isnan().all()
