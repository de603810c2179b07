from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from adaptive_dropout.nested import map_tensors, refill


def nest(n: float, length: int = 2) -> dict[Any, Any]:
    return {"list": [torch.full((2,), n)] * length, 3: (None, True, n, "text", {"deep": torch.tensor(n)}), "empty": []}


def tensors(value: dict[Any, Any]) -> list[Tensor]:
    return [*value["list"], value[3][4]["deep"]]


def test_a_copy_has_the_same_structure_and_shares_nothing() -> None:
    original = nest(1.0)
    copied = map_tensors(refill, original)
    for tensor in tensors(original):
        tensor.zero_()
    assert repr(copied) == repr(nest(1.0))


@pytest.mark.parametrize("old_length", [1, 2, 3])
def test_an_older_copy_lends_its_memory_where_it_fits(old_length: int) -> None:
    old = map_tensors(refill, nest(1.0, old_length))
    new = map_tensors(refill, nest(2.0), old)
    assert repr(new) == repr(nest(2.0))
    assert new["list"][0] is old["list"][0]
    assert new[3][4]["deep"] is old[3][4]["deep"]


@pytest.mark.parametrize(
    "misfit", [torch.ones(2, 2), torch.ones(3, dtype=torch.float64), None, "text", [torch.ones(3)]]
)
def test_what_does_not_fit_is_made_anew(misfit: Any) -> None:
    before = repr(misfit)
    assert torch.equal(map_tensors(refill, {"a": torch.zeros(3)}, {"a": misfit})["a"], torch.zeros(3))
    assert repr(misfit) == before


@pytest.mark.parametrize("odd", [object(), {1, 2}, torch.float32])
def test_anything_else_is_refused_by_name(odd: Any) -> None:
    with pytest.raises(TypeError, match=r"only tensors, numbers, .* are copied, but got"):
        map_tensors(refill, {"a": [odd]})
