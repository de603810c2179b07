"""The toy problem of concrete dropout: ``python -m benchmarks.learned.toy``, about ten minutes on one core.

y = 2x + 8 + N(0, 1), three dense layers of 1024 with ReLU and two heads, mean and log-variance, all five with concrete
dropout of their input. ``published`` trains as the authors' code does, where rates stop as far as Adam has moved them;
``converged`` gives the logits ten times the learning rate and all of it ten times the steps.

Source: Gal, Hron and Kendall (2017), section 4.1, and their code.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from benchmarks.learned.runs import Row, add_options
from benchmarks.report.markdown import table
from benchmarks.study.place import here
from benchmarks.study.rows import append, read

__all__ = ["RECIPES", "RESULTS", "Recipe", "Toy", "draw", "main", "rmse", "train", "write_lines"]

RESULTS = Path(__file__).with_name("toy.csv")
STEPS = {10: 2000, 25: 2000, 50: 1500, 100: 1000, 1000: 1000, 10000: 1000}
BATCH = 20
RMSE, FIRST, OTHERS = range(3)
PUBLISHED = {  # n: RMSE, p of layer 1, p of layers 2 to 4
    10: (1.901, 0.0761, 0.403),
    25: (1.349, 0.0797, 0.403),
    50: (1.238, 0.0678, 0.325),
    100: (1.258, 0.0734, 0.236),
    1000: (1.036, 0.0558, 0.232),
    10000: (1.004, 0.0511, 0.15),
}
NEAR = 0.01  # of p of layers 2 to 4
VALUES = ("RMSE", "p of layer 1", "p of layers 2 to 4")
HEADER = ["n", "steps", "seeds", *(name for value in VALUES for name in (value, "published")), "apart"]


@dataclass(frozen=True)
class Recipe:
    """How long the network is trained, in units of the published steps, and how fast its rates move."""

    times: int
    rate_lr: float


RECIPES = {"published": Recipe(1, 1e-3), "converged": Recipe(10, 1e-2)}


class Toy(nn.Module):
    """(batch, 1) -> mean and log-variance, each (batch, 1); weights begin as in Keras, uniform by Glorot, biases 0."""

    def __init__(self, width: int = 1024) -> None:
        super().__init__()
        sizes = [(1, width), (width, width), (width, width), (width, 1), (width, 1)]
        self.layers = nn.ModuleList(ad.ConcreteDropout.wrap(_dense(*size), 0.1, length_scale=1e-4) for size in sizes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance."""
        *hidden, mean, log_variance = self.layers
        for layer in hidden:
            x = layer(x).relu()
        return mean(x), log_variance(x)


def _dense(before: int, after: int) -> nn.Linear:
    layer = nn.Linear(before, after)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def draw(n: int) -> tuple[Tensor, Tensor]:
    """Return ``n`` examples, x and y, each (n, 1)."""
    x = torch.randn(n, 1)
    return x, 2 * x + 8 + torch.randn(n, 1)


def train(model: Toy, data: tuple[Tensor, Tensor], recipe: Recipe, steps: int) -> None:
    """Take ``steps`` steps of Adam on the heteroscedastic loss and its penalty, whole epochs in a new order each."""
    (x, y), loss_kind = data, ad.MeanLoss("heteroscedastic", n=len(data[0]))
    optimizer = torch.optim.Adam(ad.rate_param_groups(model, lr=1e-3, rate_lr=recipe.rate_lr), eps=1e-7, fused=True)
    done = 0
    while done < steps:
        for part in torch.randperm(len(x)).split(BATCH):
            mean, log_variance = model(x[part])
            loss = ((y[part] - mean) ** 2 * (-log_variance).exp() + log_variance).mean()
            total = loss + loss_kind.of(1.0) * len(x) * ad.penalty(model, len(x))
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            done += 1


@torch.no_grad()
def rmse(model: Toy, data: tuple[Tensor, Tensor], samples: int = 20) -> float:
    """Return the root mean squared error of the mean over ``samples`` draws of the noise."""
    means = torch.stack([model.train()(data[0])[0] for _ in range(samples)])
    return (means.mean(0) - data[1]).square().mean().sqrt().item()


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one network for each n and seed, append a row for each, and write the table."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    place = here()
    recipe = RECIPES[options.variant]
    for n in options.n:
        for seed in options.seeds:
            torch.manual_seed(seed)
            model, data, steps = Toy(options.width), draw(n), int(STEPS[n] * recipe.times * options.part)
            begun = time.perf_counter()
            train(model, data, recipe, steps)
            seconds = time.perf_counter() - begun
            rates = tuple(ad.get_rates(model).values())
            score = rmse(model, draw(1000))
            run = (options.variant, n, seed, steps, score, rates, seconds)
            append(options.out, Row(*vars(place).values(), *run))
    options.out.with_suffix(".md").write_text("\n".join(write_lines(read(options.out, Row))) + "\n")


def write_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the table: the published recipe, its misses first, then the converged one, which has no counterpart."""
    yield "# Concrete dropout, the toy problem"
    yield ""
    place = rows[-1]
    yield (
        "y = 2x + 8 + N(0, 1), 3 x 1024 with ReLU, length scale 1e-4; means over seeds, with their standard deviation "
        "where there are several. RMSE on 1000 new examples, of the mean of 20 samples: 1 is the noise. "
        f"{place.machine}; {place.versions}; last commit {place.commit}, {place.started}."
    )
    for variant in ("published", "converged"):
        mine = [row for row in rows if row.variant == variant]
        if mine:
            yield ""
            yield f"## {variant.capitalize()} recipe"
            yield ""
            lines = [_line(mine, n, variant == "published") for n in PUBLISHED if _select(mine, n)]
            yield from table(HEADER, sorted(lines, key=lambda line: not line[-1].startswith("**")))


def _select(rows: Sequence[Row], n: int) -> list[Row]:
    return list({row.seed: row for row in rows if row.n == n}.values())  # the last run of each seed


def _line(rows: Sequence[Row], n: int, known: bool) -> list[str]:
    runs = _select(rows, n)
    published = PUBLISHED[n]
    others = [statistics.mean(row.rates[1:4]) for row in runs]
    apart = statistics.mean(others) - published[OTHERS]
    shown = f"{apart:+.3f}" if abs(apart) <= NEAR else f"**{apart:+.3f}**"
    expected = [f"{published[which]:g}" if known else "" for which in (RMSE, FIRST, OTHERS)]
    return [
        str(n),
        str(runs[0].steps),
        str(len(runs)),
        _show([row.score for row in runs]),
        expected[0],
        _show([row.rates[0] for row in runs], 4),
        expected[1],
        _show(others),
        expected[2],
        shown if known else "",
    ]


def _show(values: Sequence[float], digits: int = 3) -> str:
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learned.toy", description=__doc__)
    parser.add_argument("--variant", choices=list(RECIPES), default="published")
    parser.add_argument("--n", type=int, nargs="+", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--width", type=int, default=1024, help="other than the published one only to try things")
    parser.add_argument("--part", type=float, default=1.0, help="of the steps; less than 1 only to try things")
    return add_options(parser, [0, 1, 2], RESULTS)


if __name__ == "__main__":
    main()
