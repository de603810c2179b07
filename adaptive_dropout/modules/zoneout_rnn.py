"""`ZoneoutLSTM` and `ZoneoutGRU`: recurrent networks whose units keep their previous value with a probability.

The products with the input are one for all times; each step is one product with the state, and what a cell does to
each element. Their masks are drawn for all times at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as torch_functional

from adaptive_dropout.functional.state_products import state_products
from adaptive_dropout.modules.zoneout import Zoneout, mix
from adaptive_dropout.modules.zoneout_base import P, States, ZoneoutRNN

__all__ = ["ZoneoutGRU", "ZoneoutLSTM"]


class ZoneoutLSTM(ZoneoutRNN, nn.LSTM):
    """`torch.nn.LSTM` whose units keep their previous value: those of the cell, and those of the hidden state.

    In training c = d c' + (1 - d) (f c' + i g), with c' the cell before, and h = d h' + (1 - d) o tanh(f c' + i g),
    each with a mask d of its own for each time; in eval mode the mean, with p in place of d. Arguments, inputs, packed
    sequences and checkpoints are those of torch's layer. Where all rates are 0 torch's layer itself runs, on cuDNN if
    there is a GPU; else a loop over the times. As torch's layer, it is compiled as a part of one graph only with
    ``torch._dynamo.config.allow_rnn``.

    ``recurrent_dropout``, beside zoneout or alone, drops units of the candidate g, with a new mask at each time, and
    multiplies the others by 1 / (1 - p): what the cell remembers is not dropped.

    Its rates are called ``cell_zoneout``, ``hidden_zoneout``, ``recurrent_dropout`` and ``dropout``, below the name of
    the layer. No gradient reaches them.

    >>> lstm = ZoneoutLSTM(3, 5, cell_zoneout=0.5, hidden_zoneout=0.05)
    >>> lstm.load_state_dict(nn.LSTM(3, 5).state_dict())
    <All keys matched successfully>
    >>> lstm.cell_zoneout.p = 0.3

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, bidirectional, proj_size, device, dtype: as in torch.
        dropout: p of dropout by element between the layers; drop probability in [0, 1], schedule or rate, like the
            others.
        cell_zoneout: the probability that a unit of the cell keeps its value; 0.5 for characters of the Penn Treebank.
        hidden_zoneout: the same for the hidden state, there 0.05.
        recurrent_dropout: p of dropout on the candidate.

    Source: Krueger et al. (2017), "Zoneout"; Semeniuta et al. (2016), "Recurrent dropout without memory loss".
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: P = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        cell_zoneout: P = 0.5,
        hidden_zoneout: P = 0.05,
        recurrent_dropout: P = 0.0,
    ) -> None:
        sizes = (input_size, hidden_size, num_layers, bias, batch_first, 0.0, bidirectional)
        super().__init__(*sizes, proj_size=proj_size, device=device, dtype=dtype)
        self.cell_zoneout = Zoneout(cell_zoneout)
        self._set_noise(hidden_zoneout, recurrent_dropout, dropout)

    def _sizes(self) -> tuple[int, ...]:
        return self.proj_size or self.hidden_size, self.hidden_size

    def _walk(self, x: Tensor, states: States, names: list[str], times: Sequence[int], valid: Tensor | None) -> Any:
        (h, c), size = states, self.hidden_size
        on_input, on_state, input_bias, state_bias = self._weights(names)
        bias = None if input_bias is None or state_bias is None else input_bias + state_bias
        projection = getattr(self, names[-1]) if self.proj_size else None
        hidden = self._shares(self.hidden_zoneout, x, h.shape[-1], valid)
        cell, noise = self._shares(self.cell_zoneout, x, size, valid), self._candidate_noise(x)
        before, outs = [h] * len(times), [h] * len(times)
        added, matrix = state_products(torch_functional.linear(x, on_input, bias), on_state, before)
        for time in times:
            before[time] = h.detach()
            inner, candidate, outer = torch.split(torch.addmm(added[time], h, matrix), [2 * size, size, size], 1)
            let_in, keep = torch.sigmoid(inner).chunk(2, 1)
            new_cell = torch.addcmul(keep * c, let_in, _times(torch.tanh(candidate), noise[time]))
            new = torch.sigmoid(outer) * torch.tanh(new_cell)
            new = new if projection is None else torch_functional.linear(new, projection)
            c, h = mix(new_cell, c, cell[time]), mix(new, h, hidden[time])
            outs[time] = h
        return torch.stack(outs), (h, c)


class ZoneoutGRU(ZoneoutRNN, nn.GRU):
    """`torch.nn.GRU` whose units keep their previous value with a probability; otherwise as `ZoneoutLSTM`.

    The candidate that ``recurrent_dropout`` drops is n, in h = (1 - z) n + z h'.

    >>> ZoneoutGRU(3, 5, hidden_zoneout=0.1).hidden_zoneout
    Zoneout(p=0.1)

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, bidirectional, device, dtype: as in torch.
        dropout: p of dropout by element between the layers.
        hidden_zoneout: the probability that a unit keeps its value.
        recurrent_dropout: p of dropout on the candidate.

    Source: as for `ZoneoutLSTM`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: P = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        hidden_zoneout: P = 0.1,
        recurrent_dropout: P = 0.0,
    ) -> None:
        sizes = (input_size, hidden_size, num_layers, bias, batch_first, 0.0, bidirectional)
        super().__init__(*sizes, device=device, dtype=dtype)
        self._set_noise(hidden_zoneout, recurrent_dropout, dropout)

    def _sizes(self) -> tuple[int, ...]:
        return (self.hidden_size,)

    def _walk(self, x: Tensor, states: States, names: list[str], times: Sequence[int], valid: Tensor | None) -> Any:
        (h,), size = states, self.hidden_size
        on_input, on_state, input_bias, state_bias = self._weights(names)
        shares, noise = self._shares(self.hidden_zoneout, x, size, valid), self._candidate_noise(x)
        parts = torch.split(torch_functional.linear(x, on_input, input_bias), [2 * size, size], -1)
        inner, candidates = (part.unbind() for part in parts)
        bias = on_state.new_zeros(3 * size) if state_bias is None else state_bias
        before, outs = [h] * len(times), [h] * len(times)
        added, matrix = state_products(bias.expand(*x.shape[:2], -1), on_state, before)
        for time in times:
            before[time] = h.detach()
            from_inner, from_candidate = torch.split(torch.addmm(added[time], h, matrix), [2 * size, size], 1)
            reset, keep = torch.sigmoid(inner[time] + from_inner).chunk(2, 1)
            n = _times(torch.tanh(torch.addcmul(candidates[time], reset, from_candidate)), noise[time])
            h = mix(mix(h, n, keep), h, shares[time])
            outs[time] = h
        return torch.stack(outs), (h,)


def _times(candidate: Tensor, noise: Tensor | None) -> Tensor:
    return candidate if noise is None else candidate * noise
