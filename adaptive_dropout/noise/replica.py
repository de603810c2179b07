"""Which replica of the model this process trains, so that replicas may draw different masks from one seed.

Torch's generators are left alone: initial weights, shuffling and all else that is drawn stay equal on all processes.
"""

from __future__ import annotations

from typing import overload

from torch import Tensor

from adaptive_dropout.noise.settings import Key

__all__ = ["get_replica", "of_replica", "set_replica"]

BITS_64 = 2**64 - 1
MOST = 2**32

_number = 0
_difference = 0
"""What all keys of this process differ by from those of replica 0, bit for bit."""


def set_replica(number: int) -> None:
    """Say that this process trains replica ``number`` of the model: its masks then differ from those of all others.

    A replica is one copy of the model, which gets its own part of the data. The processes of one replica, which share
    its layers among them (tensor parallelism), have the same number and draw the same masks.

    By default all processes are replica 0, and draw as torch does: processes seeded alike draw equal masks. Lightning's
    ``seed_everything`` and transformers' Trainer seed all processes alike; the n-th example of each process then loses
    the same units. That is right for every kind of parallelism, but averages over fewer masks than there are examples.

    ======================================  ============================================================
    data parallel (DDP, FSDP)               ``set_replica(torch.distributed.get_rank())``
    with tensor parallelism, from a mesh    ``set_replica(mesh["dp"].get_local_rank())``
    Lightning, whatever the strategy        the callback `adaptive_dropout.callbacks.MaskPerReplica`
    all masks equal                         ``set_replica(0)``, the default
    ======================================  ============================================================

    All processes have to be seeded alike, and the processes of one replica have to draw equally often. Compiled code
    follows the number; a captured CUDA graph, and what `torch.export` or `torch.jit.trace` record, keep theirs. Keys
    that are given to a function are used as they are, and so are torch's own masks in fused attention on a GPU.

    Args:
        number: from 0 on, below 2^32.

    Raises:
        TypeError, ValueError: ``number`` is no such number.
    """
    global _number, _difference
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"a replica has to be a whole number, but got {number!r}")
    if not 0 <= number < MOST:
        raise ValueError(f"a replica has to be a number from 0 to 2^32 - 1, but got {number}")
    _number, _difference = number, _spread(number)


def get_replica() -> int:
    """Return the number of the replica that this process trains; 0 unless it was set."""
    return _number


@overload
def of_replica(key: int) -> int: ...


@overload
def of_replica(key: Tensor) -> Tensor: ...


@overload
def of_replica(key: Key) -> Key: ...


def of_replica(key: Key) -> Key:
    """Return the key of this process in place of ``key``, which replica 0 draws."""
    return key ^ _difference if _difference else key


def _spread(number: int) -> int:
    """Return 64 bits, as a signed number, that are 0 for 0, and others for each other number."""
    bits = number * 0x9E3779B97F4A7C15 & BITS_64  # the multiplier of Weyl sequences: odd, so no two have one product
    bits ^= bits >> 32
    return bits - (bits >> 63 << 64)
