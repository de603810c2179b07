"""What every layer, schedule and controller promises, whoever wrote it; `test_contracts` holds ours to it."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import adaptive_dropout as ad
from adaptive_dropout.controllers import state_from_dict, state_to_dict

LOCKED = (3, 64, 6)  # two dimensions would be one sequence, which has a mask of 6 elements
LAST_STAYS = {"DropHead", "DropKey"}
"""The layers that leave one head or key of each example at p = 1, since without any there is no attention."""

SHAPES = [(64, 6), (8, 6, 5), (8, 6, 5, 4), (8, 6, 5, 4, 3)]


def input_for(layer: ad.NoiseLayer) -> Tensor:
    """An input of ones in the fewest dimensions that the layer takes without a warning."""
    shapes = [LOCKED] if isinstance(layer, ad.LockedDropout) else SHAPES
    for shape in shapes:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                layer(torch.ones(shape))
        except (RuntimeError, UserWarning):
            continue
        return torch.ones(shape)
    raise AssertionError(f"{layer} takes none of {shapes}")


def seen(layer: ad.NoiseLayer, y: Tensor) -> Tensor:
    """The output of a layer with 0 where it dropped; the scores of attention are dropped by minus infinity."""
    return y.exp() if type(layer).__name__ == "DropKey" else y


def check_layer(layer_class: type[ad.NoiseLayer]) -> None:
    """Raise unless layers of this class behave as every dropout layer does."""
    layer = _whole(layer_class(ad.SettableRate(0.4)))
    x = input_for(layer)
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
        before = x.to(dtype)
        y = layer(before)
        assert (y.shape, y.dtype) == (x.shape, dtype)
        assert torch.equal(before, x.to(dtype)), "the input was changed"
        assert seen(layer, y).isfinite().all()
    assert not torch.equal(layer(x), layer(x)), "two calls drew the same noise"
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(first, layer(x)), "manual_seed does not fix the noise"
    assert layer(x[:0]).shape == x[:0].shape

    layer.p = 0.0
    assert torch.equal(layer(x), x)
    layer.p = 1.0
    left = seen(layer, layer(x)).count_nonzero(1)
    assert (left == (1 if layer_class.__name__ in LAST_STAYS else 0)).all()
    layer.p = 0.4
    leaf = x.clone().requires_grad_()
    layer(leaf).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.isfinite().all()
    assert leaf.grad.any()
    layer.eval()
    assert layer(x) is x
    check_rates(layer_class)
    if layer_class.learnable:
        _check_learning(layer_class, x)


def _whole(layer: ad.NoiseLayer) -> ad.NoiseLayer:
    """Return ``layer``, acting on all of its input: targeted dropout leaves the larger weights alone."""
    if isinstance(layer, ad.TargetedDropout):
        layer.fraction.p = 1.0
    return layer


def check_rates(layer_class: Callable[..., ad.Rated]) -> None:
    """Raise unless layers made by ``layer_class(p)`` hold a rate as every layer does."""
    assert layer_class(ad.ConstantSchedule(0.25)).p == 0.25
    rate = ad.SettableRate(0.25)
    assert layer_class(rate).rate is layer_class(rate).rate is rate
    layer = layer_class(rate)
    assert list(layer.state_dict()) == []
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        twin.p = 0.5
        assert (twin.p, layer.p) == (0.5, 0.25)
        assert "p=0.5" in repr(twin)
        assert "\n" not in repr(twin)
    assert copy.deepcopy(layer).bfloat16().rate.value.dtype == torch.float32
    for bad in (1.5, -0.5, float("nan")):
        with pytest.raises(ValueError, match="has to be between 0 and 1, but got"):
            layer_class(bad)
    with pytest.raises(TypeError, match=r"has to be a number between 0 and 1, but got '0.5'"):
        layer_class("0.5")  # type: ignore[arg-type]
    if not layer.learnable:
        with pytest.raises(TypeError, match="passes no gradient"):
            layer_class(ad.LearnedRate(0.25))


def _check_learning(layer_class: type[ad.NoiseLayer], x: Tensor) -> None:
    learned = layer_class(ad.LearnedRate(0.25))
    loss = lambda: (learned(x) ** 2).sum()  # noqa: E731
    (ad.DisARM().loss(learned, loss) if isinstance(learned, ad.BernoulliDropout) else loss()).backward()
    assert learned.rate.logit.grad.item() != 0  # type: ignore[union-attr, operator]


def check_one_graph(layer_class: type[ad.NoiseLayer]) -> None:
    """Raise unless 20 changes of p need one compiled graph, with no break in it, and the noise follows p."""
    layer = _whole(layer_class(ad.SettableRate(0.5)))
    x = input_for(layer)
    graphs = 0

    def count(graph: torch.fx.GraphModule, _: list[Tensor]) -> torch.fx.GraphModule:
        nonlocal graphs
        graphs += 1
        return graph

    torch._dynamo.reset()
    compiled = torch.compile(layer, backend=count, fullgraph=True)
    spreads = []
    for step in range(20):
        layer.p = step / 20
        spreads.append((seen(layer, compiled(x)) - seen(layer, x)).abs().mean().item())
    assert graphs == 1
    assert spreads[0] == 0, "p = 0 is not what the compiled layer used"
    # A layer that drops whole channels of a small input may lose all of them at once, or none.
    assert max(spreads[10:]) > max(spreads[1:4]), "the noise does not follow p"


def check_schedule(schedule: ad.Schedule) -> None:
    """Raise unless ``schedule``, with its horizon in steps, is a pure function to [0, 1] that can be stored."""
    values = [schedule(step) for step in range(200)]
    assert all(isinstance(p, float) and 0 <= p <= 1 for p in values)
    assert values == [schedule(step) for step in range(200)], "the schedule counts its calls"
    twin = pickle.loads(pickle.dumps(schedule))
    assert twin == schedule
    assert hash(twin) == hash(schedule)
    assert schedule.over(1000) == schedule, "a horizon in steps was changed by over()"
    assert dataclasses.is_dataclass(schedule)
    with pytest.raises(ValueError, match="-1"):
        schedule(-1)


def check_controller(controller: ad.Controller) -> None:
    """Raise unless ``controller`` is pure, keeps rates in [0, 1], and can be stored and gone on with anywhere."""
    rates = {"a": 0.3, "b.c": 0.0}
    log = [
        {
            "train_loss": 1 / (n + 1),
            "val_loss": abs(n - 7) / 7 + 0.5,
            "clean_loss": 0.9 / (n + 1),
            "gap_z": n - 7.0,
            "clean_drop_z": n - 10.0,
            "trivial_loss": 3.0,
            **{f"{kind}/{name}": (n - 20) * 1e-4 for kind in ("hypergradient", "response") for name in rates},
            "step": n,
            "total_steps": 40,
            "epoch": n,
        }
        for n in range(40)
    ]
    state = controller.init(rates)
    assert dict(state.rates) == rates, "the rates moved before there was a signal"
    states = [state]
    for number, signals in enumerate(log):
        given = (copy.deepcopy(state), dict(signals))
        stored = json.loads(json.dumps(state_to_dict(state), allow_nan=False))
        assert state_from_dict(controller, stored) == state
        after = controller.update(state, signals)
        assert (state, signals) == given, "update changed what it was given"
        assert controller.update(state_from_dict(controller, stored), signals) == after, f"not pure at {number}"
        assert set(after.rates) == set(rates)
        assert all(isinstance(p, float) and 0 <= p <= 1 for p in after.rates.values())
        state = after
        states.append(state)
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.rates = {}  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(controller)) == controller
