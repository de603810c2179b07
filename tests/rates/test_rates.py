from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

import adaptive_dropout as ad


def two_layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), ad.Dropout(0.3), nn.Linear(4, 4), ad.GaussianDropout(0.2))


def stored_rates() -> list[ad.Rate]:
    return [ad.SettableRate(0.3), ad.ScheduledRate(ad.ConstantSchedule(0.3))]


@pytest.mark.parametrize("rate", [*stored_rates(), ad.LearnedRate(0.3)], ids=lambda r: type(r).__name__)
class TestEveryRate:
    def test_value_is_a_0_dim_float32_tensor(self, rate: ad.Rate) -> None:
        assert rate.value.shape == ()
        assert rate.value.dtype == torch.float32
        assert rate.value.item() == pytest.approx(rate.p) == pytest.approx(0.3)

    @pytest.mark.parametrize("cast", ["bfloat16", "half", "double", "float"])
    def test_casting_a_model_keeps_it_float32_and_exact(self, rate: ad.Rate, cast: str) -> None:
        before = rate.value.item()
        model = getattr(nn.Sequential(nn.Linear(2, 2), copy.deepcopy(rate)), cast)()
        assert model[1].value.dtype == torch.float32
        assert model[1].value.item() == before

    def test_it_follows_the_device(self, rate: ad.Rate) -> None:
        assert copy.deepcopy(rate).to("meta").value.is_meta

    def test_copies_and_pickles_are_alive_and_apart(self, rate: ad.Rate) -> None:
        for clone in (copy.deepcopy(rate), pickle.loads(pickle.dumps(rate))):
            with torch.no_grad():
                for tensor in (*clone.parameters(), *clone.buffers()):
                    tensor.add_(0.125)
            assert clone.value.item() != rate.value.item()
            assert rate.p == pytest.approx(0.3)

    def test_only_a_learned_rate_has_state_to_save(self, rate: ad.Rate) -> None:
        assert list(rate.state_dict()) == (["logit"] if isinstance(rate, ad.LearnedRate) else [])


def test_assigning_p_moves_a_settable_rate_in_place() -> None:
    layer = ad.Dropout(0.5)
    tensor = layer.rate.value
    layer.p = 0.125
    assert layer.rate.value is tensor
    assert tensor.item() == layer.p == 0.125


def test_a_small_change_survives_bfloat16() -> None:
    model = nn.Sequential(nn.Linear(2, 2), ad.Dropout(0.3)).bfloat16()
    model[1].p += 0.0005
    assert model[1].rate.value.item() == pytest.approx(0.3005, abs=1e-7)


def test_to_empty_keeps_p() -> None:
    with torch.device("meta"):
        layer = ad.Dropout(0.3)
    assert layer.to_empty(device="cpu").rate.value.item() == pytest.approx(0.3)


@pytest.mark.parametrize("rate", [ad.ScheduledRate(ad.ConstantSchedule(0.3)), ad.LearnedRate(0.3)])
def test_a_rate_with_another_writer_refuses_assignment(rate: ad.Rate) -> None:
    layer = ad.GaussianDropout(rate)
    with pytest.raises(AttributeError, match=r"this rate is written by .*SettableRate"):
        layer.p = 0.5
    assert layer.p == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("p", "error"),
    [(1.1, ValueError), (-0.1, ValueError), (float("nan"), ValueError), ("0.5", TypeError), (None, TypeError)],
)
def test_a_bad_p_is_named_and_changes_nothing(p: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"has to be .*between 0 and 1, but got"):
        ad.SettableRate(p)  # type: ignore[arg-type]
    rate = ad.SettableRate(0.25)
    with pytest.raises(error, match=r"has to be .*between 0 and 1, but got"):
        rate.p = p  # type: ignore[assignment]
    assert rate.p == rate.value.item() == 0.25


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_a_learned_rate_cannot_start_at_an_end(p: float) -> None:
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        ad.LearnedRate(p)


def test_a_mask_that_passes_no_gradient_refuses_a_learned_rate() -> None:
    with pytest.raises(TypeError, match="passes no gradient to a learned p"):
        ad.Dropout(ad.LearnedRate(0.3))


def test_rates_are_named_after_their_layers() -> None:
    assert ad.get_rates(two_layers()) == {"1": 0.3, "3": 0.2}


def test_a_shared_rate_is_listed_once_and_moves_both_layers() -> None:
    rate = ad.SettableRate(0.3)
    model = nn.ModuleDict({"a": ad.Dropout(rate), "b": ad.Dropout(rate)})
    assert ad.get_rates(model) == {"a": 0.3}
    clone = copy.deepcopy(model)
    ad.set_rates(clone, {"a": 0.5})
    assert clone["b"].p == 0.5
    assert model["b"].p == 0.3


def test_kind_selects_rates() -> None:
    model = nn.Sequential(ad.Dropout(0.3), ad.ConcreteDropout(0.1), ad.Dropout(ad.ConstantSchedule(0.2)))
    assert ad.get_rates(model, ad.SettableRate) == {"0": 0.3}
    assert list(ad.get_rates(model, ad.LearnedRate)) == ["1"]
    assert ad.get_rates(model, ad.ScheduledRate) == {"2": 0.2}


def test_set_rates_names_what_it_does_not_know() -> None:
    with pytest.raises(KeyError, match=r"no rate named '2'; the model has \['1', '3'\]"):
        ad.set_rates(two_layers(), {"2": 0.1})


