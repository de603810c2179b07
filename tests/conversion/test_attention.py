"""Fused attention of converted models: its p moves exactly, without compiling again, and everything comes back."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.conversion import attention
from adaptive_dropout.rates.attribute import AttentionRate

pytestmark = pytest.mark.slow

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
TEXT = {"vocab_size": 30, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


class Nano(nn.Module):
    """Attention as in nanoGPT."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.attend = nn.Linear(8, 24)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in self.attend(x).chunk(3, -1))
        y = F.scaled_dot_product_attention(
            q, k, v, attn_mask=None, dropout_p=self.dropout if self.training else 0, is_causal=True
        )
        return y.transpose(1, 2).flatten(2)


def text(name: str, **more: Any) -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    hf = pytest.importorskip("transformers")
    model = getattr(hf, f"{name}Model")(getattr(hf, f"{name}Config")(**TEXT, **more))
    ids = torch.randint(3, 30, (4, 8))
    mask = torch.ones(4, 8, dtype=torch.long)
    mask[:2, 5:] = 0
    return model, lambda m: m(ids, attention_mask=mask, return_dict=False)[0]


def vit() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    hf = pytest.importorskip("transformers")
    x = torch.rand(4, 3, 16, 16)
    return hf.ViTModel(hf.ViTConfig(image_size=16, patch_size=8, **SMALL)), lambda m: m(x, return_dict=False)[0]


def timm_vit() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    timm = pytest.importorskip("timm")
    model = timm.create_model("vit_tiny_patch16_224", embed_dim=24, depth=1, num_heads=3, img_size=32, num_classes=8)
    x = torch.rand(4, 3, 32, 32)
    return model, lambda m: m(x)


def nano() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    x = torch.randn(4, 6, 8)
    return nn.Sequential(nn.Linear(8, 8), Nano()), lambda m: m(x)


MODELS: dict[str, Callable[[], tuple[nn.Module, Callable[[nn.Module], Tensor]]]] = {
    "bert": lambda: text("Bert", **SMALL),
    "gpt2": lambda: text("GPT2", n_embd=16, n_layer=1, n_head=2, n_positions=8),
    "llama": lambda: text("Llama", **SMALL, num_key_value_heads=1),
    "vit": vit,
    "timm": timm_vit,
    "nano": nano,
}


def attention_rate(model: nn.Module) -> AttentionRate:
    (rate,) = (rate for _, rate in ad.named_rates(model, AttentionRate))
    return rate


@pytest.mark.parametrize("name", MODELS)
def test_values_are_those_of_the_model_and_all_of_it_comes_back(name: str) -> None:
    model, run = MODELS[name]()
    before, state = run(model.eval()), {key: value.clone() for key, value in model.state_dict().items()}
    forwards = {key: "forward" in vars(module) for key, module in model.named_modules()}
    ad.convert(model)
    assert torch.equal(run(model), before)
    assert list(model.state_dict()) == list(state)
    ad.set_rates(model, dict.fromkeys(ad.get_rates(model), 0.0))
    torch.testing.assert_close(run(model.train()), before)
    model.load_state_dict(state, strict=True)
    ours = model.state_dict()
    ad.revert(model).load_state_dict(ours, strict=True)
    assert {key: "forward" in vars(module) for key, module in model.named_modules()} == forwards
    assert torch.equal(run(model.eval()), before)


