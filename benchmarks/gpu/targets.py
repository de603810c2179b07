"""The targets, as data, and which of them a run meets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from benchmarks.gpu.attention import SIZES
from benchmarks.gpu.cases import TIMED
from benchmarks.gpu.noises import NOISES
from benchmarks.gpu.results import Row

__all__ = ["TARGETS", "Outcome", "Target", "find_outcomes"]


@dataclass(frozen=True)
class Target:
    """A bound on one quantity of one subject, in every setting and at every size that it names.

    Args:
        says: what is promised.
        section: of the rows that it is about.
        subject, quantity, setting: patterns of shell style for the fields of these rows.
        most: the value has to be at most this,
        least: and at least this.
        sizes: the first and the last number of elements; or the text of one size.
    """

    says: str
    section: str
    subject: str
    quantity: str
    most: float = math.inf
    least: float = -math.inf
    setting: str = "*"
    sizes: tuple[float, float] | str = (-math.inf, math.inf)

    def is_about(self, row: Row) -> bool:
        """Return whether ``row`` has to keep to the bound."""
        pairs = ((row.subject, self.subject), (row.quantity, self.quantity), (row.setting, self.setting))
        return row.section == self.section and all(fnmatchcase(*pair) for pair in pairs) and self._fits(row.size)

    def miss(self, value: float) -> float:
        """Return how many times too much or too little ``value`` is; at most 1 if the target is met."""
        if self.most < math.inf:
            return value / self.most if self.most else 1 + value
        return self.least / value if value > 0 else math.inf

    def _fits(self, size: str) -> bool:
        if isinstance(self.sizes, str):
            return size == self.sizes
        digits = size.replace(",", "")
        return not digits.isdigit() or self.sizes[0] <= int(digits) <= self.sizes[1]


@dataclass(frozen=True)
class Outcome:
    """What became of a target: the row that is the worst for it, if there is any, and in how many of all it is missed.

    Args:
        target: what was promised.
        worst: the row; None if nothing was measured.
        missed: how many rows miss the target.
        failed: how many could not be measured.
        rows: how many there are.
    """

    target: Target
    worst: Row | None
    missed: int
    failed: int
    rows: int

    @property
    def met(self) -> bool | None:
        """Whether every row meets the target; None if one or all could not be measured and none misses it."""
        if self.missed:
            return False
        return None if self.failed or self.worst is None else True


def find_outcomes(rows: Sequence[Row], targets: Sequence[Target]) -> Iterator[Outcome]:
    """Yield the outcome of each target: missed first and the worst of them first, then not measured, then met."""
    outcomes = [_judge(target, rows) for target in targets]
    order = {False: 0, None: 1, True: 2}
    yield from sorted(outcomes, key=lambda outcome: (order[outcome.met], -_size_of_miss(outcome)))


def _judge(target: Target, rows: Sequence[Row]) -> Outcome:
    about = [row for row in rows if target.is_about(row)]
    measured = [row for row in about if not math.isnan(row.value)]
    worst = max(measured, key=lambda row: target.miss(row.value), default=None)
    missed = sum(target.miss(row.value) > 1 for row in measured)
    return Outcome(target, worst, missed, len(about) - len(measured), len(about))


def _size_of_miss(outcome: Outcome) -> float:
    return 0.0 if outcome.worst is None else outcome.target.miss(outcome.worst.value)


def _list_targets() -> Iterator[Target]:
    for name in TIMED:
        yield from _list_times(name)
        if name != "ConcreteDropout":  # it adds two sums over all elements
            for setting, most in (("forward", 1), ("forward+backward", 2)):
                yield Target("one kernel each way", "host", name, "kernels", most, setting=setting)
    largest = " x ".join(map(str, SIZES[-1]))
    for quantity in ("x torch", "x torch's MB"):
        yield Target("1.3 x torch's fused attention", "attention", "ours fused", quantity, 1.3, sizes=largest)
    yield Target("one graph for 20 values of p", "attention", "ours fused, compiled", "graphs", 1)
    for name in ("our layers", "our layers, callback"):
        yield Target("1.05 x the step without the library", "training", name, "x without", 1.05)
    yield Target("no synchronisation", "synchronisation", "*", "*", least=1)
    yield Target("the noise is as strong as p says", "layers", "*", "standard errors from p", 5)
    yield Target("the gradient is the mask", "layers", "*", "gradient is the mask", least=1)
    yield Target("a CUDA graph draws new noise and follows p", "layers", "*", "a* replay*", least=1)
    yield Target("compiled and eager draw the same noise", "layers", "*", "as eager", least=1)
    yield Target("one graph for 21 values of p", "layers", "*", "graphs", 1)
    for name in NOISES:
        if name == "concrete":  # odds and scale come from other operations
            yield Target("1e-5 from the reference", "bits", name, "largest difference", 1e-5, setting="fp32")
        else:
            yield Target("the bits of the reference", "bits", name, "equal", least=1)


def _list_times(name: str) -> Iterator[Target]:
    ratio, share = ("times", name, "x torch"), ("times", name, "of copy")
    yield Target("1.3 x torch up to 1M elements", *ratio, 1.3, setting="eager*", sizes=(0, 1 << 20))
    yield Target("faster than torch from 4M", *ratio, 1.0, setting="eager*", sizes=(1 << 22, math.inf))
    yield Target("90 % of the copy bandwidth from 64M", *share, least=0.9, setting="eager*", sizes=(1 << 26, math.inf))


TARGETS = tuple(_list_targets())
