"""Attention whose dropout rate may move: torch's takes p as a Python number, and compiles anew for each."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from adaptive_dropout.checks import check_p
from adaptive_dropout.functional.attention_kernels import repeat_heads, softmax_weights
from adaptive_dropout.functional.bernoulli import dropout
from adaptive_dropout.functional.fused_attention import attend
from adaptive_dropout.noise.backend import in_dual_level, on_kernels

__all__ = ["scaled_dot_product_attention"]

FUSED = {"cuda"}
"""The kinds of devices on which attention is fused."""


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    p: float | Tensor,
    mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Return softmax(scale query key^T) value, with `dropout` on the weights of the softmax.

    Equal in distribution to `torch.nn.functional.scaled_dot_product_attention`, and equal in value at p = 0. Under
    ``torch.compile`` it is one graph whatever p is, if p is a tensor.

    On a CUDA device it is torch's fused attention, with torch's masks and in memory proportional to time, wherever p
    is known without waiting for the device: a number, a 0-dim CPU tensor, or, uncompiled, the ``value`` of a settable
    or scheduled rate. In a compiled model that is ``rate.host_value``. It has no second derivative, and none in forward
    mode.

    Otherwise the weights are written out and stored, in memory proportional to time x time, which on a CPU is also the
    faster of the two: for a p on the device, or for each weight, under ``torch.func``, in forward-mode AD, while a CUDA
    graph is captured, and where `torch.nn.attention.sdpa_kernel` allows ``MATH`` only. Compiled code keeps what was
    allowed while it was compiled.

    Args:
        query: (..., time, channels).
        key: (..., other time, channels).
        value: (..., other time, value channels).
        p: in [0, 1]; a tensor that broadcasts to (..., time, other time) gives each weight its own. 0 in evaluation.
        mask: broadcasts to (..., time, other time); True where a query may look, or numbers to add to the scores.
        is_causal: let a query look at keys up to its own time only; without ``mask``.
        scale: 1 / sqrt(channels) if None.
        enable_gqa: allow fewer heads, the third dimension from the end, of keys and values; each serves several
            queries.

    Raises:
        ValueError: ``p`` is outside [0, 1], or a tensor that requires a gradient; or both ``mask`` and ``is_causal``.

    Source: Vaswani et al. (2017), equation 1; dropout on the weights as in their code.
    """
    if mask is not None and is_causal:
        raise ValueError("attention takes a mask or is_causal=True, but got both; make the mask causal")
    if _may_fuse(query, p):
        if torch.compiler.is_compiling() and isinstance(p, Tensor):
            scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
            return attend(query, key, value, p, mask, is_causal, scale)
        number = _known(p)
        if number is not None and number < 1.0:  # at 1 torch's divides by 0
            return F.scaled_dot_product_attention(
                query, key, value, mask, number, is_causal, scale=scale, enable_gqa=enable_gqa
            )
    if enable_gqa:
        key, value = repeat_heads(key, query.shape[-3]), repeat_heads(value, query.shape[-3])
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    return dropout(softmax_weights(query, key, mask, is_causal, scale), p) @ value


def _may_fuse(query: Tensor, p: float | Tensor) -> bool:
    """Return whether the fused kernels may be called: on a CUDA device, with nothing between torch and the call."""
    if query.device.type not in FUSED or not _fusing_is_allowed():
        return False
    if torch.compiler.is_compiling():
        return not isinstance(p, Tensor) or (p.is_cpu and p.dim() == 0 and not p.requires_grad)
    return on_kernels(query) and not in_dual_level() and not torch.cuda.is_current_stream_capturing()


# The compiler cannot record torch's two questions, and would end its graph at each attention. It keeps the answers that
# they had while it compiled, in a `sdpa_kernel` of the compiled code too.
@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _fusing_is_allowed() -> bool:
    cuda = torch.backends.cuda
    return cuda.flash_sdp_enabled() or cuda.mem_efficient_sdp_enabled()  # type: ignore[no-any-return, no-untyped-call]


def _known(p: float | Tensor) -> float | None:
    """Return ``p`` as a number if that does not wait for a device; what a rate has left on its tensor counts too."""
    if not isinstance(p, Tensor):
        return check_p(p)
    if p.dim() or p.requires_grad or not on_kernels(p):
        return None
    return check_p(p.item()) if p.is_cpu else getattr(p, "known_p", None)
