"""Numbers that are no rates, and stay as they are, whatever they are called; the inventory says why."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.conversion.found import find


def module(forward: Any, **numbers: float) -> nn.Module:
    """A module with these numbers and this forward."""
    made = type("Model", (nn.Module,), {"forward": forward})()
    vars(made).update(numbers)
    return made


def kept_share(self: Any, x: Tensor) -> Tensor:
    return F.dropout(x, 1 - self.dropout_keep_prob, self.training)


def kept_share_under_another_name(self: Any, x: Tensor) -> Tensor:
    p = 1.0 - self.retain
    return F.dropout(x, p, self.training)


def counted(self: Any, x: Tensor) -> Tensor:
    self.num_dropped_tokens = self.num_dropped_tokens + 1
    return x


def pressed(self: Any, x: Tensor) -> Tensor:
    return x * self.pressure_drop + self.raindrop_size


def cut(self: Any, x: Tensor) -> Tensor:
    return x * (x.abs() > self.drop_threshold)


def guided(self: Any, x: Tensor) -> Tensor:
    lost = torch.rand(len(x)) < self.class_dropout_prob if self.training else torch.zeros(len(x))
    return torch.where(lost[:, None] > 0, 0.0, x)


def guided_by_any_name(self: Any, x: Tensor) -> Tensor:
    return torch.where(torch.rand(len(x), 1) < self.dropout_prob, 0.0, x)


def smoothed(self: Any, x: Tensor) -> Tensor:
    return F.cross_entropy(x, x.argmax(1), label_smoothing=self.drop_smoothing)


def slowed(self: Any, x: Tensor) -> Tensor:
    return x * self.lr_drop_factor


def last_left_out(self: Any, x: Tensor) -> Tensor:
    return x[:-1] if self.drop_last else x


def counted_paths(self: Any, x: Tensor) -> Tensor:
    self.drop_path_calls += 1
    return x


def forced(self: Any, x: Tensor) -> Tensor:
    return x if torch.rand(()) < self.teacher_forcing_drop else x.roll(1)


def damped(self: Any, x: Tensor) -> Tensor:
    return F.leaky_relu(x, self.drop_slope)


def squeezed(self: Any, x: Tensor) -> Tensor:
    return F.dropout(x, self.squeeze_drop * self.training, self.training)


def rows_lost(self: Any, x: Tensor) -> Tensor:
    return x[: int(len(x) * (1 - self.droprate_rows))]


NUMBERS: list[tuple[Any, dict[str, float]]] = [
    (kept_share, {"dropout_keep_prob": 0.9}),
    (kept_share_under_another_name, {"retain": 0.9}),
    (counted, {"num_dropped_tokens": 0}),
    (pressed, {"pressure_drop": 0.2, "raindrop_size": 0.5}),
    (cut, {"drop_threshold": 0.05}),
    (guided, {"class_dropout_prob": 0.1}),
    (guided_by_any_name, {"dropout_prob": 0.1}),
    (smoothed, {"drop_smoothing": 0.1}),
    (slowed, {"lr_drop_factor": 0.1}),
    (last_left_out, {"drop_last": 1.0}),
    (counted_paths, {"drop_path_calls": 0}),
    (forced, {"teacher_forcing_drop": 0.5}),
    (damped, {"drop_slope": 0.01}),
    (squeezed, {"squeeze_drop": 0.1}),
    (rows_lost, {"droprate_rows": 0.25}),
]


@pytest.mark.parametrize(("forward", "numbers"), NUMBERS, ids=lambda value: getattr(value, "__name__", ""))
def test_it_is_not_taken_and_the_inventory_says_why(forward: Any, numbers: dict[str, float]) -> None:
    model = nn.Sequential(module(forward, **numbers), nn.Dropout(0.1))
    rows = {row.name: row for row in ad.inventory(model).unreachable()}
    assert set(rows) == {f"0.{name}" for name in numbers}
    assert all(row.why and row.p is None for row in rows.values())
    assert list(ad.convert(model)) == ["1"]
    ad.set_rates(model, {"1": 0.9})
    assert {name: vars(model[0])[name] for name in numbers} == numbers
    alone = module(forward, **numbers)
    with pytest.raises(ValueError, match="Model has no rate to adjust; "):
        ad.convert(alone)


@pytest.mark.parametrize(
    ("forward", "numbers", "why"),
    [
        (kept_share, {"dropout_keep_prob": 0.9}, "the code computes a probability from it"),
        (cut, {"drop_threshold": 0.05}, "the code gives it to no function that drops, such as F.dropout"),
    ],
)
def test_the_reason_is_what_the_code_does(forward: Any, numbers: dict[str, float], why: str) -> None:
    (row,) = ad.inventory(module(forward, **numbers))
    assert row.why.startswith(why)


class Elsewhere(nn.Module):
    """Rates that F.dropout gets from where they cannot be written."""

    of_class: ClassVar[float] = 0.1

    def __init__(self) -> None:
        super().__init__()
        self.items = {"attention": 0.2}
        self.own_schedule = 0.0
        self.half = 0.1

    @property
    def doubled(self) -> float:
        return 2 * self.half

    def forward(self, x: Tensor) -> Tensor:
        self.own_schedule = min(self.own_schedule + 0.01, 0.5)
        for p in (self.of_class, self.items["attention"], self.own_schedule, self.doubled):
            x = F.dropout(x, p, self.training)
        return x


def test_a_rate_that_cannot_be_written_is_listed_with_what_would_be_right() -> None:
    why = {row.name: row.why for row in ad.inventory(Elsewhere())}
    assert why.keys() == {"of_class", "items_attention", "own_schedule", "half"}
    assert why["of_class"].startswith("a property, or a number of the class; read a number of the module's own")
    assert why["items_attention"].startswith("an item and no attribute")
    assert why["own_schedule"] == "the code writes it itself"
    assert why["half"].startswith("the code computes a probability from it")


def test_code_without_source_is_left_alone() -> None:
    scope: dict[str, Any] = {"nn": nn, "F": F}
    exec("class Typed(nn.Module):\n    def forward(self, x): return F.dropout(x, self.dropout)", scope)
    model = scope["Typed"]()
    model.dropout = 0.2
    assert [row.why for row in ad.inventory(model)] == ["without its source nobody can see what it is for"]


def test_a_number_that_is_none_of_0_to_1_is_not_even_listed() -> None:
    model = module(cut, drop_threshold=3.0)
    vars(model).update(drop_threshold=3.0, dropouts=True)
    assert ad.inventory(model) == ()


@pytest.mark.parametrize(
    "name", ["dropout_keep_prob", "num_dropout", "class_dropout_prob", "uncond_drop", "drop_count"]
)
def test_in_a_known_package_a_name_that_says_something_else_is_no_rate(name: str) -> None:
    scope: dict[str, Any] = {"nn": nn, "__name__": "transformers.made_up"}
    exec(f"class Known(nn.Module):\n    def forward(self, x): return x * self.{name} + self.layerdrop", scope)
    model = scope["Known"]()
    vars(model).update({name: 0.1, "layerdrop": 0.2})
    found = find(model)
    assert [number.name for number in found.numbers] == ["layerdrop"]
    assert [(missed.name, missed.why) for missed in found.missed] == [(name, "its name says that it is something else")]


def test_in_a_known_package_an_integer_may_be_a_count() -> None:
    scope: dict[str, Any] = {"nn": nn, "__name__": "transformers.made_up"}
    exec("class Known(nn.Module):\n    def forward(self, x): return x * self.layerdrop", scope)
    model = scope["Known"]()
    model.layerdrop = 0
    assert [row.why for row in ad.inventory(model)] == ["an integer may be a count; write it with a decimal point"]
    assert set(ad.convert(nn.LSTM(2, 2, 2, dropout=0))) == {"dropout"}  # of torch it is known
