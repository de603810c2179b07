from __future__ import annotations

import copy
import pickle
from functools import partial

import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout import convert, revert
from adaptive_dropout.conversion.counterparts import NAMES


class Attends(nn.Module):
    """Attention whose rate is a number, a layer whose p is handed to fused attention, and a rate in a configuration."""

    def __init__(self) -> None:
        super().__init__()
        self.config = type("Config", (), {"hidden_dropout_prob": 0.2})()
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
        self.attn_drop = nn.Dropout(0.3)
        self.out = nn.Dropout(0.4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.attention(x, x, x, need_weights=False)[0]
        x = nn.functional.dropout(x, self.config.hidden_dropout_prob, self.training)
        x = nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=self.attn_drop.p if self.training else 0.0)
        return self.out(x)


RATES = {"attention.dropout": 0.1, "attn_drop": 0.3, "config_hidden_dropout_prob": 0.2, "out": 0.4}


@pytest.mark.parametrize("name", NAMES)
def test_each_of_torchs_layers_becomes_ours(name: str) -> None:
    model = nn.Sequential(getattr(nn, name)(0.3, inplace=True)).eval()
    (twin,) = convert(model).values()
    assert type(twin) is getattr(ad, name)
    assert (twin.p, twin.inplace, twin.training) == (0.3, True, False)


def test_nested_layers_are_found_and_named_and_a_rate_of_0_too() -> None:
    model = nn.ModuleDict({"a": nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)), "b": nn.Dropout2d(0.0)})
    assert list(convert(model)) == ["a.1", "b"]
    assert ad.get_rates(model) == {"a.1": 0.1, "b": 0.0}


def test_numbers_are_found_named_and_written() -> None:
    model = Attends()
    assert set(convert(model)) == set(RATES)
    assert ad.get_rates(model) == RATES
    ad.set_rates(model, dict.fromkeys(RATES, 0.6))
    written = (model.attention.dropout, model.config.hidden_dropout_prob, model.out.p)
    assert written == (0.6, 0.6, 0.6)
    assert model.attn_drop.p == 0.3  # fused attention reads the rate itself


def test_a_layer_used_twice_stays_one_layer_under_one_parent_or_two() -> None:
    shared = nn.Dropout(0.3)
    model = nn.ModuleDict({"a": shared, "b": nn.Sequential(shared), "c": shared})
    convert(model)
    assert model["a"] is model["b"][0] is model["c"]
    assert ad.get_rates(model) == {"a": 0.3}
    revert(model)
    assert model["a"] is model["b"][0] is model["c"] is shared


