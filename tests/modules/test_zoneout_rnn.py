from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint

import adaptive_dropout as ad
from tests.fake_device import backward, fake_cuda, no_waits

TIME, BATCH, INPUTS, UNITS = 5, 3, 4, 6
KINDS = [(ad.ZoneoutLSTM, nn.LSTM), (ad.ZoneoutGRU, nn.GRU)]
SETTINGS = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"bias": False, "batch_first": True},
    {"num_layers": 2, "proj_size": 2, "bidirectional": True},
]
CASES = [
    pytest.param(ours, theirs, settings, id=f"{theirs.__name__}-{'-'.join(settings)}")
    for ours, theirs in KINDS
    for settings in SETTINGS
    if theirs is nn.LSTM or "proj_size" not in settings
]


def quiet(kind: Any, **settings: Any) -> Any:
    """A network of ours with all rates at 0 that runs its own loop nonetheless."""
    layer = kind(INPUTS, UNITS, hidden_zoneout=0.0, **settings)
    if isinstance(layer, ad.ZoneoutLSTM):
        layer.cell_zoneout.p = 0.0
    layer._is_idle = lambda: False
    return layer


def flat(result: Any) -> list[Tensor]:
    """The tensors of an output and its states."""
    if isinstance(result, Tensor):
        return [result]
    return [tensor for part in result if part is not None for tensor in flat(part)]


@pytest.mark.parametrize(("ours", "theirs", "settings"), CASES)
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own layer
@pytest.mark.parametrize("kind", ["batch", "alone", "packed", "packed in order"])
def test_without_noise_it_is_torch_s_layer_whose_checkpoint_it_has(
    ours: Any, theirs: Any, settings: dict[str, Any], kind: str
) -> None:
    layer, reference = quiet(ours, **settings), theirs(INPUTS, UNITS, **settings)
    assert list(layer.state_dict()) == list(reference.state_dict())
    layer.load_state_dict(reference.state_dict())
    reference.load_state_dict(layer.state_dict())
    x = torch.randn(TIME, INPUTS) if kind == "alone" else torch.randn(TIME, BATCH, INPUTS)
    if kind.startswith("packed"):
        lengths = [5, 3, 2] if kind == "packed in order" else [3, 5, 2]
        x = pack_padded_sequence(x, lengths, enforce_sorted=kind == "packed in order")
    elif settings.get("batch_first") and kind == "batch":
        x = x.transpose(0, 1)
    first = reference(x)
    started = tuple(torch.randn_like(state) for state in flat(first[1]))
    for hx in (None, started if len(started) > 1 else started[0]):
        found, wanted = flat(layer(x, hx)), flat(reference(x, hx))
        assert len(found) == len(wanted)
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found, wanted, strict=True))
    found[0].square().sum().backward()
    wanted[0].square().sum().backward()
    for one, other in zip(layer.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-5)


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_where_all_rates_are_0_torch_s_layer_itself_runs(ours: Any, theirs: Any) -> None:
    layer, x = ours(INPUTS, UNITS, num_layers=2, dropout=0.5), torch.randn(TIME, BATCH, INPUTS)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    for rate in ad.get_rates(layer):
        ad.set_rates(layer, {rate: 0.0})
    reference = theirs(INPUTS, UNITS, num_layers=2)
    reference.load_state_dict(layer.state_dict())
    before = torch.get_rng_state()
    assert torch.equal(layer(x)[0], reference(x)[0])
    assert torch.equal(before, torch.get_rng_state())
    assert isinstance(layer.dropout, ad.Dropout)


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_states_are_kept_with_their_own_probabilities(ours: Any, theirs: Any) -> None:
    # 1 step of a batch of 4000 from a state of its own: a unit of it is the old one or the one of torch's layer.
    layer = ours(INPUTS, UNITS, hidden_zoneout=0.1)
    reference, x = theirs(INPUTS, UNITS), torch.randn(1, 4000, INPUTS)
    reference.load_state_dict(layer.state_dict())
    old = [torch.randn(1, 4000, UNITS) for _ in flat(reference(x)[1])]
    hx = tuple(old) if len(old) > 1 else old[0]
    found, new = flat(layer(x, hx)[1]), flat(reference(x, hx)[1])
    for state, before, after, p in zip(found, old, new, [0.1, 0.5], strict=False):
        kept = state == before
        assert torch.allclose(state, torch.where(kept, before, after), atol=1e-6)
        assert abs(kept.float().mean().item() - p) <= 5 * (p * (1 - p) / kept.numel()) ** 0.5


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_in_eval_mode_each_step_takes_the_mean(ours: Any, theirs: Any) -> None:
    layer, x = ours(INPUTS, UNITS, hidden_zoneout=0.3).eval(), torch.randn(TIME, BATCH, INPUTS)
    reference = theirs(INPUTS, UNITS)
    reference.load_state_dict(layer.state_dict())
    shares = [0.3, 0.5]
    old = [torch.zeros(1, BATCH, UNITS) for _ in flat(reference(x)[1])]
    for time in range(TIME):
        new = flat(reference(x[time : time + 1], tuple(old) if len(old) > 1 else old[0])[1])
        old = [p * before + (1 - p) * after for p, before, after in zip(shares, old, new, strict=False)]
    output, states = layer(x)
    assert torch.allclose(output[-1], old[0][0], atol=1e-6)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(flat(states), old, strict=True))
    assert torch.equal(output, layer(x)[0])


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_at_1_the_state_never_moves(ours: Any, theirs: Any) -> None:
    layer, x = ours(INPUTS, UNITS, hidden_zoneout=1.0), torch.randn(TIME, BATCH, INPUTS)
    for mode in (True, False):
        assert not layer.train(mode)(x)[0].any()


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_recurrent_dropout_at_1_leaves_only_what_is_remembered(ours: Any, theirs: Any) -> None:
    # c = f c' and h = z h': from 0 nothing comes in, and a state shrinks by its gate, but is not dropped.
    layer = quiet(ours, recurrent_dropout=1.0)
    x = torch.randn(TIME, BATCH, INPUTS)
    assert not layer(x)[0].any()
    last = torch.ones(1, BATCH, UNITS)
    state = flat(layer(x[:1], (last, last) if ours is ad.ZoneoutLSTM else last)[1])[-1]
    assert ((state > 0) & (state < 1)).all()


