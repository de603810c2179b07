"""Forward and backward pass of recurrent networks: torch's layer, ours with zoneout, and the loop that one writes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from benchmarks.speed.timing import Call

__all__ = ["KINDS", "SIZES", "calls_of"]

SIZES = {"small": (35, 20, 200), "medium": (35, 20, 650), "long": (100, 32, 256)}
"""Times, batch, and units, which are also the inputs; the first two are those of Zaremba et al. (2014)."""


class Written(nn.Module):
    """A loop over a cell of torch's, with masks of float numbers."""

    def __init__(self, cell: nn.LSTMCell | nn.GRUCell, *p: float) -> None:
        super().__init__()
        self.cell, self.p = cell, p

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """Return the outputs of all times."""
        states = tuple(x.new_zeros(x.shape[1], self.cell.hidden_size) for _ in self.p)
        outs = []
        for step in x:
            new = self.cell(step, states if len(states) > 1 else states[0])
            pairs = zip(self.p, states, (new,) if isinstance(new, Tensor) else new, strict=True)
            states = tuple(_zoned_out(p, old, after) for p, old, after in pairs)
            outs.append(states[0])
        return torch.stack(outs), None


def _zoned_out(p: float, old: Tensor, new: Tensor) -> Tensor:
    mask = (torch.rand_like(old) < p).to(old.dtype)
    return mask * old + (1 - mask) * new


KINDS: dict[str, dict[str, Callable[[int], nn.Module]]] = {
    "LSTM": {
        "torch's, without zoneout": lambda units: nn.LSTM(units, units),
        "ours": lambda units: ad.ZoneoutLSTM(units, units),
        "ours, with second derivatives": lambda units: ad.ZoneoutLSTM(units, units),
        "a loop over torch's cell": lambda units: Written(nn.LSTMCell(units, units), 0.05, 0.5),
    },
    "GRU": {
        "torch's, without zoneout": lambda units: nn.GRU(units, units),
        "ours": lambda units: ad.ZoneoutGRU(units, units),
        "ours, with second derivatives": lambda units: ad.ZoneoutGRU(units, units),
        "a loop over torch's cell": lambda units: Written(nn.GRUCell(units, units), 0.1),
    },
}


def calls_of(kind: str, size: str, device: str) -> dict[str, Call]:
    """Return a forward and backward pass of each contender."""
    time, batch, units = SIZES[size]
    x = torch.randn(time, batch, units, device=device, requires_grad=True)
    return {name: _pass(new(units).to(device), x, "second" in name) for name, new in KINDS[kind].items()}


def _pass(model: nn.Module, x: Tensor, twice: bool) -> Call:
    gradient = torch.randn_like(x)
    inputs = [x, *model.parameters()]

    def call() -> None:
        with torch.backends.cudnn.flags(enabled=not twice):
            torch.autograd.grad(model(x)[0], inputs, gradient)

    return call
