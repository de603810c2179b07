from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import adaptive_dropout as ad


def model_of_eight() -> nn.Sequential:
    """A layer with 8 weights, of which 2 are kept, and a convolution with 3, of which all are."""
    model = nn.Sequential(ad.SparseLinear(4, 2), nn.Sequential(ad.SparseConv1d(1, 1, 3)))
    with torch.no_grad():
        for layer in (model[0], model[1][0]):
            layer.weight.fill_(0.1)
        model[0].rate.log_variance[:, :3] = 0.0  # ln alpha 4.6
    return model


def test_rows_count_the_weights_that_are_kept() -> None:
    found = ad.sparsity(model_of_eight())
    assert [row[:4] for row in found] == [("0", "SparseLinear", 8, 2), ("1.0", "SparseConv1d", 3, 3)]
    assert (found.weights, found.kept, found.compression) == (11, 5, pytest.approx(2.2))
    assert found[0].p == pytest.approx(0.75 * 1 / 1.01 + 0.25 * 4.54e-3 / (4.54e-3 + 1), abs=2e-3)


def test_the_report_prints_as_a_table_with_its_sum() -> None:
    lines = str(ad.sparsity(model_of_eight())).splitlines()
    assert lines[0].split() == ["name", "kind", "weights", "kept", "compression", "p"]
    assert lines[-1].split() == ["all", "11", "5", "2.2x"]


def test_a_model_that_keeps_nothing_is_compressed_without_a_bound() -> None:
    layer = ad.SparseLinear(2, 2)
    nn.init.zeros_(layer.weight)
    assert ad.sparsity(layer).compression == float("inf")


def test_pruning_leaves_ordinary_layers_with_the_same_outputs() -> None:
    model = model_of_eight().eval()
    x = torch.randn(3, 1, 4)
    before = nn.Sequential(model[0], nn.Unflatten(-1, (2,)))(x)
    pruned = ad.prune(copy.deepcopy(model))
    assert [type(pruned[0]), type(pruned[1][0])] == [nn.Linear, nn.Conv1d]
    assert list(pruned.state_dict()) == ["0.weight", "0.bias", "1.0.weight", "1.0.bias"]
    assert torch.equal(pruned[0](x), before)
    assert (pruned[0].weight != 0).sum() == 2


def test_a_layer_in_two_places_stays_one_layer() -> None:
    shared = ad.SparseLinear(2, 2)
    model = ad.prune(nn.Sequential(shared, nn.ReLU(), shared, nn.Sequential(shared)))
    assert model[0] is model[2] is model[3][0]
    assert type(model[0]) is nn.Linear


def test_a_sparse_layer_by_itself_is_pruned_too() -> None:
    assert type(ad.prune(ad.SparseLinear(2, 2))) is nn.Linear


@pytest.mark.parametrize("function", [ad.sparsity, ad.prune])
def test_a_model_without_a_sparse_layer_is_told_so(function: object) -> None:
    with pytest.raises(ValueError, match=r"Linear has no sparse layer; make one, as in SparseLinear\(784, 300\)"):
        function(nn.Linear(2, 2))  # type: ignore[operator]
