"""Every exported layer, schedule and controller keeps its contract from the day it is exported; so can a user's own."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

import adaptive_dropout as ad
from tests.contracts import check_controller, check_layer, check_one_graph, check_schedule

# What the classes with arguments without a default need to be built.
SCHEDULES: dict[str, dict[str, Any]] = {
    "ConstantSchedule": {"p": 0.3},
    "LinearSchedule": {"start": 0.5, "end": 0.1, "steps": 50},
    "CosineSchedule": {"start": 0.5, "end": 0.1, "steps": 50},
    "ExponentialSchedule": {"start": 0.5, "end": 0.1, "steps": 50},
    "StepSchedule": {"values": (0.5, 0.1), "milestones": (50,)},
    "CyclicSchedule": {"low": 0.1, "high": 0.5, "period": 30},
    "CurriculumSchedule": {"p": 0.5, "steps": 50},
    "AnnealedSchedule": {"p": 0.5, "steps": 50},
    "EarlySchedule": {"p": 0.5, "cutoff": 50},
    "LateSchedule": {"p": 0.5, "cutoff": 50},
    "SequentialSchedule": {"schedules": (ad.ConstantSchedule(0.1), ad.ConstantSchedule(0.3)), "milestones": (50,)},
}
CONTROLLERS: dict[str, dict[str, Any]] = {
    "Clip": {"controller": ad.GapController()},
    "Chain": {"controllers": (ad.GapController(), ad.PlateauController())},
    "SpeedLimit": {"controller": ad.PlateauController(change=0.2)},
    "Partition": {"controllers": {"a": ad.PlateauController(), "*": ad.FixedController()}},
}


def exported(base: type) -> list[type]:
    """The concrete subclasses of ``base`` among the public names."""
    names = [getattr(ad, name) for name in ad.__all__]
    return [
        c for c in names if isinstance(c, type) and issubclass(c, base) and not inspect.isabstract(c) and c is not base
    ]


@pytest.mark.parametrize("layer_class", exported(ad.NoiseLayer))
def test_layer_keeps_the_contract(layer_class: type[ad.NoiseLayer]) -> None:
    check_layer(layer_class)


@pytest.mark.slow
@pytest.mark.parametrize("layer_class", exported(ad.NoiseLayer))
def test_twenty_changes_of_p_are_one_graph(layer_class: type[ad.NoiseLayer], short_noise: None) -> None:
    check_one_graph(layer_class)


def test_the_drop_frequency_of_one_compiled_graph_follows_p() -> None:
    layer, x, graphs = ad.Dropout(0.5), torch.ones(100_000), []
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend=lambda graph, _: graphs.append(graph) or graph, fullgraph=True)
    for step in range(20):
        layer.p = p = step / 19
        dropped = (compiled(x) == 0).double().mean().item()
        assert abs(dropped - p) <= 5 * (p * (1 - p) / x.numel()) ** 0.5, p
    assert len(graphs) == 1


@pytest.mark.parametrize("schedule_class", exported(ad.Schedule))
def test_schedule_keeps_the_contract(schedule_class: type[ad.Schedule]) -> None:
    check_schedule(schedule_class(**SCHEDULES[schedule_class.__name__]))


@pytest.mark.parametrize("controller_class", exported(ad.Controller))
def test_controller_keeps_the_contract(controller_class: type[ad.Controller]) -> None:
    check_controller(controller_class(**CONTROLLERS.get(controller_class.__name__, {})))


def test_every_public_name_is_importable_and_documented() -> None:
    for name in ad.__all__:
        assert inspect.getdoc(getattr(ad, name)), name


class UniformDropout(ad.NoiseLayer):
    """A user's own layer: uniform noise with dropout's variance."""

    learnable: ClassVar[bool] = True

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        spread = (3 * p / (1 - p).clamp(min=1e-30)).sqrt()
        noise = 1 + spread * (2 * torch.rand(x.shape) - 1)
        return torch.where(p < 1, x * noise, 0.0).to(x.dtype)


@dataclass(frozen=True)
class Threshold(ad.Controller):
    """A user's own rule, as the design document has it."""

    p: float = 0.3

    def init(self, rates: Any) -> ad.State:
        return ad.State(dict(rates))

    def update(self, state: ad.State, signals: Any) -> ad.State:
        p = self.p if signals["val_loss"] > signals["train_loss"] else 0.0
        return ad.State(dict.fromkeys(state.rates, p))


def test_a_users_own_layer_and_controller_pass_without_registration() -> None:
    check_layer(UniformDropout)
    check_one_graph(UniformDropout)
    check_controller(Threshold())
    check_controller(ad.Clip(Threshold(p=0.9), high=0.5))


def test_the_contracts_can_fail() -> None:
    class Silent(UniformDropout):
        def noise(self, x: Tensor, p: Tensor) -> Tensor:
            return x

    class Impure(Threshold):
        def update(self, state: ad.State, signals: Any) -> ad.State:
            signals["val_loss"] = 0.0
            return state

    with pytest.raises(AssertionError, match="same noise"):
        check_layer(Silent)
    with pytest.raises(AssertionError, match="update changed"):
        check_controller(Impure())
