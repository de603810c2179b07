"""`RDrop`: two passes with different masks have to predict the same."""

from __future__ import annotations

from contextlib import AbstractContextManager

import lightning.pytorch as L
import torch
from torch import Tensor, nn

from adaptive_dropout.callbacks.losses import loss_in
from adaptive_dropout.callbacks.repeated import RepeatedStep
from adaptive_dropout.callbacks.repeated.callback import Run, with_gradient_of
from adaptive_dropout.callbacks.repeated.logits import Divergence, Prediction, heard_losses, heard_output

__all__ = ["RDrop"]


class RDrop(RepeatedStep):
    """Runs each training step twice and trains on the mean of both losses plus ``alpha`` times the divergence.

    The divergence is that of what the two passes predict: what ``training_step`` gives to torch's losses. It is
    `symmetric_kl` for ``cross_entropy`` (without the targets that it ignores, such as padding) and ``nll_loss``, its
    form for yes or no for ``binary_cross_entropy_with_logits``, the mean squared difference for ``mse_loss``; several
    are added. Where a step computes its loss in another way, name the submodule that returns the logits. A step in
    which nothing of the kind is found runs once, and that is said once.

    Works with any LightningModule that optimizes automatically; `repeated.RepeatedStep` says what a step may do. The
    loss that the step returns keeps its value, so what is logged and compared with validation stays the loss of the
    data; its gradient is that of R-Drop. Logs ``r_drop_divergence``. A step takes twice the time and memory.

    >>> RDrop(alpha=1.0, logits="net.head").alpha
    1.0

    Args:
        alpha: the weight of the divergence, 0 or more.
        logits: the name of the submodule whose output, or ``output.logits``, holds the classes in its last dimension.
        divergence: of the outputs of that submodule, from two passes; by default `symmetric_kl`.

    Raises:
        ValueError: ``alpha`` is below 0 or infinite; at the start of ``fit`` as in `RepeatedStep`.
        AttributeError: then: the model has no submodule ``logits``.

    Source: Liang et al. (2021), "R-Drop", equation 4, with the mean of the two losses, as in their code.
    """

    def __init__(self, alpha: float = 1.0, logits: str | None = None, divergence: Divergence | None = None) -> None:
        super().__init__()
        if not 0 <= alpha < float("inf"):
            raise ValueError(f"alpha has to be 0 or more, and finite, but got {alpha}")
        if divergence is not None and logits is None:
            raise ValueError("divergence compares the outputs of a submodule; name it, as in RDrop(logits='net')")
        self.alpha = alpha
        self.logits = logits
        self.divergence = divergence

    def _check(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super()._check(trainer, pl_module)
        if self.logits is not None:
            pl_module.get_submodule(self.logits)

    def _repeat(self, first: Run, again: Run, pl_module: L.LightningModule) -> object:
        with self._listening(pl_module) as heard:
            output = first()
        loss = loss_in(output)
        if loss is None:
            return output
        if not heard:
            self._say(f"RDrop {self._why_not(pl_module)}; such steps run once, without it")
            return output
        with self._listening(pl_module) as heard_again:
            other = loss_in(again())
        shapes = [[tuple(prediction.logits.shape) for prediction in pass_] for pass_ in (heard, heard_again)]
        if other is None or shapes[0] != shapes[1]:
            self._say(f"the two passes of RDrop predict different things, of shapes {shapes}; such steps run once")
            return output
        divergence = torch.stack([self._compare(*pair) for pair in zip(heard, heard_again, strict=True)]).sum()
        self._log(pl_module, divergence)
        return with_gradient_of(output, (loss + other) / 2 + self.alpha * divergence)

    def _listening(self, pl_module: L.LightningModule) -> AbstractContextManager[list[Prediction]]:
        if self.logits is None:
            return heard_losses()
        network: nn.Module = pl_module.get_submodule(self.logits)
        return heard_output(network)

    def _compare(self, first: Prediction, second: Prediction) -> Tensor:
        if self.divergence is not None:
            return self.divergence(first.logits, second.logits)
        return first.divergence(second)

    def _log(self, pl_module: L.LightningModule, divergence: Tensor) -> None:
        value = divergence.detach()
        if "once" not in self._said:  # read from the device this one time
            self._said.add("once")
            if value == 0:
                self._say(
                    f"both passes of RDrop predict the same: no dropout of {type(pl_module).__name__} is on, or all "
                    "rates are 0"
                )
        pl_module.log("r_drop_divergence", value, on_step=True, on_epoch=False, batch_size=1)

    def _why_not(self, pl_module: L.LightningModule) -> str:
        name = type(pl_module).__name__
        if self.logits is not None:
            return f"got no logits: training_step of {name} does not call {self.logits!r}, or its output is no tensor"
        return (
            f"found no logits: training_step of {name} calls none of torch's cross_entropy, nll_loss, "
            "binary_cross_entropy_with_logits and mse_loss; name the submodule that returns them, as in "
            "RDrop(logits='net')"
        )
