"""The key of a noise: one draw from torch's generator for each call, the same eager and compiled.

The key follows `torch.manual_seed`, `torch.random.fork_rng` and activation checkpointing, because the state of torch's
generator is all that it depends on.
"""

from __future__ import annotations

import torch
from torch import Tensor

from adaptive_dropout.noise.backend import Key, on_kernels, transforming
from adaptive_dropout.noise.philox import KEYS

__all__ = ["draw_key", "draw_key_tensor", "mix"]

STEP = 4  # torch takes offsets in multiples of it
BITS_64 = 2**64 - 1


def draw_key(x: Tensor) -> Key:
    """Draw a key for noise on ``x`` from torch's generator of its device, without waiting for the device.

    A number where Python has it at hand, that is for a plain tensor on a CPU or a CUDA device; else 0-dim, int64, on
    the device of ``x``. `torch.compile` records one operator, which draws the same key as eager code. Where operations
    are recorded otherwise, a key is drawn by `torch.randint` whenever they run: by `torch.export`, `torch.jit.trace`
    and CUDA graphs, which therefore draw other keys than eager code on a CUDA device.
    """
    if torch.compiler.is_compiling() and not torch.compiler.is_exporting() and not transforming():
        # An operator with the same inputs as another may be merged with it, and of an x there could be only one.
        # A tensor of its own keeps it apart, and does not force the compiler to write x to memory.
        key: Tensor = compiled_key(torch.empty((), device=x.device))
        return key
    if on_kernels(x):
        return _draw(x)
    return _draw_on_device(x)


def draw_key_tensor(x: Tensor) -> Tensor:
    """Draw the key of `draw_key` as a tensor on the device of ``x``; 0-dim, int64."""
    key = draw_key(x)
    return key if isinstance(key, Tensor) else torch.full((), key, dtype=torch.int64, device=x.device)


@torch.library.custom_op("adaptive_dropout::draw_key", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
def compiled_key(like: Tensor) -> Tensor:
    """Draw the key of `draw_key` for the device of ``like``, in one operator that no compiler looks into."""
    key = _draw(like)
    return key if isinstance(key, Tensor) else torch.full((), key, dtype=torch.int64, device=like.device)


@compiled_key.register_fake
def _(like: Tensor) -> Tensor:
    return like.new_empty((), dtype=torch.int64)


def mix(seed: int, offset: int) -> int:
    """Return a key in [-2^63, 2^63) from the state of a CUDA generator.

    For one seed each offset has a key of its own, because each step of the hash is a bijection of 64 bits: two draws of
    one run never have the same key.

    Source: Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators": SplitMix64, applied to the
    seed and again to its result plus the offset.
    """
    key = _split_mix(_split_mix(seed) + offset)
    return key - (key >> 63 << 64)


def _draw(x: Tensor) -> Key:
    if x.is_cpu:
        return int(torch.randint(KEYS, ()).item())
    if x.is_cuda and not torch.cuda.is_current_stream_capturing():
        return _draw_on_host(x.device)
    return _draw_on_device(x)


def _draw_on_device(x: Tensor) -> Tensor:
    return torch.randint(KEYS, (), dtype=torch.int64, device=x.device)


def _draw_on_host(device: torch.device) -> int:
    """Draw a key from the seed and the offset of torch's CUDA generator, which Python knows without the device."""
    torch.cuda.init()  # type: ignore[no-untyped-call]  # until then there are no generators
    generator = torch.cuda.default_generators[device.index]
    offset = generator.get_offset()
    generator.set_offset(offset + STEP)
    return mix(generator.initial_seed(), offset)


def _split_mix(state: int) -> int:
    z = (state + 0x9E3779B97F4A7C15) & BITS_64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & BITS_64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & BITS_64
    return z ^ z >> 31