@pytest.mark.parametrize("name", MODELS)
def test_p_is_read_exactly_and_the_number_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, run = MODELS[name]()
    ad.convert(model)
    rate, seen = attention_rate(model.train()), []

    def attend(query: Tensor, key: Tensor, value: Tensor, p: Tensor, *rest: Any) -> Tensor:
        if rest[3]:
            key = key.repeat_interleave(query.shape[1] // key.shape[1], 1)
        eye = torch.eye(key.shape[-2]).expand(*key.shape[:-1], -1)
        mask = rest[:3]
        kept = ours(query, key, eye, 0.0, *mask), ours(query, key, eye, p, *mask)
        seen.append((float(p), (kept[1][kept[0] > 0] == 0).float()))
        return ours(query, key, value.repeat_interleave(query.shape[1] // value.shape[1], 1), p, *mask)

    ours = attention.scaled_dot_product_attention
    monkeypatch.setattr(attention, "scaled_dot_product_attention", attend)
    found = getattr(rate.owner, rate.attribute)
    rate.set(0.2345)
    for _ in range(20):
        run(model)
    assert getattr(rate.owner, rate.attribute) == found
    dropped = torch.cat([drops for _, drops in seen])
    assert {round(p, 6) for p, _ in seen} == {0.2345}
    assert abs(dropped.mean() - 0.2345) <= 5 * (0.2345 * 0.7655 / len(dropped)) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_compiled_it_is_one_graph_over_twenty_changes(name: str, short_noise: None) -> None:
    torch._dynamo.reset()
    model, run = MODELS[name]()
    ad.convert(model)
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(model.train(), backend=counter)
    frames = []
    for step in range(20):
        ad.set_rates(model, dict.fromkeys(ad.get_rates(model), (step + 1) / 41))
        run(compiled).sum().backward()
        frames.append(counter.frame_count)
    assert frames[0] == frames[-1]


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
@pytest.mark.parametrize("name", ["bert", "timm", "nano"])
def test_a_clone_has_its_own_rate(name: str, clone: Callable[[nn.Module], nn.Module]) -> None:
    model, run = MODELS[name]()
    ad.convert(model)
    other = clone(model)
    ad.set_rates(model, dict.fromkeys(ad.get_rates(model), 0.0))
    ad.set_rates(other, dict.fromkeys(ad.get_rates(other), 0.0))
    attention_rate(other).set(0.9)
    torch.testing.assert_close(run(model.train()), run(copy.deepcopy(model).eval()))
    assert not torch.allclose(run(other.train()), run(model))
    ad.revert(other)
    assert not [module for module in other.modules() if "forward" in vars(module)]


def test_an_attention_of_0_can_be_moved_and_sampled() -> None:
    model = nn.Sequential(Nano(dropout=0.0))
    ad.convert(model)
    attention_rate(model).set(0.5)
    samples = ad.mc_samples(model, torch.randn(2, 6, 8), samples=3)
    assert not torch.equal(samples[0], samples[1])


def test_who_wants_eager_attention_keeps_it_with_numbers_in_hundredths() -> None:
    model, _ = MODELS["bert"]()
    model.set_attn_implementation("eager")  # type: ignore[operator]
    ad.convert(model)
    assert not list(ad.named_rates(model, AttentionRate))


def test_a_change_to_eager_after_conversion_raises() -> None:
    model, run = MODELS["bert"]()
    ad.convert(model)
    model.set_attn_implementation("eager")  # type: ignore[operator]
    run(model.eval())
    with pytest.raises(RuntimeError, match="BertSelfAttention no longer uses torch's fused attention"):
        run(model.train())


def test_a_number_that_something_else_reads_is_written_as_before() -> None:
    class Both(Nano):
        def forward(self, x: Tensor) -> Tensor:
            q = F.dropout(x, self.dropout, self.training)
            return F.scaled_dot_product_attention(q, x, x, dropout_p=self.dropout if self.training else 0.0)

    model = nn.Sequential(Both())
    ad.convert(model)
    ad.set_rates(model, {"0.dropout": 0.3})
    assert not list(ad.named_rates(model, AttentionRate))
    assert model[0].dropout == 0.3


def test_the_inventory_says_how_p_is_read() -> None:
    model = nn.Sequential(Nano())
    ad.convert(model)
    (row,) = ad.inventory(model)
    assert (row.name, row.why) == ("0.dropout", "fused attention reads it as a tensor")
    assert repr(attention_rate(model)) == "AttentionRate(p=0.1, attribute='dropout')"
