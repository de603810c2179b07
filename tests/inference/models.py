"""Models as others write them, and the loop over full passes that samples are compared with."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.networks import GPT


def mlp() -> nn.Module:
    layers = [nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Linear(64, 3))


def our_mlp() -> nn.Module:
    first = [nn.Linear(20, 64), nn.SELU(), ad.AlphaDropout(0.1), nn.Linear(64, 64), nn.ReLU(), ad.Dropout(0.3)]
    return nn.Sequential(*first, ad.GaussianDropout(0.3), nn.Linear(64, 64), ad.ConcreteDropout(0.2), nn.Linear(64, 3))


def learned() -> nn.Module:
    """Every layer whose noise is learned or depends on the input."""
    strong = ad.SparseLinear(64, 64)
    nn.init.constant_(strong.rate.log_variance, -6.0)
    block = ad.Standout(nn.Linear(20, 64), nn.ReLU())
    noisy = [ad.ContextualDropout(64, 0.2), ad.VariationalLinear(64, 64, p=0.3), strong, ad.BernoulliDropout(0.2)]
    return nn.Sequential(block, *noisy, ad.VariationalDropout(0.2), ad.ConcreteDropout.wrap(nn.Linear(64, 3), 0.2))


def cnn() -> nn.Module:
    """With BatchNorm, masks of channels, and dropout in place."""
    maps = [nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.2), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)]
    return nn.Sequential(*maps, nn.ReLU(), nn.Flatten(), nn.Dropout(0.5, inplace=True), nn.Linear(8 * 16, 3))


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.2, batch_first=True)
    return nn.TransformerEncoder(layer, 2)


class Recurrent(nn.Module):
    """A recurrent layer, (batch, time, ...) or with time first, that drops between its layers, and dropout around."""

    def __init__(self, kind: type[nn.RNNBase], batch_first: bool) -> None:
        super().__init__()
        self.before, self.after = nn.Dropout(0.2), nn.Dropout(0.2)
        self.layer = kind(5, 8, num_layers=2, dropout=0.4, batch_first=batch_first)
        self.output = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.after(self.layer(self.before(x))[0]))


class OnlyInside(nn.Module):
    """Drops nowhere but between the layers of an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(5, 8, num_layers=2, dropout=0.4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0][:, -1]


class Functional(nn.Module):
    """Its residual connection goes around a functional dropout, and its weights are dropped, too."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(20, 20)

    def forward(self, x: Tensor) -> Tensor:
        x = x + F.dropout(self.dense(x), 0.3, self.training)
        return F.linear(x, F.dropout(self.dense.weight, p=0.3, training=self.training))


class Untraceable(nn.Module):
    """What it computes depends on the numbers that it has: neither torch.fx nor torch.vmap can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.dense, self.dropout = nn.Linear(20, 20), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.dense(x))
        return x.relu() if x.sum().item() > 0 else x.sigmoid()


class InPlace(nn.Module):
    """Reads again what dropout in place has written to."""

    def __init__(self) -> None:
        super().__init__()
        self.dense, self.dropout = nn.Linear(20, 20), nn.Dropout(0.5, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dense(x).relu()
        return self.dropout(x) + x


class SkipsLayers(nn.Module):
    """Asks Python's generator which layers to leave out."""

    def __init__(self) -> None:
        super().__init__()
        self.dense, self.dropout = nn.Linear(20, 20), nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.dense(x)) if random.random() < 0.5 else x


class PackedInside(OnlyInside):
    """Gives its LSTM a packed sequence."""

    def forward(self, x: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.full((len(x),), x.shape[1]), batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(self.layer(packed)[0], batch_first=True)[0][:, -1]


ROWS, IMAGES, SEQUENCES = (4, 20), (4, 1, 8, 8), (4, 7, 5)
AT_ONCE = {
    "MLP": (mlp, ROWS),
    "MLP of ours": (our_mlp, ROWS),
    "learned": (learned, ROWS),
    "CNN": (cnn, IMAGES),
    "encoder": (encoder, (4, 6, 16)),
    "LSTM": (lambda: Recurrent(nn.LSTM, True), SEQUENCES),
    "GRU": (lambda: Recurrent(nn.GRU, False), SEQUENCES),
    "RNN": (lambda: Recurrent(nn.RNN, False), SEQUENCES),
    "inside an LSTM": (OnlyInside, SEQUENCES),
    "functional": (Functional, ROWS),
    "GPT": (lambda: GPT(11, context=6, layers=1, heads=2, channels=8), (2, 6)),
}
IN_A_LOOP = {
    "untraceable": (Untraceable, ROWS),
    "in place": (InPlace, ROWS),
    "skips layers": (SkipsLayers, ROWS),
    "packed": (PackedInside, SEQUENCES),
}


def input_of(name: str) -> Tensor:
    shape = (AT_ONCE | IN_A_LOOP)[name][1]
    return torch.randint(11, shape) if name == "GPT" else torch.randn(shape)


def loop(model: nn.Module, x: Tensor, samples: int) -> Tensor:
    with ad.mc_dropout(model), torch.no_grad():
        return torch.stack([model(x) for _ in range(samples)])


def standard_errors_apart(a: Tensor, b: Tensor) -> float:
    """The largest distance between the means of two sets of samples, in standard errors."""
    error = (a.var(0) / len(a) + b.var(0) / len(b)).sqrt()
    return ((a.mean(0) - b.mean(0)).abs() / error.clamp(min=1e-6)).max().item()
