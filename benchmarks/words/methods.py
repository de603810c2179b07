"""What is compared: no dropout, the published rate between layers, the trio at published rates, and steered rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import lightning.pytorch as L

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout
from adaptive_dropout.networks import LSTMLanguageModel
from benchmarks.study.study import Kinds
from benchmarks.words.task import Words

__all__ = ["METHODS", "Method", "Trio"]


@dataclass(frozen=True)
class Trio:
    """The rates of locked dropout before, between and behind the layers, of words, and of recurrent weights.

    The defaults are those of AWD-LSTM on this text.

    Source: Merity, Keskar and Socher (2018), section 5.
    """

    embedding: float = 0.1
    input: float = 0.4
    weight: float = 0.5
    hidden: float = 0.25
    output: float = 0.4

    def network(self, vocabulary: int, task: Words) -> LSTMLanguageModel:
        """Return the network of ``task`` with all three noises."""
        network = LSTMLanguageModel(
            vocabulary,
            dropout=lambda: ad.LockedDropout(self.input, batch_first=True),
            embedding_p=self.embedding,
            weight_p=self.weight,
            **task.sizes,
        )
        ad.set_rates(network, {"hidden_dropouts.0": self.hidden, "output_dropout": self.output})
        return network


@dataclass(frozen=True)
class Method:
    """The noise, and what moves its rates.

    Args:
        trio: the rates of the trio; None is torch's dropout between layers at the rate ``p``.
        p: in [0, 1), for that.
        rule: steers the rates; None leaves them.
    """

    trio: Trio | None = None
    p: float = 0.0
    rule: ad.Controller | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.p < 1:
            raise ValueError(f"p has to be in [0, 1), but got {self.p}")

    def model(self, vocabulary: int, task: Words) -> L.LightningModule:
        """Return what is trained."""
        if self.trio is not None:
            return task.train(self.trio.network(vocabulary, task))
        network = LSTMLanguageModel(vocabulary, dropout=lambda: ad.Dropout(self.p), **task.sizes)
        return task.train(network)

    def callbacks(self) -> Sequence[L.Callback]:
        """Return what a user adds to the trainer."""
        return [] if self.rule is None else [AdaptiveDropout(self.rule)]


def none() -> Method:
    """No dropout."""
    return Method()


def between(p: float = 0.5) -> Method:
    """Dropout of ``p`` between layers and not between times, as Zaremba et al. (2014)."""
    return Method(p=p)


def trio() -> Method:
    """Locked dropout, weight drop and embedding dropout at the rates of AWD-LSTM."""
    return Method(Trio())


def steered() -> Method:
    """The trio under the default rule of `AdaptiveDropout`, which starts at .2 and moves all rates alike."""
    return Method(Trio(), rule=ad.RestartController())


def apart() -> Method:
    """The trio under `AdaptiveDropout` with hypergradients, which move the five rates apart, from .2 on."""
    return Method(Trio(), rule=ad.RestartController(ad.HypergradientController()))


METHODS: Kinds = {kind.__name__: kind for kind in (none, between, trio, steered, apart)}
"""Every kind of method by its name."""
