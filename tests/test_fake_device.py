"""The stand-in for a device finds what waits, and its backward pass is torch's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.fake_device import backward, fake_cuda, no_waits

WAITS: dict[str, Callable[[Tensor], object]] = {
    "a number is read": lambda x: x.sum().item(),
    "a condition is read": lambda x: bool((x > 0).all()),
    "a number of Python's becomes a tensor": lambda x: torch.tensor(0.5, device="cuda"),
    "a tensor goes to the CPU": lambda x: x.cpu(),
    "a tensor comes from the CPU": lambda x: torch.ones(2, device="cpu").to("cuda"),
    "a tensor of the CPU is written": lambda x: x.copy_(torch.ones(2, device="cpu")),
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_what_waits_for_the_device_is_found(wait: Callable[[Tensor], object]) -> None:
    with fake_cuda():
        x = torch.ones(2)
        with no_waits(), pytest.raises(AssertionError, match=r"reads from cuda|copies from"):
            wait(x)


def test_what_does_not_wait_is_let_through() -> None:
    with fake_cuda():
        x = torch.ones(2)
        with no_waits():
            x.fill_(0.5)
            torch.where(x > 0, x, 0.0)
            torch.full((), 0.5)
            x + torch.ones((), device="cpu")  # a kernel gets the number as an argument


def test_the_backward_pass_gives_the_gradients_of_torchs() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    x = torch.randn(5, 3)

    def gradients(run: Callable[[Tensor], None]) -> list[Tensor]:
        model.zero_grad()
        hidden = model(x) + model[0].bias[:2]
        run((hidden * hidden.sum(1, keepdim=True)).mean())
        return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]

    wanted = gradients(lambda loss: loss.backward())
    for ours, torchs in zip(gradients(backward), wanted, strict=True):
        torch.testing.assert_close(ours, torchs)
