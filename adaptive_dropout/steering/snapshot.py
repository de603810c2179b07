"""One copy of weights, buffers and optimizer state, to rewind to.

A rewind writes in place and replaces no parameter, buffer or parameter group: compiled models, DDP, weight averaging
and optimizers go on with the objects they hold. Rates, learning rates and gradients stay as they are.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adaptive_dropout.nested import fits, map_tensors, new_copy, refill, write
from adaptive_dropout.rates import Rate
from adaptive_dropout.steering.kept import check_fits, check_states, form_of
from adaptive_dropout.tracking.folders import make_folder
from adaptive_dropout.tracking.shown import shown

__all__ = ["Snapshot"]

_numbers = itertools.count()


class Snapshot:
    """Keeps one copy of a model and its optimizers, to which `restore` goes back.

    Kept are all parameters (learned rates and frozen ones too), all buffers, persistent or not, and the optimizers'
    state (moments, step counters). Not kept, so that they go on over a rewind: the p of settable and scheduled rates,
    learning rates and all else in the parameter groups, gradients, the random generators. An optimizer whose
    modes have different weights (`schedulefree`) is restored in the mode of `take`, then put back in its own.

    >>> model = nn.Linear(2, 1)
    >>> best = Snapshot(model, torch.optim.Adam(model.parameters()))
    >>> best.take()
    >>> _ = nn.init.zeros_(model.weight)
    >>> best.restore()
    >>> bool(model.weight.any())
    True

    Args:
        model: any module.
        optimizers: those that train it. What they train besides the model is kept as well.
        folder: keep the copy in the file ``snapshot.pt`` there, made if need be, and nothing in memory. A file of an
            earlier run is never read; the first `take` overwrites it. Give each snapshot a folder of its own.
    """

    def __init__(self, model: nn.Module, *optimizers: torch.optim.Optimizer, folder: str | Path | None = None) -> None:
        self._model = model
        self._optimizers = optimizers
        self._kept: dict[str, Any] = {}
        self._taken = False
        # Which snapshot of the process wrote a file, and at which of its takes: equal in all processes of one run.
        self._writer = [next(_numbers), 0]
        self._form = ""  # of what was written
        self._file = None if folder is None else Path(folder) / "snapshot.pt"
        if self._file is not None:
            make_folder(self._file.parent)

    @property
    def taken(self) -> bool:
        """Whether there is something to restore."""
        return self._taken

    def take(self) -> None:
        """Keep the model and the optimizers as they are now instead of what was kept before.

        The memory of the last copy is used again. A file is replaced only when the new one is complete.

        Raises:
            TypeError: the state of an optimizer has something in it besides tensors, numbers, strings, None and
                dicts, lists and tuples of them.
            OSError: the file cannot be written; what was kept before stays.
        """
        self._keep(self._live())

    def restore(self) -> None:
        """Write back what was kept, as often as wanted.

        Optimizer state that appeared since goes: a snapshot from before the first step gives a fresh optimizer back.

        Raises:
            RuntimeError: nothing was taken yet, the last `take` was cut off, or the file holds something else.
            ValueError: the model or an optimizer has other parameters than it had; nothing is changed.
        """
        if not self._taken:
            raise RuntimeError("there is no complete snapshot to restore; call take() first")
        live, kept = self._live(), self.state_dict()
        check_fits(live, kept)
        modes = [entry.get("training") for entry in kept["optimizers"]]
        with ExitStack() as stack:
            for optimizer, mode in zip(self._optimizers, modes, strict=True):
                stack.enter_context(_in_mode(optimizer, mode))
            for name, into in live["tensors"].items():
                write(kept["tensors"][name], into)
            for optimizer, entry in zip(self._optimizers, kept["optimizers"], strict=True):
                _put_back(optimizer, entry["state"])

    def state_dict(self) -> dict[str, Any]:
        """Return what is kept, ``{}`` where there is nothing; ``torch.load(..., weights_only=True)`` reads it back.

        Optimizer state is keyed by the position of its parameter. The tensors are the kept ones, not copies: the next
        `take` writes over them.

        Raises:
            RuntimeError: another snapshot wrote to the file, or it is broken.
        """
        if not self._taken or self._file is None:
            return self._kept if self._taken else {}
        try:
            kept: dict[str, Any] = torch.load(self._file, map_location="cpu", weights_only=True, mmap=True)
            writer, form = kept.pop("writer"), form_of(kept)
        except Exception as error:  # torch raises anything from OSError to UnpicklingError, and in many lines
            why = shown(f"{type(error).__name__}: {error}".partition("\n")[0])
            raise RuntimeError(f"{self._file} is not the snapshot that was written there ({why})") from error
        if writer != self._writer:
            raise RuntimeError(f"{self._file} was written by another snapshot since; give each a folder of its own")
        if form != self._form:
            raise RuntimeError(f"{self._file} is not the snapshot that was written there (values of other kinds)")
        return kept

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Keep a copy of what `state_dict` returned, as after a restart; the model stays as it is.

        Raises:
            ValueError: the snapshot is of other parameters or kinds of state; what was kept before stays.
        """
        if not state:
            self._kept, self._taken = {}, False
            return
        live = self._live()
        check_fits(live, state)
        check_states(live, state)
        self._keep(dict(state))

    def _live(self) -> dict[str, Any]:
        """Return the model and the optimizers in the form in which they are kept, sharing their memory."""
        tensors = dict(_named_tensors(self._model))
        names = {id(tensor): name for name, tensor in tensors.items()}
        optimizers = []
        for number, optimizer in enumerate(self._optimizers):
            trained = [parameter for parameter, _ in _parameters(optimizer)]
            for position, parameter in enumerate(trained):
                tensors[names.setdefault(id(parameter), f"optimizer {number}, parameter {position}")] = parameter
            positions = {id(parameter): position for position, parameter in enumerate(trained)}
            placed = ((positions.get(id(key), key), value) for key, value in optimizer.state.items())
            # Entries keyed by a tensor are of parameters no longer trained; torch too keeps those keyed by a name.
            state = {place: value for place, value in placed if not isinstance(place, Tensor)}
            parameters = [names[id(parameter)] for parameter in trained]
            optimizers.append({"parameters": parameters, "state": state, "training": _mode(optimizer)})
        return {"tensors": {name: _elements(tensor) for name, tensor in tensors.items()}, "optimizers": optimizers}

    def _keep(self, state: dict[str, Any]) -> None:
        if self._file is None:
            self._taken = False  # half old and half new until it is done
            self._kept = map_tensors(refill, state, self._kept)
        else:
            writer = [self._writer[0], self._writer[1] + 1]
            state = map_tensors(lambda tensor, _: tensor.detach(), state)
            _save({"writer": writer, **state}, self._file)
            self._writer, self._form = writer, form_of(state)
        self._taken = True


