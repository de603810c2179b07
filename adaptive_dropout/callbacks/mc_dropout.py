"""`MCDropoutPredictor`: the trainer's ``predict`` and ``test`` with dropout on, many times, instead of off, once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import lightning.pytorch as L
from torch import Tensor, nn

from adaptive_dropout.callbacks.packages import Callback
from adaptive_dropout.checks import check_count
from adaptive_dropout.contexts import replaced
from adaptive_dropout.deprecated import warn_renamed
from adaptive_dropout.inference import mc_samples, output_uncertainty

__all__ = ["MCDropoutPredictor"]

Uncertainty = Callable[[Tensor], dict[str, Tensor]]


class MCDropoutPredictor(Callback):
    """Gives ``trainer.predict`` and ``trainer.test`` the mean over dropout masks, and its uncertainties.

    Inside ``predict_step`` and ``test_step`` a call of the network returns the mean of its samples, so that losses and
    metrics are those of the mean prediction. ``trainer.predict`` then returns for each batch a dict of the
    ``prediction``, which is what ``predict_step`` returned, and the uncertainties, (batch, ...); ``trainer.test`` logs
    the mean of each as ``test_<name>``. If a step calls the network several times, the uncertainties are those of the
    last call. Fitting and validation are left alone.

    Args:
        samples: at least 1.
        chunk: how many samples are computed at a time; see `mc_samples`.
        uncertainty: turns samples of the network's output into ``mean`` and uncertainties: `output_uncertainty` for any
            output, `class_uncertainty` for logits, `gaussian_uncertainty` for means and log-variances.
        network: the name of the submodule that the steps call; "" is the LightningModule itself, called as ``self(x)``.
        spread: the deprecated name of ``uncertainty``.

    Raises:
        TypeError: ``samples`` or ``chunk`` is not an integer.
        ValueError: one of them is less than 1; when it runs: a step does not call the network, or nothing in it drops.
    """

    def __init__(
        self,
        samples: int = 100,
        chunk: int | None = None,
        uncertainty: Uncertainty = output_uncertainty,
        network: str = "",
        spread: Uncertainty | None = None,
    ) -> None:
        if spread is not None:
            warn_renamed("the argument spread", "uncertainty")
            uncertainty = spread
        self.samples = check_count(samples, "samples")
        self.chunk = None if chunk is None else check_count(chunk, "chunk")
        self.uncertainty = uncertainty
        self.network = network
        self._heard: dict[str, Tensor] = {}
        self._open = ExitStack()

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Sample the network, and let ``predict_step`` return its uncertainties too."""
        self._sample(pl_module)
        step = pl_module.predict_step

        @functools.wraps(step)
        def predict_step(*args: Any, **kwargs: Any) -> dict[str, Any]:
            self._heard = {}
            prediction = step(*args, **kwargs)
            return {"prediction": prediction, **self._uncertainties(pl_module, "predict_step")}

        self._open.enter_context(replaced(pl_module, predict_step=predict_step))

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Sample the network."""
        self._sample(pl_module)

    def on_test_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *batch: Any) -> None:
        """Forget the previous batch."""
        self._heard = {}

    def on_test_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *batch: Any) -> None:
        """Log the mean uncertainties of the batch."""
        for name, value in self._uncertainties(pl_module, "test_step").items():
            pl_module.log(
                f"test_{name}", value.mean(), on_step=False, on_epoch=True, batch_size=len(value), sync_dist=True
            )

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the module as it was."""
        self._open.close()

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the module as it was."""
        self._open.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leave the module as it was."""
        self._open.close()

    def _sample(self, pl_module: L.LightningModule) -> None:
        network: nn.Module = pl_module.get_submodule(self.network)
        forward = network.forward

        @functools.wraps(forward)
        def sampled(*args: Any, **kwargs: Any) -> Tensor:
            drawn = mc_samples(
                network, (args, kwargs), self.samples, self.chunk, lambda given: forward(*given[0], **given[1])
            )
            self._heard = self.uncertainty(drawn)
            return self._heard["mean"]

        self._open.enter_context(replaced(network, forward=sampled))

    def _uncertainties(self, pl_module: L.LightningModule, step: str) -> dict[str, Tensor]:
        if not self._heard:
            called = f"self.{self.network}" if self.network else "self"
            raise ValueError(
                f"{step} of {type(pl_module).__name__} does not call {called}(...), which MCDropoutPredictor samples; "
                "name the submodule that it calls, as in MCDropoutPredictor(network='net')"
            )
        return {name: value for name, value in self._heard.items() if name != "mean"}
