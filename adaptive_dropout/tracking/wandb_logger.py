"""`WandbLogger`: Lightning's, offline unless the user has an account here or says otherwise."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning.pytorch import loggers

__all__ = ["WandbLogger"]

MODES = ("online", "offline", "shared", "disabled", "dryrun", "run")


class WandbLogger(loggers.WandbLogger):
    """Lightning's W&B logger, which needs neither an account nor a network.

    The mode is ``WANDB_MODE`` where that is set; otherwise online where the user is logged in, and offline where not.
    ``wandb sync`` uploads an offline run later.

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