@pytest.mark.parametrize("copied", [lambda m: m, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_has_rates_of_its_own_and_can_be_reverted(copied: object) -> None:
    model = nn.Sequential(nn.LSTM(4, 4, 2, dropout=0.25), nn.Dropout(0.1))
    convert(model)
    twin = copied(model)  # type: ignore[operator]
    ad.set_rates(twin, {"0.dropout": 0.5, "1": 0.5})
    assert (twin[0].dropout, twin[1].p) == (0.5, 0.5)
    assert twin is model or (model[0].dropout, model[1].p) == (0.25, 0.1)
    revert(twin)
    assert (twin[0].dropout, type(twin[1]), twin[1].p) == (0.25, nn.Dropout, 0.1)


def test_the_very_layers_and_numbers_come_back_and_training_mode_is_that_of_now() -> None:
    model, x = Attends().eval(), torch.rand(3, 5, 8)
    before, children, state = model(x), list(model.modules()), dict(vars(model))
    convert(model)
    ad.set_rates(model, dict.fromkeys(RATES, 0.9))
    assert torch.equal(model(x), before)
    model.train()
    assert revert(model) is model
    assert all(a is b for a, b in zip(model.modules(), children, strict=True))
    assert all(module.training for module in model.modules())
    assert vars(model) == state | {"training": True}
    assert (model.attention.dropout, model.attn_drop.p, model.config.hidden_dropout_prob) == (0.1, 0.3, 0.2)
    assert torch.equal(model.eval()(x), before)


def test_checkpoints_load_strictly_both_ways() -> None:
    plain, ours = Attends(), Attends()
    convert(ours)
    assert list(ours.state_dict()) == list(plain.state_dict())
    ours.load_state_dict(plain.state_dict(), strict=True)
    plain.load_state_dict(ours.state_dict(), strict=True)


def test_hooks_go_over_and_their_handles_still_remove_them() -> None:
    model, calls = nn.Sequential(nn.Dropout(0.1)), []
    handles = [
        model[0].register_forward_pre_hook(lambda *_: calls.append("pre")),
        model[0].register_forward_hook(lambda *_, **__: calls.append("post"), with_kwargs=True, always_call=True),
        model[0].register_full_backward_hook(lambda *_: calls.append("back")),
    ]
    convert(model)
    model(torch.rand(3, requires_grad=True)).sum().backward()
    assert calls == ["pre", "post", "back"]
    for handle in handles:
        handle.remove()
    model(torch.rand(3))
    assert len(calls) == 3


def test_rates_are_on_the_device_of_their_parent() -> None:
    model = nn.Sequential(nn.Linear(2, 2, device="meta"), nn.Dropout(0.1), nn.MultiheadAttention(2, 1, device="meta"))
    convert(model)
    assert all(rate.value.is_meta for _, rate in ad.named_rates(model))


def test_where_is_a_glob_or_a_function_of_the_name() -> None:
    model = Attends()
    assert set(convert(model, where="att*")) == {"attention.dropout", "attn_drop"} == set(ad.get_rates(model))
    assert list(convert(model, where=lambda name: name == "out")) == ["out"]


def test_a_noise_that_would_replace_nothing_is_refused() -> None:
    model = nn.Sequential(nn.Dropout2d(0.1))
    with pytest.raises(ValueError, match=r"to=GaussianDropout is for nn.Dropout, .* none among \['0'\]"):
        convert(model, to=ad.GaussianDropout)


@pytest.mark.parametrize("to", [ad.GaussianDropout, ad.ConcreteDropout])
def test_dropout_becomes_another_noise_and_all_else_keeps_its_own(to: type[ad.NoiseLayer]) -> None:
    model = nn.Sequential(nn.Dropout(0.25), nn.Dropout2d(0.1))
    convert(model, to=to)
    assert [type(layer) for layer in model] == [to, ad.Dropout2d]
    assert model[0].p == pytest.approx(0.25)


def test_what_is_adjustable_already_is_left_alone() -> None:
    model = nn.Sequential(nn.Dropout(0.1), ad.GaussianDropout(0.2))
    ours = model[1]
    convert(model)
    first = model[0]
    assert convert(model) == {}
    assert (model[0], model[1]) == (first, ours)


def test_a_subclass_keeps_its_forward_and_its_number_is_written() -> None:
    class Noisy(nn.Dropout):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return super().forward(input) + self.p

    model = nn.Sequential(Noisy(0.1))
    convert(model)
    model[0].rate.set(0.2)
    assert (type(model[0]), model[0].p) == (Noisy, 0.2)


def test_nothing_is_swapped_where_one_layer_cannot_be() -> None:
    model = nn.Sequential(nn.Dropout(0.1), nn.Dropout(0.0))
    with pytest.raises(ValueError, match=r"1 cannot become ConcreteDropout: .* strictly between 0 and 1"):
        convert(model, to=ad.ConcreteDropout)
    assert [type(layer) for layer in model] == [nn.Dropout, nn.Dropout]


class Functional(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x, 0.3, self.training)


@pytest.mark.parametrize(
    ("model", "error", "says"),
    [
        (nn.Sequential(nn.Linear(2, 2)), ValueError, r"no dropout; its modules are \['Linear', 'Sequential'\]"),
        (nn.Sequential(Functional()), ValueError, "Functional calls nn.functional.dropout with a number in its code"),
        (nn.LSTM(2, 2), ValueError, "no rate to adjust; dropout: it drops between stacked layers, and there is one"),
        (nn.Dropout(0.3), ValueError, r"the model itself is Dropout\(p=0.3.* put it in nn.Sequential"),
        (nn.Sequential(torch.compile(nn.Sequential(nn.Dropout(0.3)))), TypeError, "^0 is compiled; convert the model"),
    ],
)
def test_a_model_that_cannot_be_converted_is_told_what_it_has(
    model: nn.Module, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        convert(model)


@pytest.mark.filterwarnings("ignore:.*torch.jit")  # torch 2.15 deprecates it
def test_a_scripted_model_is_refused() -> None:
    with pytest.raises(TypeError, match="the model is scripted"):
        convert(torch.jit.script(nn.Sequential(nn.Dropout(0.3))))


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (partial(convert, where="encoder.*"), ValueError, r"where='encoder.\*' matches none of the rates \['1', '2'\]"),
        (partial(convert, to=nn.Dropout), TypeError, "to has to be a class such as GaussianDropout, but got <class"),
        (partial(convert, to=ad.Dropout(0.1)), TypeError, r"a class such as GaussianDropout, but got Dropout\(p=0.1"),
        (revert, ValueError, r"nothing in Sequential was converted; convert\(model\) comes first"),
    ],
)
def test_a_bad_argument_names_what_there_is(call: partial[None], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1), ad.Dropout(0.2)))


def test_a_torch_that_keeps_hooks_elsewhere_is_told() -> None:
    model = nn.Sequential(nn.Dropout(0.3))
    del model[0].__dict__["_forward_pre_hooks"]
    with pytest.raises(RuntimeError, match="keeps the hooks of a layer where convert does not find them"):
        convert(model)
    assert type(model[0]) is nn.Dropout
