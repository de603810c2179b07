"""`WandbLogger`: Lightning's, offline unless the user has an account here or says otherwise."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import loggers
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers.utilities import _scan_checkpoints

__all__ = ["WandbLogger"]

MODES = ("online", "offline", "shared", "disabled", "dryrun", "run")


class WandbLogger(loggers.WandbLogger):
    """Lightning's W&B logger, which needs neither an account nor a network.

    The mode is ``WANDB_MODE`` where that is set; otherwise online where the user is logged in, and offline where not.
    ``wandb sync`` uploads an offline run later. With ``log_model``, checkpoints become artifacts as they do there,
    and the metadata hold the rates that the weights were last trained with.

    Args:
        project: the W&B project.
        name: what the run is called; W&B invents a name for None.
        save_dir: the folder for the run, made if it does not exist.
        **kwargs: what else `lightning.pytorch.loggers.WandbLogger` and ``wandb.init`` take.

    Raises:
        ModuleNotFoundError: wandb is not installed.
        ValueError: ``WANDB_MODE`` is no mode, or is "online" though nobody is logged in.
    """

    def __init__(
        self, project: str = "adaptive-dropout", name: str | None = None, save_dir: str = "runs", **kwargs: Any
    ) -> None:
        mode = _mode()
        Path(save_dir).mkdir(parents=True, exist_ok=True)
        super().__init__(project=project, name=name, save_dir=save_dir, mode=mode, **kwargs)
        self._wandb_init.pop("anonymous", None)  # Lightning passes it on, and W&B warns that it does nothing

    @property
    def run_dir(self) -> Path:
        """The folder that W&B writes this run to; ``wandb sync`` takes it."""
        return Path(self.experiment.dir).parent

    def _scan_and_log_checkpoints(self, checkpoint_callback: ModelCheckpoint) -> None:
        import wandb

        name = self._checkpoint_name or f"model-{self.experiment.id}"
        found: list[tuple[float, str, Any, str]] = _scan_checkpoints(checkpoint_callback, self._logged_model_time)
        for time, path, score, _ in found:
            metadata: dict[str, Any] = {
                "original_filename": Path(path).name,
                checkpoint_callback.monitor or "score": None if score is None else float(score),
                "dropout_rates": _rates_in(path),
            }
            artifact = wandb.Artifact(name, "model", metadata=metadata)
            artifact.add_file(path, "model.ckpt", policy=self.add_file_policy)
            best = ["best"] if path == checkpoint_callback.best_model_path else []
            self.experiment.log_artifact(artifact, aliases=["latest", *best])
            self._logged_model_time[path] = time


def _rates_in(checkpoint: str) -> dict[str, float]:
    """Return the rates of the last steps before ``checkpoint``; none where no `DropoutRateControl` had a part in it."""
    # A file that this process wrote itself, so nothing in it is foreign.
    saved = torch.load(checkpoint, map_location="cpu", mmap=True, weights_only=False)
    rates: dict[str, float] = {}
    for state in saved["callbacks"].values():
        for decision in (state.get("loop") or {}).get("run", {}).get("decisions", [])[-1:]:
            rates |= decision["before" if decision["step"] == saved["global_step"] else "after"]
    return rates


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
