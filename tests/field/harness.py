"""Two runs of one LightningModule from one seed, without and with our callback, and all that can be told of each."""

from __future__ import annotations

import contextlib
import io
import logging
import random
import types
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from lightning.pytorch.utilities.data import warning_cache
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout
from adaptive_dropout.controllers import State
from tests.callbacks.toy import Memory


@dataclass(frozen=True)
class Seen(State):
    signals: tuple[dict[str, float], ...] = ()


@dataclass(frozen=True)
class Measured(ad.Controller):
    """Has the clean loss measured, remembers all signals, and leaves the rates as they are."""

    def needs(self) -> frozenset[str]:
        return frozenset({"clean_loss"})

    def init(self, rates: Mapping[str, float]) -> State:
        return Seen(dict(rates))

    def update(self, state: State, signals: Mapping[str, float]) -> State:
        assert isinstance(state, Seen)
        return replace(state, signals=(*state.signals, dict(signals)))


@dataclass(frozen=True)
class Kind:
    """One kind of LightningModule or data.

    Args:
        name: of the test.
        module: makes it; the folder is for files of its own.
        data: what ``fit`` is given, by argument.
        settings: of the trainer, beside `SETTINGS`.
        callbacks: the user's own, which stand behind ours.
        compiled: how the module is compiled for ``fit``.
        measurable: whether its clean loss can be measured without a side effect.
        monitor: the metric; None to have it found.
    """

    name: str
    module: Callable[[Path], L.LightningModule]
    data: Callable[[], dict[str, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    callbacks: Callable[[], list[L.Callback]] = list
    compiled: Callable[[L.LightningModule], Any] = lambda module: module
    measurable: bool = True
    monitor: str | None = None


@dataclass
class Told:
    """All that can be told of a run when it is over."""

    weights: dict[str, Any]
    held: Any
    rows: list[tuple[int, Any]]
    metrics: Any
    saved: Any
    generators: Any
    warned: list[str]
    printed: str
    records: list[str]
    files: dict[str, bytes]
    own: AdaptiveDropout | None


SETTINGS: dict[str, Any] = {
    "max_epochs": 3, "accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False,
    "enable_checkpointing": False, "log_every_n_steps": 1, "num_sanity_val_steps": 0,
}  # fmt: skip
OURS = ("dropout", "DropoutRateControl", "AdaptiveDropout", "Measured")
NOT_HELD = (
    L.Trainer,
    Memory,
    DataLoader,
    Dataset,
    L.LightningDataModule,
    type,
    types.ModuleType,
    torch.optim.Optimizer,
)


def run(kind: Kind, folder: Path, own: AdaptiveDropout | None) -> Told:
    home, folder = folder, folder.parent / "run"  # both are of one name, which is in what they save
    folder.mkdir()
    torch._dynamo.reset()
    warning_cache.clear()
    L.seed_everything(11, verbose=False)
    module, memory, printed = kind.module(folder), Memory(), io.StringIO()
    callbacks = [*([own] if own is not None else []), *kind.callbacks()]
    listener = _Listener()
    with contextlib.ExitStack() as stack:
        warned = stack.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("default")  # each place once, as users have it
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.callback(logging.getLogger("users").removeHandler, listener)
        logging.getLogger("users").addHandler(listener)
        trainer = L.Trainer(logger=memory, callbacks=callbacks, default_root_dir=folder, **SETTINGS | kind.settings)
        trainer.fit(kind.compiled(module), **kind.data())
        states = torch.get_rng_state(), np.random.get_state(), random.getstate()
        trainer.save_checkpoint(folder / "end.ckpt")
    saved = torch.load(folder / "end.ckpt", weights_only=False)
    saved["callbacks"] = {name: kept for name, kept in saved["callbacks"].items() if not name.startswith(OURS)}
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("users*"))}
    folder.rename(home)
    return Told(
        weights={
            name: frozen(value) for name, value in {**module.state_dict(), **dict(module.named_buffers())}.items()
        },
        held=frozen(module),
        rows=_users_rows(memory),
        metrics=frozen(dict(trainer.callback_metrics)),
        saved=frozen(saved),
        generators=frozen(states),
        warned=[str(warning.message) for warning in warned],
        printed=printed.getvalue(),
        records=listener.heard,
        files=files,
        own=own,
    )


def frozen(value: Any, seen: frozenset[int] = frozenset()) -> Any:
    """Return ``value`` as plain data that compares by bits: the contents of modules, lists, closures and files."""
    if id(value) in seen:
        return "<a part of itself>"
    seen |= {id(value)}
    if isinstance(value, Tensor):
        bits = value.detach().reshape(-1).view(torch.uint8) if value.numel() and value.dim() else value.detach()
        return str(value.dtype), tuple(value.shape), bits.tolist() if value.dim() else repr(value.item())
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, torch.Generator):
        return frozen(value.get_state())
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return type(value).__name__, repr(value)
    if isinstance(value, Mapping):
        # hooks stand under numbers that torch counts through the whole process
        keys = (
            range(len(value))
            if isinstance(value, OrderedDict) and all(isinstance(name, int) for name in value)
            else value
        )
        return {repr(name): frozen(one, seen) for name, one in zip(keys, value.values(), strict=True)}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [frozen(one, seen) for one in value]
    if isinstance(value, (set, frozenset)):
        return type(value).__name__, sorted(str(frozen(one, seen)) for one in value)
    if isinstance(value, types.FunctionType):
        return value.__qualname__, [frozen(cell.cell_contents, seen) for cell in value.__closure__ or ()]
    if isinstance(value, io.StringIO):
        return value.getvalue()
    if isinstance(value, io.IOBase):
        return type(value).__name__, value.closed or value.tell()
    if isinstance(value, NOT_HELD):
        return type(value).__name__
    if isinstance(value, nn.Module):
        own = [kind for kind in type(value).__mro__ if kind.__module__.startswith("tests.")]
        shared = {name: one for kind in own for name, one in vars(kind).items() if isinstance(one, (list, dict, set))}
        held = {
            name: one for name, one in vars(value).items() if name != "_torchdynamo_wrapper_id"
        }  # a number of torch's
        return type(value).__name__, frozen(shared, seen), frozen(held, seen)
    if is_dataclass(value):
        return type(value).__name__, [frozen(getattr(value, one.name), seen) for one in fields(value)]
    return type(value).__name__, frozen(vars(value), seen) if hasattr(value, "__dict__") else ""


def differences(ours: Any, without: Any, at: str = "") -> list[str]:
    """Return where two of `frozen` differ, with both values."""
    if type(ours) is not type(without) or not isinstance(ours, (dict, list, tuple)):
        return [] if ours == without else [f"{at}: {str(ours)[:90]} with, {str(without)[:90]} without"]
    if isinstance(ours, dict):
        alone = [f"{at}[{name}] is in one only" for name in ours.keys() ^ without.keys()]
        return alone + [d for n in ours.keys() & without.keys() for d in differences(ours[n], without[n], f"{at}[{n}]")]
    lengths = [] if len(ours) == len(without) else [f"{at}: {len(ours)} with, {len(without)} without"]
    pairs = enumerate(zip(ours, without, strict=False))
    return lengths + [d for i, (a, b) in pairs for d in differences(a, b, f"{at}[{i}]")]


def _users_rows(memory: Memory) -> list[tuple[int, Any]]:
    rows = [
        (step, {name: value for name, value in row.items() if not name.startswith("dropout")})
        for step, row in memory.rows
    ]
    return [(step, frozen(row)) for step, row in rows if row]


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())
