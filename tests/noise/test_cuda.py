"""The Triton kernels: their bits under Triton's interpreter, and that its compiler takes them for a device."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adaptive_dropout.noise.fused import mask_add_reference, relu_mask_reference
from adaptive_dropout.noise.gate import gate_reference, keep as keep_reference
from adaptive_dropout.noise.mask import mask_reference
from adaptive_dropout.noise.normal import gaussian_reference
from tests.noise import interpreted
from tests.noise.cases import KEY
from tests.noise.interpreted import LIMIT, NAMES, SHAPES_AND_DTYPES
from tests.noise.interpreted_of_p import CASES

triton = pytest.importorskip("triton")

pytestmark = pytest.mark.slow  # the interpreter takes ten seconds


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    path = tmp_path_factory.mktemp("interpreted") / "results.pt"
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.noise.interpreted", str(path)],
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    made: tuple[dict[str, Tensor], dict[str, Tensor]] = torch.load(path)
    return made


@pytest.fixture(autouse=True)
def the_limit_of_the_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adaptive_dropout.noise.gate.limit_of", lambda exponent: LIMIT)


def reference(name: str, x: Tensor, settings: Tensor, exponent: float) -> Tensor:
    if name == "gaussian":
        return gaussian_reference(x, settings, KEY)
    if name == "gate":
        return gate_reference(x, settings[0], settings[1], exponent, KEY)
    references = {"mask_add": mask_add_reference, "relu_mask": relu_mask_reference}
    return references.get(name, mask_reference)(x, *interpreted.others(name, x), settings, KEY)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("shape", "dtype"), SHAPES_AND_DTYPES)
def test_a_kernel_gives_the_bits_of_the_reference(
    name: str, dtype: torch.dtype, shape: tuple[int, ...], interpreter: Any
) -> None:
    for per_channel, exponent in interpreted.variants(name, shape, dtype):
        x, settings = interpreted.case(name, shape, dtype, per_channel)
        made = interpreter[0][f"{name} {shape} {dtype} {per_channel} {exponent}"]
        # torch's square root in float64 errs by a last bit; three roundings follow it.
        last_bits = 4 * torch.finfo(dtype).eps if (dtype, exponent) == (torch.float64, 1.5) else 0
        torch.testing.assert_close(made, reference(name, x, settings, exponent), rtol=last_bits, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_backward_kernel_gives_the_gradient_s_bits_and_the_sums(dtype: torch.dtype, interpreter: Any) -> None:
    x, settings = interpreted.case("gate", (9001,), dtype, False)
    gradient, odds, scale = x.flip(0), *settings
    out, sums = interpreter[1][f"out {dtype}"], interpreter[1][f"sums {dtype}"]
    assert torch.equal(out, gate_reference(gradient, odds, scale, 10.0, KEY))
    k = keep_reference(x, odds, 10.0, KEY).double()
    product = gradient.double() * x.double() * k
    rounding = 9001**0.5 * torch.finfo(dtype).eps * 10
    torch.testing.assert_close(sums.double().sum(1)[0], product.sum(), rtol=0, atol=rounding)
    torch.testing.assert_close(sums.double().sum(1)[1], (product * (1 - k)).sum(), rtol=0, atol=rounding)


@pytest.mark.parametrize("name", CASES)
def test_a_kernel_that_reads_p_gives_the_bits_of_the_reference_and_p_its_gradient(name: str, interpreter: Any) -> None:
    expected = CASES[name].expect()
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    torch.testing.assert_close(interpreter[2][name], expected, rtol=0, atol=CASES[name].error * scale)


KERNELS: dict[str, dict[str, Any]] = {
    "mask": {"law": 1, "shifted": False, "uniform": True},
    "mask_shared": {"law": 1, "shifted": False, "group": 8, "narrow": True},
    "mask_add": {"law": 1, "uniform": True},
    "relu_mask": {"law": 1, "uniform": True},
    "relu_mask_backward": {"law": 1, "uniform": True},
    "gaussian": {"law": 3, "uniform": True},
    "gaussian_backward": {"law": 3},
    "gate": {"law": 4, "exponent": 10.0, "limit": LIMIT, "uniform": True},
    "gate_backward": {"law": 4, "exponent": 1.5, "limit": LIMIT},
}
TYPES = {"drawn": "*i64", "held": "*fp32", "sums": "*fp32"} | dict.fromkeys(
    ("key", "size", "columns", "features", "shared"), "i64"
)


def modules_of(cuda: Any) -> list[Any]:
    return [cuda.masks, cuda.normals, cuda.gates, cuda.slopes]


def compile_for_a_device(name: str, dtype: str, choices: dict[str, Any]) -> str:
    """Return the assembly of a kernel for an H100, which needs none to be compiled."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from adaptive_dropout.noise import cuda

    kernel = next(vars(module)[name] for module in modules_of(cuda) if name in module.__all__)
    constants = {"whole": True, **choices, "work": triton.language.float32}
    constants = {argument: value for argument, value in constants.items() if argument in kernel.arg_names}
    signature = {
        argument: "constexpr" if argument in constants else TYPES.get(argument, f"*{dtype}")
        for argument in kernel.arg_names
    }
    aligned = [
        argument for argument, kind in signature.items() if kind.startswith("*") and argument not in ("held", "drawn")
    ]
    source = ASTSource(
        fn=kernel,
        signature=signature,
        constexprs={(kernel.arg_names.index(argument),): value for argument, value in constants.items()},
        attrs={(kernel.arg_names.index(argument),): [["tt.divisibility", 16]] for argument in aligned},
    )
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=cuda.launch.OPTIONS)
    return str(compiled.asm["ptx"])


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("name", KERNELS)
def test_the_compiler_takes_a_kernel_and_accesses_16_bytes_at_a_time(name: str, dtype: str) -> None:
    code = compile_for_a_device(name, dtype, KERNELS[name])
    assert "ld.global.v4.b32" in code
    assert "st.global.v4.b32" in code
    assert "fma.rn" not in code  # a product and a sum in one rounding would be other bits


def test_the_compiler_takes_shifts_by_channel() -> None:
    assert "fma.rn" not in compile_for_a_device("mask", "fp32", {"law": 2, "shifted": True, "uniform": False})


@pytest.mark.parametrize("name", ["gaussian_slope", "concrete_slope"])
def test_the_compiler_takes_what_adds_up_the_sums(name: str) -> None:
    assert "st.global" in compile_for_a_device(name, "fp32", {"temperature": 0.1})
