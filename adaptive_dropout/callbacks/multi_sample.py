"""`MultiSampleDropout`: the loss of a step is its mean over several dropout masks."""

from __future__ import annotations

import lightning.pytorch as L
import torch
from torch import nn

from adaptive_dropout.callbacks.losses import loss_in
from adaptive_dropout.callbacks.repeated import RepeatedStep
from adaptive_dropout.callbacks.repeated.callback import Run, with_gradient_of
from adaptive_dropout.checks import check_count

__all__ = ["MultiSampleDropout"]


class MultiSampleDropout(RepeatedStep):
    """Runs each training step ``samples`` times with different masks and trains on the mean of the losses.

    A gradient with less noise of the masks. As published, only what follows the trunk of a network runs several times:
    name the ``trunk``, which then costs nothing more. Without it the whole step is repeated.

    Works with any LightningModule that optimizes automatically; `repeated.RepeatedStep` says what a step may do. The
    loss that the step returns keeps its value, that of the first masks; its gradient is the mean's.

    >>> MultiSampleDropout(8, trunk="backbone").samples
    8

    Args:
        samples: the number of masks, at least 2.
        trunk: the name of the submodule that runs once; its masks are the same in all samples.

    Raises:
        TypeError: ``samples`` is not an integer.
        ValueError: it is less than 2; at the start of ``fit`` as in `RepeatedStep`.
        AttributeError: then: the model has no submodule ``trunk``.

    Source: Inoue (2019), "Multi-sample dropout for accelerated training and better generalization".
    """

    def __init__(self, samples: int = 4, trunk: str | None = None) -> None:
        super().__init__()
        self.samples = check_count(samples, "samples", 2)
        self.trunk = trunk

    def _shared(self, pl_module: L.LightningModule) -> nn.Module | None:
        return None if self.trunk is None else pl_module.get_submodule(self.trunk)

    def _repeat(self, first: Run, again: Run, pl_module: L.LightningModule) -> object:
        output = first()
        loss = loss_in(output)
        if loss is None:
            return output
        losses = [loss, *(loss_in(again()) for _ in range(self.samples - 1))]
        found = [each for each in losses if each is not None]
        return with_gradient_of(output, torch.stack([each.reshape(()) for each in found]).mean())
