from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as tf

import adaptive_dropout as ad
from adaptive_dropout.functional import drop_block1d, drop_block2d, drop_block3d
from adaptive_dropout.functional.block_seeds import loss_of, seed_rate, seed_rate_of
from adaptive_dropout.functional.drop_block import _grow, _grow_reference

PS = [0.0, 0.001, 0.1, 0.5, 0.9, 1.0]
# Sizes of a map, block size: as small as one pixel, odd, even, not square, smaller than a block, and as in ResNets.
MAPS = [((1, 1), 7), ((7, 7), 7), ((8, 8), 7), ((14, 14), 7), ((5, 9), 4), ((3, 20), 5), ((6, 2), 3), ((9, 9), 1)]
LARGE = [((56, 56), 7), ((28, 28), 7), ((40, 40), 32), ((64,), 7), ((5, 6, 7), 3)]


def clip(sizes: tuple[int, ...], block: int) -> tuple[int, ...]:
    return tuple(min(block, size) for size in sizes)


def lost_share(y: Tensor) -> Tensor:
    """The share of zeros in each map."""
    return (y == 0).double().flatten(2).mean(2).flatten()


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize(("sizes", "block"), MAPS)
def test_the_share_of_a_map_that_is_lost_is_p(sizes: tuple[int, ...], block: int, p: float) -> None:
    torch.manual_seed(1)
    share = lost_share(drop_block2d(torch.ones(500, 16, *sizes), p, block))
    if p in (0.0, 1.0):
        assert share.eq(p).all()
        return
    # The shares of two maps differ at most as two coins do.
    assert abs(share.mean() - p).item() < 5 * (p * (1 - p) / len(share)) ** 0.5
    assert abs(share.mean() - p).item() < 5 * (share.std() / len(share) ** 0.5).item() + 1e-12


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize(("sizes", "block"), MAPS + LARGE)
def test_the_rate_of_blocks_is_exact_against_a_count_over_each_pixel(
    sizes: tuple[int, ...], block: int, p: float
) -> None:
    g, used = seed_rate_of(p, sizes, clip(sizes, block))
    assert loss_of(g, sizes, clip(sizes, block)) * used == pytest.approx(p, rel=1e-9, abs=1e-12)
    if 0.01 < p < 1:
        assert used > 0.99  # a map seldom keeps what its blocks would take


@pytest.mark.parametrize(("sizes", "block"), [((14, 14), 7), ((5, 9), 4), ((5, 6, 7), 3)])
def test_a_tensor_gives_the_rate_of_a_number(sizes: tuple[int, ...], block: int) -> None:
    p = torch.tensor(PS, dtype=torch.float64)
    numbers = torch.tensor([seed_rate_of(each, sizes, clip(sizes, block)) for each in PS], dtype=torch.float64)
    torch.testing.assert_close(torch.stack(seed_rate(p, sizes, clip(sizes, block)), 1), numbers, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("sizes", "block"), [((8, 7), (4, 4)), ((7, 7), (7, 7)), ((5, 9), (1, 6)), ((3, 4, 5), (2, 3, 4))]
)
def test_blocks_grow_to_what_a_loop_would_write(sizes: tuple[int, ...], block: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    places = [size - each + 1 for size, each in zip(sizes, block, strict=True)]
    seeds = torch.rand(6, 5, *places) < 0.15
    expected = torch.zeros(6, 5, *sizes, dtype=torch.bool)
    for image, channel, *corner in seeds.nonzero().tolist():
        expected[image, channel][tuple(slice(at, at + each) for at, each in zip(corner, block, strict=True))] = True
    assert torch.equal(_grow(seeds, sizes, block), expected)
    assert torch.equal(_grow_reference(seeds, block), expected)


def test_the_rest_is_scaled_so_that_the_mean_over_a_map_stays() -> None:
    torch.manual_seed(1)
    y = drop_block2d(torch.full((4000, 4, 10, 6), 2.0), 0.3, 3)
    assert set(y.unique().tolist()) == {0.0, np.float32(2 / 0.7)}
    means = y.double().flatten(2).mean(2).flatten()
    assert abs(means.mean() - 2).item() < 5 * (means.std() / len(means) ** 0.5).item()


def test_the_gradient_is_the_mask() -> None:
    x = torch.randn(4, 3, 9, 9, requires_grad=True)
    y = drop_block2d(x, 0.3, 3)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient * x, y)


# Each named for what a public version does.


def test_a_tenth_of_a_7_by_7_map_is_a_tenth_where_seeds_anywhere_drop_93_percent() -> None:
    torch.manual_seed(1)
    gamma = 0.1 * 49 / 49 / 1  # timm's: the rate of blocks that stay inside, given to blocks that need not
    seeds = (torch.rand(2000, 1, 7, 7) < gamma).float()
    assert 0.9 < tf.max_pool2d(seeds, 7, 1, 3).mean().item() < 0.96
    share = lost_share(drop_block2d(torch.ones(20_000, 1, 7, 7), 0.1, 7))
    assert abs(share.mean().item() - 0.1) < 5 * (0.09 / 20_000) ** 0.5


def test_blocks_that_overlap_are_counted_where_the_first_order_drops_36_percent_of_50() -> None:
    first_order = 0.5 * 14**2 / 7**2 / 8**2
    assert loss_of(first_order, (14, 14), (7, 7)) == pytest.approx(0.358, abs=0.001)
    g, used = seed_rate_of(0.5, (14, 14), (7, 7))
    assert loss_of(g, (14, 14), (7, 7)) * used == pytest.approx(0.5)


