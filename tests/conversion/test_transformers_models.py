"""Every rate of Hugging Face models, driven and observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import adaptive_dropout as ad
from tests.conversion.observed import Case, Count, check_every_rate

pytestmark = pytest.mark.slow

hf = pytest.importorskip("transformers")

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
TEXT = {"vocab_size": 30, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def ids() -> torch.Tensor:
    return torch.randint(3, 30, (16, 8))


def text(model: torch.nn.Module, **more: Any) -> Case:
    given = {"input_ids": ids(), **more}
    return Case(model, lambda m: m(**given, return_dict=False))


def bert() -> Case:
    return text(hf.BertForSequenceClassification(hf.BertConfig(**TEXT, **SMALL)))


def gpt2() -> Case:
    return text(hf.GPT2LMHeadModel(hf.GPT2Config(**TEXT, n_embd=16, n_layer=1, n_head=2, n_positions=8)))


def t5() -> Case:
    config = hf.T5Config(**TEXT, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0)
    return text(hf.T5ForConditionalGeneration(config), decoder_input_ids=ids())


def vit() -> Case:
    x = torch.rand(16, 3, 16, 16)
    model = hf.ViTForImageClassification(hf.ViTConfig(image_size=16, patch_size=8, **SMALL))
    return Case(model, lambda m: m(x, return_dict=False))


def llama() -> Case:
    return text(hf.LlamaForCausalLM(hf.LlamaConfig(**TEXT, **SMALL, num_key_value_heads=1)))


def whisper() -> Case:
    stacks = {
        f"{part}_{of}": n
        for part in ("encoder", "decoder")
        for of, n in {"layers": 1, "attention_heads": 2, "ffn_dim": 16}.items()
    }
    config = hf.WhisperConfig(
        **TEXT, **stacks, d_model=16, num_mel_bins=8, max_source_positions=8, decoder_start_token_id=1
    )
    given = {"input_features": torch.rand(16, 8, 16), "decoder_input_ids": ids()}
    model = hf.WhisperForConditionalGeneration(config)
    return Case(model, lambda m: m(**given, return_dict=False), ("model.encoder.layerdrop", "model.decoder.layerdrop"))


CASES: list[Callable[[], Case]] = [bert, gpt2, t5, vit, llama, whisper]


@pytest.mark.parametrize("make", CASES)
def test_every_rate_is_driven_or_listed(make: Callable[[], Case], monkeypatch: pytest.MonkeyPatch) -> None:
    check_every_rate(make(), monkeypatch)


def test_their_drop_paths_become_ours_where_the_rate_is_0_too(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {**SMALL, "num_hidden_layers": 3}
    model = hf.BeitModel(hf.BeitConfig(image_size=16, patch_size=8, drop_path_rate=0.2, **sizes))
    paths = {name: layer for name, layer in ad.convert(model).items() if "drop_path" in name}
    assert [(type(layer), layer.p) for layer in paths.values()] == [(ad.DropPath, p) for p in (0.0, 0.1, 0.2)]
    ad.revert(model)
    x = torch.rand(64, 3, 16, 16)
    check_every_rate(Case(model, lambda m: m(x, return_dict=False)), monkeypatch)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_the_attention_rates_of_bert_drive_both_of_its_attentions(
    attention: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = bert()
    case.model.set_attn_implementation(attention)
    check_every_rate(case, monkeypatch)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_layers_are_dropped_as_often_as_set(part: str) -> None:
    case, run, passes = whisper(), 0, 210
    ad.convert(case.model, where=f"model.{part}.layerdrop")
    ad.set_rates(case.model, {f"model.{part}.layerdrop": 0.37})

    def entered(*_: Any) -> None:
        nonlocal run
        run += 1

    getattr(case.model.model, part).layers[0].register_forward_pre_hook(entered)
    case.model.train()
    with torch.no_grad():
        for _ in range(passes):
            case.run(case.model)
    count = Count()
    count.dropped, count.total = passes - run, passes
    count.check("layerdrop", 0.37)
