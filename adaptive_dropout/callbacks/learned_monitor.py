"""`LearnedRateMonitor`: logs how strong learned noise is, and warns where a rate cannot learn."""

from __future__ import annotations

from typing import Any, ClassVar

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.optim import Optimizer

from adaptive_dropout.callbacks.base import RateCallback
from adaptive_dropout.callbacks.checks import warn_of_decay
from adaptive_dropout.callbacks.packages import callbacks_of
from adaptive_dropout.callbacks.penalties import RatePenalty
from adaptive_dropout.callbacks.trainer import log_numbers, logs_now
from adaptive_dropout.modules.sparse import SparseLayer
from adaptive_dropout.rates import LearnedRate, Rate
from adaptive_dropout.rates.variance import LearnedVariance
from adaptive_dropout.tracking.names import ALPHA, SPARSITY, metric_keys
from adaptive_dropout.transfer import read_numbers

__all__ = ["LearnedRateMonitor"]

BOUND = 0.001  # this close to 0 or 1, p moves by at most a thousandth of a step of the logit


class LearnedRateMonitor(RateCallback):
    """Logs how strong learned noise is, and warns of rates that cannot learn.

    ``dropout_alpha/<rate>`` is p / (1 - p), the variance of multiplicative noise; the median if p is a tensor.
    ``dropout_sparsity/<layer>`` is the part of its weights that a sparse layer drops. `DropoutRateMonitor` logs the p
    of every rate; both can be used together.

    Each warning names the rate and the remedy, and comes once a run: an optimizer's weight decay moves the rate; no
    gradient reached it in a whole epoch; at the end of an epoch all of it is below 0.001 or above 0.999.

    Raises:
        ValueError: at the start of ``fit``: the model has no learned rate.
    """

    kind: ClassVar[type[Rate]] = Rate  # type: ignore[type-abstract]  # any rate
    remedy: ClassVar[str] = "give it a layer such as ConcreteDropout(0.1)"

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._unreached: dict[str, LearnedRate | LearnedVariance] = {}
        self._reached: dict[str, Tensor] = {}
        self._warned: set[tuple[str, str]] = set()

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Raise where nothing is learned."""
        super().on_fit_start(trainer, pl_module)
        if not self._learned():
            kinds = {name: type(rate).__name__ for name, rate in self._rates.items()}
            raise ValueError(f"LearnedRateMonitor finds no learned rate among {kinds}; {self.remedy}")

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to watch for gradients, and warn of weight decay, unless a `RatePenalty` does."""
        self._watch_all()
        if not callbacks_of(trainer, RatePenalty):
            warn_of_decay(trainer, pl_module)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to watch for gradients again."""
        super().on_train_epoch_start(trainer, pl_module)
        self._watch_all()

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        """Watch for gradients, waiting for no device."""
        for name, rate in self._unreached.items():
            for gradient in [w.grad for w in rate.parameters() if w.grad is not None]:
                reached = gradient.detach().any()
                self._reached[name] = reached | self._reached[name] if name in self._reached else reached

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log where the trainer logs; there, rates that a gradient has reached are watched no longer."""
        if logs_now(trainer):
            log_numbers(trainer, _by_key(ALPHA, self._alphas()) | _by_key(SPARSITY, _sparsities(pl_module)))
            self._find_reached()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Warn of rates without a gradient, and of those at a bound."""
        self._find_reached()
        for name, rate in self._learned().items():
            if name in self._unreached:
                fix = "let its layer take part in the loss, and its parameters require a gradient"
                self._warn(name, "got no gradient in a whole epoch", fix)
            p = rate.value.detach()
            if (p < BOUND).all():
                fix = "the data alone want no noise: add a penalty that rewards it, or use a fixed rate"
                self._warn(name, f"sits at its bound, p = {rate.p:.2g}", fix)
            if (p > 1 - BOUND).all():
                fix = "its penalty drops all there is: let it grow from 0, or lower the rate_lr of rate_param_groups"
                self._warn(name, f"sits at its bound, p = {rate.p:.6g}", fix)

    def _learned(self) -> dict[str, LearnedRate | LearnedVariance]:
        return {name: rate for name, rate in self._rates.items() if isinstance(rate, (LearnedRate, LearnedVariance))}

    def _alphas(self) -> dict[str, Tensor]:
        with torch.no_grad():
            return {name: rate.logit.median().exp() for name, rate in self._learned().items()}

    def _watch_all(self) -> None:
        self._unreached, self._reached = self._learned(), {}

    def _find_reached(self) -> None:
        """Remove from the rates that are watched those that a gradient has reached; waits for the device."""
        for name, reached in zip(self._reached, read_numbers(list(self._reached.values())), strict=True):
            if reached:
                del self._unreached[name]
        self._reached = {}

    def _warn(self, name: str, what: str, fix: str) -> None:
        if (name, fix) not in self._warned:
            self._warned.add((name, fix))
            rank_zero_warn(f"learned rate {name!r} {what}; {fix}")


def _sparsities(model: nn.Module) -> dict[str, Tensor]:
    layers = [(path, layer) for path, layer in model.named_modules() if isinstance(layer, SparseLayer)]
    return {path: 1 - layer.kept().float().mean() for path, layer in layers}


def _by_key(prefix: str, numbers: dict[str, Tensor]) -> dict[str, float]:
    keys = metric_keys(prefix, numbers)
    return dict(zip(keys.values(), read_numbers(list(numbers.values())), strict=True))
