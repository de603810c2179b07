"""A device that is not there: tensors as on CUDA, but without memory, and an error where the host waits for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["backward", "fake_cuda", "need_fakes", "no_waits"]

aten = torch.ops.aten
READS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default}
COPIES = {aten._to_copy.default, aten.copy_.default}


def need_fakes() -> None:
    """Skip a test of indexing and the like of such tensors before torch 2.11, which asks the driver there."""
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 11):
        pytest.skip("before 2.11 torch asks the driver about tensors without memory")


@contextmanager
def fake_cuda() -> Iterator[None]:
    """Make each new tensor one of a CUDA device, without memory; no driver is needed, and none is used."""
    need_fakes()
    with pytest.MonkeyPatch.context() as patch:
        # With a driver torch makes a real tensor of each number, and copies nothing.
        patch.setattr(torch.cuda, "is_available", lambda: False)
        with FakeTensorMode(), torch.device("cuda"):
            yield


@contextmanager
def no_waits() -> Iterator[None]:
    """Raise an AssertionError where a number of a device is read, or where a tensor is copied from or to the CPU."""
    with _NoWaits():
        yield


class _NoWaits(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func not in READS or args[0].is_cpu, f"{func} reads from {args[0].device}"
        out = func(*args, **(kwargs or {}))
        if func in COPIES:
            source, into = (args[1], args[0]) if func is aten.copy_.default else (args[0], out)
            assert source.is_cpu == into.is_cpu, f"{func} copies from {source.device} to {into.device}"
        return out


def backward(loss: Tensor) -> None:
    """Do what ``loss.backward()`` does, but for hooks; torch's own engine asks the driver for the device."""
    assert loss.grad_fn is not None
    waiting: Counter[Any] = Counter()
    seen, todo = {loss.grad_fn}, [loss.grad_fn]
    while todo:
        following = [node for node, _ in todo.pop().next_functions if node is not None]
        waiting.update(following)
        todo += set(following) - seen
        seen |= set(following)
    arrived: dict[Any, dict[int, Tensor]] = {loss.grad_fn: {0: torch.ones_like(loss)}}
    ready: list[Any] = [loss.grad_fn]
    while ready:
        node = ready.pop()
        gradients = arrived.pop(node, {})
        if type(node).__name__ == "AccumulateGrad":
            node.variable.grad = gradients[0]
            continue
        results = node(*[gradients.get(number) for number in range(len(node._input_metadata))])
        for (following, number), result in zip(
            node.next_functions, results if isinstance(results, tuple) else (results,), strict=False
        ):
            if following is None:
                continue
            if result is not None:
                slot = arrived.setdefault(following, {})
                result = result.sum_to_size(following._input_metadata[number].shape)
                slot[number] = slot[number] + result if number in slot else result
            waiting[following] -= 1
            if not waiting[following]:
                ready.append(following)
