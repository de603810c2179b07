from __future__ import annotations

import pytest
import torch

import adaptive_dropout as ad
from adaptive_dropout.functional import patch_dropout, word_dropout


def within_5_standard_errors(dropped: int, n: int, p: float) -> bool:
    return abs(dropped - n * p) < 5 * (n * p * (1 - p)) ** 0.5


def test_a_word_is_dropped_or_kept_as_a_whole() -> None:
    y = word_dropout(torch.ones(100, 40, 3), 0.3)
    assert torch.equal(y, y[..., :1].expand_as(y))
    assert torch.allclose(y[y != 0], torch.tensor(1 / 0.7), rtol=1e-4)  # p is rounded to 2^-16
    assert within_5_standard_errors(int((y[..., 0] == 0).sum()), 4000, 0.3)


def test_a_text_without_a_batch_loses_words_too() -> None:
    y = word_dropout(torch.ones(4000, 2), 0.3)
    assert torch.equal(y[:, 0], y[:, 1])
    assert within_5_standard_errors(int((y[:, 0] == 0).sum()), 4000, 0.3)


def test_texts_of_a_batch_lose_different_words() -> None:
    first, second = word_dropout(torch.ones(2, 100, 1), 0.5)
    assert not torch.equal(first, second)


def test_a_patch_is_dropped_or_kept_as_a_whole_in_all_channels() -> None:
    y = patch_dropout(torch.ones(100, 3, 12, 8), 0.3, patch=4)
    patches = y.unfold(2, 4, 4).unfold(3, 4, 4)
    first = patches[:, :1, :, :, :1, :1]
    assert torch.equal(patches, first.expand_as(patches))
    assert within_5_standard_errors(int((first == 0).sum()), 600, 0.3)


def test_the_last_patches_are_cut_off_where_the_size_is_no_multiple() -> None:
    y = patch_dropout(torch.ones(500, 1, 5, 7), 0.5, patch=4)
    assert y.shape == (500, 1, 5, 7)
    assert torch.equal(y[:, :, 4:, 4:], y[:, :, 4:, 4:5].expand(-1, -1, 1, 3))
    assert not torch.equal(y[:, :, 3, 0], y[:, :, 4, 0])


def test_each_image_can_have_its_own_p() -> None:
    p = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
    first, second = patch_dropout(torch.ones(2, 1, 8, 8), p, patch=2)
    assert first.eq(1).all()
    assert not second.any()


def test_a_layer_says_its_patch_and_its_rate() -> None:
    assert repr(ad.PatchDropout(0.25, patch=4)) == "PatchDropout(p=0.25, patch=4)"
    assert repr(ad.PatchDropout(ad.ConstantSchedule(0.25), 4)).startswith("PatchDropout(p=0.25, patch=4, rate=")
    assert repr(ad.WordDropout(0.25)) == "WordDropout(p=0.25)"


def test_wrong_shapes_and_sizes_are_told() -> None:
    with pytest.raises(RuntimeError, match=r"takes \(..., words, channels\), but got shape \(3,\)"):
        word_dropout(torch.ones(3), 0.5)
    with pytest.raises(RuntimeError, match=r"takes \(batch, channels, height, width\), but got shape \(3, 4\)"):
        patch_dropout(torch.ones(3, 4), 0.5, 2)
    with pytest.raises(RuntimeError, match="floating-point"):
        patch_dropout(torch.ones(1, 1, 4, 4, dtype=torch.int64), 0.5, 2)
    with pytest.raises(ValueError, match="patch has to be at least 1, but got 0"):
        ad.PatchDropout(0.5, patch=0)
    with pytest.raises(TypeError, match=r"patch has to be a whole number, but got 2.0"):
        patch_dropout(torch.ones(1, 1, 4, 4), 0.5, 2.0)  # type: ignore[arg-type]
