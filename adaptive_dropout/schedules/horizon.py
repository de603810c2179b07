"""How far along a schedule is: steps done, divided by its horizon.

A horizon follows Lightning's convention for ``val_check_interval``: an ``int`` counts optimizer steps,
a ``float`` in (0, 1] is a fraction of the training run. So ``1`` is one step and ``1.0`` is the whole run.
"""

from __future__ import annotations

import math
import operator

__all__ = ["check_horizon", "check_step", "check_total", "elapsed", "progress", "resolve"]


def check_step(step: object) -> int:
    """Return ``step``, the optimizer steps done so far, as an int.

    Raises:
        TypeError: it is not a whole number; 3.0 and True do not count as one.
        ValueError: it is negative.
    """
    return _whole(step, "step")


def check_total(total_steps: object) -> int | float:
    """Return ``total_steps``, the length of a run: a whole number from 0 up, or ``math.inf`` for no end.

    Raises:
        TypeError: it is another float, or not a number.
        ValueError: it is negative, such as Lightning's -1 for "no limit".
    """
    return math.inf if total_steps == math.inf else _whole(total_steps, "total_steps")


def check_horizon(horizon: object, name: str = "steps") -> int | float:
    """Return ``horizon``, a positive int (steps) or a float in (0, 1] (fraction of the run).

    Raises:
        TypeError: it is neither an int nor a float.
        ValueError: it is outside its range, or NaN.
    """
    if isinstance(horizon, bool) or not isinstance(horizon, (int, float)):
        raise TypeError(
            f"{name} has to be an int (optimizer steps) or a float (fraction of the run), but got {horizon!r}"
        )
    if isinstance(horizon, int) and horizon < 1:
        raise ValueError(f"{name} has to be at least 1 optimizer step, but got {horizon}")
    if isinstance(horizon, float) and not 0.0 < horizon <= 1.0:
        raise ValueError(
            f"{name} given as a float is a fraction of the run, in (0, 1], but got {horizon}; steps are an int"
        )
    return int(horizon) if isinstance(horizon, int) else float(horizon)


def resolve(horizon: int | float, total_steps: int | float) -> int:
    """Return ``horizon`` in whole steps: a fraction times ``total_steps``, rounded, at least 1; an int as it is.

    Raises:
        TypeError, ValueError: it is a fraction, and ``total_steps`` is not the length of a run (see `check_total`).
        ValueError: it is a fraction, and the run has no end.
    """
    if isinstance(horizon, int):
        return horizon
    if check_total(total_steps) == math.inf:
        raise ValueError(f"a run without an end has no fraction {horizon}; give the horizon as an int of steps")
    return max(1, round(horizon * total_steps))


def elapsed(step: int, horizon: int | float, name: str = "steps") -> float:
    """Return ``step / horizon``, which may exceed 1; 0 at step 0 whatever the horizon.

    Raises:
        TypeError, ValueError: ``step`` is not a whole number from 0 up.
        ValueError: ``horizon`` is a fraction of a run of unknown length, and the run has begun.
    """
    done = check_step(step)
    if done == 0:
        return 0.0
    if isinstance(horizon, float):
        raise ValueError(
            f"{name}={horizon} is a fraction of a run of unknown length; "
            "use DropoutRateScheduler, .over(total_steps), or an int of steps"
        )
    return done / horizon


def progress(step: int, horizon: int | float, name: str = "steps") -> float:
    """Return ``min(1, step / horizon)``: `elapsed`, held at 1 when the horizon is reached."""
    return min(1.0, elapsed(step, horizon, name))


def _whole(number: object, name: str) -> int:
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise TypeError(f"{name} has to be a whole number of optimizer steps, but got {number!r}")
    whole = operator.index(number)
    if whole < 0:
        raise ValueError(f"{name} has to be 0 optimizer steps or more, but got {whole}")
    return whole
