"""What `mc_dropout` turns on, and what it leaves in eval mode."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from tests.inference.models import encoder, mlp

LAYERS = [getattr(where, name)(0.5) for name in ("Dropout", "AlphaDropout") for where in (nn, ad)]


@pytest.mark.parametrize("layer", [*LAYERS, ad.GaussianDropout(0.5), ad.ConcreteDropout(0.3)], ids=str)
def test_dropout_layers_are_on(layer: nn.Module) -> None:
    model, x = nn.Sequential(layer).eval(), torch.ones(50)
    with ad.mc_dropout(model):
        assert not torch.equal(model(x), x)
    assert torch.equal(model(x), x)


@pytest.mark.parametrize("normal", [nn.BatchNorm1d, nn.SyncBatchNorm, lambda n: nn.InstanceNorm1d(n, affine=True)])
def test_normalisation_and_the_model_itself_are_in_eval_mode(normal: object) -> None:
    model = nn.Sequential(normal(4), nn.Dropout(0.5)).train()
    with ad.mc_dropout(model):
        assert [module.training for module in model.modules()] == [False, False, True]
    assert all(module.training for module in model.modules())


def test_modes_come_back_after_an_error() -> None:
    model = mlp().eval()
    with pytest.raises(KeyError), ad.mc_dropout(model):
        raise KeyError
    assert not any(module.training for module in model.modules())


def test_the_fused_path_of_transformer_layers_is_off() -> None:
    model, x = encoder().eval(), torch.randn(4, 6, 16)
    with torch.no_grad(), ad.mc_dropout(model):
        assert not torch.backends.mha.get_fastpath_enabled()
        assert not torch.equal(model(x), model(x))
    assert torch.backends.mha.get_fastpath_enabled()


class Attention(nn.Module):
    """As timm writes it: the rate of a layer goes into a fused function."""

    def __init__(self) -> None:
        super().__init__()
        self.attn_drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        p = self.attn_drop.p if self.training else 0.0
        return F.scaled_dot_product_attention(x, x, x, dropout_p=p)


class HeldNumber(nn.Module):
    """As transformers writes it: a number, read in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_dropout = 0.5

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x, dropout_p=self.attention_dropout if self.training else 0.0)


@pytest.mark.parametrize("model", [Attention(), HeldNumber()], ids=["layer", "number"])
def test_rates_that_a_fused_function_is_given_are_on(model: nn.Module) -> None:
    x = torch.randn(2, 3, 5, 4)
    with ad.mc_dropout(model):
        assert not torch.equal(model(x), model(x))
    assert ad.mc_samples(model, x, samples=3).std(0).min() > 0


@pytest.mark.parametrize(
    "function",
    [F.dropout, F.alpha_dropout, F.feature_alpha_dropout, F.dropout1d],
    ids=lambda function: function.__name__,
)
def test_functional_dropout_is_on_however_it_is_called(function: object) -> None:
    x = torch.ones(6, 50, 4)
    for call in (
        lambda x: function(x, 0.5, False),
        lambda x: function(x, p=0.5, training=False),
        lambda x: function(x, training=False),
        lambda x: function(input=x, p=0.5, training=False, inplace=False),
    ):
        model = nn.Module()
        model.forward = call
        with ad.mc_dropout(model):
            assert not torch.equal(model(x), x)


def test_a_model_without_dropout_is_told_of_at_the_end() -> None:
    with pytest.raises(ValueError, match="Linear has no dropout layer"), ad.mc_dropout(nn.Linear(2, 2)):
        pass


@pytest.mark.parametrize("use", [lambda m: ad.mc_dropout(m).__enter__(), lambda m: ad.mc_samples(m, torch.ones(2, 20))])
def test_compiled_and_scripted_models_are_refused(use: object) -> None:
    compiled = mlp()
    compiled.compile()
    for model in (torch.compile(mlp()), compiled, nn.Sequential(torch.compile(mlp()))):
        with pytest.raises(TypeError, match=r"is compiled.*give the model that torch.compile was given"):
            use(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated
        scripted = torch.jit.script(mlp())
    with pytest.raises(TypeError, match=r"is scripted.*give the model that torch.jit made it from"):
        use(scripted)
