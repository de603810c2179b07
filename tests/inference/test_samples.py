"""Samples have the statistics of full passes, whatever the model does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from tests.inference.models import AT_ONCE, IN_A_LOOP, cnn, input_of, loop, mlp, standard_errors_apart

SAMPLES = 800


def check_statistics(drawn: Tensor, passes: Tensor) -> None:
    assert drawn.shape == passes.shape
    assert not drawn.requires_grad
    assert standard_errors_apart(drawn, passes) < 5
    centre = passes.mean(0)
    assert standard_errors_apart((drawn - centre) ** 2, (passes - centre) ** 2) < 5
    # Outputs of an example share masks, within a sample: so does their sum.
    assert standard_errors_apart((drawn - centre).flatten(1).sum(1) ** 2, (passes - centre).flatten(1).sum(1) ** 2) < 5


@pytest.mark.slow
@pytest.mark.parametrize("name", AT_ONCE)
def test_samples_at_once_have_the_statistics_of_full_passes(name: str) -> None:
    model, x = AT_ONCE[name][0](), input_of(name)
    check_statistics(ad.mc_samples(model, x, SAMPLES), loop(model, x, SAMPLES))


@pytest.mark.parametrize("name", IN_A_LOOP)
def test_samples_in_a_loop_have_the_statistics_of_full_passes_and_say_why(name: str) -> None:
    model, x = IN_A_LOOP[name][0](), input_of(name)
    with pytest.warns(RuntimeWarning, match="passes one after the other"):
        drawn = ad.mc_samples(model, x, SAMPLES)
    check_statistics(drawn, loop(model, x, SAMPLES))


@pytest.mark.parametrize("name", AT_ONCE)
def test_samples_differ_within_a_chunk_and_between_chunks(name: str) -> None:
    drawn = ad.mc_samples(AT_ONCE[name][0](), input_of(name), samples=7, chunk=3).flatten(1)
    assert len(drawn.unique(dim=0)) == 7


def test_what_comes_before_the_first_dropout_is_computed_once() -> None:
    calls = []

    class Counted(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            y = super().forward(x)
            calls.append(y)
            return y

    model = nn.Sequential(Counted(3, 3), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(3, 3))
    drawn = ad.mc_samples(model, torch.randn(2, 3), samples=5, chunk=1)
    assert all(y is calls[0] for y in calls), "the product was computed again"
    assert len(drawn.flatten(1).unique(dim=0)) > 1


def test_a_prefix_that_is_written_to_later_is_computed_again() -> None:
    class Adds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dropout = nn.Dropout(0.0)

        def forward(self, x: Tensor) -> Tensor:
            x = x * 2
            y = self.dropout(x)
            x += 1
            return x + y

    x = torch.ones(2, 3)
    assert torch.equal(ad.mc_samples(Adds(), x, samples=6, chunk=2), torch.full((6, 2, 3), 5.0))


def test_buffers_modes_and_weights_stay_as_they_are() -> None:
    model, x = cnn().train(), torch.randn(8, 1, 8, 8)
    model[5].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    ad.mc_samples(model, x, samples=20)
    loop(model, x, 3)
    assert modes == [module.training for module in model.modules()]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all("forward" not in vars(module) for module in model.modules())


def test_rates_at_zero_give_the_eval_output() -> None:
    model, x = nn.Sequential(nn.Linear(4, 4), ad.Dropout(0.0), nn.Linear(4, 2)).eval(), torch.randn(3, 4)
    with torch.no_grad():
        torch.testing.assert_close(ad.mc_samples(model, x, samples=5), model(x).expand(5, 3, 2))


def test_a_seed_fixes_the_samples() -> None:
    model, x = mlp(), torch.randn(4, 20)
    torch.manual_seed(1)
    first = ad.mc_samples(model, x, samples=5)
    torch.manual_seed(1)
    assert torch.equal(first, ad.mc_samples(model, x, samples=5))


def test_inputs_made_in_inference_mode_are_taken() -> None:
    with torch.inference_mode():
        drawn = ad.mc_samples(mlp(), torch.randn(4, 20), samples=40, chunk=7)
    assert drawn.shape == (40, 4, 3)
    assert drawn.std(0).min() > 0


def test_another_forward_takes_any_input_and_names_the_output() -> None:
    model, batch = mlp(), {"x": torch.randn(4, 20), "scale": 2.0}
    drawn = ad.mc_samples(model, batch, samples=6, forward=lambda b: {"logits": model(b["x"]) * b["scale"]}["logits"])
    assert drawn.shape == (6, 4, 3)
    with pytest.raises(TypeError, match="a sample has to be a tensor, but got dict"):
        ad.mc_samples(model, batch, samples=6, forward=lambda b: {"logits": model(b["x"])})


class FunctionalOnly(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5, self.training)


@pytest.mark.parametrize("sampler", [ad.mc_samples, ad.consistent_mc_samples])
def test_a_model_without_dropout_is_told_of(sampler: object) -> None:
    with pytest.raises(ValueError, match="Linear has no dropout layer and called no functional dropout"):
        sampler(nn.Linear(2, 2), torch.ones(3, 2))
    assert (sampler(FunctionalOnly(), torch.ones(3, 2), samples=50) == 0).any()


@pytest.mark.parametrize(("name", "wrong"), [("samples", 0), ("chunk", 0)])
def test_counts_below_one_are_refused(name: str, wrong: int) -> None:
    with pytest.raises(ValueError, match=f"{name} has to be at least 1, but got 0"):
        ad.mc_samples(mlp(), torch.ones(3, 20), **{name: wrong})


def test_an_error_of_the_model_is_raised_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        ad.mc_samples(mlp(), torch.ones(3, 19))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_packed_sequence_is_recognised_in_any_recurrent_layer(kind: type[nn.RNNBase]) -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = kind(3, 4, num_layers=2, dropout=0.5, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 5]), batch_first=True)
            return nn.utils.rnn.pad_packed_sequence(self.layer(packed)[0], batch_first=True)[0]

    with pytest.warns(RuntimeWarning, match="a recurrent layer is given a packed sequence"):
        drawn = ad.mc_samples(Packed(), torch.randn(2, 5, 3), samples=6)
    assert drawn.std(0).max() > 0


def test_a_torch_that_does_not_tell_samples_apart_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch._C._functorch, "is_batchedtensor")
    with pytest.warns(RuntimeWarning, match="does not tell which tensors differ between samples"):
        assert ad.mc_samples(mlp(), torch.randn(4, 20), samples=3).shape == (3, 4, 3)