def test_height_and_width_are_not_mixed_up() -> None:
    torch.manual_seed(1)
    wide, high = (lost_share(drop_block2d(torch.ones(4000, 1, *s), 0.2, 5)) for s in ((4, 12), (12, 4)))
    for share in (wide, high):
        assert abs(share.mean() - 0.2).item() < 5 * (share.std() / len(share) ** 0.5).item()
    lost = (drop_block2d(torch.ones(4000, 1, 4, 12), 0.2, 5) == 0).double().mean((0, 1))
    assert torch.equal(lost, lost[:1].expand(4, 12))  # a block of five is as high as the map
    assert lost[0, 5] > 2 * lost[0, 0] > 0


@pytest.mark.parametrize("block", [2, 4, 6])
def test_an_even_block_keeps_the_shape(block: int) -> None:
    assert drop_block2d(torch.ones(2, 3, 9, 11), 0.5, block).shape == (2, 3, 9, 11)


def test_a_block_larger_than_the_map_drops_whole_maps() -> None:
    torch.manual_seed(1)
    share = lost_share(drop_block2d(torch.ones(4000, 2, 3, 5), 0.3, 7))
    assert share.unique().tolist() == [0, 1]
    assert abs(share.mean() - 0.3).item() < 5 * (0.21 / 8000) ** 0.5


def test_a_map_that_is_lost_as_a_whole_is_zero_and_not_nan() -> None:
    y = drop_block2d(torch.randn(50, 1, 4, 4), 0.99, 4)
    assert (y.flatten(1) == 0).all(1).any()
    assert y.isfinite().all()


def test_an_example_does_not_depend_on_the_others_of_its_batch() -> None:
    p = torch.tensor([0.5, 0.0, 0.0, 0.0]).view(4, 1, 1, 1)
    y = drop_block2d(torch.ones(4, 8, 6, 6), p, 3)
    assert y[1:].eq(1).all()
    assert y[0].max() == 2


def test_channels_have_masks_of_their_own_unless_they_share_one() -> None:
    own, shared = (drop_block2d(torch.ones(40, 4, 8, 8), 0.3, 3, each) == 0 for each in (False, True))
    assert torch.equal(shared, shared[:, :1].expand_as(shared))
    assert not torch.equal(own, own[:, :1].expand_as(own))
    assert shared.any()


@pytest.mark.parametrize(
    ("call", "sizes", "block"), [(drop_block1d, (30,), 7), (drop_block3d, (5, 4, 6), 3), (drop_block3d, (2, 9, 9), 4)]
)
def test_pieces_and_cubes_take_the_share_too(call: Callable[..., Tensor], sizes: tuple[int, ...], block: int) -> None:
    torch.manual_seed(1)
    share = lost_share(call(torch.ones(500, 8, *sizes), 0.3, block))
    assert abs(share.mean() - 0.3).item() < 5 * (share.std() / len(share) ** 0.5).item()


@pytest.mark.slow
def test_compiled_code_draws_the_blocks_of_eager_code_and_follows_p(short_noise: None) -> None:
    layer, x = ad.DropBlock2d(0.2, block_size=3), torch.randn(8, 4, 9, 7)
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    for p in (0.2, 0.7):
        layer.p = p
        torch.manual_seed(3)
        expected = layer(x)
        torch.manual_seed(3)
        assert torch.equal(compiled(x), expected)


def test_examples_under_vmap_draw_blocks_of_their_own() -> None:
    y = torch.vmap(lambda x: drop_block2d(x, 0.3, 3), randomness="different")(torch.ones(200, 2, 2, 6, 6))
    share = lost_share(y.flatten(0, 1))
    assert abs(share.mean() - 0.3).item() < 5 * (share.std() / len(share) ** 0.5).item()
    assert len(share.unique()) > 3


def test_a_layer_says_its_block_and_its_rate() -> None:
    assert repr(ad.DropBlock2d(0.25)) == "DropBlock2d(p=0.25, block_size=7)"
    assert repr(ad.DropBlock1d(0.25, 3, shared=True)) == "DropBlock1d(p=0.25, block_size=3, shared=True)"
    assert repr(ad.DropBlock3d(ad.ConstantSchedule(0.25))).startswith("DropBlock3d(p=0.25, block_size=7, rate=")


def test_wrong_shapes_and_sizes_are_told() -> None:
    x = torch.ones(2, 3, 4, 4)
    with pytest.raises(RuntimeError, match=r"takes \(batch, channels, height, width\), but got shape \(3, 4, 4\)"):
        drop_block2d(x[0], 0.5)
    with pytest.raises(RuntimeError, match=r"takes \(batch, channels, length\), but got shape \(2, 3, 4, 4\)"):
        drop_block1d(x, 0.5)
    with pytest.raises(RuntimeError, match="floating-point"):
        drop_block2d(x.long(), 0.5)
    with pytest.raises(ValueError, match="block_size has to be at least 1, but got 0"):
        ad.DropBlock2d(0.5, block_size=0)
    with pytest.raises(TypeError, match=r"block_size has to be a whole number, but got 2.5"):
        drop_block2d(x, 0.5, 2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"p has to be between 0 and 1, but got 1\.5"):
        drop_block2d(x, 1.5)
    with pytest.raises(ValueError, match=r"broadcast to x, of shape \(2, 3, 1, 1\)"):
        drop_block2d(x, torch.full((2, 3, 4, 4), 0.5))
    with pytest.raises(ValueError, match="passes no gradient to p"):
        drop_block2d(x, torch.tensor(0.5, requires_grad=True))
