"""Recorded runs to report on, written as a run itself writes them."""

from __future__ import annotations

from pathlib import Path

import adaptive_dropout as ad
from adaptive_dropout.controllers import controller_to_dict, state_to_dict
from adaptive_dropout.tracking import Decision, Run

LOSSES = (2.0, 0.9, 0.5, 0.6, 0.7)


def recorded(folder: Path, p: float = 0.1, step_up: float = 0.05, layers: int = 2, name: str = "dropout{}") -> Path:
    """Write a run that rises by ``step_up`` at each of five validations, ten steps apart, and rewinds at the fourth."""
    controller = ad.RewindController() if step_up else ad.FixedController()
    rates = {name.format(layer): p for layer in range(layers)}
    run = Run(folder.name, controller_to_dict(controller), "val_loss", rates, state_to_dict(controller.init(rates)))
    before = rates
    for number, loss in enumerate(LOSSES):
        after = {layer: rate + step_up for layer, rate in before.items()}
        signals = {"val_loss": loss + p, "train_loss": loss / 2}
        back = number == 3 and step_up > 0
        reason = "validation stalled: raised" if back else ""
        step = 10 * (number + 1)
        run.decisions.append(Decision(step, signals, before, after, number < 3, back, False, reason))
        before = after
    folder.mkdir(parents=True)
    (folder / "decisions.jsonl").write_text("".join(f"{line}\n" for line in run.lines()))
    return folder
