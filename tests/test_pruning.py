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
    with pytest.raises(ValueError, match="Linear has no sparse layer and no targeted dropout; make one"):
        function(nn.Linear(2, 2))  # type: ignore[operator]


def targeted() -> nn.Sequential:
    """A layer of 8 weights, 3 of each 4 targeted, one of 4 units, 2 of them targeted, and an LSTM."""
    torch.manual_seed(0)
    return nn.Sequential(
        ad.TargetedDropout.on(nn.Linear(4, 2), "weight", p=0.5, fraction=0.75),
        ad.TargetedUnitDropout.on(nn.Conv1d(2, 4, 3), "weight", p=0.5, fraction=0.5),
        ad.TargetedDropout.on(nn.LSTM(3, 5), "weight_hh_l0", p=0.1, fraction=0.4),
    )


def test_rows_of_targeted_dropout_say_what_pruning_would_leave() -> None:
    rows = ad.sparsity(targeted())
    assert [row[:4] for row in rows] == [
        ("0", "TargetedDropout", 8, 2),
        ("1", "TargetedUnitDropout", 24, 12),
        ("2.weight_hh_l0", "TargetedDropout", 100, 60),
    ]
    assert [row.p for row in rows] == pytest.approx([0.375, 0.25, 0.04])
    alone = ad.TargetedDropout.on(nn.LSTM(3, 5), "weight_hh_l0")
    assert ad.sparsity(alone)[0].name == "weight_hh_l0"


def test_pruning_zeroes_what_is_targeted_and_leaves_plain_layers_and_keys() -> None:
    model = targeted()
    parameters = dict(model.named_parameters())
    names = ("0.weight", "1.weight", "2.weight_hh_l0")
    wanted = {name: row.kept for name, row in zip(names, ad.sparsity(model), strict=True)}
    before = {name: weight.detach().clone() for name, weight in parameters.items()}
    assert ad.prune(model) is model
    assert [len(list(layer.children())) for layer in model] == [0, 0, 0]
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in model)
    assert ad.get_rates(model) == {}
    for name, weight in model.named_parameters():
        assert weight is parameters[name]
        assert int((weight != 0).sum()) == wanted.get(name, weight.numel())
        assert torch.equal(weight[weight != 0], before[name][weight != 0])
    smallest = before["0.weight"].abs().argsort(1)[:, :3]
    assert not model[0].weight.gather(1, smallest).any()


def test_a_model_that_prunes_in_eval_mode_gives_the_same_once_pruned() -> None:
    model = targeted()[:2].eval()
    x = torch.randn(5, 4, 4)
    model = nn.Sequential(model[0], nn.Unflatten(1, (2, 2)), nn.Flatten(2), model[1]).eval()
    full = model(x)
    for layer in model.modules():
        if isinstance(layer, ad.TargetedDropout):
            layer.prunes = True
    pruned = model(x)
    assert not torch.equal(full, pruned)
    ad.prune(model)
    assert torch.equal(model(x), pruned)


def test_a_layer_used_twice_is_pruned_once_and_other_dropout_of_it_stays() -> None:
    layer = ad.TargetedDropout.on(nn.Bilinear(4, 4, 4), "weight", fraction=0.5)
    ad.WeightDrop.on(layer, "bias", p=0.1)
    model = nn.ModuleList([layer, layer])
    ad.prune(model)
    assert int((layer.weight == 0).sum()) == 32
    assert ad.get_rates(layer) == {"weight_drop": 0.1}
    with pytest.raises(ValueError, match="no sparse layer and no targeted dropout"):
        ad.prune(model)
