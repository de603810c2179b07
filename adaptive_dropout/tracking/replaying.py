"""What a controller would have decided on the signals of a run: no model, no GPU."""

from __future__ import annotations

from itertools import accumulate

from adaptive_dropout.controllers import Controller, State, state_from_dict
from adaptive_dropout.controllers.deciding import NO_DECISION, decide
from adaptive_dropout.tracking.run import Run
from adaptive_dropout.tracking.settings import controller_to_dict

__all__ = ["replay"]


def replay(run: Run, controller: Controller) -> list[State]:
    """Return the state before the first decision of ``run`` and after each, as ``controller`` would have had them.

    The run's own controller gives the run's own rates, to the last bit. What another one is given are still the signals
    of the run as it went: its rates would have changed them.

    Raises:
        KeyError: it needs a signal that the run never measured.
    """
    own = controller_to_dict(controller) == run.controller
    start = state_from_dict(controller, run.state) if own else controller.init(run.rates)
    signals = (decision.signals for decision in run.decisions)
    states = list(accumulate(signals, lambda state, seen: decide(controller, state, seen), initial=start))
    if not own and len(states) > 1 and all(state.reason.startswith(NO_DECISION) for state in states[1:]):
        raise KeyError(states[1].reason.removeprefix(NO_DECISION))
    return states
