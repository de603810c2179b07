"""One run: SGD along half a cosine on shifted and mirrored images, for a fixed number of epochs, then the test."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from benchmarks.images.methods import METHODS
from benchmarks.images.network import NoNoise, ResNet

__all__ = ["Images", "Size", "train"]

MEAN, SPREAD = (0.491, 0.482, 0.447), (0.247, 0.243, 0.262)  # of the channels of CIFAR-10
DECAY, MOMENTUM = 5e-4, 0.9


@dataclass(frozen=True)
class Size:
    """How large a run is.

    Args:
        blocks: in each of the three stages.
        width: channels of the first stage.
        n_train: images that train.
        n_test: images that test.
        epochs: passes through the training images.
        batch: images a step.
        lr: the highest learning rate.
    """

    blocks: int
    width: int
    n_train: int
    n_test: int
    epochs: int
    batch: int
    lr: float


@dataclass(frozen=True)
class Images:
    """Photographs and their classes: uint8, (n, 32, 32, 3), and int64, (n,)."""

    x: Tensor
    y: Tensor


def train(size: Size, method: str, seed: int, images: tuple[Images, Images]) -> dict[str, float]:
    """Return what a run of ``method`` on training and test ``images`` came to: a number for each column."""
    torch.manual_seed(seed)
    training, test = images
    device = training.x.device
    chosen = METHODS[method]
    network = ResNet(size.blocks, size.width, chosen.branch, chosen.map)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    began = time.perf_counter()
    last = _fit(network, size, training, seed)
    loss, accuracy = _test(network, test)
    seconds = time.perf_counter() - began
    return {
        "test_accuracy": accuracy,
        "test_loss": loss,
        "train_loss": last,
        "lost": _measure_lost(network),
        "seconds": seconds,
    }


def _fit(network: nn.Module, size: Size, images: Images, seed: int) -> float:
    """Train; return the mean loss over the last epoch, noise and shifts included."""
    order = torch.Generator().manual_seed(seed)  # the same batches for each method
    steps = math.ceil(size.n_train / size.batch)
    optimizer = torch.optim.SGD(network.parameters(), 0.0, MOMENTUM, weight_decay=DECAY, nesterov=True)
    rates = [rate for _, rate in ad.named_rates(network, ad.ScheduledRate)]
    for rate in rates:
        rate.resolve(size.epochs * steps)
    padded = F.pad(images.x, (0, 0, 4, 4, 4, 4))
    network.train()
    total = torch.zeros((), device=images.x.device)
    for epoch in range(size.epochs):
        total.zero_()
        places = torch.randperm(size.n_train, generator=order)
        shifts = torch.randint(0, 9, (2, size.n_train), generator=order)
        mirrored = torch.rand(size.n_train, generator=order) < 0.5
        epoch_of = [each.to(images.x.device) for each in (places, shifts, mirrored)]
        for step in range(steps):
            done = epoch * steps + step
            for rate in rates:
                rate.set_step(done)
            optimizer.param_groups[0]["lr"] = size.lr * (1 + math.cos(math.pi * done / size.epochs / steps)) / 2
            part = slice(step * size.batch, (step + 1) * size.batch)
            rows = epoch_of[0][part]
            x = _shifted(padded, rows, epoch_of[1][:, part], epoch_of[2][part])
            with _autocast(x):
                loss = F.cross_entropy(network(x).float(), images.y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
    return total.item() / steps


def _shifted(padded: Tensor, rows: Tensor, shifts: Tensor, mirrored: Tensor) -> Tensor:
    """Return the images ``rows`` of ``padded``, shifted by up to 4 pixels and some of them mirrored: float32, NCHW."""
    pixels = torch.arange(32, device=padded.device)
    across = torch.where(mirrored[:, None], 31 - pixels, pixels) + shifts[1][:, None]
    down = pixels + shifts[0][:, None]
    return _scaled(padded[rows[:, None, None], down[:, :, None], across[:, None, :]])


def _scaled(x: Tensor) -> Tensor:
    mean, spread = (torch.tensor(each, device=x.device) for each in (MEAN, SPREAD))
    return ((x / 255 - mean) / spread).permute(0, 3, 1, 2)


def _autocast(x: Tensor) -> torch.autocast:
    return torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda)


@torch.no_grad()
def _test(network: nn.Module, images: Images) -> tuple[float, float]:
    network.eval()
    with _autocast(images.x):
        logits = torch.cat([network(_scaled(x)).float() for x in images.x.split(500)])
    accuracy = (logits.argmax(1) == images.y).double().mean().item()
    return F.cross_entropy(logits, images.y).item(), accuracy


@torch.no_grad()
def _measure_lost(network: ResNet) -> float:
    """Return the mean share of a map that noise on maps sets to 0, at the rates of the end; 0 without such noise."""
    network.train()
    shares = []

    def see(layer: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        (x,) = inputs
        ones = torch.ones(100, *x.shape[1:], device=x.device)
        shares.append(torch.stack([(layer.forward(ones) == 0).double().mean() for _ in range(10)]).mean().item())

    layers = [block.map_noise for block in network.features if hasattr(block, "map_noise")]
    hooks = [layer.register_forward_hook(see) for layer in layers if not isinstance(layer, NoNoise)]
    network(torch.zeros(2, 3, 32, 32, device=next(network.parameters()).device))
    for hook in hooks:
        hook.remove()
    return sum(shares) / max(len(shares), 1)
