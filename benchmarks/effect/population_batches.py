"""`ResumableBatches`: training batches that go on in the middle of an epoch as if the run had never stopped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

__all__ = ["ResumableBatches"]


class ResumableBatches:
    """The batches of a loader; the place in the epoch is part of Lightning's checkpoint.

    Resuming reads the batches again that the epoch has had.

    Args:
        loader: shuffles by a generator of its own.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader
        self._order = loader.generator
        self._begin: Tensor = self._order.get_state()
        self._given = self._skipped = 0

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        self._begin, self._given = self._order.get_state(), 0
        skipped, self._skipped = self._skipped, 0
        for batch in self._loader:
            self._given += 1
            if self._given > skipped:
                yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the generator's state before the epoch, and how many batches it has had."""
        if self._given == len(self):
            return {"begin": self._order.get_state(), "given": 0}
        return {"begin": self._begin, "given": self._given}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on behind the batches that ``state`` counts."""
        self._order.set_state(state["begin"])
        self._skipped = state["given"]
