"""The kernels on a device give the bits that the references give on a CPU, for every noise, layout and shape of p."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import adaptive_dropout as ad
from adaptive_dropout.noise.backend import work_dtype
from tests.noise.cases import KEY, PAIRS, PS, layouts, p_shapes

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def inputs(dtype: torch.dtype) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Each layout with every p shared by all elements, and with p = 0.3 in every other shape."""
    for name, x in layouts(dtype).items():
        for p in PS:
            yield f"{name}, p = {p}", x, torch.tensor(p, dtype=work_dtype(x))
        for shape in p_shapes(x)[1:] if x.dim() > 1 and x.numel() else []:
            yield f"{name}, p of {shape}", x, torch.full(shape, 0.3, dtype=work_dtype(x))


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_kernel_gives_the_bits_of_the_reference(name: str, dtype: torch.dtype, device: torch.device) -> None:
    kernel, reference = PAIRS[name]
    # In float64 a root and a logarithm err by a last bit of their own; three roundings follow.
    last_bits = 4 * torch.finfo(dtype).eps if dtype == torch.float64 else 0.0
    for case, x, p in inputs(dtype):
        made = kernel(x.to(device), p.to(device), KEY.to(device)).cpu()
        torch.testing.assert_close(
            made, reference(x, p, KEY), rtol=last_bits, atol=0, equal_nan=True, msg=lambda text, c=case: f"{c}: {text}"
        )


@pytest.mark.parametrize("layer_class", [ad.Dropout, ad.GaussianDropout, ad.AlphaDropout])
def test_more_elements_than_31_bits_count(layer_class: type[ad.NoiseLayer], device: torch.device) -> None:
    if torch.cuda.get_device_properties(device).total_memory < 16 << 30:
        pytest.skip("needs 16 GB")
    count, part = 2**31 + 5000, 1 << 20
    x = torch.ones(count, dtype=torch.bfloat16, device=device)
    with torch.no_grad():
        y = layer_class(0.3).to(device)(x)
    first, beyond = y[:part], y[-part:]
    for drawn in (first, beyond):
        dropped = (drawn == drawn.min()).double().mean().item()  # of Gaussian noise one element
        assert dropped == pytest.approx(0.3, abs=5 * (0.21 / part) ** 0.5) or layer_class is ad.GaussianDropout
        assert drawn.std() > 0.1
    assert not torch.equal(y[:4096], y[2**31 : 2**31 + 4096])
