"""A training step of a GPT of nanoGPT's size: without the library, with its layers, and with the callback too."""

from __future__ import annotations

import functools
import random
import statistics
import string
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout
from adaptive_dropout.data import Text
from adaptive_dropout.networks import GPT
from adaptive_dropout.tasks import LanguageModel
from benchmarks.gpu.run import Measured, Run, explain, skip
from benchmarks.gpu.steps import StepClock
from benchmarks.gpu.timing import clock_of, compare, keep_running
from benchmarks.speed.timing import Call
from benchmarks.study.training import quiet_trainer

__all__ = ["CausalAttention", "fit", "measure", "new_bench", "new_network", "new_step"]

P = 0.2
FULL = {"layers": 6, "heads": 6, "channels": 384, "context": 256}
QUICK = {"layers": 1, "heads": 2, "channels": 16, "context": 8}
BATCH, QUICK_BATCH = 64, 4
EVERY, VALIDATIONS, VALIDATION_BATCHES = 60, 2, 4  # steps, and validations of a fit
FITS = 2  # of each method, in turn
WITHOUT, OURS, STEERED, CONVERTED = "without the library", "our layers", "our layers, callback", "nn.Dropout, callback"


class CausalAttention(nn.Module):
    """The attention of `GPT`, with its weights, by torch's kernel, which takes p as a Python number."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.heads, self.dropout = attention.heads, attention.dropout
        self.query_key_value, self.output = attention.query_key_value, attention.output

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed values, of the shape of ``x``."""
        query, key, value = self.query_key_value(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        p = self.dropout.p if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=p, is_causal=True)
        y: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return y


class Model(LanguageModel):
    """Compiled or not where it trains; it always evaluates uncompiled, so that only one graph is compiled."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.network(x) if self.training else self.network.forward(x)
        return logits


class Bench(NamedTuple):
    """The networks of one mode, eager or compiled, and what trains them.

    Args:
        run: the conditions.
        mode: "eager" or "compiled".
        data: what they are trained on.
        networks: by name; `STEERED` takes that of `OURS`, so that it is compiled once.
        folder: where a trainer may write.
    """

    run: Run
    mode: str
    data: Text
    networks: dict[str, GPT]
    folder: Path


def measure(run: Run) -> Iterator[Measured]:
    """Yield ms of a step in a plain loop and in Lightning's trainer, uncompiled first."""
    with tempfile.TemporaryDirectory() as folder:
        for mode in ("eager", "compiled"):
            bench = new_bench(run, mode, Path(folder))
            for part in (_loop, _fits):
                if run.late():
                    yield skip(OURS, mode, "", "ms", "the time was up")
                    continue
                try:
                    yield from part(bench)
                except Exception as error:
                    yield skip(OURS, mode, "", "ms", explain(error))


def new_bench(run: Run, mode: str, folder: Path) -> Bench:
    """Make data and networks."""
    data = _make_data(run, folder)
    data.setup()
    networks = {
        WITHOUT: new_network(lambda: nn.Dropout(P), True, data.vocabulary, run),
        OURS: new_network(lambda: ad.Dropout(P), False, data.vocabulary, run),
        CONVERTED: new_network(lambda: nn.Dropout(P), True, data.vocabulary, run),
    }
    if mode == "compiled":
        del networks[CONVERTED]  # its attention takes p as a number: compiled anew at each decision
        for network in networks.values():
            network.compile(backend=run.backend)  # in place: the callback finds the layers by their names
    return Bench(run, mode, data, networks, folder)


def new_network(dropout: Callable[[], nn.Module], by_torch: bool, vocabulary: int, run: Run) -> GPT:
    """Return a GPT, the same for every dropout; ``by_torch`` replaces its attention by torch's."""
    torch.manual_seed(0)
    network = GPT(vocabulary, **run.choose(FULL, QUICK), dropout=dropout)
    for block in network.blocks if by_torch else ():
        block.attention = CausalAttention(block.attention)
    return network.to(run.device).train()


