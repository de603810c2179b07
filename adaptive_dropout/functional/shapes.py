"""Which shape of noise channel-wise dropout draws: one value a channel, broadcast over the spatial dimensions."""

from __future__ import annotations

import warnings

from torch import Tensor

__all__ = ["channel_shape"]


def channel_shape(x: Tensor, spatial_dims: int) -> tuple[int, ...]:
    """Return the noise shape for ``x`` of shape (batch, channels, *spatial), or (channels, *spatial) without a batch.

    The inputs that `torch.nn.Dropout1d`, ``2d`` and ``3d`` take are taken here, and read in the same way: with two
    spatial dimensions a 3-dim input is (batch, channels, length), which warns, as in torch.

    Raises:
        RuntimeError: one spatial dimension and ``x`` is neither 2-dim nor 3-dim; or ``x`` has no channels.
    """
    dims, full = x.dim(), spatial_dims + 2
    wanted = f"{full - 1}-dim or {full}-dim"
    without_batch = spatial_dims != 2 and dims != full
    kept = 1 if without_batch else 2
    if dims < kept or (spatial_dims == 1 and dims not in (2, 3)):
        raise RuntimeError(f"dropout{spatial_dims}d takes {wanted} input, but got shape {tuple(x.shape)}")
    if dims not in (full - 1, full):
        warnings.warn(
            f"dropout{spatial_dims}d takes {wanted} input, but got shape {tuple(x.shape)}; use Dropout instead",
            UserWarning,
            stacklevel=4,
        )
    elif spatial_dims == 2 and dims == 3:
        warnings.warn(
            f"dropout2d reads the 3-dim input of shape {tuple(x.shape)} as (batch, channels, length); "
            "use Dropout1d for that, or add a batch dimension",
            UserWarning,
            stacklevel=4,
        )
    return tuple(x.shape[:kept]) + (1,) * (dims - kept)
