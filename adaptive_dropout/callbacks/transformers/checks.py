"""Checks before a run of transformers' Trainer begins, and how far apart its evaluations are."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import Trainer, TrainerState, TrainingArguments

from adaptive_dropout.rates import ScheduledRate, SettableRate, named_rates

__all__ = ["check_run", "examples_between"]


def check_run(trainer: Trainer, model: nn.Module, monitor: str, rewinds: bool) -> None:
    """Raise a ValueError where nothing in ``model`` can be steered, nothing evaluates it, or it cannot be rewound."""
    name = "AdaptiveDropoutCallback"
    if any(named_rates(model, SettableRate)):
        _check_monitor(trainer.args, monitor)
        if trainer.args.eval_strategy == "no":
            raise ValueError(f"{name} decides after each evaluation, but this run has none; set eval_strategy='steps'")
        if rewinds and (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
            raise ValueError(f"{name} cannot rewind a sharded model; use DDP, or a rule such as PlateauController()")
    elif not any(named_rates(model, ScheduledRate)):
        raise ValueError(f"{name} finds no rate in {type(model).__name__}; adaptive_dropout.inventory(model) says why")


def examples_between(args: TrainingArguments, state: TrainerState, loader: Any) -> int:
    """Return how many training examples of this process are seen from one evaluation to the next."""
    if args.eval_strategy == "steps" or not hasattr(loader.dataset, "__len__"):
        return int((state.eval_steps or 1) * args.train_batch_size * args.gradient_accumulation_steps)
    return len(loader) * args.train_batch_size


def _check_monitor(args: TrainingArguments, monitor: str) -> None:
    """Raise a ValueError unless ``monitor`` is a loss by its name, or one to be minimised by the arguments."""
    chosen = monitor in (args.metric_for_best_model, f"eval_{args.metric_for_best_model}")
    lower = not args.greater_is_better if chosen else monitor.endswith("loss")
    if not lower:
        raise ValueError(
            f"monitor {monitor!r} has to be a loss, such as 'eval_loss'; if it is one, say so by "
            f"metric_for_best_model={monitor!r} and greater_is_better=False"
        )
