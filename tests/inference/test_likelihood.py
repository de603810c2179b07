from __future__ import annotations

import doctest
import math

import pytest
import torch
from torch.nn.functional import cross_entropy

import adaptive_dropout as ad
from adaptive_dropout.inference import likelihood


def test_the_examples_are_right() -> None:
    assert doctest.testmod(likelihood).failed == 0


def test_one_sample_is_scored_by_its_normal_density() -> None:
    means, y = torch.tensor([[1.0, 4.0]]), torch.tensor([0.0, 2.0])
    expected = [0.5 * math.log(2.0 / (2 * math.pi)) - 0.5 * 2.0 * error**2 for error in (1.0, 2.0)]
    assert ad.gaussian_log_likelihood(means, y, 2.0).tolist() == pytest.approx(expected)


def test_samples_are_mixed_by_their_densities() -> None:
    means, y = torch.tensor([[0.0], [3.0]]), torch.tensor([1.0])
    densities = [math.exp(-0.5 * error**2) / math.sqrt(2 * math.pi) for error in (1.0, 2.0)]
    assert ad.gaussian_log_likelihood(means, y, 1.0).item() == pytest.approx(math.log(sum(densities) / 2))


def test_each_sample_may_have_a_precision_of_its_own() -> None:
    means, log_variances, y = torch.randn(5, 3), torch.randn(5, 3), torch.randn(3)
    densities = torch.distributions.Normal(means, (log_variances / 2).exp()).log_prob(y).exp().mean(0)
    found = ad.gaussian_log_likelihood(means, y, (-log_variances).exp())
    torch.testing.assert_close(found.float(), densities.log())


def test_an_error_that_is_far_out_has_a_finite_likelihood() -> None:
    found = ad.gaussian_log_likelihood(torch.zeros(10, 1), torch.tensor([1e3]), 100.0)
    assert found.item() == pytest.approx(-0.5 * 100 * 1e6 + 0.5 * math.log(100 / (2 * math.pi)))


def test_the_likelihood_of_a_class_is_its_mean_probability() -> None:
    logits, y = torch.randn(7, 4, 3), torch.tensor([0, 2, 1, 1])
    expected = logits.softmax(-1).mean(0)[torch.arange(4), y].log()
    found = ad.class_log_likelihood(logits, y)
    torch.testing.assert_close(found, expected)
    mean = logits.log_softmax(-1).logsumexp(0) - math.log(7)
    assert -found.mean().item() == pytest.approx(cross_entropy(mean, y).item(), rel=1e-5)


def test_classes_may_have_places_behind_the_batch() -> None:
    logits, y = torch.randn(5, 2, 6, 3), torch.randint(3, (2, 6))
    flat = ad.class_log_likelihood(logits.flatten(1, 2), y.flatten())
    torch.testing.assert_close(ad.class_log_likelihood(logits, y).flatten(), flat)


@pytest.mark.parametrize("spread", [0.0, 2.0])
def test_the_precision_found_is_that_of_the_noise(spread: float) -> None:
    generator = torch.Generator().manual_seed(0)
    n = 2000
    truth = 10 * torch.randn(n, generator=generator)
    y = truth + spread * torch.randn(n, generator=generator) + 3.0 * torch.randn(n, generator=generator)
    means = truth + spread * torch.randn(100, n, generator=generator)
    # Of a variance estimated from n errors the relative standard error is sqrt(2 / n), of what is left after taking off
    # the spread (9 + spread^2) / 9 times that; candidates are 5 % apart.
    error = math.sqrt(2 / n) * (9 + spread**2) / 9
    assert ad.fit_noise_precision(means, y) * 9 == pytest.approx(1.0, abs=5 * error + 0.05)


def test_arguments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"means have to be .* but got \(5, 3\) and \(4,\)"):
        ad.gaussian_log_likelihood(torch.zeros(5, 3), torch.zeros(4), 1.0)
    with pytest.raises(ValueError, match=r"at least one sample, .* but got \(0, 3\) and \(3,\)"):
        ad.gaussian_log_likelihood(torch.zeros(0, 3), torch.zeros(3), 1.0)
    with pytest.raises(ValueError, match="precision has to be above 0, but got -1"):
        ad.gaussian_log_likelihood(torch.zeros(5, 3), torch.zeros(3), -1.0)
    with pytest.raises(ValueError, match=r"logits have to be .* but got \(5, 3\) and \(3,\)"):
        ad.class_log_likelihood(torch.zeros(5, 3), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match="equals all targets"):
        ad.fit_noise_precision(torch.ones(5, 3), torch.ones(3))
