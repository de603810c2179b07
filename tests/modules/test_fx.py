"""`torch.fx` records a layer of ours as it records torch's own: one call of the layer, which stays the one it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import adaptive_dropout as ad
from tests.contracts import input_for
from tests.test_contracts import exported

OTHERS: list[Callable[[], nn.Module]] = [
    lambda: ad.ContextualDropout(6),
    lambda: ad.Standout(nn.Linear(6, 6), nn.ReLU()),
    lambda: ad.VariationalLinear(6, 6),
    lambda: ad.SparseLinear(6, 6),
]


def calls(graph: torch.fx.GraphModule) -> list[str]:
    return [str(node.target) for node in graph.graph.nodes if node.op == "call_module"]


@pytest.mark.parametrize("make", [*exported(ad.NoiseLayer), *OTHERS])
@pytest.mark.parametrize("training", [True, False])
def test_a_layer_is_one_call_in_training_and_evaluation(make: Callable[[], nn.Module], training: bool) -> None:
    model = nn.Sequential(nn.Identity(), make())
    x = input_for(model[1]) if isinstance(model[1], ad.NoiseLayer) else torch.rand(8, 6)
    graph = torch.fx.symbolic_trace(model.train(training))
    assert calls(graph) == ["0", "1"]
    assert torch.equal(graph.eval()(x), model.eval()(x))
    torch.manual_seed(3)
    noisy = graph.train()(x)
    torch.manual_seed(3)
    assert torch.equal(noisy, model.train()(x))


def test_a_recorded_layer_follows_its_rate() -> None:
    model = nn.Sequential(nn.Linear(4, 4), ad.Dropout(0.5))
    graph = torch.fx.symbolic_trace(model)
    model[1].p = 1.0
    assert not graph(torch.rand(3, 4)).any()


def test_torchvision_extracts_features_of_a_converted_model() -> None:
    torchvision, found = map(pytest.importorskip, ("torchvision", "torchvision.models.feature_extraction"))
    block = torchvision.models.convnext.CNBlockConfig
    model = torchvision.models.ConvNeXt([block(8, 16, 2), block(16, None, 2)], stochastic_depth_prob=0.3).eval()
    x = torch.rand(2, 3, 32, 32)
    before = model.features(x)
    ad.convert(model)
    wanted = {"features": "features", "features.1.0.stochastic_depth": "branch"}
    features = found.create_feature_extractor(model, wanted)(x)
    assert torch.equal(features["features"], before)
    assert features["branch"].shape == (2, 8, 8, 8)