def fit(bench: Bench, name: str) -> StepClock:
    """Train the network of ``name`` for some steps from the same rates, with the callback if the name says so."""
    run, network = bench.run, bench.networks[OURS if name == STEERED else name]
    ad.set_rates(network, dict.fromkeys(ad.get_rates(network), P))
    clock = StepClock(run.on_gpu, skipped=run.choose(10, 1))
    trainer = quiet_trainer(
        run.choose(EVERY, 3),
        run.choose(VALIDATIONS, 2),
        [clock, *([AdaptiveDropout()] if name in (STEERED, CONVERTED) else [])],
        accelerator="gpu" if run.on_gpu else "cpu",
        precision="bf16-mixed",
        limit_val_batches=run.choose(VALIDATION_BATCHES, 1),
        default_root_dir=bench.folder,
    )
    optimizer = functools.partial(torch.optim.AdamW, lr=1e-3, fused=True)
    trainer.fit(Model(network, optimizer), bench.data)  # type: ignore[arg-type]
    return clock


def new_step(bench: Bench, name: str) -> Call:
    """Return a call that trains the network of ``name`` on one batch, always the same."""
    run, network = bench.run, bench.networks[name]
    tokens, following = (part.to(run.device) for part in next(iter(bench.data.train_dataloader())))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        # No cache of casts, as in Lightning: one compiled graph serves both.
        with torch.autocast(run.device, dtype=torch.bfloat16, cache_enabled=False):
            loss = F.cross_entropy(network(tokens).flatten(0, 1), following.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _loop(bench: Bench) -> Iterator[Measured]:
    """Time steps of two networks in a plain loop, in turns."""
    calls, reasons = keep_running({name: new_step(bench, name) for name in (WITHOUT, OURS)})
    for name, why in reasons.items():
        yield skip(name, f"{bench.mode}, a loop", "", "ms", why)
    seconds = compare(calls, clock_of(bench.run), bench.run.choose(5, 1), bench.run.choose(3.0, 0.0))
    yield from _ratios(f"{bench.mode}, a loop", seconds)


def _fits(bench: Bench) -> Iterator[Measured]:
    """Fit each method several times, in changing order, with the same validations."""
    clocks: dict[str, list[StepClock]] = {name: [] for name in (*bench.networks, STEERED)}
    order, shuffle = list(clocks), random.Random(0).shuffle
    for _ in range(bench.run.choose(FITS, 1)):
        shuffle(order)
        for name in order:
            if not bench.run.late():
                clocks[name].append(fit(bench, name))
    measured = {name: found for name, found in clocks.items() if found}
    medians = {name: statistics.median([clock.median() for clock in found]) for name, found in measured.items()}
    means = {name: statistics.median([clock.mean() for clock in found]) for name, found in measured.items()}
    yield from _ratios(f"{bench.mode}, a Trainer", medians)
    yield from _ratios(f"{bench.mode}, a Trainer with validations", means)


def _ratios(setting: str, seconds: dict[str, float]) -> Iterator[Measured]:
    for name, taken in seconds.items():
        yield Measured(name, setting, "", "ms", 1e3 * taken)
        if WITHOUT in seconds:
            yield Measured(name, setting, "", "x without", taken / seconds[WITHOUT])


def _make_data(run: Run, folder: Path) -> Text:
    """Return windows of a random text of 65 characters, as tiny Shakespeare has."""
    characters = (string.ascii_letters + string.digits + " .,")[:65]
    file = folder / "text.txt"
    file.write_text("".join(random.Random(0).choices(characters, k=run.choose(400_000, 4000))))
    context = run.choose(FULL, QUICK)["context"]
    return Text(file, context, run.choose(BATCH, QUICK_BATCH), val_fraction=0.5, steps_per_epoch=run.choose(EVERY, 3))
