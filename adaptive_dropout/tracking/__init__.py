"""What a run leaves behind: the names of its numbers, its history, and what only W&B can do."""

from adaptive_dropout.tracking.history import History, Point, RateSummary
from adaptive_dropout.tracking.wandb_logger import WandbLogger

__all__ = ["History", "Point", "RateSummary", "WandbLogger"]
