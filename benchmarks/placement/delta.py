"""The delta form of the response: one part of each batch trains the weights, the other the response to the rates.

With `adaptive_dropout.signals.Response` every example trains at rates of its own, and the weights pay for it. Here they
see the rates themselves. What the response adds is taken to first order, as it is when the rates are moved by it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor
from torch.autograd import forward_ad

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.callbacks.isolated.steps import check_differentiable
from adaptive_dropout.callbacks.meters.batches import RunBatches
from adaptive_dropout.callbacks.meters.monitored import Monitored
from adaptive_dropout.callbacks.meters.response import ResponseMeter
from adaptive_dropout.contexts import replaced
from adaptive_dropout.controllers.moves import HIGH, LOW
from adaptive_dropout.signals import Response
from adaptive_dropout.signals.layers import Steered

__all__ = ["DeltaControl", "DeltaMeter", "DeltaResponse"]


class DeltaResponse(Response):
    """A `Response` that is taught on examples of its own, with the weights held: `teach` in place of `install`.

    An example with the change E of its logits has masks at theta + E, and the output f + J r: f without the response,
    r = a (E A^T) + E C^T what it adds behind each layer, J the derivative of the output by it. The layers' noise has to
    be a mask that is multiplied.

    Source: MacKay et al. (2019), equations 12 and 13; the first order of the response as in Bae and Grosse (2020).
    """

    def teach(self, forward: Callable[[], Tensor], examples: int, loss: Callable[[Tensor], Tensor]) -> None:
        """Take one step of A and C on the ``loss``, 0-dim, of what ``forward`` returns for so many ``examples``."""
        self.draw(examples)
        with ExitStack() as stack:
            stack.enter_context(forward_ad.dual_level())
            along = forward_ad.make_dual(torch.zeros(()), torch.ones(()))
            for steered in self._layers:
                stack.enter_context(replaced(steered.layer, noise=partial(self._perturbed, steered, along)))
            output, added = forward_ad.unpack_dual(forward())
        gradients = torch.autograd.grad(loss(output.detach() + added), self.parameters())
        for tensor, gradient in zip(self.parameters(), gradients, strict=True):
            tensor.grad = gradient
        self.learn()

    def _perturbed(self, steered: Steered, along: Tensor, x: Tensor, p: Tensor) -> Tensor:
        assert self._changes is not None
        logits = torch.logit(p.clamp(LOW, HIGH)) + self._changes[:, self._columns[steered.rate]]
        own = torch.sigmoid(logits).reshape(-1, *[1] * (x.dim() - 1))
        # The mask of ones: the layer's own noise has no forward derivative.
        mask = type(steered.layer).noise(steered.layer, torch.ones(x.shape, dtype=x.dtype), own)
        return self._responded(steered, along * self._changes, x * mask)


class DeltaMeter(ResponseMeter):
    """The signals ``response/<rate>`` of a `DeltaResponse`, taught by the second half of each batch.

    Args:
        monitored: as in `ResponseMeter`.
        share: the part of each batch that trains the weights, from its beginning, in (0, 1].
    """

    def __init__(self, monitored: Monitored, share: float) -> None:
        super().__init__(monitored)
        self.share = share

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batches: RunBatches) -> None:
        """Begin with no response; the layers keep their own noise, and the weights get their part of each batch."""
        check_differentiable(trainer, pl_module, "response")
        self._names = list(ad.get_rates(pl_module))
        self._response = DeltaResponse(pl_module)
        self._model, step = pl_module, pl_module.training_step

        def step_on_part(batch: Any, batch_idx: int) -> Any:
            size = len(batch[0])
            return step(tuple(part[: max(1, round(self.share * size))] for part in batch), batch_idx)

        vars(pl_module)["training_step"] = step_on_part

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any) -> None:
        """Measure, if this batch is one to measure on, and teach the response; ``batch`` is x and y."""
        assert isinstance(self._response, DeltaResponse)
        self._window.measure(trainer, batch, lambda _, val: self._measure(trainer, pl_module, val))
        model: Any = pl_module
        x, y = (part[len(part) // 2 :] for part in batch)
        self._response.teach(lambda: model(x), len(x), lambda output: model.loss(output, y))

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any) -> None:
        """The weights have learned; the response has before."""

    def on_fit_end(self) -> None:
        """Give the module its own step back."""
        vars(self._model).pop("training_step", None)
        super().on_fit_end()


class DeltaControl(DropoutRateControl):
    """`DropoutRateControl` whose response is measured by a `DeltaMeter`.

    Args:
        controller: the rule, which needs a response.
        share: as in `DeltaMeter`.
    """

    def __init__(self, controller: ad.Controller, share: float = 0.5) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"share has to be above 0 and at most 1, but got {share}")
        self.share = share
        super().__init__(controller)

    def _begin(self) -> None:
        super()._begin()
        # An experiment: the package has no way to name another meter.
        self._measurement._meters["response"] = DeltaMeter(self.monitored, self.share)
