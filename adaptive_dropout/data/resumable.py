"""`ResumableLoader`: a loader that goes on in the middle of an epoch, which Lightning keeps in its checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from adaptive_dropout.checks import check_count
from adaptive_dropout.tracking.shown import shown

__all__ = ["ResumableLoader", "continue_order"]

T = TypeVar("T", covariant=True)


class ResumableLoader(DataLoader[T]):
    """A `DataLoader` whose state is the order of the epoch and the number of batches that it has given.

    The first iteration after `load_state_dict` leaves those batches out; it reads them, so that workers draw what they
    drew before, and torch's own generator stays where it is. Iterators that give no batch draw nothing.

    Args:
        generator: needed: its state at the beginning of an epoch decides the order.
        others: as for `torch.utils.data.DataLoader`, of a dataset of known length.
    """

    in_memory = True
    """Its batches are those of a plain `DataLoader`."""

    _resumed: dict[str, Any] | None = None
    _begun: dict[str, Any] | None = None
    """The state from which an iterator goes on that has given no batch so far."""
    _start: Tensor | None = None
    _given = 0

    def __iter__(self) -> Iterator[T]:  # type: ignore[override]  # torch's own type is private
        """Return the batches of an epoch; its order is drawn when the first one is asked for."""
        if self._resumed is not None:
            self._begun, self._resumed = self._resumed, None
        elif self._begun is not None and self._begun["given"]:
            self._begun = None  # Lightning ended that epoch short of its last batch: this one is the next
        return self._batches(self._begun)

    def _batches(self, begun: dict[str, Any] | None) -> Iterator[T]:
        given = 0
        if begun is not None:
            continue_order(self.generator, begun, "order")
            given, self._begun = begun["given"], None
        self._start = self.generator.get_state()
        with torch.random.fork_rng(devices=[], enabled=given > 0):
            batches = super().__iter__()
            for _ in range(given):
                next(batches, None)
        for self._given, batch in enumerate(batches, given + 1):
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the generator's state and the number of batches given since then, 0 at the end of an epoch."""
        if (waiting := self._resumed or self._begun) is not None:
            return waiting
        if self._start is None or self._given >= len(self):
            return {"order": self.generator.get_state(), "given": 0}
        return {"order": self._start, "given": self._given}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration go on from ``state``.

        Raises:
            TypeError, ValueError: it is not a state.
        """
        continue_order(torch.Generator(), state, "order")
        check_count(state.get("given"), "given", least=0)
        self._resumed = state


def continue_order(generator: torch.Generator, state: Mapping[str, Any], name: str) -> None:
    """Set ``generator`` to the state that a checkpoint holds as ``name``.

    Raises:
        ValueError: it holds none.
    """
    try:
        generator.set_state(state[name].cpu())
    except (KeyError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        why = shown(f"{type(error).__name__}: {error}".partition("\n")[0])
        raise ValueError(f"the checkpoint holds no training order to go on with ({why})") from error