def test_the_candidate_is_dropped_at_each_time_anew_and_rescaled() -> None:
    layer = quiet(ad.ZoneoutLSTM, recurrent_dropout=0.25)
    noise = torch.stack(list(layer._candidate_noise(torch.empty(200, 50, 1))))
    assert noise.shape == (200, 50, UNITS)
    dropped = (noise == 0).float().mean().item()
    assert abs(dropped - 0.25) <= 5 * (0.25 * 0.75 / noise.numel()) ** 0.5
    assert torch.allclose(noise[noise != 0], torch.tensor(1 / 0.75))
    assert not torch.equal(noise[0], noise[1])


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_behind_its_end_a_sequence_changes_nothing(ours: Any, theirs: Any) -> None:
    layer = ours(INPUTS, UNITS, bidirectional=True, hidden_zoneout=0.4).eval()
    x, lengths = torch.randn(TIME, BATCH, INPUTS), [2, 5, 1]
    output, states = layer(pack_padded_sequence(x, lengths, enforce_sorted=False))
    padded, _ = pad_packed_sequence(output)
    for index, length in enumerate(lengths):
        alone, own = layer(x[:length, index])
        assert torch.allclose(padded[:length, index], alone, atol=1e-6)
        assert all(torch.allclose(a[:, index], b, atol=1e-6) for a, b in zip(flat(states), flat(own), strict=True))


def test_the_gradient_of_the_recurrent_weight_in_one_product_is_that_of_the_loop() -> None:
    for kind, _ in KINDS:
        layer, x = kind(INPUTS, UNITS, num_layers=2, bidirectional=True), torch.randn(TIME, BATCH, INPUTS)
        gradients = []
        for enabled in (True, False):  # torch's own switch between kernels with and without a second derivative
            torch.manual_seed(5)
            with torch.backends.cudnn.flags(enabled=enabled):
                loss = layer(x)[0].square().sum()
            gradients.append(torch.autograd.grad(loss, list(layer.parameters())))
        for one, other in zip(*gradients, strict=True):
            assert torch.allclose(one, other, atol=1e-5)


