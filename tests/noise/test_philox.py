from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adaptive_dropout.noise.philox import BLOCK, halves, philox4x32

# Random123's known answers for philox4x32-10 (its file kat_vectors): counter, key, words.
KNOWN = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


def tensors(numbers: list[int]) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(number) for number in numbers)


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_it_gives_the_published_words(counter: list[int], key: list[int], expected: list[int]) -> None:
    assert [word.item() for word in philox4x32(tensors(counter), tensors(key))] == expected


def test_a_position_takes_the_lane_that_the_layout_says() -> None:
    low, high, n = 0xA4093822, 0x299F31D0, 5000
    key = torch.tensor(high << 32 | low)
    ours = halves(key, n).tolist()
    for i in (0, 1, 255, 256, 1023, 1024, 2047, 2048, 4999):
        counter = i // (8 * BLOCK) * BLOCK + i % BLOCK
        lane = i % (8 * BLOCK) // BLOCK
        four = philox4x32(tensors([counter, 0, 0, 0]), tensors([low, high]))
        assert ours[i] == four[lane // 2].item() >> 16 * (lane % 2) & 0xFFFF


@pytest.mark.parametrize("n", [0, 1, 511, 2049, 4097])
def test_more_positions_begin_with_the_same_numbers(n: int) -> None:
    key = torch.tensor(7)
    assert torch.equal(halves(key, n), halves(key, 10_000)[:n])


def test_keys_that_differ_in_one_bit_give_unrelated_numbers() -> None:
    n = 100_000
    for bit in (0, 31, 32, 62):
        same = (halves(torch.tensor(0), n) == halves(torch.tensor(1 << bit), n)).double().mean().item()
        assert abs(same - 2**-16) < 5 * (2**-16 / n) ** 0.5


def test_halves_are_uniform() -> None:
    n = 1 << 20
    counts = torch.bincount(halves(torch.tensor(3), n) >> 8, minlength=256).double()
    chi_square = ((counts - n / 256) ** 2 / (n / 256)).sum().item()
    assert abs(chi_square - 255) < 5 * (2 * 255) ** 0.5


def test_examples_of_a_vmap_have_the_numbers_of_their_own_keys() -> None:
    keys = torch.tensor([3, 1 << 40, 5])
    batched = torch.vmap(lambda key: halves(key, 3000))(keys)
    assert torch.equal(batched, torch.stack([halves(key, 3000) for key in keys]))
