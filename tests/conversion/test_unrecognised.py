"""What sounds like dropout and is not recognised is listed as such; what is accounted for is not listed twice."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad


class SpatialDrop(nn.Module):
    """Drops by a number whose name says nothing, with a function that nobody knows."""

    def __init__(self, strength: float = 0.3) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, x: Tensor) -> Tensor:
        return x * (torch.rand(x.shape[:2]) >= self.strength)[..., None] if self.training else x


class Noise(SpatialDrop):
    """The same, with a class whose name says nothing either."""


class Holder(nn.Module):
    """Holds what it is given under names that sound like dropout."""

    def __init__(self, **held: Any) -> None:
        super().__init__()
        for name, value in held.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        return x


def missed(model: nn.Module) -> dict[str, tuple[str, float | None]]:
    return {row.name: (row.why.partition(":")[0], row.p) for row in ad.inventory(model).unreachable()}


def test_a_layer_with_the_class_name_of_dropout_is_listed() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1), nn.Sequential(SpatialDrop()))
    assert missed(model) == {"2.0": ("not recognised", 0.3)}
    assert list(ad.convert(model)) == ["1"]
    assert missed(model) == {"2.0": ("not recognised", 0.3)}


def test_a_layer_alone_is_listed_and_convert_says_why() -> None:
    assert [row.kind for row in ad.inventory(SpatialDrop()).unreachable()] == ["SpatialDrop"]
    with pytest.raises(ValueError, match="SpatialDrop has no rate to adjust; SpatialDrop: not recognised"):
        ad.convert(SpatialDrop())


@pytest.mark.parametrize("name", ["drop", "dropout1", "input_dropout", "drop_connect", "zoneout"])
def test_a_layer_that_its_parent_calls_dropout_is_listed(name: str) -> None:
    assert missed(Holder(**{name: Noise(0.2)})) == {name: ("not recognised", 0.2)}


def test_a_layer_with_parameters_is_not_taken_for_dropout_by_its_place_alone() -> None:
    assert missed(Holder(raindrop=Noise(), drop_zone_encoder=nn.Linear(2, 2))) == {}


@pytest.mark.parametrize(
    "held",
    [
        [0.1, 0.2],
        (0.1, 0),
        {"default": 0.1},
        torch.tensor(0.1),
        nn.Parameter(torch.tensor(0.1)),
        F.dropout,
        partial(F.dropout, p=0.1),
    ],
    ids=lambda held: type(held).__name__,
)
def test_rates_that_are_not_plain_numbers_are_listed(held: Any) -> None:
    assert missed(Holder(drop_rates=held)) == {"drop_rates": ("not recognised", None)}


@pytest.mark.parametrize("held", [[], ["a"], [3.0], None, "none", nn.Dropout, torch.tensor(3)])
def test_what_can_be_no_rate_is_not_listed(held: Any) -> None:
    assert missed(Holder(drop_rates=held)) == {}


def test_a_module_that_holds_a_dropout_layer_is_accounted_for_by_it() -> None:
    model = nn.Sequential(Holder(dropout=nn.Sequential(nn.ReLU(), nn.Dropout(0.1))))
    assert missed(model) == {}
    ad.convert(model)
    assert missed(model) == {}


def test_the_places_of_an_identity_in_a_list_are_listed_too() -> None:
    model = Holder(dropouts=nn.ModuleList([nn.Dropout(0.1), nn.Identity()]), drop=nn.Sequential())
    assert missed(model) == {
        "dropouts.1": ("a rate of 0 left no layer here; build the model with a rate above 0", 0.0),
        "drop": ("a rate of 0 left no layer here; build the model with a rate above 0", 0.0),
    }


def of_package(name: str, source: str) -> type[nn.Module]:
    """A class of this source, as if it were of the package ``name``."""
    scope: dict[str, Any] = {"nn": nn, "torch": torch, "F": F, "__name__": f"{name}.made_up"}
    exec(f"class Made(nn.Module):\n    {source}", scope)
    made: type[nn.Module] = scope["Made"]
    return made


def test_an_adapter_of_torchtune_with_a_rate_of_0_is_in_reach() -> None:
    adapted = of_package("torchtune.modules", "def forward(self, x): return self.dropout(x)")()
    adapted.dropout = nn.Identity()
    assert list(ad.convert(nn.Sequential(adapted))) == ["0.dropout"]
    assert torch.equal(ad.revert(nn.Sequential(adapted))(torch.ones(2)), torch.ones(2))


@pytest.mark.parametrize("number", ["p", "embed_p", "weight_p"])
def test_the_numbers_of_fastai_s_dropout_are_in_reach(number: str) -> None:
    # As RNNDropout, EmbeddingDropout and WeightDropout: a mask is drawn by a function of their own.
    code = f"def forward(self, x): return x * torch.empty_like(x).bernoulli_(1 - self.{number})"
    layer = type("RNNDropout", (of_package("fastai.text", code),), {})()
    setattr(layer, number, 0.25)
    model = nn.Sequential(layer)
    ad.convert(model)
    assert list(ad.get_rates(model).values()) == [0.25]
    ad.set_rates(model, dict.fromkeys(ad.get_rates(model), 1.0))
    assert not model(torch.ones(4)).any()


@pytest.mark.parametrize(
    ("package", "kind", "batch_first"), [("fastai.text", "RNNDropout", True), ("torchnlp.nn", "LockedDropout", False)]
)
def test_the_locked_dropout_of_others_becomes_ours_in_their_layout(package: str, kind: str, batch_first: bool) -> None:
    theirs = of_package(package, "def forward(self, x): return x * torch.empty_like(x).bernoulli_(1 - self.p)")
    theirs.__name__ = kind
    layer = theirs()
    layer.p = 0.25
    (ours,) = ad.convert(nn.Sequential(layer)).values()
    assert repr(ours) == f"LockedDropout(p=0.25, batch_first={batch_first})"
