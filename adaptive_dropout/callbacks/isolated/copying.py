"""A copy of a module that shares nothing with it: steps of the copy change nothing in the run.

Deep copies alone do not go far enough: tensors that carry a graph cannot be copied, functions keep the module that they
were made for, and data sets would be copied whole.
"""

from __future__ import annotations

import copy
import io
import threading
from collections.abc import Iterable, Iterator
from types import CellType, FunctionType
from typing import Any, TypeVar

import lightning.pytorch as L
import numpy as np
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset, Sampler

from adaptive_dropout.callbacks.packages import both
from adaptive_dropout.layouts import COMPRESSED
from adaptive_dropout.nested import new_copy

__all__ = ["Memo", "copy_module", "copy_optimizers"]

M = TypeVar("M", bound=nn.Module)
Memo = dict[int, Any]
"""What `copy.deepcopy` has copied so far: the copy by the ``id`` of the original."""

SHARED = (Dataset, DataLoader, Sampler, *both(L.LightningDataModule), *both(L.Callback))
LOCKS = (type(threading.Lock()), type(threading.RLock()))
FRAMEWORKS = ("builtins", "torch.", "lightning.", "pytorch_lightning.", "torchmetrics.", "adaptive_dropout.")
HOOKS = ("_forward_hooks", "_forward_pre_hooks")
COMPILED = ("forward", "training_step", "validation_step", "test_step", "predict_step")


def copy_module(module: M, memo: Memo) -> M:
    """Return a copy of ``module`` with its weights, buffers, metrics, lists and hooks, not compiled, without trainer.

    Data sets, loaders, data modules and callbacks that it holds are shared; an open file becomes one in memory.

    Args:
        module: stays as it is.
        memo: is filled; what it already holds is used as it is.

    Raises:
        Exception: whatever ``copy.deepcopy`` raises for what cannot be copied, such as a lock.
    """
    for value in _values(module):
        _prepare(value, memo)
    with torch.inference_mode(False), torch.no_grad():
        made = copy.deepcopy(module, memo)
    for part in made.modules():
        _detach(part, memo)
    return made


def copy_data_module(data: Any, memo: Memo) -> Any:
    """Return a copy of a data module with lists and dictionaries of its own; the data in it is shared."""
    made = copy.copy(data)
    for name, value in vars(made).items():
        if isinstance(value, (list, dict, set)):
            items = value.values() if isinstance(value, dict) else value
            memo |= {id(item): item for item in items if isinstance(item, (Tensor, np.ndarray, *SHARED))}
            vars(made)[name] = copy.deepcopy(value, memo)
    memo[id(data)] = made
    return made


def copy_optimizers(optimizers: Iterable[Optimizer], memo: Memo, moments: bool) -> list[Optimizer]:
    """Return optimizers of the copied parameters, for a step that reads a learning rate.

    Their ``moments`` are twice the size of the model. Those of optimizers with modes are always copied: such
    optimizers, as in `schedulefree`, write them into the weights in eval mode.
    """
    return [_copy_optimizer(optimizer, memo, moments) for optimizer in optimizers]


def _values(model: nn.Module) -> Iterator[Any]:
    """Yield what the modules of ``model`` hold, and what stands in their lists, tuples and dictionaries."""
    for module in model.modules():
        for value in vars(module).values():
            yield value
            if isinstance(value, dict):
                yield from value.values()
            elif isinstance(value, (list, tuple)):
                yield from value


