"""One run of a cross-validation: what ``fit`` would train, with a given rate and a fold that validates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.callbacks import Checkpoint, ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.callbacks.packages import callbacks_of
from adaptive_dropout.cli.setup import STRICT, check_sizes, given, lightning_settings, only_names, setting
from adaptive_dropout.data import TensorDataModule
from adaptive_dropout.rates import Rate, SettableRate, named_rates, set_rates

__all__ = ["Trial"]

_RATES = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


class Trial(LightningCLI):
    """Data, model and trainer from the arguments of the command, newly made and seeded; `val_loss` trains them once.

    A trial logs nothing and keeps no checkpoint.

    Raises:
        Exception: whatever is wrong with the arguments.
        TypeError: a rate is not fixed, or the data cannot be cut into folds.
        ValueError: the model has no rate.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        with given(arguments):
            super().__init__(
                **lightning_settings(),
                save_config_callback=None,
                parser_kwargs={"prog": "adaptive-dropout tune", **STRICT},
                run=False,
            )
        self._check()

    @property
    def configuration(self) -> str:
        """The settings that decide the validation losses, as YAML: without the rates, the folder and the jobs."""
        config = self.config.clone()
        for name in ("rates", "output", "jobs"):
            config.pop(name)
        text: str = self.parser.dump(config, skip_none=False, skip_validation=True)
        return text

    def val_loss(self, p: float, fold: int, folds: int) -> float:
        """Train with every rate at ``p``; return the lowest validation loss, which is that of ``fit``'s checkpoint.

        Args:
            p: the drop probability, in [0, 1].
            fold: which part of the examples validates, in 0 ... ``folds`` - 1.
            folds: how many parts there are.
        """
        set_rates(self.model, dict.fromkeys(dict(named_rates(self.model)), p))
        self.datamodule.prepare_data()
        self.datamodule.use_fold(fold, folds)
        lowest = _LowestLoss()
        self.trainer.callbacks.append(lowest)  # type: ignore[attr-defined]
        self.trainer.fit(self.model, self.datamodule)
        return lowest.val_loss

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what cross-validation needs."""
        parser.add_argument("--folds", type=int, default=5, help="parts of the examples that validate in turn")
        parser.add_argument("--rates", type=float, nargs="+", default=_RATES, help="drop probabilities to choose from")
        parser.add_argument("--jobs", type=int, default=1, help="runs at a time, each in a process with one thread")
        parser.add_argument("--output", type=Path, default=Path("runs/tune"), help="folder of the results")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Take names for names, whatever files there are."""
        super().parse_arguments(only_names(parser), args)

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Make the trainer without loggers, checkpoints and progress bars."""
        configured = setting(self, self.config_init, "trainer.callbacks") or []
        callbacks = configured if isinstance(configured, (list, tuple)) else [configured]
        kwargs["callbacks"] = [each for each in callbacks if not isinstance(each, (Checkpoint, ProgressBar))]
        off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
        return super().instantiate_trainer(**kwargs, **dict.fromkeys(off, False))

    def _check(self) -> None:
        check_sizes(self.config["model"], self.datamodule)
        if callbacks_of(self.trainer, DropoutRateControl):
            raise TypeError(
                "tune compares fixed rates, but DropoutRateControl would move them; leave that callback out"
            )
        rates: dict[str, Rate] = dict(named_rates(self.model))
        if not rates:
            raise ValueError(f"{type(self.model).__name__} has no dropout rate to choose")
        for name, rate in rates.items():
            if not isinstance(rate, SettableRate):
                raise TypeError(f"tune compares fixed rates, but rate {name!r} is written by {rate.writer}")
        if not isinstance(self.datamodule, TensorDataModule):
            kind = type(self.datamodule).__name__
            raise TypeError(f"folds need data in memory, a TensorDataModule such as Digits or Arrays, but got {kind}")


class _LowestLoss(L.Callback):
    """Keeps the lowest validation loss; infinite where none was finite."""

    def __init__(self) -> None:
        self.val_loss = math.inf

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compare with the lowest so far."""
        if "val_loss" not in trainer.callback_metrics:
            raise KeyError(f"{type(pl_module).__name__} logs no 'val_loss', by which tune chooses the rate")
        if not trainer.sanity_checking:
            self.val_loss = min(self.val_loss, float(trainer.callback_metrics["val_loss"]))
