"""`GPT`: causal, position-aware, initialised as published, and its attention is the formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.networks import GPT

CONTEXT = 12


@pytest.fixture
def network():
    """A small one whose attention is far from uniform, without noise."""
    network = GPT(10, CONTEXT, layers=2, heads=2, channels=16).eval()
    for block in network.blocks:
        nn.init.normal_(block.attention.query_key_value.weight)
    return network


@pytest.fixture
def tokens():
    return torch.randint(10, (4, CONTEXT))


@pytest.mark.parametrize("time", [0, 5, CONTEXT - 1])
def test_a_token_changes_its_own_and_later_logits_only(network, tokens, time):
    other = tokens.clone()
    other[:, time] = (other[:, time] + 1) % 10
    same = (network(tokens) == network(other)).all(-1)  # (batch, time)
    assert same.all(0).tolist() == same.any(0).tolist() == [True] * time + [False] * (CONTEXT - time)


def test_causality_holds_with_dropout_on(network, tokens):
    other = tokens.clone()
    other[:, -1] = (other[:, -1] + 1) % 10
    network.train()
    outputs = []
    for x in (tokens, other):
        torch.manual_seed(5)
        outputs.append(network(x))
    assert torch.equal(outputs[0][:, :-1], outputs[1][:, :-1])
    assert not torch.equal(outputs[0], outputs[1])


def test_a_shorter_sequence_has_the_logits_of_its_part_of_a_longer_one(network, tokens):
    assert network(tokens).shape == (4, CONTEXT, 10)
    torch.testing.assert_close(network(tokens[:, :5]), network(tokens)[:, :5])


def test_the_order_of_earlier_tokens_matters(network):
    one, other = network(torch.tensor([[1, 2, 3]])), network(torch.tensor([[2, 1, 3]]))
    assert (one[0, 2] - other[0, 2]).abs().max() > 1e-3


def test_attention_is_that_of_torch(network):
    attention = network.blocks[0].attention
    x = torch.randn(4, CONTEXT, 16)
    query, key, value = (
        part.reshape(4, CONTEXT, 2, 8).transpose(1, 2) for part in attention.query_key_value(x).chunk(3, -1)
    )
    fused = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(attention(x), attention.output(fused.transpose(1, 2).reshape(4, CONTEXT, 16)))


def test_attention_dropout_zeroes_weights_and_not_values(network):
    attention = network.blocks[0].attention.train()
    x, seen = torch.randn(1, CONTEXT, 16), []
    attention.dropout.register_forward_hook(lambda layer, inputs, output: seen.extend([inputs[0], output]))
    attention(x)
    weights, noisy = seen
    assert weights.shape == (1, 2, CONTEXT, CONTEXT)
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 2, CONTEXT))
    assert torch.equal(weights, weights.tril())
    kept = noisy != 0
    torch.testing.assert_close(noisy[kept], 2 * weights[kept])
    assert kept.sum() < weights.count_nonzero()


def test_the_output_layer_is_the_token_embedding(network):
    names = dict(network.named_parameters())
    assert names["token_embedding.weight"].shape == (10, 16)
    assert not [name for name, value in names.items() if name != "token_embedding.weight" and 10 in value.shape]


def test_weights_start_with_the_published_spread():
    layers, heads, channels = 3, 4, 64
    network = GPT(50, 32, layers, heads, channels)
    residual = {"attention.output.weight", "dense.narrow.weight"}
    for name, value in network.named_parameters():
        if "norm" in name:
            assert value.unique().item() == (1.0 if name.endswith("weight") else 0.0)
        elif name.endswith("bias"):
            assert value.count_nonzero() == 0
        else:
            expected = 0.02 / math.sqrt(2 * layers) if name.split(".", 2)[-1] in residual else 0.02
            # The standard error of a normal sample's deviation is std / sqrt(2 n).
            assert value.std().item() == pytest.approx(expected, rel=5 / math.sqrt(2 * value.numel())), name


def test_an_untrained_network_knows_nothing():
    network = GPT(65).eval()
    x = torch.randint(65, (16, 65))
    loss = F.cross_entropy(network(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
    # Logits of standard deviation s = 0.02 sqrt(64) lose s^2 / 2 = 0.013 nats to the uniform guess; the standard error
    # of a mean over 1024 tokens is s / 32 = 0.005.
    assert loss.item() == pytest.approx(math.log(65) + 0.013, abs=0.025)


def test_size_is_that_of_the_formula():
    vocabulary, context, layers, channels = 65, 64, 2, 64
    n = sum(parameter.numel() for parameter in GPT(vocabulary, context, layers, 4, channels).parameters())
    block = 12 * channels**2 + 13 * channels  # 4 and 8 squares; biases 3 + 1 + 4 + 1, two norms of 2 each
    assert n == (vocabulary + context) * channels + layers * block + 2 * channels


def test_gradients_can_be_differentiated_again():
    network = GPT(10, CONTEXT, 1, 2, 16, lambda: ad.GaussianDropout(0.2))
    loss = network(torch.randint(10, (2, CONTEXT))).square().mean()
    weights = list(network.parameters())
    squared = sum(grad.square().sum() for grad in torch.autograd.grad(loss, weights, create_graph=True))
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(squared, weights))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: GPT(0), ValueError, "vocabulary has to be at least 1, but got 0"),
        (lambda: GPT(65, context=2.0), TypeError, "context has to be a whole number, but got 2.0"),
        (lambda: GPT(65, layers=0), ValueError, "layers has to be at least 1, but got 0"),
        (lambda: GPT(65, heads=3), ValueError, "channels has to be a multiple of heads, 3, but got 64"),
        (
            lambda: GPT(65, context=4)(torch.zeros(1, 5, dtype=torch.int64)),
            ValueError,
            "a sequence has at most 4 tokens, the context of this GPT, but got 5",
        ),
        (
            lambda: GPT(65)(torch.zeros(5, dtype=torch.int64)),
            ValueError,
            "GPT takes tokens (batch, time), but got shape (5,)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(build, error, message):
    with pytest.raises(error) as caught:
        build()
    assert str(caught.value) == message
