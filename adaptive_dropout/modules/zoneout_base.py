"""The base of recurrent networks with zoneout: layers, directions, packed sequences, and the noise for all times."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from adaptive_dropout.contexts import replaced
from adaptive_dropout.functional.inputs import as_number, is_known_zero
from adaptive_dropout.modules.base import Proxy, record_call
from adaptive_dropout.modules.dropout import Dropout
from adaptive_dropout.modules.zoneout import Zoneout
from adaptive_dropout.rates import Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["P", "Shares", "States", "ZoneoutRNN"]

P = float | Schedule | Rate
States = tuple[Tensor, ...]
Shares = Sequence[Tensor | None]
"""For each time the share of a new state, as `zoneout.mix` takes it, or a factor; None for 1."""


class ZoneoutRNN(nn.RNNBase):
    """The part that both networks share: layers, directions, packed sequences, and the noise."""

    hidden_zoneout: Zoneout
    recurrent_dropout: Dropout
    dropout: Dropout  # type: ignore[assignment]  # a number in torch's layer

    def _set_noise(self, hidden_zoneout: P, recurrent_dropout: P, dropout: P) -> None:
        self.hidden_zoneout = Zoneout(hidden_zoneout)
        self.recurrent_dropout = Dropout(recurrent_dropout)
        del self.dropout
        self.dropout = Dropout(dropout)

    @abstractmethod
    def _sizes(self) -> tuple[int, ...]:
        """Return the size of each state."""

    @abstractmethod
    def _walk(self, x: Tensor, states: States, names: list[str], times: Sequence[int], valid: Tensor | None) -> Any:
        """Return the output (time, batch, size) of one direction of one layer, and the last states."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return the outputs of all times and the last states, as torch's layer does."""
        if isinstance(input, Proxy):
            return record_call(self, input, hx)
        if self._is_idle():
            with replaced(self, dropout=0.0):
                return super().forward(input, hx)
        if isinstance(input, PackedSequence):
            x, lengths = pad_packed_sequence(input)
            times = torch.arange(x.shape[0], device=x.device)
            valid = (times[:, None] < lengths.to(x.device, non_blocking=True)).unsqueeze(-1)
            out, last = self._run(x, self._states(x, hx), valid)
            ordered = input.sorted_indices is None
            return pack_padded_sequence(out, lengths, enforce_sorted=ordered), last if len(last) > 1 else last[0]
        if input.dim() not in (2, 3):
            raise ValueError(f"{type(self).__name__} takes 2-dim or 3-dim input, but got shape {tuple(input.shape)}")
        alone = input.dim() == 2
        x = input.unsqueeze(1) if alone else input.transpose(0, 1) if self.batch_first else input
        self.check_input(x, None)
        out, last = self._run(x, self._states(x, hx, alone), None)
        if alone:
            out, last = out.squeeze(1), tuple(state.squeeze(1) for state in last)
        elif self.batch_first:
            out = out.transpose(0, 1)
        return out, last if len(last) > 1 else last[0]

    def _is_idle(self) -> bool:
        """Return whether all noise is known to be off: torch's own layer can then run."""
        zoneouts = [child for child in self.children() if isinstance(child, Zoneout)]
        return all(zoneout.is_idle() for zoneout in zoneouts) and all(
            _is_off(layer) for layer in (self.recurrent_dropout, self.dropout)
        )

    def _states(self, x: Tensor, hx: Any, alone: bool = False) -> States:
        count = self.num_layers * (2 if self.bidirectional else 1)
        shapes = [(count, x.shape[1], size) for size in self._sizes()]
        if hx is None:
            return tuple(x.new_zeros(shape) for shape in shapes)
        given = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        states = tuple(state.unsqueeze(1) if alone else state for state in given)
        for state, shape in zip(states, shapes, strict=True):
            self.check_hidden_size(state, shape, "the state has to be of shape {}, but got {}")
        return states

    def _run(self, x: Tensor, states: States, valid: Tensor | None) -> tuple[Tensor, States]:
        directions = 2 if self.bidirectional else 1
        lasts: list[States] = []
        for layer in range(self.num_layers):
            outs = []
            for index in range(layer * directions, (layer + 1) * directions):
                backward = index % directions == 1
                times = range(x.shape[0])[:: -1 if backward else 1]
                own = tuple(state[index] for state in states)
                out, last = self._walk(x, own, self._all_weights[index], times, valid)
                outs.append(out)
                lasts.append(last)
            x = torch.cat(outs, -1) if directions == 2 else outs[0]
            if layer < self.num_layers - 1:
                x = self.dropout(x)
        return x, tuple(torch.stack(each) for each in zip(*lasts, strict=True))

    def _shares(self, zoneout: Zoneout, x: Tensor, size: int, valid: Tensor | None) -> Shares:
        """Return for each time the share of the new state, as `mix` takes it; none of it behind a sequence's end."""
        if zoneout.is_idle():
            return [None] * x.shape[0] if valid is None else valid.unbind()
        if zoneout.training:
            drawn = zoneout.draw(x, (*x.shape[:2], size))
            return (drawn if valid is None else drawn & valid).unbind()
        share = zoneout.share_in_eval(x)
        return [share] * x.shape[0] if valid is None else (share * valid).unbind()

    def _candidate_noise(self, x: Tensor) -> Shares:
        """Return for each time what the candidate is multiplied by; None for 1."""
        if _is_off(self.recurrent_dropout):
            return [None] * x.shape[0]
        return self.recurrent_dropout(x.new_ones((*x.shape[:2], self.hidden_size))).unbind()  # type: ignore[no-any-return]

    def _weights(self, names: list[str]) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Return the weights on the input and on the state, and both biases."""
        given = [getattr(self, name) for name in names[: 4 if self.bias else 2]]
        return tuple(given) if self.bias else (*given, None, None)

    def extra_repr(self) -> str:
        """Show the settings as torch does; the rates are shown by the layers below."""
        with replaced(self, dropout=0.0):
            return super().extra_repr()


def _is_off(layer: Dropout) -> bool:
    p = layer.rate.read()
    return not layer.training or is_known_zero(p, as_number(p))
