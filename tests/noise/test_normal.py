from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from adaptive_dropout.noise.normal import box_muller, normals
from adaptive_dropout.noise.philox import BLOCK, philox4x32

N = 1 << 24


@pytest.fixture(scope="module")
def e() -> Tensor:
    return normals(torch.tensor(5), N).double()


def normal_at_least(t: float) -> float:
    return 0.5 * math.erfc(t / math.sqrt(2))


def test_a_position_takes_the_normal_of_its_word_that_the_layout_says() -> None:
    ours = normals(torch.tensor(11), 5000).tolist()
    for i in (0, 33, 255, 256, 4999):
        counter, lane = i // (8 * BLOCK) * BLOCK + i % BLOCK, i % (8 * BLOCK) // BLOCK
        zero = torch.tensor(0)
        four = philox4x32((torch.tensor(counter), zero, zero, zero), (torch.tensor(11), zero))
        assert ours[i] == box_muller(four[lane // 2])[lane % 2].item()


@pytest.mark.parametrize(("power", "expected"), [(1, 0), (2, 1), (3, 0), (4, 3), (6, 15)])
def test_the_moments_are_those_of_a_standard_normal(e: Tensor, power: int, expected: float) -> None:
    powers = e**power
    assert abs(powers.mean().item() - expected) < 4 * powers.std().item() / N**0.5


@pytest.mark.parametrize("t", [-3.0, -1.0, -1e-2, -1e-3, -1e-4, 0.0, 1e-4, 1e-3, 1e-2, 0.5, 2.0, 4.0, 4.8])
def test_as_many_lie_above_a_number_as_should(e: Tensor, t: float) -> None:
    wanted = normal_at_least(t)
    assert abs(torch.count_nonzero(t <= e).item() / N - wanted) < 4 * (wanted * (1 - wanted) / N) ** 0.5


def test_the_two_of_a_word_do_not_know_of_each_other(e: Tensor) -> None:
    by_lane = e.reshape(-1, 8, BLOCK)
    first, second = by_lane[:, 0::2].flatten(), by_lane[:, 1::2].flatten()
    for f in (lambda x: x, torch.abs, torch.square):
        products = (f(first) - f(first).mean()) * (f(second) - f(second).mean())
        assert abs(products.mean().item()) < 4 * products.std().item() / products.numel() ** 0.5


def test_the_extreme_words_give_finite_normals_of_the_size_promised() -> None:
    words = torch.tensor([0, 1, 2, 3, 0xFFF, 0xFFFFF000, 0xFFFFFFFF])
    both = torch.cat(box_muller(words))
    assert both.isfinite().all()
    assert 5 < both.abs().max() <= 5.4
