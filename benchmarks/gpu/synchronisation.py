"""Which layer makes the host wait for the device: forward, backward, and moving its rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn

import adaptive_dropout as ad
from benchmarks.gpu.cases import LAYERS
from benchmarks.gpu.run import Measured, Run, explain, skip

__all__ = ["measure", "waits"]

MOVED = 0.2


def measure(run: Run) -> Iterator[Measured]:
    """Yield yes or no for each layer and pass."""
    for name, case in LAYERS.items():
        if run.late():
            yield skip(name, "", "", "forward", "the time was up")
            continue
        try:
            layer = case.new().to(run.device).train()
            x = torch.randn(case.shape, device=run.device, requires_grad=True)
            calls = _calls(layer, x)
            for call in calls.values():
                call()  # compiles and allocates
        except Exception as error:
            yield skip(name, "", "", "forward", explain(error))
            continue
        for what, call in calls.items():
            if run.on_gpu:
                why = waits(call)
                yield Measured(name, "", "", what, float(not why), why)
            else:
                yield skip(name, "", "", what, "needs a GPU")


def waits(call: Callable[[], object]) -> str:
    """Return why ``call`` makes the host wait for the GPU, or an empty string if it does not."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        call()
    except RuntimeError as error:
        return explain(error)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return ""


def _calls(layer: nn.Module, x: torch.Tensor) -> dict[str, Callable[[], object]]:
    made: list[torch.Tensor] = []
    inputs = [x, *(parameter for parameter in layer.parameters() if parameter.requires_grad)]

    def forward() -> None:
        made[:] = [layer(x)]

    def backward() -> None:
        torch.autograd.grad(made[0], inputs, torch.ones_like(made[0]), allow_unused=True)

    calls: dict[str, Callable[[], object]] = {"forward": forward, "backward": backward}
    rates = ad.get_rates(layer, ad.SettableRate)
    if rates:
        calls["set_rates"] = lambda: ad.set_rates(layer, dict.fromkeys(rates, MOVED))
    return calls
