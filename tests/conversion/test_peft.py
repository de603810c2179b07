"""Adapters of PEFT: their dropout is steered, where it is 0 as well, and they can be merged and saved as before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import adaptive_dropout as ad


class Adapted(nn.Module):
    """A linear layer with an adapter, laid out as PEFT does it."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.base = nn.Linear(4, 4)
        self.lora_dropout = nn.ModuleDict({"default": nn.Dropout(p) if p > 0 else nn.Identity()})
        self.lora_A = nn.ModuleDict({"default": nn.Linear(4, 2, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(2, 4, bias=False)})

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.lora_B["default"](self.lora_A["default"](self.lora_dropout["default"](x)))


@pytest.mark.parametrize("p", [0.0, 0.25])
def test_the_dropout_of_an_adapter_is_found_where_it_is_0_too(p: float) -> None:
    model = nn.Sequential(Adapted(p))
    before, state = model[0].lora_dropout["default"], list(model.state_dict())
    (layer,) = ad.convert(model).values()
    assert ad.get_rates(model) == {"0.lora_dropout.default": p}
    assert type(layer) is ad.Dropout
    assert list(model.state_dict()) == state
    layer.p = 1.0
    assert torch.equal(model(torch.ones(3, 4)), model[0].base(torch.ones(3, 4)))
    assert ad.revert(model)[0].lora_dropout["default"] is before


def test_it_becomes_another_noise_as_any_dropout_does() -> None:
    model = nn.Sequential(Adapted(0.0))
    assert [type(layer) for layer in ad.convert(model, to=ad.GaussianDropout).values()] == [ad.GaussianDropout]


@pytest.mark.parametrize(
    "kind", ["lora", "supertuning_lora", "vera", "hira", "frod", "miss", "deft", "psoft", "shadow"]
)
def test_each_kind_of_adapter_with_a_rate_of_0_is_found(kind: str) -> None:
    model = nn.ModuleDict({f"{kind}_dropout": nn.ModuleDict({"mine": nn.Identity()})})
    assert list(ad.convert(model)) == [f"{kind}_dropout.mine"]


def test_a_rotation_s_identity_is_listed_because_its_dropout_is_another_noise() -> None:
    model = nn.ModuleDict({"oft_dropout": nn.ModuleDict({"default": nn.Identity()})})
    (row,) = ad.inventory(model)
    assert (row.name, row.reachable, row.p) == ("oft_dropout.default", False, 0.0)


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("p", [0.0, 0.25])
@pytest.mark.parametrize(
    ("kind", "rate", "reachable"),
    [
        ("Lora", "lora_dropout", True),
        ("Vera", "vera_dropout", True),
        ("Hira", "hira_dropout", True),
        ("Delora", "module_dropout", True),
        ("LoHa", "module_dropout", False),
        ("LoKr", "rank_dropout", False),
    ],
)
def test_no_adapter_of_peft_is_missed_silently(kind: str, rate: str, reachable: bool, p: float) -> None:
    peft = pytest.importorskip("peft")
    config = getattr(peft, f"{kind}Config")(target_modules=["0"], **{rate: p})
    model = peft.get_peft_model(nn.Sequential(nn.Linear(8, 8)), config)
    rows = [row for row in ad.inventory(model) if "dropout" in row.name]
    assert rows
    assert all(row.reachable == reachable and row.p in (p, None) for row in rows)


@pytest.mark.filterwarnings("ignore")  # theirs
def test_an_adapted_bert_is_merged_and_saved_as_before(tmp_path: Path) -> None:
    peft, hf = pytest.importorskip("peft"), pytest.importorskip("transformers")
    sizes: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    bert = hf.BertModel(hf.BertConfig(vocab_size=20, intermediate_size=16, **sizes))
    model = peft.get_peft_model(bert, peft.LoraConfig(r=2, target_modules=["query", "value"], lora_dropout=0.0))
    adapters = [name for name in ad.convert(model) if "lora_dropout" in name]
    assert len(adapters) == 2
    ad.set_rates(model, dict.fromkeys(adapters, 0.3))
    ids = torch.randint(20, (2, 5))
    given = model.eval()(ids).last_hidden_state
    model.save_pretrained(tmp_path)
    assert torch.allclose(model.merge_and_unload()(ids).last_hidden_state, given, atol=1e-6)
    assert (tmp_path / "adapter_model.safetensors").exists()
