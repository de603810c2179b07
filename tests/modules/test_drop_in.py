"""Layers with torch's names behave as torch's: signature, errors, warnings, shapes, strides, repr, in-place."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad

NAMES = ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]
every_layer = pytest.mark.parametrize("name", NAMES)


def shape_for(name: str) -> tuple[int, ...]:
    """A batch in the dimensions that the layer is for."""
    return (3, 4, 2, 2, 1)[: {"Dropout2d": 4, "Dropout3d": 5}.get(name, 3)]


def both(name: str, *args: Any, **kwargs: Any) -> tuple[nn.Module, nn.Module]:
    return getattr(ad, name)(*args, **kwargs), getattr(nn, name)(*args, **kwargs)


def outcome(call: Callable[[], Any]) -> tuple[str, Any]:
    """What a call did: its shape and which warnings, or its error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = tuple(call().shape)
        except Exception as error:
            return type(error).__name__, None
    return str(result), {w.category for w in caught}


@every_layer
def test_it_is_an_instance_with_the_same_signature_and_repr(name: str) -> None:
    ours, torchs = both(name, 0.25, inplace=True)
    assert isinstance(ours, type(torchs))
    ours_parameters, torchs_parameters = (list(inspect.signature(type(m)).parameters) for m in (ours, torchs))
    assert ours_parameters == torchs_parameters
    assert repr(ours) == repr(torchs)
    assert repr(both(name)[0]) == repr(both(name)[1])


@every_layer
@pytest.mark.parametrize("p", [-0.1, 1.1, "x", None])
def test_a_bad_p_raises_the_same_type_of_error(name: str, p: Any) -> None:
    with pytest.raises((ValueError, TypeError)) as torchs:
        getattr(nn, name)(p)
    with pytest.raises(torchs.type):
        getattr(ad, name)(p)


@every_layer
@pytest.mark.parametrize("dims", [1, 2, 3, 4, 5, 6])
def test_shapes_with_and_without_batch_do_what_they_do_in_torch(name: str, dims: int) -> None:
    x = torch.ones(tuple(range(2, 2 + dims)))
    ours, torchs = both(name, 0.5)
    assert outcome(lambda: ours(x)) == outcome(lambda: torchs(x))


@pytest.mark.parametrize(
    ("name", "shape", "channel_dims"),
    [
        ("Dropout1d", (40, 7), 1),
        ("Dropout1d", (40, 30, 7), 2),
        ("Dropout2d", (40, 30, 7, 5), 2),
        ("Dropout3d", (40, 7, 5, 3), 1),
        ("Dropout3d", (40, 30, 7, 5, 3), 2),
        ("FeatureAlphaDropout", (40, 30, 7), 2),
        ("FeatureAlphaDropout", (40, 30, 7, 5), 2),
    ],
)
def test_the_mask_covers_the_same_channels_as_in_torch(name: str, shape: tuple[int, ...], channel_dims: int) -> None:
    for layer in both(name, 0.5):
        y = layer(torch.ones(shape)).flatten(channel_dims)
        per_channel = y[..., :1]
        assert torch.equal(y, per_channel.expand_as(y))
        assert (per_channel != per_channel.flatten()[0]).any()


@every_layer
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_integer_input_raises_as_in_torch(name: str, dtype: torch.dtype) -> None:
    x = torch.ones(shape_for(name), dtype=dtype)
    ours, torchs = both(name, 0.5)
    with pytest.raises(RuntimeError):
        torchs(x)
    with pytest.raises(RuntimeError, match="takes floating-point input, but got torch"):
        ours(x)


@every_layer
def test_complex_input_is_refused_in_words(name: str) -> None:
    with pytest.raises(RuntimeError, match=r"takes floating-point input, but got torch\.complex64"):
        getattr(ad, name)(0.5)(torch.ones(shape_for(name), dtype=torch.complex64))


def layouts() -> dict[str, Tensor]:
    x = torch.rand(4, 6, 8, 10)
    return {
        "contiguous": x,
        "channels last": x.to(memory_format=torch.channels_last),
        "transposed": x.transpose(1, 2),
        "sliced": x[:, :, ::2],
        "expanded": x[:1].expand(4, 6, 8, 10),
        "empty": x[:0],
        "permuted": x.permute(3, 0, 2, 1),
    }


@pytest.mark.parametrize("layout", layouts())
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["Dropout", "Dropout2d", "AlphaDropout", "FeatureAlphaDropout"])
def test_strides_and_dtype_of_the_result_are_torchs(name: str, dtype: torch.dtype, layout: str) -> None:
    x = layouts()[layout].to(dtype)
    ours, torchs = (layer(x) for layer in both(name, 0.5))
    assert ours.dtype == torchs.dtype
    assert ours.shape == torchs.shape
    assert ours.stride() == torchs.stride()


@every_layer
def test_inplace_writes_into_the_input(name: str) -> None:
    x = torch.ones(shape_for(name))
    layer = getattr(ad, name)(1.0, inplace=True)
    y = layer(x)
    assert y is x
    assert not x.any()


def test_inplace_on_a_leaf_that_requires_a_gradient_raises_as_in_torch() -> None:
    x = torch.ones(5, requires_grad=True)
    for layer in both("Dropout", 0.5, inplace=True):
        with pytest.raises(RuntimeError, match="leaf"):
            layer(x)


def test_inplace_passes_the_same_gradient() -> None:
    x = torch.rand(1000, requires_grad=True)
    torch.manual_seed(1)
    (outside,) = torch.autograd.grad(ad.Dropout(0.5)(x * 2).sum(), x)
    torch.manual_seed(1)
    (inside,) = torch.autograd.grad(ad.Dropout(0.5, inplace=True)(x * 2).sum(), x)
    assert torch.equal(outside, inside)


@every_layer
def test_gradient_is_the_derivative_of_the_noise_drawn(name: str) -> None:
    x = torch.rand(shape_for(name), dtype=torch.float64)
    layer = getattr(ad, name)(0.4)

    def same_noise(x: Tensor) -> Tensor:
        torch.manual_seed(5)
        return layer(x)

    assert torch.autograd.gradcheck(same_noise, x.requires_grad_())
    assert torch.autograd.gradgradcheck(same_noise, x)


def test_p_1_has_a_zero_gradient_not_nan() -> None:
    for name in NAMES:
        x = torch.ones(shape_for(name), requires_grad=True)
        getattr(ad, name)(1.0)(x).sum().backward()
        assert x.grad is not None
        assert not x.grad.any(), name


def test_amp_draws_the_same_mask() -> None:
    x = torch.ones(64, 32)
    model = nn.Sequential(nn.Linear(32, 32), ad.Dropout(0.5))
    torch.manual_seed(2)
    full = model(x)
    torch.manual_seed(2)
    with torch.autocast("cpu", torch.bfloat16):
        half = model(x)
    assert half.dtype == torch.bfloat16
    assert torch.equal(full == 0, half == 0)


def test_checkpointing_recomputes_the_same_mask() -> None:
    x = torch.ones(2000, requires_grad=True)
    layer = ad.Dropout(0.5)
    y = torch.utils.checkpoint.checkpoint(layer, x, use_reentrant=False)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())
