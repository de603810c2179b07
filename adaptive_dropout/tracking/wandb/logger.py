"""`WandbLogger`: Lightning's, offline unless the user is logged in or asks for another mode."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import loggers
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn

from adaptive_dropout.tracking.folders import make_folder
from adaptive_dropout.tracking.packed import PackedDecisions
from adaptive_dropout.tracking.wandb.lost import harmless, is_lost

__all__ = ["WandbLogger"]

MODES = ("online", "offline", "shared", "disabled", "dryrun", "run")


class WandbLogger(loggers.WandbLogger):
    """Lightning's W&B logger, which needs neither an account nor a network.

    ``mode`` is ``WANDB_MODE`` where that is set; otherwise "online" where the user is logged in, and "offline" where
    not. ``wandb sync`` uploads an offline run later. Where W&B's own process is gone, killed or out of memory, the run
    goes on without it, with one warning; Lightning's logger ends the run.

    Args:
        project: the W&B project.
        name: the name of the run; W&B invents one for None.
        save_dir: the folder for the run, created if it does not exist.
        log_model: whether to upload the checkpoints of `ModelCheckpoint` as artifacts when training ends, or each one
            as soon as it is saved ("all", or ``save_top_k=-1``). Their metadata hold the score and the rates that the
            weights were last trained with. The rates are read with ``torch.load(..., weights_only=True)``: of a
            checkpoint that this refuses, they are left out with a warning.
        checkpoint_name: the name of the artifacts; "model-<id of the run>" for None.
        **kwargs: further arguments of `lightning.pytorch.loggers.WandbLogger` and ``wandb.init``.

    Raises:
        ModuleNotFoundError: wandb is not installed.
        ValueError: ``WANDB_MODE`` is not a mode, or it is "online" though nobody is logged in.
        OSError: ``save_dir`` is a file, or cannot be made.
    """

    def __init__(
        self,
        project: str = "adaptive-dropout",
        name: str | None = None,
        save_dir: str = "runs",
        log_model: bool | Literal["all"] = False,
        checkpoint_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.mode = _mode()
        make_folder(save_dir)
        # Lightning would upload the checkpoints without their rates.
        super().__init__(project=project, name=name, save_dir=save_dir, log_model=False, mode=self.mode, **kwargs)
        _remove_anonymous(self)
        self._uploads = log_model
        self._artifact_name = checkpoint_name
        self._waiting: dict[int, ModelCheckpoint] = {}
        self._uploaded: dict[str, float] = {}  # the time of the file, by path

    @property
    def run_dir(self) -> Path:
        """The folder that W&B writes this run to; ``wandb sync`` takes it."""
        return Path(self.experiment.dir).parent

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log ``metrics``."""
        if not is_lost(self):
            with harmless(self, ConnectionError):
                super().log_metrics(metrics, step)

    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:
        """Log ``params``, a dict or namespace, as the configuration of the run."""
        if not is_lost(self):
            with harmless(self, ConnectionError):
                super().log_hyperparams(params)

    @rank_zero_only
    def finish(self) -> None:
        """End the run in W&B, and wait until everything is written."""
        if not is_lost(self):
            with harmless(self):  # a process that dies meanwhile is another error
                self.experiment.finish()

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Upload the checkpoints at once, or remember to do so when training ends."""
        if self._uploads == "all" or (self._uploads and checkpoint_callback.save_top_k == -1):
            self._upload(checkpoint_callback)
        elif self._uploads:
            self._waiting[id(checkpoint_callback)] = checkpoint_callback

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Upload the checkpoints that wait, after a training that succeeded."""
        super().finalize(status)
        if status == "success":
            for checkpoint_callback in self._waiting.values():
                self._upload(checkpoint_callback)

    def _upload(self, saved: ModelCheckpoint) -> None:
        if not is_lost(self):
            with harmless(self, ConnectionError):
                self._upload_new(saved)

    def _upload_new(self, saved: ModelCheckpoint) -> None:
        import wandb

        scores = {saved.last_model_path: saved.current_score, saved.best_model_path: saved.best_model_score}
        scores |= saved.best_k_models
        times = {path: Path(path).stat().st_mtime for path in scores if Path(path).is_file()}
        for path, time in sorted(times.items(), key=lambda item: item[::-1]):
            if self._uploaded.get(path) == time:
                continue
            metadata = {
                "original_filename": Path(path).name,
                saved.monitor or "score": None if (score := scores[path]) is None else float(score),
                "dropout_rates": _rates_in(path),
            }
            artifact = wandb.Artifact(self._artifact_name or f"model-{self.experiment.id}", "model", metadata=metadata)
            artifact.add_file(path, "model.ckpt", policy=self.add_file_policy)
            best = ["best"] if path == saved.best_model_path else []
            self.experiment.log_artifact(artifact, aliases=["latest", *best])
            self._uploaded[path] = time


def _rates_in(checkpoint: str) -> dict[str, float]:
    """Return the rates of the last steps before ``checkpoint``; none where no `DropoutRateControl` set them."""
    rates: dict[str, float] = {}
    try:
        # A resumed run names files that another process wrote: nothing in them may be executed.
        saved = torch.load(checkpoint, map_location="cpu", mmap=True, weights_only=True)
        for run in _runs_in(saved.get("callbacks", {})):
            for decision in PackedDecisions.from_list(run["rates"], run["decisions"][-1:])[-1:]:
                rates |= decision.before if decision.step == saved["global_step"] else decision.after
    except Exception as error:  # whatever a foreign file holds, the run goes on
        rank_zero_warn(
            f"{checkpoint} holds more than tensors and plain values, or is not a checkpoint ({type(error).__name__}): "
            "its artifact is uploaded without the rates"
        )
        return {}
    return rates


def _runs_in(state: object) -> Iterator[Mapping[str, Any]]:
    """Yield each run that the ``state`` of the callbacks holds, at any depth."""
    if isinstance(state, Mapping):
        if isinstance(state.get("decisions"), list):
            yield state
        for part in state.values():
            yield from _runs_in(part)


def _remove_anonymous(logger: loggers.WandbLogger) -> None:
    """Keep W&B from printing that ``anonymous`` does nothing: Lightning passes it on. Without the field, it prints."""
    getattr(logger, "_wandb_init", {}).pop("anonymous", None)


def _mode() -> str:
    if find_spec("wandb") is None:
        raise ModuleNotFoundError("wandb is not installed; run `pip install wandb`, or leave the W&B logger out")
    import wandb

    wanted = os.environ.get("WANDB_MODE")
    if wanted not in (None, "", *MODES):
        raise ValueError(f"WANDB_MODE is {wanted!r}; it has to be one of {', '.join(MODES[:4])}")
    if wanted and wanted not in ("online", "run"):
        return wanted
    if wandb.login(prompt=False, verify=False):
        return "online"
    if wanted:
        raise ValueError(
            f"WANDB_MODE is {wanted!r}, but nobody is logged in; run `wandb login`, or set WANDB_MODE=offline"
        )
    return "offline"