@pytest.mark.parametrize(("bad", "error"), [(float("nan"), ValueError), (1.5, ValueError), ("x", TypeError)])
def test_set_rates_moves_all_or_none(bad: object, error: type[Exception]) -> None:
    model = two_layers()
    with pytest.raises(error, match="p of '3'"):
        ad.set_rates(model, {"1": 0.9, "3": bad})  # type: ignore[dict-item]
    assert ad.get_rates(model) == {"1": 0.3, "3": 0.2}


def test_set_rates_leaves_other_writers_alone() -> None:
    with pytest.raises(TypeError, match="rate '0' is written by the optimizer"):
        ad.set_rates(nn.Sequential(ad.ConcreteDropout(0.1)), {"0": 0.5})


def test_set_rates_fills_what_something_else_has_overwritten() -> None:
    model = two_layers()
    model[1].rate.value.fill_(0.9)
    ad.set_rates(model, {"1": 0.3})
    assert model[1].rate.value.item() == pytest.approx(0.3)


def test_many_rates_are_set_under_one_no_grad(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(*(ad.Dropout(0.3) for _ in range(10)))
    made: list[torch.no_grad] = []
    init = torch.no_grad.__init__
    monkeypatch.setattr(torch.no_grad, "__init__", lambda self: (made.append(self), init(self))[1])
    ad.set_rates(model, dict.fromkeys(ad.get_rates(model), 0.5))
    assert len(made) == 1
    assert [layer.rate.value.item() for layer in model] == [0.5] * 10


def test_set_step_is_absolute() -> None:
    model = nn.Sequential(ad.Dropout(ad.LinearSchedule(0.5, 0.0, steps=10)))
    for step, p in [(0, 0.5), (5, 0.25), (5, 0.25), (2, 0.4), (10, 0.0), (99, 0.0)]:
        ad.set_step(model, step)
        assert model[0].p == pytest.approx(p)
        assert model[0].rate.value.item() == pytest.approx(p)


def test_set_step_without_a_schedule_raises() -> None:
    with pytest.raises(ValueError, match="no scheduled rate"):
        ad.set_step(two_layers(), 3)


def test_a_fraction_of_training_is_resolved_first() -> None:
    rate = ad.ScheduledRate(ad.LinearSchedule(0.5, 0.0))
    with pytest.raises(ValueError, match="fraction"):
        rate.set_step(3)
    rate.resolve(total_steps=4)
    rate.set_step(3)
    assert rate.p == pytest.approx(0.125)


def test_a_number_is_no_schedule() -> None:
    with pytest.raises(TypeError, match=r"needs a Schedule, but got 0.5"):
        ad.ScheduledRate(0.5)  # type: ignore[arg-type]


def test_refresh_fills_the_tensor_from_p() -> None:
    model = two_layers()
    model[1].rate.value.fill_(0.9)
    ad.refresh_rates(model)
    assert model[1].rate.value.item() == pytest.approx(0.3)


def test_param_groups_put_the_logits_apart_without_weight_decay() -> None:
    model = nn.Sequential(nn.Linear(2, 2), ad.ConcreteDropout(0.1))
    weights, logits = ad.rate_param_groups(model, lr=1e-3)
    assert len(weights["params"]) == 2
    assert logits["params"] == [model[1].rate.logit]
    assert logits["lr"] == pytest.approx(1e-2)
    assert logits["weight_decay"] == 0


def test_weight_decay_would_pull_a_learned_rate_to_a_half_and_the_groups_stop_it() -> None:
    ends = {}
    for name in ("one group", "own group"):
        model = nn.Sequential(nn.Linear(2, 2), ad.ConcreteDropout(0.1))
        groups = model.parameters() if name == "one group" else ad.rate_param_groups(model, lr=0.1, rate_lr=0.1)
        optimizer = torch.optim.AdamW(groups, lr=0.1, weight_decay=0.5)
        for _ in range(100):
            for parameter in model.parameters():
                parameter.grad = torch.zeros_like(parameter)
            optimizer.step()
        ends[name] = model[1].p
    assert ends["one group"] > 0.45
    assert ends["own group"] == pytest.approx(0.1)


def test_a_rate_lr_without_learned_rates_raises() -> None:
    with pytest.raises(ValueError, match=r"rate_lr=0.1 is for learned rates"):
        ad.rate_param_groups(two_layers(), lr=1e-3, rate_lr=0.1)


def test_checkpoints_load_strictly_with_and_without_the_library() -> None:
    plain = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.3), nn.Linear(4, 4), nn.Dropout(0.2))
    ours = two_layers()
    ours.load_state_dict(plain.state_dict(), strict=True)
    plain.load_state_dict(ours.state_dict(), strict=True)


def test_a_learned_rate_moves_along_its_gradient() -> None:
    layer = ad.GaussianDropout(ad.LearnedRate(0.3))
    noise_is_bad = (layer(torch.ones(10_000)) - 1).square().mean()
    noise_is_bad.backward()
    assert layer.rate.logit.grad is not None
    assert layer.rate.logit.grad.item() > 0


def test_a_learned_rate_with_a_shape_has_a_p_for_each_unit_and_their_mean_as_p() -> None:
    rate = ad.LearnedRate(0.25, shape=(3,))
    with torch.no_grad():
        rate.logit.copy_(torch.logit(torch.tensor([0.1, 0.2, 0.6])))
    assert torch.allclose(rate.value, torch.tensor([0.1, 0.2, 0.6]))
    assert rate.p == pytest.approx(0.3)
    layer = ad.GaussianDropout(rate)
    (layer(torch.ones(400, 3)) ** 2).sum().backward()
    assert rate.logit.grad is not None
    assert (rate.logit.grad > 0).all()
    assert "p=0.3" in repr(layer)