def _prepare(value: Any, memo: Memo) -> None:
    """Put into ``memo`` what stands in for ``value`` where a deep copy would fail, or reach beyond the module."""
    if id(value) in memo:
        return
    if isinstance(value, Tensor) and not value.is_leaf:
        memo[id(value)] = value.detach().clone()
    elif isinstance(value, Tensor) and value.layout in COMPRESSED:
        memo[id(value)] = new_copy(value, value.device)  # torch cannot deep-copy it
    elif isinstance(value, torch.Generator):
        memo[id(value)] = value.clone_state()
    elif isinstance(value, SHARED):
        memo[id(value)] = value
    elif isinstance(value, both(LightningOptimizer)):
        memo[id(value)] = copy.deepcopy(value._optimizer, memo)  # it cannot be copied itself
    elif isinstance(value, io.IOBase) and value.writable():
        memo[id(value)] = io.StringIO() if isinstance(value, io.TextIOBase) else io.BytesIO()
    elif callable(value) and not isinstance(value, (nn.Module, type, FunctionType)):
        _prepare_callable(value, memo)
    elif isinstance(value, LOCKS):
        memo[id(value)] = threading.RLock() if isinstance(value, LOCKS[1]) else threading.Lock()


def _prepare_callable(value: Any, memo: Memo) -> None:
    """Copy what a callable holds; share one that cannot be copied, such as LightningCLI's factory of an optimizer."""
    tried = dict(memo)
    try:
        copy.deepcopy(value, tried)
    except Exception:  # whatever its parts raise
        memo[id(value)] = value
    else:
        # Under its own id a memo holds what has to live as long as it does. That of `tried` is free from now on.
        memo.setdefault(id(memo), []).extend(tried.pop(id(tried), []))
        memo.update(tried)


def _detach(module: nn.Module, memo: Memo) -> None:
    """Remove from the copy ``module`` what was made for its original."""
    held = vars(module)
    held.pop("_compiled_call_impl", None)
    if isinstance(module, both(L.LightningModule)):
        held.pop("_on_before_batch_transfer", None)
        held["_metric_attributes"] = None  # keyed by the ids of the original metrics
        if held.get("_compiler_ctx") is not None:
            for name in (*COMPILED, "_compiler_ctx"):
                held.pop(name, None)
            held["_compiler_ctx"] = None
    if hasattr(module, "sync_on_compute"):  # a metric: processes do not wait for each other here
        held["sync_on_compute"] = held["_to_sync"] = held["dist_sync_on_step"] = False
    _own_class_lists(module, memo)
    for places in (held, *(held[name] for name in HOOKS if name in held)):
        for name, value in list(places.items()):
            if isinstance(value, FunctionType):
                places[name] = _rebind(value, memo)


def _own_class_lists(module: nn.Module, memo: Memo) -> None:
    """Give the copy ``module`` lists and dictionaries of its own in place of those that its class holds."""
    for kind in type(module).__mro__:
        if not kind.__module__.startswith(FRAMEWORKS):
            for name, value in vars(kind).items():
                if isinstance(value, (list, dict, set)) and not name.startswith("__"):
                    vars(module).setdefault(name, copy.deepcopy(value, memo))


def _rebind(function: FunctionType, memo: Memo) -> FunctionType:
    """Return ``function`` with the copies of what its closure holds; itself where nothing of that was copied.

    Lists and dictionaries in a closure are copied as well: a hook may append to them what it has seen.
    """
    contents = [_content(cell) for cell in function.__closure__ or ()]
    if not any(id(content) in memo or isinstance(content, (list, dict, set)) for content in contents):
        return function
    cells = tuple(CellType(copy.deepcopy(content, memo)) for content in contents)
    made = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, cells)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__dict__.update(function.__dict__)
    return made


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty so far
        return None


def _copy_optimizer(optimizer: Optimizer, memo: Memo, moments: bool) -> Optimizer:
    if id(optimizer) in memo:  # the module holds it as well
        return memo[id(optimizer)]  # type: ignore[no-any-return]
    if moments or callable(getattr(optimizer, "eval", None)):
        made = copy.deepcopy(optimizer, memo)
    else:
        made = copy.copy(optimizer)
        made.state = type(optimizer.state)(optimizer.state.default_factory)
        made.param_groups = [
            {**group, "params": [memo.get(id(weight), weight) for weight in group["params"]]}
            for group in optimizer.param_groups
        ]
    memo[id(optimizer)] = made
    return made
