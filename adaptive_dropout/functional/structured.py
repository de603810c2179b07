"""Noise that drops meaningful parts of an input: the words of a text, the patches of an image."""

from __future__ import annotations

from torch import Tensor

from adaptive_dropout.checks import check_count
from adaptive_dropout.functional.bernoulli import dropout
from adaptive_dropout.functional.inputs import check_input
from adaptive_dropout.noise.settings import Key, work_dtype

__all__ = ["patch_dropout", "word_dropout"]


def word_dropout(x: Tensor, p: float | Tensor, key: Key | None = None) -> Tensor:
    """Drop whole words of ``x``, (..., words, channels), the embeddings of a text; otherwise as `dropout`.

    Raises:
        RuntimeError: ``x`` has fewer than two dimensions, or is not floating point.

    Source: Iyyer et al. (2015), section 3.1. They divide a sum over the words by the number of words kept; here it is
    the expected number, so that the mean is exact.
    """
    if x.dim() < 2:
        raise RuntimeError(f"word_dropout takes (..., words, channels), but got shape {tuple(x.shape)}")
    return dropout(x, p, noise_shape=(*x.shape[:-1], 1), key=key)


def patch_dropout(x: Tensor, p: float | Tensor, patch: int, key: Key | None = None) -> Tensor:
    """Drop whole patches of ``x``, (batch, channels, height, width), in all channels; otherwise as `dropout`.

    Args:
        x: images. Where ``patch`` does not divide their height or width, the last patches are cut off.
        p: in [0, 1]; a tensor that broadcasts to (batch, 1, rows, columns) gives each patch its own.
        patch: height and width of a patch in pixels, at least 1.
        key: as in `dropout`.

    Raises:
        RuntimeError: ``x`` does not have four dimensions, or is not floating point.
        TypeError, ValueError: ``patch`` is not a whole number of at least 1.

    Source: Liu et al. (2023), "PatchDropout: economizing vision transformers". They remove the tokens of dropped
    patches from a transformer, which saves time; here shapes stay, so that p can move in a compiled model.
    """
    check_input(x)
    check_count(patch, "patch")
    if x.dim() != 4:
        raise RuntimeError(f"patch_dropout takes (batch, channels, height, width), but got shape {tuple(x.shape)}")
    batch, _, height, width = x.shape
    kept = dropout(x.new_ones(batch, 1, -(-height // patch), -(-width // patch), dtype=work_dtype(x)), p, key=key)
    noise = kept.repeat_interleave(patch, dim=2).repeat_interleave(patch, dim=3)[..., :height, :width]
    return (x * noise).to(x.dtype)
