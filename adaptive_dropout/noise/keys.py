"""The key of a noise: one draw from torch's generator for each call, the same eager and compiled.

The key follows `torch.manual_seed`, `torch.random.fork_rng` and activation checkpointing, because the state of torch's
generator, and the number of the process's replica, are all that it depends on.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils.checkpoint import CheckpointPolicy

from adaptive_dropout.noise.backend import on_kernels, transforming
from adaptive_dropout.noise.philox import KEYS
from adaptive_dropout.noise.replica import of_replica
from adaptive_dropout.noise.settings import Key, as_key

try:
    from torch.fx.experimental.proxy_tensor import get_proxy_mode
except ImportError:  # torch does not document it; without it parallel branches of compiled code may swap their keys
    get_proxy_mode = lambda: None  # noqa: E731


__all__ = ["draw_common_key", "draw_from", "draw_key", "draw_plainly", "mix"]

STEP = 4  # torch takes offsets in multiples of it
BITS_64 = 2**64 - 1
LAST: WeakKeyDictionary[Any, dict[torch.device, Tensor]] = WeakKeyDictionary()
"""The key recorded last on each device, by the tracer that records it."""


def draw_key(x: Tensor) -> Key:
    """Draw a key for noise on ``x`` from torch's generator of its device, without waiting for the device.

    It is a number where Python has it at hand, that is for a plain tensor on a CPU or a CUDA device; else 0-dim, int64,
    on the device of ``x``. `torch.compile` records an operator that draws the same key as eager code. Three differences
    remain:

    - Compiled code draws a key at p = 0 too, which eager code does not, because it serves all values of p.
    - A captured CUDA graph, as in ``torch.compile(mode="reduce-overhead")``, draws its keys on the device, and so other
      keys than eager code.
    - So does what `torch.export`, `torch.jit.trace` or `torch.func` record or transform, on a CUDA device.
    """
    if on_kernels(x):
        return draw_plainly(x)
    if torch.compiler.is_compiling() and not _is_exporting() and not transforming():
        # Operators with the same input may be merged, and x would have to be written to memory: not x but a new tensor.
        key: Tensor = torch.ops.adaptive_dropout.draw_key_in_order(torch.empty(0, device=x.device))
        return key
    return _draw_on_device(x)


def draw_common_key(x: Tensor) -> Key:
    """Draw the key of `draw_key` that replica 0 has, on every replica: for what processes have to decide alike.

    Where layers communicate, as under FSDP, a process that skips a layer by itself would leave the others waiting.
    """
    return of_replica(draw_key(x))  # the same difference twice is none


def draw_plainly(x: Tensor) -> Key:
    """Draw the key of `draw_key` for an ``x`` of which it is known that kernels may read it."""
    if x.is_cpu:
        return of_replica(int(torch.randint(KEYS, ()).item()))
    if x.is_cuda and not torch.cuda.is_current_stream_capturing():
        torch.cuda.init()  # type: ignore[no-untyped-call]  # until then there are no generators
        return of_replica(draw_from(torch.cuda.default_generators[x.device.index]))
    return _draw_on_device(x)


def _compiled_key(after: Tensor) -> Tensor:
    """Draw the key of `draw_key` for the device of ``after``, whose value is not read: it has to be computed before."""
    return _draw_on_device(after) if after.is_cpu else as_key(after, draw_plainly(after))


def _compiled_key_s_shape(after: Tensor) -> Tensor:
    return after.new_empty((), dtype=torch.int64)


def _draw_in_order(like: Tensor) -> Tensor:
    """Draw the key of `draw_key`; where the compiler records it, after the key recorded last on the device.

    Without a path from one key to the next, inductor moves them across each other where branches run in parallel. Under
    activation checkpointing a key is saved, 8 bytes, and not drawn again.
    """
    mode = get_proxy_mode()
    last = {} if mode is None else LAST.setdefault(mode.tracer, {})
    drawn = torch.ops.adaptive_dropout.draw_key.default
    key: Tensor = drawn(last.get(like.device, like))
    if mode is None:
        return key
    last[like.device] = key
    node = next(node for node in reversed(mode.tracer.graph.nodes) if node.target is drawn)
    if "recompute" in node.meta:
        node.meta["recompute"] = CheckpointPolicy.MUST_SAVE
    return key


LIBRARY: Any = torch.library.Library("adaptive_dropout", "FRAGMENT")  # type: ignore[no-untyped-call]
# Not `torch.library.custom_op`, whose Python takes longer than the call: a compiled step with 25 keys took a slow host
# 2.9 ms, and takes 1.4.
TAGS = (torch.Tag.nondeterministic_seeded, torch.Tag.pt2_compliant_tag)
LIBRARY.define("draw_key(Tensor after) -> Tensor", tags=TAGS)
LIBRARY.impl("draw_key", _compiled_key, "CompositeExplicitAutograd")
torch.library.register_fake("adaptive_dropout::draw_key", _compiled_key_s_shape, lib=LIBRARY)
LIBRARY.define("draw_key_in_order(Tensor like) -> Tensor")
LIBRARY.impl("draw_key_in_order", _draw_in_order, "CompositeImplicitAutograd")


def draw_from(generator: torch.Generator) -> int:
    """Draw a key from a CUDA generator: from its seed and its offset, which Python knows without the device."""
    offset = generator.get_offset()
    generator.set_offset(offset + STEP)
    return mix(generator.initial_seed(), offset)


def mix(seed: int, offset: int) -> int:
    """Return a key in [-2^63, 2^63) from the state of a CUDA generator.

    For one seed each offset has a key of its own, because each step of the hash is a bijection of 64 bits: two draws of
    one run never have the same key.

    Source: Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators": SplitMix64, applied to the
    seed and again to its result plus the offset.
    """
    key = _split_mix(_mixed_seed(seed) + offset)
    return key - (key >> 63 << 64)


def _is_exporting() -> bool:
    # The compiler of torch 2.11 answers torch.compiler.is_exporting() with yes, whatever it does.
    exporting: bool = getattr(torch.compiler, "_is_exporting_flag", False)
    return exporting


def _draw_on_device(x: Tensor) -> Tensor:
    return of_replica(torch.randint(KEYS, (), dtype=torch.int64, device=x.device))


def _split_mix(state: int) -> int:
    z = (state + 0x9E3779B97F4A7C15) & BITS_64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & BITS_64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & BITS_64
    return z ^ z >> 31


_mixed_seed = lru_cache(maxsize=8)(_split_mix)  # the seed stays, and only the offset moves
