"""A whole population, by Ray Tune on a small Ray of its own, which ends with it; nothing is printed.

The same start gives the same population on the same machine: Tune compares when all members have arrived, and each
decision draws from the seed and the time alone.
"""

from __future__ import annotations

import functools
import logging
import math
import os
import random
import secrets
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining

from benchmarks.effect.population import HIGHEST, Population, Start
from benchmarks.effect.population_member import Member, load_results
from benchmarks.study.training import BestWeights
from benchmarks.supervised.method import Curves

__all__ = ["Found", "limit", "search"]

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}


@dataclass(frozen=True)
class Found:
    """The best member of a population that has ended.

    Args:
        best: its weights with the lowest validation loss.
        curves: its losses and, before it was a copy, those of the members that it was copied from.
        p: its last.
        seconds: process time of all members.
    """

    best: BestWeights
    curves: Curves
    p: float
    seconds: float


def search(population: Population, folder: str, start: Start) -> Found:
    """Train ``population`` from ``start`` on, and return its best member.

    Args:
        population: the settings.
        folder: for all files; its path is short, because Ray has sockets there.
        start: of every member.

    Raises:
        RuntimeError: a member failed, or none ever had a finite validation loss.
    """
    # Ray listens on all addresses of the machine. The token is its own, for Ray would write one into the home folder.
    os.environ |= _QUIET | {"RAY_AUTH_TOKEN": secrets.token_hex()}
    gpus = int(start.run.accelerator == "gpu")
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.CRITICAL}
    ray.init("local", num_cpus=1, num_gpus=gpus, _temp_dir=folder, **quiet)
    try:
        members, spent = tune.with_parameters(Member, start=start), _Spent()
        tuner = tune.Tuner(
            tune.with_resources(members, {"cpu": 1, "gpu": gpus}),
            param_space={"p": tune.grid_search(population.first)},
            tune_config=tune.TuneConfig(scheduler=_meetings(population, start.seed), reuse_actors=True),
            run_config=_run_config(folder, start.run.validations, spent),
        )
        return _best(tuner.fit(), spent.seconds)
    finally:
        ray.shutdown()


class _Meetings(PopulationBasedTraining):
    """Tune's rule, seeded before each decision: it draws from Python's generator, which Ray uses at any time."""

    def __init__(self, seed: int, **settings: Any) -> None:
        super().__init__(**settings)
        self._seed = seed

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decide as Tune does."""
        random.seed(f"{self._seed} {result['training_iteration']}")
        return super().on_trial_result(tune_controller, trial, result)


class _Spent(tune.Callback):
    """Adds up the process time of all members."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **_: Any) -> None:
        """Add that of a step."""
        self.seconds += result["seconds"]


def _meetings(population: Population, seed: int) -> _Meetings:
    return _Meetings(
        seed,
        time_attr="training_iteration",
        metric="val_loss",
        mode="min",
        perturbation_interval=population.interval,
        hyperparam_mutations={"p": functools.partial(random.uniform, population.low, population.high)},
        custom_explore_fn=limit,
        log_config=False,
        synch=True,
    )


def limit(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a copy, with its p limited to `HIGHEST`."""
    return config | {"p": min(config["p"], HIGHEST)}


def _run_config(folder: str, validations: int, spent: _Spent) -> tune.RunConfig:
    return tune.RunConfig(
        name="population",
        storage_path=folder,
        stop={"training_iteration": validations},
        callbacks=[spent],
        # Three: those that are copied at a meeting are read after their owners have continued.
        checkpoint_config=tune.CheckpointConfig(num_to_keep=3, checkpoint_at_end=True),
        failure_config=tune.FailureConfig(fail_fast=True),
        verbose=0,
    )


def _best(ended: tune.ResultGrid, seconds: float) -> Found:
    if ended.errors:
        error = ended.errors[0]
        raise RuntimeError(f"a member failed: {getattr(error, 'cause', error)}")  # Ray's own text begins with a process
    results: list[Any] = [ended[i] for i in range(len(ended))]
    members = [(*load_results(result.checkpoint.path), result.config["p"]) for result in results]
    best, curves, p = min(members, key=lambda member: member[0].val_loss)
    if math.isinf(best.val_loss):
        raise RuntimeError("no member ever had a finite validation loss")
    return Found(best, curves, p, seconds)
