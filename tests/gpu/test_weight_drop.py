"""Dropped weights of a recurrent layer take cuDNN's usual path, and are what the parameters times a mask would give."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout.functional import weight_drop

KINDS = {
    "lstm": lambda: nn.LSTM(32, 48, num_layers=2),
    "bidirectional": lambda: nn.LSTM(32, 48, num_layers=2, bidirectional=True, batch_first=True),
    "gru": lambda: nn.GRU(32, 48),
}


@pytest.mark.parametrize("kind", KINDS)
def test_cudnn_gets_its_weights_in_one_piece_and_says_nothing(kind: str, device: torch.device) -> None:
    plain = KINDS[kind]().to(device)
    module = ad.WeightDrop.on(KINDS[kind]().to(device), "weight_hh_l*", p=0.5)
    names = module.weight_drop.names
    module.load_state_dict(plain.state_dict())
    x = torch.randn(7, 5, 32, device=device)

    def gradients(layer: nn.Module) -> dict[str, Tensor]:
        layer(x)[0].square().sum().backward()
        return {name: weight.grad for name, weight in layer.named_parameters()}

    torch.manual_seed(5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns where cuDNN has to gather weights
        found = gradients(module)
    torch.manual_seed(5)
    masks = {name: weight_drop(torch.ones_like(getattr(module, name)), 0.5) for name in names}
    with torch.no_grad():
        for name, mask in masks.items():
            getattr(plain, name).mul_(mask)
    for name, gradient in gradients(plain).items():
        torch.testing.assert_close(found[name], gradient * masks.get(name, 1.0), rtol=1e-3, atol=1e-4)


def test_parameters_stay_in_their_piece_of_memory(device: torch.device) -> None:
    module = ad.WeightDrop.on(nn.LSTM(32, 48).to(device), "weight_hh_l0", p=0.5)
    before = [weight.data_ptr() for weight in module.parameters()]
    x = torch.randn(7, 5, 32, device=device)
    for _ in range(3):
        module(x)[0].sum().backward()
        module.eval()(x)
        module.train()
    assert [weight.data_ptr() for weight in module.parameters()] == before


def test_bfloat16_and_autocast_pass(device: torch.device) -> None:
    said = []
    x = torch.randn(7, 5, 32, device=device)
    for module in (nn.LSTM(32, 48).to(device), ad.WeightDrop.on(nn.LSTM(32, 48).to(device), "weight_hh_l0", p=0.5)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with torch.autocast("cuda", torch.bfloat16):
                module(x)[0].float().sum().backward()
            assert module.weight_hh_l0.grad.isfinite().all()
            assert module.bfloat16()(x.bfloat16())[0].isfinite().all()
        said.append({str(warning.message) for warning in caught})
    assert said[1] <= said[0]


def test_the_rate_lies_where_the_weights_do(device: torch.device) -> None:
    assert ad.WeightDrop.on(nn.LSTM(3, 4).to(device), "weight_hh_l0").weight_drop.rate.value.device.type == "cuda"
