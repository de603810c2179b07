"""`ControlLoop`: decides after each validation, carries the decision out and writes it down, in any training loop."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from adaptive_dropout.controllers import Controller, State, controller_to_dict, state_from_dict, state_to_dict
from adaptive_dropout.controllers.base import NO_DECISION, check_controller, update_safely
from adaptive_dropout.rates import SettableRate, get_rates, named_rates, set_rates
from adaptive_dropout.steering.rewinder import Rewinder
from adaptive_dropout.steering.uninterrupted import uninterrupted
from adaptive_dropout.tracking.decisions import FILE, Decision, DecisionsFile
from adaptive_dropout.tracking.lines import check_kinds, check_names
from adaptive_dropout.tracking.packed import PackedDecisions
from adaptive_dropout.tracking.run import Run
from adaptive_dropout.tracking.shown import shown

__all__ = ["ControlLoop"]

KNOWN_EARLY = {"controller": Mapping, "forgot": bool}  # before the decision that they are entries of


class ControlLoop:
    """Steers the settable rates of a model with a controller.

    Call `decide` with the signals after each validation, `before_step` before each optimizer step, and `finish` when
    training ends. The loop keeps the best weights, goes back to them when the controller says so, and sets the rates.
    It measures nothing: the caller gives it the signals. The callbacks for Lightning and for transformers use it too.

    ``state`` is the last decision and the memory of the controller, ``run`` holds all decisions so far, and
    ``last_line`` is the last one as `record_in` writes it.

    >>> from adaptive_dropout import Dropout, PlateauController
    >>> model = nn.Sequential(nn.Linear(4, 4), Dropout(0.3))
    >>> loop = ControlLoop(PlateauController(patience=1, change=0.05), model)
    >>> for step, val_loss in enumerate([1.0, 1.2, 1.3]):
    ...     loop.before_step()
    ...     state = loop.decide({"step": step, "train_loss": 0.5, "val_loss": val_loss})
    >>> round(model[1].p, 2), len(loop.run.decisions)
    (0.4, 3)

    Args:
        controller: the rule. All its memory is in ``state``.
        model: the model that is trained; its settable rates are steered.
        optimizers: the optimizers that train it. A rewind restores their state with the weights.
        averages: averaged copies of the model that validation measures; a rewind restores them too.
        folder: where snapshots of large models are kept on disk, one folder for each run. None keeps them in memory.
        passes: how often the run shows each training example, if that is known; some rules start accordingly.
        share: for several processes: returns the first process's state on each of them. All have to make a loop, to
            start from the same rates, and to call `decide`; of a model sharded by ``fully_shard`` each keeps its part,
            in a ``folder`` of its own.
        warn: is called with one line where no decision can be made, or where a file cannot be written or read.

    Raises:
        TypeError: ``controller`` is not a Controller.
        ValueError: the model has no settable rate.
        OSError: ``folder`` cannot be written to, or its disk has too little room.
    """

    def __init__(
        self,
        controller: Controller,
        model: nn.Module,
        *optimizers: Optimizer,
        averages: Sequence[nn.Module] = (),
        folder: str | Path | None = None,
        passes: float | None = None,
        share: Callable[[State], State] = lambda state: state,
        warn: Callable[[str], object] = warnings.warn,
    ) -> None:
        self.controller = check_controller(controller)
        self._model = model
        self._share = share
        self._warn = warn
        rates = get_rates(model, SettableRate)
        if not rates:
            raise ValueError("the model has no settable rate; convert(model) makes its dropout layers adjustable")
        if not any(rate.found for _, rate in named_rates(model, SettableRate)):
            rates = controller.starting_rates(rates, passes)
        self.state = share(controller.init(rates))
        rates = dict(self.state.rates)
        self.run = Run(
            uuid.uuid4().hex, controller_to_dict(controller), "val_loss", rates, state_to_dict(self.state),
            decisions=PackedDecisions(rates),
        )  # fmt: skip
        self.last_line = ""
        self._rewinder: Rewinder | None = None
        if "snapshot" in controller.needs():
            rewound = nn.ModuleList([model, *averages]) if averages else model
            self._rewinder = Rewinder(rewound, optimizers, folder, warn)
        self._folder: Path | None = None
        self._file: DecisionsFile | None = None
        self._for_next_decision: dict[str, Any] = {}
        self._warned: set[str] = set()
        set_rates(model, self.state.rates)

    def record_in(self, folder: str | Path) -> None:
        """Write each decision to ``decisions.jsonl`` in ``folder`` as soon as it is made. One process of a run does so.

        A folder that cannot be written to is one warning; `close` tries again. A file that was deleted is written anew.
        """
        self._folder = Path(folder)
        try:
            self._file = self._new_file(self._folder)
        except OSError as error:
            self._warn_of_file(error)

    def decide(self, signals: Mapping[str, float]) -> State:
        """Decide, set the rates, and return the state. If the signals allow no decision, the rates stay.

        Args:
            signals: numbers by name: ``step`` (optimizer steps done so far), ``val_loss``, and the others that the
                rule reads: ``train_loss`` (dropout on), ``total_steps``, ``epoch``, and the results of
                `adaptive_dropout.signals`.

        Raises:
            KeyError: there is no ``step``.
        """
        if "step" not in signals:
            raise KeyError(f"the signals need 'step', the optimizer steps done so far; there are {sorted(signals)}")
        before = self.state
        after = self._share(update_safely(self.controller, before, signals))
        with uninterrupted():
            self.state = after
            self._write(before, signals)
            if self._rewinder is not None:
                self._rewinder.follow(self.state)
            set_rates(self._model, self.state.rates)
        self._warn_if_undecided(signals)
        return self.state

    def before_step(self) -> None:
        """Restore the weights that the last decision asked for. Call it before the forward pass of each step."""
        if self._rewinder is not None and self._rewinder.waits:
            with uninterrupted():
                self._rewinder.restore()

    def finish(self) -> None:
        """Leave the best weights in the model, if the rule kept any, and close the file.

        Rates that were moved are then found: another loop on this model goes on from them, wherever its rule starts.
        """
        for name, rate in named_rates(self._model, SettableRate):
            if rate.p != self.run.rates[name]:
                rate.found = True
        if self._rewinder is not None:
            with uninterrupted():
                self._rewinder.finish()
        self.close()

    def close(self) -> None:
        """Close the file of decisions. If it could not be written to, all decisions are tried once more."""
        if self._folder is not None and self._file is None:
            with suppress(OSError):
                self._file = self._new_file(self._folder)
        self._folder = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def forget(self) -> None:
        """Start the controller's memory afresh at the present rates, as when ``val_loss`` changes its meaning."""
        self.state = self.controller.init(self.state.rates)
        self._for_next_decision["forgot"] = True

    def state_dict(self) -> dict[str, Any]:
        """Return `json_dict` and the ``snapshots``, which hold tensors; None where the rule keeps no weights."""
        return self.json_dict() | {"snapshots": None if self._rewinder is None else self._rewinder.state_dict()}

    def json_dict(self) -> dict[str, Any]:
        """Return the state, the settings and the decisions, in JSON types."""
        return {
            "state": state_to_dict(self.state),
            "controller": controller_to_dict(self.controller),
            "run": self.run.to_dict(),
            "next": dict(self._for_next_decision),
        }

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken, with the present settings of the controller.

        It warns of settings that differ. Of a state that the controller cannot take over, such as another rule's, only
        the rates are kept.

        Raises:
            ValueError: the state was saved for other rates, or is not what `state_dict` returns.
        """
        try:
            self._load(saved)
        except (KeyError, TypeError, AttributeError, IndexError, RuntimeError) as error:
            why = shown(f"{type(error).__name__}: {error}".partition("\n")[0])
            raise ValueError(f"the checkpoint does not hold what a control saves ({why})") from error

    def _load(self, saved: Mapping[str, Any]) -> None:
        rates, known = saved["state"]["rates"], self.state.rates
        if set(rates) != set(known):
            saved_for = shown(str(sorted(rates)), longest=1000)
            raise ValueError(f"the state was saved for the rates {saved_for}; the model has {sorted(known)}")
        self.run = Run.from_dict(saved["run"])
        self._for_next_decision = _checked(saved.get("next", {}))
        if saved["controller"] != (present := controller_to_dict(self.controller)):
            self._warn(
                "the run goes on with another controller than the checkpoint's: "
                + shown(_describe_changes(saved, present), longest=1000)
            )
            self._for_next_decision["controller"] = present
        try:
            self.state = state_from_dict(self.controller, saved["state"])
        except (KeyError, TypeError) as error:
            self.state = self.controller.init(rates)
            self._for_next_decision["forgot"] = True
            self._warn(f"the rates go on from the checkpoint, the controller's memory begins anew ({error.args[0]})")
        if self._rewinder is not None and saved["snapshots"]:
            self._rewinder.load_state_dict(saved["snapshots"])
        set_rates(self._model, self.state.rates)

    def _write(self, before: State, signals: Mapping[str, float]) -> None:
        now = self.state
        numbers = {name: v if type(v) in (int, float) else float(v) for name, v in signals.items()}
        decision = Decision(
            int(signals["step"]), numbers, before.rates, now.rates,
            now.improved, now.rewind, now.restart, now.reason, **self._for_next_decision,
        )  # fmt: skip
        self._for_next_decision = {}
        assert isinstance(self.run.decisions, PackedDecisions)
        self.last_line = self.run.decisions.append(decision)
        if self._file is None:
            return
        try:
            self._file.add(self.last_line)
        except OSError as error:
            self._file.close()
            self._file = None
            self._write_anew(error)

    def _write_anew(self, error: OSError) -> None:
        try:
            if not isinstance(error, FileNotFoundError):
                raise error
            assert self._folder is not None
            self._file = self._new_file(self._folder)
            self._warn(f"{FILE} was deleted, and is written anew in {str(self._folder)!r}")
        except OSError as reason:
            self._warn_of_file(reason)

    def _new_file(self, folder: Path) -> DecisionsFile:
        return DecisionsFile(folder, self.run.id, self.run.lines())

    def _warn_if_undecided(self, signals: Mapping[str, float]) -> None:
        reason = self.state.reason
        if not reason.startswith(NO_DECISION) or reason in self._warned:
            return
        self._warned.add(reason)
        remedy = "lower the learning rate, or check the data"
        if "'train_loss'" in reason:
            remedy = "training_step has to return its loss for this rule"
        self._warn(f"{reason} at step {int(signals['step'])}; {remedy}")

    def _warn_of_file(self, error: OSError) -> None:
        self._warn(f"decisions are not written to {FILE} ({error}); training goes on without it")


def _checked(known_early: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of the next decision before it is made."""
    check_names(known_early, KNOWN_EARLY)
    check_kinds(known_early, KNOWN_EARLY)
    return dict(known_early)


def _describe_changes(saved: Mapping[str, Any], present: Mapping[str, Any]) -> str:
    """Name the class, or each setting, in which the ``present`` controller differs from the ``saved`` one's."""
    then = saved["controller"]
    if then["class_path"] != present["class_path"]:
        return f"{present['class_path']} instead of {then['class_path']}"
    old, new = then["init_args"], present["init_args"]
    names = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    return ", ".join(f"{name} is {new.get(name)!r}, not {old.get(name)!r}" for name in names)