def _named_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield each parameter and buffer once, whatever is tied, without the buffers that hold a p."""
    rates = {id(buffer) for module in model.modules() if isinstance(module, Rate) for buffer in module.buffers()}
    yield from model.named_parameters()
    yield from ((name, buffer) for name, buffer in model.named_buffers() if id(buffer) not in rates)


def _parameters(optimizer: torch.optim.Optimizer) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    """Yield ``(parameter, its group)`` by position, in torch's order."""
    yield from ((parameter, group) for group in optimizer.param_groups for parameter in group["params"])


def _elements(tensor: Tensor) -> Tensor:
    """Return a view of ``tensor`` with each of its elements once; torch refuses to write to an expanded one."""
    view = tensor.detach()
    if view.layout is torch.strided:
        for dimension, (size, stride) in enumerate(zip(view.shape, view.stride(), strict=True)):
            if size > 1 and stride == 0:
                view = view.narrow(dimension, 0, 1)
    return view


def _mode(optimizer: torch.optim.Optimizer) -> bool | None:
    """Return whether an optimizer with modes is in training mode, None for one without."""
    return next((bool(group["train_mode"]) for group in optimizer.param_groups if "train_mode" in group), None)


@contextmanager
def _in_mode(optimizer: Any, mode: bool | None) -> Iterator[None]:
    """Switch ``optimizer`` to training mode or out of it while the weights of that mode are written."""
    own = _mode(optimizer)
    if own is None or mode is None or own == mode:
        yield
        return
    (optimizer.train if mode else optimizer.eval)()
    yield
    (optimizer.train if own else optimizer.eval)()


def _put_back(optimizer: torch.optim.Optimizer, kept: Mapping[Any, Any]) -> None:
    """Give ``optimizer`` the state it had, into its own tensors where it has them."""
    trained = dict(enumerate(_parameters(optimizer)))
    old = dict(optimizer.state)
    optimizer.state.clear()
    for key, value in kept.items():
        owner, group = trained.get(key, (key, {}))
        optimizer.state[owner] = map_tensors(partial(_placed, owner, group), value, old.get(owner))


def _placed(owner: Any, group: Mapping[str, Any], tensor: Tensor, into: Any) -> Tensor:
    if fits(tensor, into):
        write(tensor, into)
        return into  # type: ignore[no-any-return]  # fits() says what it is
    # As torch has it: a step counter that no kernel reads stays on the CPU, where reading it waits for nothing.
    stays = tensor.ndim == 0 and not (group.get("capturable") or group.get("fused"))
    return new_copy(tensor, tensor.device if stays or not isinstance(owner, Tensor) else owner.device)


def _save(state: dict[str, Any], file: Path) -> None:
    """Write ``file`` anew; whoever reads it, and a process killed meanwhile, finds the old one or the new one.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        torch.save(state, unfinished)
        os.replace(unfinished, file)
    except (OSError, RuntimeError) as error:
        why = str(error).partition("\n")[0]
        raise OSError(f"no snapshot written to {str(file)!r} ({why}); free space, or choose another folder") from error
    finally:
        unfinished.unlink(missing_ok=True)
