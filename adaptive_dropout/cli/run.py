"""The commands that train and evaluate: LightningCLI for any task and data, with rates recorded and a summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from jsonargparse import Namespace, dict_to_namespace
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint, ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback

from adaptive_dropout.callbacks import DropoutProgressBar, DropoutRateControl, DropoutRateMonitor
from adaptive_dropout.callbacks.packages import callbacks_of
from adaptive_dropout.callbacks.trainer import run_dir
from adaptive_dropout.cli.setup import STRICT, check_sizes, given, lightning_settings, only_names, quieten, setting
from adaptive_dropout.cli.summary import show_summary
from adaptive_dropout.controllers import Controller, controller_to_dict
from adaptive_dropout.rates import named_rates
from adaptive_dropout.tracking.folders import check_folder, make_folder

__all__ = ["run"]


def run(command: str, arguments: Sequence[str]) -> None:
    """Run ``command`` of LightningCLI with ``arguments``.

    Raises:
        Exception: of any kind, if they are wrong; before any training if that can be known.
    """
    quieten()
    # Lightning's own default is TensorBoard, or a warning if that is missing.
    csv = {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": "runs"}}
    with given([command, *arguments]):
        DropoutCLI(
            **lightning_settings(logger=csv),
            save_config_callback=SaveConfig,
            parser_kwargs={**STRICT, **{name: {**STRICT} for name in LightningCLI.subcommands()}},
        )


class SaveConfig(SaveConfigCallback):
    """Writes the configuration next to the run's checkpoints, and gives it to the loggers."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Wait: the folder of the checkpoints is not known yet."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write ``config.yaml`` and log it as hyperparameters."""
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        folder = make_folder(run_dir(trainer))
        self.parser.save(self.config, folder / "config.yaml", skip_none=False, overwrite=True, multifile=False)
        for logger in trainer.loggers:
            logger.log_hyperparams(self.config.as_dict())


def _spell_out(value: Any) -> Any:
    """Return a configuration with its controllers as class paths."""
    if isinstance(value, Controller):
        return dict_to_namespace(controller_to_dict(value))
    if isinstance(value, Namespace):
        return Namespace({name: _spell_out(part) for name, part in vars(value).items()})  # type: ignore[no-untyped-call]
    if isinstance(value, dict):
        return {name: _spell_out(part) for name, part in value.items()}
    return [_spell_out(part) for part in value] if isinstance(value, list) else value


def _folders_of(trainer: L.Trainer) -> Iterator[str | Path]:
    """Yield each folder on a disk of this machine that the run will write to, before there is one for its version."""
    checkpoints = (callback.dirpath for callback in callbacks_of(trainer, ModelCheckpoint))
    snapshots = (control.folder for control in callbacks_of(trainer, DropoutRateControl))
    runs = [logger.save_dir or trainer.default_root_dir for logger in trainer.loggers] or [trainer.default_root_dir]
    yield from (place for place in (*runs, *checkpoints, *snapshots) if place is not None and "://" not in str(place))


class DropoutCLI(LightningCLI):
    """LightningCLI that keeps the best checkpoint, records the rates, and sums the run up after ``fit``."""

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Take names for names, whatever files there are."""
        super().parse_arguments(only_names(parser), args)

    def _parse_ckpt_path(self) -> None:
        """Leave the configuration as the user wrote it; Lightning would import the model that a checkpoint names."""

    def before_instantiate_classes(self) -> None:
        """Spell out defaults that are objects, because neither a file nor a logger can hold them."""
        self.config = _spell_out(self.config)

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Make the trainer, with our progress bar unless the configuration has another or refuses one."""
        settings = setting(self, self.config_init, "trainer")
        configured = settings["callbacks"] or []
        callbacks = list(configured) if isinstance(configured, (list, tuple)) else [configured]
        refused = settings["enable_progress_bar"] is False or settings["barebones"]
        if not refused and not any(isinstance(callback, ProgressBar) for callback in callbacks):
            kwargs["callbacks"] = [*callbacks, DropoutProgressBar()]
        return super().instantiate_trainer(**kwargs)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add ``--checkpoint.*``; by default the checkpoint with the lowest validation loss is kept."""
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.set_defaults({"checkpoint.monitor": "val_loss", "checkpoint.mode": "min"})

    def before_fit(self) -> None:
        """Refuse a network whose sizes do not match the data, and folders that cannot be; record the rates."""
        check_sizes(setting(self, self.config, "model"), self.datamodule)
        if not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            for folder in _folders_of(self.trainer):
                check_folder(folder)
        self.before_test()

    def before_test(self) -> None:
        """Add the monitor, whose state a checkpoint of ``fit`` holds, for a model that has rates."""
        callbacks = self.trainer.callbacks  # type: ignore[attr-defined]
        monitored = any(isinstance(callback, DropoutRateMonitor) for callback in callbacks)
        if not monitored and any(named_rates(self.model)):
            # After the controls, to record their decisions; before the checkpoints, to be part of them.
            place = next(i for i, callback in enumerate(callbacks) if isinstance(callback, Checkpoint))
            callbacks.insert(place, DropoutRateMonitor(setting(self, self.config, "checkpoint.monitor")))

    before_validate = before_predict = before_test

    def after_fit(self) -> None:
        """Test the best checkpoint and show the summary of the run."""
        if not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            show_summary(self.trainer, self.model, self.datamodule)
