"""`GPT` with keys and heads that drop: by name, causal still, and as a mask of fused attention on a GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.networks import GPT
from tests.fake_device import backward, fake_cuda, no_waits

TOKENS = torch.randint(10, (4, 12), generator=torch.Generator().manual_seed(1))
NOISE: dict[str, Any] = {"drop_key": lambda: ad.DropKey(0.5), "drop_head": lambda: ad.DropHead(0.5)}


def network(**noise: Any) -> GPT:
    made = GPT(10, 12, layers=2, heads=4, channels=16, dropout=lambda: ad.Dropout(0.0), **noise)
    for block in made.blocks:
        torch.nn.init.normal_(block.attention.query_key_value.weight)
    return made


def test_without_them_nothing_is_added() -> None:
    assert not [name for name, _ in network().named_modules() if "drop_" in name]


def test_each_block_has_rates_of_its_own_under_their_names() -> None:
    made = network(**NOISE)
    names = [f"blocks.{i}.attention.drop_{what}" for i in range(2) for what in ("key", "head")]
    assert {name: p for name, p in ad.get_rates(made).items() if "drop_" in name} == dict.fromkeys(names, 0.5)
    assert list(made.state_dict()) == list(network().state_dict())
    plain = made(TOKENS)
    for name in names:
        ad.set_rates(made, dict.fromkeys(names, 0.0))
        still = made(TOKENS)
        assert torch.equal(still, made(TOKENS))
        ad.set_rates(made, {name: 0.5})
        assert not torch.equal(still, made(TOKENS)), name
    assert plain.shape == (4, 12, 10)
    made.eval()
    assert torch.equal(made(TOKENS), made(TOKENS))


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_a_token_still_sees_no_later_ones_and_every_gradient_is_finite(p: float) -> None:
    made, other = network(**NOISE), TOKENS.clone()
    ad.set_rates(made, {name: p for name in ad.get_rates(made) if "drop_" in name})
    other[:, -1] = (other[:, -1] + 1) % 10
    outputs = []
    for x in (TOKENS, other):
        torch.manual_seed(5)
        outputs.append(made(x))
    assert torch.equal(outputs[0][:, :-1], outputs[1][:, :-1])
    outputs[0].square().mean().backward()
    assert all(weight.grad.isfinite().all() for weight in made.parameters())


def test_on_a_gpu_keys_drop_in_the_mask_of_fused_attention_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    from adaptive_dropout.networks import gpt

    masks: list[Any] = []

    def spied(*args: Any, is_causal: bool) -> Any:
        masks.append((args[4], is_causal))
        return F.scaled_dot_product_attention(*args[:3], attn_mask=args[4], is_causal=is_causal)

    monkeypatch.setattr(gpt, "scaled_dot_product_attention", spied)
    monkeypatch.setattr(gpt, "new_layer", lambda make: make())  # a deep copy would need memory
    with fake_cuda():
        made = network(**NOISE)
        tokens = torch.randint(10, (4, 12))
        with no_waits():
            backward(made(tokens).square().mean())
        made.eval()(tokens)
    assert [(None if mask is None else tuple(mask.shape), causal) for mask, causal in masks] == [
        *[((4, 4, 12, 12), False)] * 2,
        *[(None, True)] * 2,
    ]


def test_the_mask_of_fused_attention_drops_the_keys_that_the_scores_would() -> None:
    attention = network(drop_key=NOISE["drop_key"]).blocks[0].attention
    x = torch.randn(4, 12, 16)
    torch.manual_seed(1)
    expected = attention(x)
    split = attention.query_key_value(x).unflatten(-1, (3, 4, -1))
    query, key, value = split.permute(2, 0, 3, 1, 4)
    torch.manual_seed(1)
    mask = attention._dropping_mask(query)
    fused = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    torch.testing.assert_close(attention.output(fused.transpose(1, 2).flatten(2)), expected)


def test_one_head_cannot_drop() -> None:
    made = GPT(10, 12, layers=1, heads=1, channels=16, drop_head=NOISE["drop_head"])
    with pytest.raises(RuntimeError, match="two heads or more"):
        made(TOKENS)
