from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout, DropoutRateControl
from tests.callbacks.toy import Toy, fit


def attention(p: float = 0.125) -> tuple[nn.MultiheadAttention, ad.AttributeRate]:
    module = nn.MultiheadAttention(4, 2, dropout=p)
    module.dropout_rate = ad.AttributeRate(module, "dropout")
    return module, module.dropout_rate


def test_nothing_is_written_before_the_first_set() -> None:
    module, rate = attention()
    assert (rate.p, rate.value.item(), module.dropout) == (0.125, 0.125, 0.125)


@pytest.mark.parametrize(
    ("p", "written"),
    [(0.2345, 0.23), (0.236, 0.24), (0.0, 0.0), (0.004, 0.0), (1.0, 1.0), (0.125, 0.125), (0.29, 0.29)],
)
def test_the_multiple_of_the_quantum_is_written_and_p_is_what_was_set(p: float, written: float) -> None:
    module, rate = attention()
    rate.set(p)
    assert (rate.p, module.dropout) == (p, written)


def test_small_moves_add_up() -> None:
    module, rate = attention(0.2)
    for _ in range(40):
        rate.set(rate.p + 0.001)
    assert module.dropout == 0.24


def test_a_quantum_that_does_not_divide_1_writes_no_more_than_1() -> None:
    module = nn.MultiheadAttention(4, 2, dropout=0.1)
    ad.AttributeRate(module, "dropout", quantum=0.3).set(0.99)
    assert module.dropout == 0.9
    ad.AttributeRate(module, "dropout", quantum=0.4).set(1.0)
    assert module.dropout == 1.0


def test_it_is_named_after_the_attribute_and_set_with_the_others() -> None:
    model = nn.ModuleDict({"attention": attention()[0], "drop": ad.Dropout(0.3)})
    assert ad.get_rates(model, ad.SettableRate) == {"attention.dropout": 0.125, "drop": 0.3}
    ad.set_rates(model, {"attention.dropout": 0.5})
    assert model["attention"].dropout == 0.5


def test_it_is_no_part_of_the_state_dict_and_follows_the_device_in_float32() -> None:
    module, _ = attention()
    assert list(module.state_dict()) == list(nn.MultiheadAttention(4, 2).state_dict())
    assert module.bfloat16().dropout_rate.value.dtype == torch.float32
    assert module.to("meta").dropout_rate.value.is_meta


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_writes_its_own_attribute(copied: object) -> None:
    module, rate = attention()
    clone = copied(module)  # type: ignore[operator]
    clone.dropout_rate.set(0.5)
    assert (clone.dropout, module.dropout, rate.p) == (0.5, 0.125, 0.125)


def test_give_back_writes_what_was_there() -> None:
    module, rate = attention(1 / 3)
    rate.set(0.5)
    rate.give_back()
    assert module.dropout == 1 / 3


@pytest.mark.parametrize(
    ("attribute", "quantum", "error", "says"),
    [
        ("drop", 0.01, TypeError, "MultiheadAttention.drop has to be a number between 0 and 1, but got None"),
        ("batch_first", 0.01, TypeError, "MultiheadAttention.batch_first has to be a number between 0 and 1, but got"),
        ("num_heads", 0.01, ValueError, "MultiheadAttention.num_heads has to be between 0 and 1, but got 2.0"),
        ("dropout", 0.0, ValueError, "quantum has to be above 0, but got 0.0; 0.01 writes p in steps of a hundredth"),
        ("dropout", 2.0, ValueError, "quantum has to be between 0 and 1, but got 2.0"),
    ],
)
def test_what_is_no_rate_is_named(attribute: str, quantum: float, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        ad.AttributeRate(nn.MultiheadAttention(4, 2), attribute, quantum=quantum)


def test_a_bad_p_changes_nothing() -> None:
    module, rate = attention()
    with pytest.raises(ValueError, match=r"p has to be between 0 and 1, but got 1\.5"):
        rate.set(1.5)
    assert (rate.p, module.dropout) == (0.125, 0.125)


def test_compiled_attention_compiles_once_for_each_hundredth_not_for_each_p() -> None:
    module, rate = attention(0.2)
    x, graphs = torch.rand(3, 2, 4), []
    torch._dynamo.reset()
    compiled = torch.compile(
        lambda x: module(x, x, x, need_weights=False)[0], backend=lambda graph, _: graphs.append(graph) or graph
    )
    for step in range(21):
        rate.set(0.2 + step / 1000)  # 0.2, 0.21 and 0.22
        compiled(x)
    assert len(graphs) == 3


@dataclass(frozen=True)
class Raise(ad.Controller):
    """Raises each rate by 0.013 at each validation."""

    def init(self, rates: Mapping[str, float]) -> ad.State:
        return ad.State(dict(rates))

    def update(self, state: ad.State, signals: Mapping[str, float]) -> ad.State:
        return ad.State({name: p + 0.013 for name, p in state.rates.items()})


class Attending(Toy):
    """The toy run, with attention beside its layer."""

    def __init__(self) -> None:
        super().__init__([1.0] * 12)
        self.attention = nn.MultiheadAttention(4, 2, dropout=0.2)


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_a_controller_drives_it_and_a_checkpoint_goes_on_with_it(tmp_path: Path) -> None:
    model, control = Attending(), DropoutRateControl(Raise())
    ad.convert(model)
    trainer = fit(model, tmp_path, [control], max_epochs=2)
    assert ad.get_rates(model)["attention.dropout"] == pytest.approx(0.226)
    assert model.attention.dropout == 0.23
    trainer.save_checkpoint(tmp_path / "run.ckpt")
    resumed = Attending()
    ad.convert(resumed)
    fit(resumed, tmp_path, [DropoutRateControl(Raise())], max_epochs=3, ckpt_path=tmp_path / "run.ckpt")
    assert ad.get_rates(resumed)["attention.dropout"] == pytest.approx(0.239)
    assert resumed.attention.dropout == 0.24


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_adaptive_dropout_finds_it_in_a_model_as_it_is(tmp_path: Path) -> None:
    model, adaptive = Attending(), AdaptiveDropout(Raise())
    fit(model, tmp_path, [adaptive], max_epochs=2)
    assert set(adaptive.state.rates) == {"attention.dropout", "drop"}  # type: ignore[union-attr]
    assert model.attention.dropout == 0.23
