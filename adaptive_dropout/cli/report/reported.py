"""One run of a report: its decisions, and the model and the data that its configuration names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from adaptive_dropout.cli.report.words import in_words
from adaptive_dropout.tracking import History, Run

__all__ = ["Reported"]

LARGEST = 2**17  # bytes, in a second; a configuration of fit has a few thousand


@dataclass(frozen=True)
class Reported:
    """One run.

    Args:
        name: unlike that of any other run in the report.
        run: as it was read.
        config: the ``config.yaml`` beside it; empty where there is none.
        notes: what was odd about reading it.
    """

    name: str
    run: Run
    config: Mapping[str, Any]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, name: str, run: Run, where: Path, notes: list[str]) -> Reported:
        """Return ``run`` with the configuration that lies in the folder ``where``, or beside the file."""
        file = (where if where.is_dir() else where.parent) / "config.yaml"
        config: Any = {}
        if where.exists() and file.exists():
            config = _read(file)
        if not isinstance(config, dict):
            config, notes = {}, [*notes, f"{file} cannot be read: the model and the data are not known"]
        return cls(name, run, config, tuple(notes))

    @cached_property
    def history(self) -> History:
        """The rates and losses."""
        return self.run.history()

    @cached_property
    def rewinds(self) -> list[int]:
        """The steps where the best weights came back."""
        return self.run.rewinds()

    @cached_property
    def restarts(self) -> list[int]:
        """The steps where the initial weights came back."""
        return self.run.restarts()

    @cached_property
    def best(self) -> tuple[int, float] | None:
        """The step and the loss of the best validation; None before the first."""
        found = self.run.best()
        return None if found is None else (found.step, found.signals["val_loss"])

    @cached_property
    def best_rates(self) -> dict[str, float]:
        """The rates that the weights of the best validation had been trained with; none before the first."""
        found = self.run.best()
        return {} if found is None else dict(found.before)

    @cached_property
    def fixed(self) -> bool:
        """Whether the rates never moved, as in a grid search."""
        return all(decision.after == self.run.rates for decision in self.run.decisions)

    def facts(self) -> dict[str, str]:
        """Return the model, the data and the rule in words."""
        model = self.config.get("model")
        given = model.get("init_args") if isinstance(model, dict) else None
        settings = dict(given) if isinstance(given, dict) else {}
        network = settings.pop("network", None)
        task = {**model, "init_args": settings} if isinstance(model, dict) else None
        said = {"network": network, "task": task, "data": self.config.get("data"), "controller": self.run.controller}
        return {what: in_words(which) for what, which in said.items() if which} | {"monitor": self.run.monitor}


def _read(file: Path) -> Any:
    """Return what ``file`` holds, None where it is no regular file of YAML or larger than any configuration."""
    try:
        small = file.is_file() and file.stat().st_size <= LARGEST
        return yaml.safe_load(file.read_text(encoding="utf-8")) if small else None
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return None