def test_a_second_derivative_is_right_or_refused() -> None:
    layer, x = ad.ZoneoutGRU(2, 3).double(), torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(layer(x)[0].sum(), layer.weight_hh_l0, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()

    def run(x: Tensor) -> Tensor:
        torch.manual_seed(0)
        output: Tensor = layer(x)[0]
        return output

    with torch.backends.cudnn.flags(enabled=False):
        assert torch.autograd.gradgradcheck(run, (x,))


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_its_rates_have_names_and_move_apart(ours: Any, theirs: Any) -> None:
    model = nn.ModuleDict({"rnn": ours(INPUTS, UNITS, num_layers=2, dropout=ad.ConstantSchedule(0.2))})
    names = ["rnn.hidden_zoneout", "rnn.recurrent_dropout", "rnn.dropout"]
    names += ["rnn.cell_zoneout"] if ours is ad.ZoneoutLSTM else []
    assert sorted(ad.get_rates(model)) == sorted(names)
    assert {row.name: row.reachable for row in ad.inventory(model)} == dict.fromkeys(names, True)
    ad.convert(model)
    assert sorted(ad.get_rates(model)) == sorted(names)
    ad.set_rates(model, {"rnn.hidden_zoneout": 0.7})
    assert model["rnn"].hidden_zoneout.p == 0.7
    with pytest.raises(TypeError, match="Zoneout passes no gradient"):
        ours(INPUTS, UNITS, hidden_zoneout=ad.LearnedRate(0.1))


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_copies_casts_seeds_and_checkpoints_are_followed(ours: Any, theirs: Any) -> None:
    layer, x = ours(INPUTS, UNITS, num_layers=2, dropout=0.1), torch.randn(TIME, BATCH, INPUTS)
    twin = pickle.loads(pickle.dumps(copy.deepcopy(layer)))
    results = []
    for each in (layer, twin):
        torch.manual_seed(2)
        results.append(each(x)[0])
    assert torch.equal(*results)
    half = twin.bfloat16()
    assert half(x.bfloat16())[0].dtype == torch.bfloat16
    assert half.hidden_zoneout.rate.value.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x)[0].isfinite().all()
        assert layer.eval()(x)[0].isfinite().all()
    x.requires_grad_()
    torch.manual_seed(2)
    (plain,) = torch.autograd.grad(layer.train()(x)[0].square().sum(), x)
    torch.manual_seed(2)
    (again,) = torch.autograd.grad(checkpoint(layer, x, use_reentrant=False)[0].square().sum(), x)
    assert torch.equal(plain, again)


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")  # by torch's own layer, at its start
@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_it_waits_for_no_device(ours: Any, theirs: Any) -> None:
    with fake_cuda():
        layer, x = ours(INPUTS, UNITS, recurrent_dropout=0.2), torch.ones(TIME, BATCH, INPUTS, requires_grad=True)
        with no_waits():
            backward(layer(x)[0].square().mean())


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_it_is_one_call_for_fx(ours: Any, theirs: Any) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.zoneout = ours(INPUTS, UNITS), ad.Zoneout(0.2)

        def forward(self, x: Tensor) -> Tensor:
            output, _ = self.rnn(x)
            return self.zoneout(output, output + 1)  # type: ignore[no-any-return]

    model, x = Model().eval(), torch.randn(TIME, BATCH, INPUTS)
    graph = torch.fx.symbolic_trace(model)
    assert [node.target for node in graph.graph.nodes if node.op == "call_module"] == ["rnn", "zoneout"]
    assert torch.equal(graph(x), model(x))


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_monte_carlo_samples_have_its_noise(ours: Any, theirs: Any) -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = ours(INPUTS, UNITS)

        def forward(self, x: Tensor) -> Tensor:
            return self.rnn(x)[0][-1]  # type: ignore[no-any-return]

    model, x = Last().eval(), torch.randn(TIME, BATCH, INPUTS)
    samples = ad.mc_samples(model, x, samples=8)
    assert samples.shape == (8, BATCH, UNITS)
    assert (samples.std(0) > 0).any()
    assert not model.rnn.training


@pytest.mark.slow
@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_twenty_changes_of_p_are_one_graph_with_the_masks_of_eager_code(
    ours: Any, theirs: Any, short_noise: None
) -> None:
    layer, x, graphs = ours(INPUTS, UNITS, recurrent_dropout=0.1), torch.randn(3, BATCH, INPUTS), []
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend=lambda graph, _: graphs.append(graph) or graph, fullgraph=True)
    for step in range(1, 20):
        layer.hidden_zoneout.p = step / 20
        torch.manual_seed(step)
        with torch._dynamo.config.patch(allow_rnn=True):  # torch's switch for all recurrent layers
            found = compiled(x)[0]
        torch.manual_seed(step)
        assert torch.allclose(found, layer(x)[0], atol=1e-6), step
    assert len(graphs) == 1


def test_wrong_input_is_told() -> None:
    layer = ad.ZoneoutGRU(INPUTS, UNITS)
    with pytest.raises(ValueError, match=r"ZoneoutGRU takes 2-dim or 3-dim input, but got shape \(4,\)"):
        layer(torch.ones(4))
    with pytest.raises(RuntimeError, match="Expected 4, got 3"):
        layer(torch.ones(2, 2, 3))
    with pytest.raises(RuntimeError, match=r"the state has to be of shape \(1, 2, 6\), but got \[1, 5, 6\]"):
        layer(torch.ones(2, 2, 4), torch.zeros(1, 5, 6))
    with pytest.raises(ValueError, match=r"p has to be between 0 and 1, but got 1\.5"):
        ad.ZoneoutLSTM(INPUTS, UNITS, cell_zoneout=1.5)
