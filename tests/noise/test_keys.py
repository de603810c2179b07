"""A key follows torch's generator, and is the same one eager and compiled."""

from __future__ import annotations

import torch

from adaptive_dropout.noise.keys import draw_key, draw_key_tensor, mix


def test_a_key_follows_the_seed_and_each_call_draws_its_own() -> None:
    x = torch.ones(1)
    torch.manual_seed(4)
    first, second = draw_key(x), draw_key(x)
    torch.manual_seed(4)
    assert first == draw_key(x)
    assert first != second
    torch.manual_seed(4)
    tensor = draw_key_tensor(x)
    assert (tensor.item(), tensor.dtype, tensor.shape) == (first, torch.int64, ())


def test_keys_fill_63_bits() -> None:
    keys = torch.tensor([draw_key(torch.ones(1)) for _ in range(200)])
    for bit in range(63):
        assert 0 < (keys >> bit & 1).sum() < 200
    assert (keys >= 0).all()


def test_the_hash_of_a_generator_s_state_is_split_mix_of_the_seed_and_again_of_the_offset() -> None:
    after_0, after_1234567 = 0xE220A8397B1DCDAF, 6457827717110365317  # SplitMix64's published first numbers
    assert mix(0, 1234567 - after_0) == after_1234567
    assert mix(1234567, 0 - after_1234567) == after_0 - 2**64


def test_no_two_states_of_a_generator_give_one_key() -> None:
    keys = [mix(seed, 4 * step) for seed in (0, 1, 2, 2**64 - 1) for step in range(20_000)]
    assert len(set(keys)) == len(keys)
    assert -(2**63) <= min(keys) < max(keys) < 2**63
    for bit in range(64):
        assert abs(sum(key >> bit & 1 for key in keys) - 40_000) < 5 * 80_000**0.5 / 2
