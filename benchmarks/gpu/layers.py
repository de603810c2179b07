"""Whether layers do what they say on the device: drop as often as p, eager and compiled alike, and in CUDA graphs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters

import adaptive_dropout as ad
from benchmarks.gpu.cases import LAYERS, Layer, P
from benchmarks.gpu.run import Measured, Run, explain, skip
from benchmarks.gpu.timing import as_graph

__all__ = ["deviation", "gradient_is_mask", "measure"]

COMPILED = ("Dropout", "Dropout2d", "DropPath", "AlphaDropout", "GaussianDropout", "ConcreteDropout", "dropout_add")
CHANGES = 20
RELATIVE = 1e-4  # compiled code may contract operations; another mask differs by everything


def measure(run: Run) -> Iterator[Measured]:
    """Yield what each layer does without compilation, then compiled."""
    known = [name for name, case in LAYERS.items() if case.dims]
    for name in known:
        yield from _try(run, name, "standard errors from p", _check_noise)
    for name in known if run.on_gpu else ():
        yield from _try(run, name, "all replays differ", _check_graph)
    for name in run.choose(COMPILED, COMPILED[:1]):
        yield from _try(run, name, "as eager", _check_compiled)


def deviation(y: Tensor, dims: int, drops: bool) -> float:
    """Return how far ``y``, noisy ones, is from what p promises, in standard errors; ``dims`` as in `cases.Layer`.

    Of a mask that is how often it drops; of any other noise, its mean of 1.
    """
    y = y.detach().double()
    y = y if dims == y.dim() else y.flatten(dims)[..., 0]  # one element for each draw
    if not drops:
        return float(abs(y.mean() - 1) / (y.std() / y.numel() ** 0.5))
    return abs(float((y == y.min()).double().mean()) - P) / (P * (1 - P) / y.numel()) ** 0.5


def gradient_is_mask(y: Tensor, gradient: Tensor, drops: bool) -> bool:
    """Return whether the gradient of the sum of ``y``, noisy ones, is the noise that was drawn."""
    if not drops:
        return torch.equal(y.detach(), gradient)
    return torch.equal(gradient, torch.where(y == y.min(), 0, gradient.max()))


def _check_noise(run: Run, name: str, case: Layer) -> Iterator[Measured]:
    layer, x = _make(case, run)
    y = layer(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    yield Measured(name, "", "", "standard errors from p", deviation(y, case.dims, case.drops))
    yield Measured(name, "", "", "gradient is the mask", float(gradient_is_mask(y, gradient, case.drops)))


def _check_graph(run: Run, name: str, case: Layer) -> Iterator[Measured]:
    """Replay a graph: each time another mask, and the p of that time."""
    layer, x = _make(case, run)
    held = torch.empty_like(x)

    def call() -> None:
        with torch.no_grad():
            held.copy_(layer(x))

    replay = as_graph(call, 1)
    replay()
    first = held.clone()
    replay()
    yield Measured(name, "", "", "all replays differ", float(not torch.equal(first, held)))
    if rates := ad.get_rates(layer, ad.SettableRate):
        ad.set_rates(layer, dict.fromkeys(rates, 0.0))
        replay()
        still = held.clone()
        replay()
        yield Measured(name, "", "", "a replay follows p", float(torch.equal(still, held)))


def _check_compiled(run: Run, name: str, case: Layer) -> Iterator[Measured]:
    torch._dynamo.reset()
    counters.clear()
    layer, x = _make(case, run)
    compiled = torch.compile(layer, backend=run.backend)
    equal: list[Tensor] = []
    for seed in range(CHANGES + 1):
        _move(layer, (10 + 2 * seed) / 100)
        outcomes = []
        for call in (layer, compiled):
            torch.manual_seed(seed)
            y = call(x)
            outcomes += [y.detach(), torch.autograd.grad(y.sum(), x)[0]]
        pairs = zip(outcomes[:2], outcomes[2:], strict=True)
        equal += [torch.isclose(*pair, rtol=RELATIVE).float().mean() for pair in pairs]
    yield Measured(name, run.backend, "", "as eager", float(torch.stack(equal).min()))
    yield Measured(name, run.backend, "", "graphs", counters["stats"]["unique_graphs"])


def _move(layer: nn.Module, p: float) -> None:
    if rates := ad.get_rates(layer, ad.SettableRate):
        ad.set_rates(layer, dict.fromkeys(rates, p))
    for _, rate in ad.named_rates(layer, ad.LearnedRate):
        with torch.no_grad():
            rate.logit.fill_(math.log(p / (1 - p)))


def _make(case: Layer, run: Run) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return case.new().to(run.device).train(), torch.ones(case.shape, device=run.device, requires_grad=True)


def _try(
    run: Run, name: str, quantity: str, check: Callable[[Run, str, Layer], Iterator[Measured]]
) -> Iterator[Measured]:
    """Yield what ``check`` yields, and one row with the reason if it cannot go on."""
    if run.late():
        yield skip(name, "", "", quantity, "the time was up")
        return
    try:
        yield from check(run, name, LAYERS[name])
    except Exception as error:
        yield skip(name, "", "", quantity, explain(error))
