"""`WeightDrop`: what a module sees in training, and that the module itself stays what it was."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

import adaptive_dropout as ad
from adaptive_dropout.functional import weight_drop
from adaptive_dropout.modules.weight_drop import _OnePiece
from tests.contracts import check_layer

X = torch.randn(5, 2, 4)


def lstm(p: Any = 0.5, **settings: Any) -> Any:
    torch.manual_seed(1)
    return ad.WeightDrop.on(nn.LSTM(4, 3, **settings), "weight_hh_l*", p=p)


def output(module: nn.Module, x: Any = X, seed: int = 5) -> Tensor:
    torch.manual_seed(seed)
    y = module(x)
    return y[0] if isinstance(y, tuple) and not hasattr(y, "batch_sizes") else y


def test_called_by_itself_it_is_a_layer_like_any_other() -> None:
    check_layer(ad.WeightDrop)


def test_an_lstm_computes_with_weights_that_are_dropped_once_for_all_times() -> None:
    module, plain = lstm(), nn.LSTM(4, 3)
    plain.load_state_dict(module.state_dict())
    torch.manual_seed(5)
    dropped = weight_drop(module.weight_hh_l0, 0.5).detach()
    with torch.no_grad():
        plain.weight_hh_l0.copy_(dropped)
    assert (dropped == 0).any()
    torch.testing.assert_close(output(module), output(plain))
    assert not torch.equal(output(module, seed=6), output(module, seed=7))


@pytest.mark.parametrize(
    "module",
    [
        lambda: nn.LSTM(4, 3, num_layers=2, bidirectional=True),
        pytest.param(lambda: nn.LSTM(4, 3, proj_size=2), marks=pytest.mark.filterwarnings("ignore:LSTM with proj")),
        lambda: nn.GRU(4, 3, bias=False),
        lambda: nn.RNN(4, 3),
        lambda: nn.Linear(4, 3),
        lambda: nn.Conv1d(2, 3, 2),
    ],
)
def test_any_module_gets_the_gradient_of_its_dropped_weights(module: Any) -> None:
    plain = module()
    names = [name for name, weight in plain.named_parameters() if weight.dim() > 1]
    dropping = ad.WeightDrop.on(copy.deepcopy(plain), *names, p=0.5)
    output(dropping).square().sum().backward()
    torch.manual_seed(5)
    masks = {name: weight_drop(torch.ones_like(getattr(plain, name)), 0.5) for name in names}
    with torch.no_grad():
        for name in names:
            getattr(plain, name).mul_(masks[name])
    output(plain).square().sum().backward()
    for name, parameter in plain.named_parameters():
        expected = parameter.grad * masks[name] if name in names else parameter.grad
        torch.testing.assert_close(dropping.get_parameter(name).grad, expected)


def test_public_defect_evaluation_uses_the_plain_weights() -> None:
    module = lstm().eval()
    plain = nn.LSTM(4, 3).eval()
    plain.load_state_dict(module.state_dict())
    before = torch.get_rng_state()
    assert torch.equal(module(X)[0], plain(X)[0])
    assert torch.equal(before, torch.get_rng_state())


def test_public_defect_class_parameters_and_keys_stay_and_checkpoints_load_both_ways() -> None:
    plain = nn.LSTM(4, 3, num_layers=2)
    keys, parameters = list(plain.state_dict()), dict(plain.named_parameters())
    module = ad.WeightDrop.on(plain, "weight_hh_l*", p=0.5)
    assert module is plain
    assert type(module) is nn.LSTM
    assert list(module.state_dict()) == keys
    assert {name: id(weight) for name, weight in module.named_parameters()} == {n: id(w) for n, w in parameters.items()}
    module(X)
    nn.LSTM(4, 3, num_layers=2).load_state_dict(module.state_dict())
    module.load_state_dict(nn.LSTM(4, 3, num_layers=2).state_dict())


def test_the_parameters_are_not_written_and_are_back_after_a_forward_pass() -> None:
    for module, name in ((lstm(), "weight_hh_l0"), (ad.WeightDrop.on(nn.Linear(4, 3), "weight"), "weight")):
        weight = module.get_parameter(name)
        before = weight.detach().clone()
        module(X)
        assert getattr(module, name) is weight
        assert torch.equal(weight, before)
        assert name not in vars(module)


def test_a_compiled_pass_drops_as_an_eager_one_and_leaves_the_parameters() -> None:
    module = ad.WeightDrop.on(nn.Linear(4, 3), "weight")
    weight = module.weight
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    for seed in (5, 6):
        assert torch.equal(output(compiled, seed=seed), output(module, seed=seed))
        assert module.weight is weight
        assert [name for name, _ in module.named_parameters()] == ["weight", "bias"]


def test_they_are_back_where_hooks_replace_them_and_where_a_module_runs_inside_of_itself() -> None:
    whole, pieces = nn.Parameter(torch.ones(3, 4)), nn.Parameter(torch.ones(3, 4))
    module: Any = nn.Linear(4, 3)
    module.register_forward_pre_hook(lambda *_: module.register_parameter("weight", whole))
    module.register_forward_hook(lambda *_: module.register_parameter("weight", pieces))
    ad.WeightDrop.on(module, "weight")
    assert not torch.equal(output(module), output(module, seed=6))
    assert module.weight is pieces

    nested: Any = ad.WeightDrop.on(nn.Linear(4, 4), "weight")
    weight, plain = nested.weight, nested.forward
    nested.forward = lambda x: plain(x) if x.shape[0] == 1 else plain(nested(x[:1]))
    nested(X)
    assert nested.weight is weight


def test_they_are_back_after_an_error_in_it() -> None:
    for module in (lstm(), ad.WeightDrop.on(nn.Linear(4, 3), "weight")):
        plain = output(module.eval())
        with pytest.raises((RuntimeError, ValueError)):
            module.train()(torch.ones(2, 7))
        assert torch.equal(output(module.eval()), plain)
        assert "weight" not in vars(module)


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save"])
def test_a_copy_drops_by_its_own_rate_and_its_own_weights(how: str) -> None:
    module = lstm()
    if how == "torch.save":
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        twin = torch.load(file, weights_only=False)
    else:
        twin = copy.deepcopy(module) if how == "deepcopy" else pickle.loads(pickle.dumps(module))
    assert torch.equal(output(twin), output(module))
    twin.weight_drop.p = 0.0
    assert module.weight_drop.p == 0.5
    with torch.no_grad():
        twin.weight_hh_l0.zero_()
    assert torch.equal(output(twin), output(twin, seed=6))
    assert not torch.equal(output(module, seed=6), output(module))


def test_each_forward_pass_of_an_accumulated_step_has_its_own_mask_and_gradients_add_up() -> None:
    module = lstm()
    gradients = []
    for seed in (5, 6):
        output(module, seed=seed).sum().backward()
        gradients.append(module.weight_hh_l0.grad.clone())
        module.zero_grad()
    for seed in (5, 6):
        output(module, seed=seed).sum().backward()
    assert not torch.equal(*gradients)
    torch.testing.assert_close(module.weight_hh_l0.grad, sum(gradients))


def test_averaged_weights_are_those_of_the_plain_parameters() -> None:
    module = lstm()
    averaged = torch.optim.swa_utils.AveragedModel(module)
    for _ in range(3):
        module(X)
        averaged.update_parameters(module)
    assert torch.equal(averaged.module.weight_hh_l0, module.weight_hh_l0)
    assert averaged.module.weight_drop.p == 0.5


def test_packed_sequences_and_replaced_parameters_are_dropped_too() -> None:
    packed = pack_sequence([torch.randn(3, 4), torch.randn(2, 4)])
    module = lstm()
    assert not torch.equal(output(module, packed, 5)[0].data, output(module, packed, 6)[0].data)
    weights = {name: torch.ones_like(weight) for name, weight in module.named_parameters()}
    calls = []
    for seed in (5, 6, 5):
        torch.manual_seed(seed)
        calls.append(torch.func.functional_call(module, weights, (X,))[0])
    assert torch.equal(calls[0], calls[2])
    assert not torch.equal(calls[0], calls[1])
    assert torch.equal(output(module), output(lstm()))


def test_a_checkpointed_pass_repeats_its_mask() -> None:
    module = ad.WeightDrop.on(nn.Linear(4, 3), "weight")
    gradients = []
    for again in (False, True):
        torch.manual_seed(5)
        x = X.clone().requires_grad_()
        y = torch.utils.checkpoint.checkpoint(module, x, use_reentrant=False) if again else module(x)
        y.square().sum().backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients)


def test_at_0_and_1_it_is_exact() -> None:
    module, plain = lstm(0.0), lstm(0.0).eval()
    assert torch.equal(module(X)[0], plain(X)[0])
    module.weight_drop.p = 1.0
    with torch.no_grad():
        plain.weight_hh_l0.zero_()
    assert torch.equal(module(X)[0], plain(X)[0])
    assert module.bfloat16()(X.bfloat16())[0].isfinite().all()


def test_its_rate_is_found_listed_steered_scheduled_and_shared() -> None:
    shared = ad.SettableRate(0.3)
    model = nn.ModuleList([lstm(shared), lstm(shared), lstm(ad.LinearSchedule(0.4, 0.0, steps=4))])
    assert ad.get_rates(model) == {"0.weight_drop": 0.3, "2.weight_drop": 0.4}
    ad.set_rates(model, {"0.weight_drop": 0.1})
    ad.set_step(model, 4)
    assert ad.get_rates(model) == {"0.weight_drop": 0.1, "2.weight_drop": 0.0}
    rows = [row for row in ad.inventory(lstm(), X) if row.kind == "WeightDrop"]
    assert [(row.name, row.p, row.reachable) for row in rows] == [("weight_drop", 0.5, True)]
    with pytest.raises(TypeError, match=r"^WeightDrop passes no gradient"):
        lstm(ad.LearnedRate(0.1))


def test_mc_dropout_turns_it_on_in_eval_mode() -> None:
    module = ad.WeightDrop.on(nn.Linear(4, 3), "weight").eval()
    with ad.mc_dropout(module):
        assert not torch.equal(module(X), module(X))
    assert torch.equal(module(X), module(X))


def test_a_name_that_is_none_is_told_with_those_that_exist() -> None:
    with pytest.raises(KeyError, match=r"LSTM has no parameter 'weight_hh_l1' .*; it has \['weight_ih_l0', 'weight_hh"):
        ad.WeightDrop.on(nn.LSTM(4, 3), "weight_hh_l0", "weight_hh_l1")
    with pytest.raises(KeyError, match=r"Linear has no parameter 'bias' of its own; it has \['weight'\]"):
        ad.WeightDrop.on(nn.Linear(4, 3, bias=False), "bias")
    with pytest.raises(KeyError, match=r"Sequential has no parameter '0.weight' of its own; it has \[\]"):
        ad.WeightDrop.on(nn.Sequential(nn.Linear(4, 3)), "0.weight")
    with pytest.raises(ValueError, match=r"needs the names of parameters; Linear has \['weight', 'bias'\]"):
        ad.WeightDrop.on(nn.Linear(4, 3), p=0.5)
    with pytest.raises(ValueError, match=r"^LSTM already has 'weight_drop'"):
        ad.WeightDrop.on(lstm(), "weight_ih_l0")
    with pytest.raises(ValueError, match=r"^\['weight_hh_l0'\] of LSTM would be dropped twice$"):
        ad.WeightDrop.on(lstm(), "weight_hh_l0", slot="other")


def test_two_of_them_drop_different_parameters_at_different_rates() -> None:
    module = ad.WeightDrop.on(lstm(0.0), "weight_ih_l0", p=1.0, slot="input_drop")
    assert ad.get_rates(module) == {"weight_drop": 0.0, "input_drop": 1.0}
    assert torch.equal(output(module), output(module, torch.randn(5, 2, 4)))
    module.weight_drop.p = 0.5
    assert not torch.equal(output(module), output(module, seed=6))
    module.eval()
    assert torch.equal(output(module), output(lstm().eval()))


def test_off_gives_the_module_back() -> None:
    module = ad.WeightDrop.off(lstm())
    assert list(module.children()) == []
    assert torch.equal(output(module), output(module, seed=6))
    assert not module._forward_hooks
    assert not module._forward_pre_hooks
    with pytest.raises(ValueError, match=r"^LSTM has no WeightDrop"):
        ad.WeightDrop.off(module)


def test_dropped_weights_lie_in_one_piece_of_memory_as_the_parameters_do_on_a_gpu() -> None:
    memory = torch.randn(20)
    like = [memory.as_strided((2, 3), (3, 1), 0), memory.as_strided((4,), (1,), 8)]
    weights = [torch.randn(2, 3, requires_grad=True), torch.randn(4, requires_grad=True)]
    placed = _OnePiece.apply(like, *[weight * 2 for weight in weights])
    assert [piece.data_ptr() - placed[0].data_ptr() for piece in placed] == [0, 8 * 4]
    assert placed[0].untyped_storage().nbytes() == memory.untyped_storage().nbytes()
    (placed[0].square().sum() + placed[1].sum()).backward()
    torch.testing.assert_close(placed[0], weights[0] * 2)
    torch.testing.assert_close(weights[0].grad, 8 * weights[0].detach())
    assert torch.equal(weights[1].grad, torch.full((4,), 2.0))


def test_a_compiled_layer_is_one_graph_for_all_p_and_draws_the_masks_of_eager_code(short_noise: None) -> None:
    graphs = []
    module = ad.WeightDrop.on(nn.Linear(4, 3), "weight")
    torch._dynamo.reset()
    compiled = torch.compile(module, backend=lambda graph, _: graphs.append(graph) or graph, fullgraph=True)
    for step in range(20):
        module.weight_drop.p = step / 20
        assert torch.equal(output(compiled), output(module)), step
        assert "weight" not in vars(module)
    assert len(graphs) == 1
