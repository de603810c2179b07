"""`ControlLoop` in a plain training loop: it decides, goes back, writes down, and goes on after a restart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.controllers import State
from adaptive_dropout.tracking import read_run, replay


@dataclass(frozen=True)
class Turn(State):
    turn: int = 0


@dataclass(frozen=True)
class Script(ad.Controller):
    """Keeps the weights at "i", rewinds at "r", starts again at "s", does nothing at "."."""

    moves: str

    def needs(self) -> frozenset[str]:
        return frozenset({"snapshot"})

    def init(self, rates: Mapping[str, float]) -> Turn:
        return Turn(dict(rates))

    def update(self, state: State, signals: Mapping[str, float]) -> Turn:
        assert isinstance(state, Turn)
        move = self.moves[state.turn]
        flags = {"improved": move == "i", "rewind": move == "r", "restart": move == "s"}
        return replace(state, turn=state.turn + 1, **flags)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), ad.Dropout(0.3), nn.Linear(4, 1))


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.ones(2, 3)).square().mean().backward()
    optimizer.step()


def train(loop: ad.ControlLoop, model: nn.Module, optimizer: torch.optim.Optimizer, losses: Iterable[float]) -> None:
    """Take one step before each of the validations, whose losses are given."""
    for val_loss in losses:
        loop.before_step()
        step(model, optimizer)
        steps = len(loop.run.decisions) + 1
        loop.decide({"step": steps, "train_loss": 0.5, "val_loss": val_loss, "total_steps": 100})


def loop_of(controller: ad.Controller, **settings: object) -> tuple[ad.ControlLoop, nn.Sequential, torch.optim.Adam]:
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    return ad.ControlLoop(controller, model, optimizer, **settings), model, optimizer  # type: ignore[arg-type]


def weights(model: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def test_a_decision_sets_the_rates_and_is_in_the_run() -> None:
    loop, model, optimizer = loop_of(ad.PlateauController(patience=1, change=0.05))
    train(loop, model, optimizer, [1.0, 1.2, 1.3])
    assert model[1].p == pytest.approx(0.4)
    assert [decision.step for decision in loop.run.decisions] == [1, 2, 3]
    assert loop.run.decisions[-1].after == loop.state.rates


@pytest.mark.parametrize(("script", "kept"), [("i.r", 1), ("i.s", 0)], ids=["rewind", "restart"])
@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
def test_weights_come_back_before_the_next_step_and_not_earlier(
    script: str, kept: int, on_disk: bool, tmp_path: Path
) -> None:
    loop, model, optimizer = loop_of(Script(script), folder=tmp_path if on_disk else None)
    seen = [weights(model)]
    for _ in script:
        train(loop, model, optimizer, [1.0])
        seen.append(weights(model))
    assert torch.equal(weights(model), seen[3])
    loop.before_step()
    assert torch.equal(weights(model), seen[kept])
    assert model[0].weight.grad is None


def test_the_end_leaves_the_best_weights() -> None:
    loop, model, optimizer = loop_of(Script(".i.."))
    train(loop, model, optimizer, [1.0, 0.5])
    best = weights(model)
    train(loop, model, optimizer, [1.0, 1.0])
    loop.finish()
    assert torch.equal(weights(model), best)


def test_averages_of_the_model_come_back_with_it() -> None:
    model = network()
    average = torch.optim.swa_utils.AveragedModel(model)
    loop = ad.ControlLoop(Script("ir"), model, averages=[average])
    loop.decide({"step": 1, "val_loss": 1.0})
    with torch.no_grad():
        average.module[0].weight.zero_()
    loop.decide({"step": 2, "val_loss": 2.0})
    loop.before_step()
    assert bool(average.module[0].weight.any())


def test_decisions_are_read_and_replayed_while_the_run_goes_on(tmp_path: Path) -> None:
    controller = ad.PlateauController(patience=1)
    loop, model, optimizer = loop_of(controller)
    loop.record_in(tmp_path)
    train(loop, model, optimizer, [1.0, 1.2, 1.3])
    run = read_run(tmp_path)
    loop.close()
    assert run.controller["class_path"] == "adaptive_dropout.PlateauController"
    assert [state.rates for state in replay(run, controller)[1:]] == [d.after for d in run.decisions]


def test_a_restarted_run_goes_on_as_the_unbroken_one(tmp_path: Path) -> None:
    script = Script("i..r.i..")
    whole, model, optimizer = loop_of(script)
    train(whole, model, optimizer, [1.0] * 4)
    kept = {"loop": whole.state_dict(), "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({**kept, "generator": torch.get_rng_state()}, tmp_path / "kept.pt")
    train(whole, model, optimizer, [1.0] * 4)

    saved = torch.load(tmp_path / "kept.pt", weights_only=True)
    again, resumed, fresh = loop_of(script)
    resumed.load_state_dict(saved["model"])
    fresh.load_state_dict(saved["optimizer"])
    again.load_state_dict(saved["loop"])
    torch.set_rng_state(saved["generator"])
    train(again, resumed, fresh, [1.0] * 4)
    assert torch.equal(weights(resumed), weights(model))
    assert again.state == whole.state
    assert again.run == whole.run


def test_its_state_without_the_snapshots_is_json() -> None:
    loop, model, optimizer = loop_of(ad.RewindController())
    train(loop, model, optimizer, [1.0, float("inf")])
    assert json.loads(json.dumps(loop.json_dict(), allow_nan=False)) == loop.json_dict()
    assert loop.state_dict().keys() - loop.json_dict().keys() == {"snapshots"}


def test_a_state_of_another_release_keeps_the_rates_and_says_so() -> None:
    loop, model, optimizer = loop_of(ad.PlateauController())
    train(loop, model, optimizer, [1.0])
    saved = loop.state_dict()
    del saved["state"]["best"]
    saved["state"]["rates"] = {"1": 0.2}
    told: list[str] = []
    again, resumed, _ = loop_of(ad.PlateauController(), warn=told.append)
    again.load_state_dict(saved)
    assert resumed[1].p == again.state.rates["1"] == pytest.approx(0.2)
    assert len(told) == 1
    assert "memory begins anew" in told[0]


def test_every_process_takes_the_state_that_is_shared() -> None:
    loop, model, _ = loop_of(ad.FixedController(), share=lambda state: replace(state, rates={"1": 0.7}))
    assert loop.decide({"step": 1, "val_loss": 1.0}).rates == {"1": 0.7}
    assert model[1].p == pytest.approx(0.7)


def test_where_nothing_can_be_decided_the_rates_stay_and_one_line_says_so() -> None:
    told: list[str] = []
    loop, model, _ = loop_of(ad.GapController(), warn=told.append)
    for number in range(3):
        state: State = loop.decide({"step": number, "val_loss": 1.0})
    assert state.reason.startswith("no decision")
    assert model[1].p == pytest.approx(0.3)
    assert len(told) == 1
    assert told[0].startswith("no decision: no signal named 'train_loss'; there are ['step', 'val_loss'] at step 0; ")


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    told: list[str] = []
    loop, model, optimizer = loop_of(ad.PlateauController(), warn=told.append)
    loop.record_in(tmp_path / "file")
    train(loop, model, optimizer, [1.0, 2.0])
    assert len(told) == 1
    assert told[0].startswith("decisions are not written to decisions.jsonl (")


def test_what_cannot_be_steered_is_refused() -> None:
    with pytest.raises(TypeError, match="has to be a Controller"):
        ad.ControlLoop(0.5, network())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"no settable rate; convert\(model\) makes"):
        ad.ControlLoop(ad.FixedController(), nn.Linear(2, 2))
    loop, _, _ = loop_of(ad.FixedController())
    with pytest.raises(KeyError, match=r"the signals need 'step', .* there are \['val_loss'\]"):
        loop.decide({"val_loss": 1.0})
