"""`DropEdge` and `DropNode` as layers: found, steered, scheduled, copied, compiled and recorded like any other."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout
from adaptive_dropout.signals.layers import approximated, steered_layers
from tests.contracts import check_rates
from tests.fake_device import fake_cuda, no_waits

EDGES = torch.stack([torch.arange(100), torch.arange(1, 101)])
BOTH = torch.cat([EDGES, EDGES.flip(0)], 1)
LAYERS = [ad.DropEdge, ad.DropNode]


def call(layer: nn.Module, edges: Tensor = BOTH) -> Tensor:
    """The mask of edges."""
    kept = layer(edges, 101) if isinstance(layer, ad.DropNode) else layer(edges)
    return kept.edges if isinstance(layer, ad.DropNode) else kept


class Network(nn.Module):
    """A graph -> logits of two classes at 101 nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.drop_edge = ad.DropEdge(0.5)
        self.drop_node = ad.DropNode(0.5)
        self.weight = nn.Parameter(torch.zeros(4, 2))

    def forward(self, edges: Tensor, x: Tensor) -> Tensor:
        kept = self.drop_node(edges, len(x))
        stays = self.drop_edge(edges) & kept.edges
        x = (x * kept.nodes[:, None]) @ self.weight
        return x.index_add(0, edges[0], stays[:, None] * x[edges[1]])


@pytest.mark.parametrize("layer_class", LAYERS)
def test_a_layer_drops_in_training_and_keeps_all_in_eval_mode(layer_class: Any) -> None:
    layer = layer_class(0.5)
    torch.manual_seed(3)
    first = call(layer)
    assert 0 < first.sum() < 200
    assert not torch.equal(first, call(layer))
    torch.manual_seed(3)
    assert torch.equal(first, call(layer))
    layer.p = 1.0
    assert not call(layer).any()
    layer.p = 0.0
    assert call(layer).all()
    layer.p = 0.5
    assert call(layer.eval()).all()


@pytest.mark.parametrize("layer_class", LAYERS)
def test_the_rate_is_an_ordinary_one(layer_class: Any) -> None:
    check_rates(layer_class)


def test_the_layer_says_its_settings() -> None:
    assert repr(ad.DropEdge(0.25)) == "DropEdge(p=0.25, directed=False)"
    assert repr(ad.DropEdge(ad.ConstantSchedule(0.25), directed=True)).startswith(
        "DropEdge(p=0.25, directed=True, rate="
    )
    assert repr(ad.DropNode(0.25)) == "DropNode(p=0.25)"


@pytest.mark.parametrize("layer_class", [ad.DropEdge, pytest.param(ad.DropNode, marks=pytest.mark.slow)])
def test_twenty_changes_of_p_are_one_graph_with_the_masks_of_eager_code(layer_class: Any) -> None:
    layer, graphs = layer_class(0.5), []
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend=lambda graph, _: graphs.append(graph) or graph, fullgraph=True)
    for step in range(21):
        layer.p = step / 20
        run = compiled if layer_class is ad.DropEdge else lambda edges: compiled(edges, 101).edges
        torch.manual_seed(step)
        stays = run(BOTH)
        torch.manual_seed(step)
        assert torch.equal(stays, call(layer))
    assert len(graphs) == 1


@pytest.mark.slow
@pytest.mark.parametrize("layer_class", LAYERS)
def test_inductor_gives_the_masks_of_eager_code(layer_class: Any) -> None:
    layer = layer_class(0.5)
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True)
    torch.manual_seed(5)
    kept = compiled(BOTH) if layer_class is ad.DropEdge else compiled(BOTH, 101).edges
    torch.manual_seed(5)
    assert torch.equal(kept, call(layer))


@pytest.mark.parametrize("layer_class", LAYERS)
@pytest.mark.parametrize("training", [True, False])
def test_a_layer_waits_for_no_device(layer_class: Any, training: bool) -> None:
    with fake_cuda():
        layer, edges = layer_class(0.5).train(training), torch.zeros(2, 8, dtype=torch.int64)
        with no_waits():
            assert call(layer, edges).is_cuda


def test_fx_records_a_layer_as_one_call() -> None:
    network = Network()
    graph = torch.fx.symbolic_trace(Traced(network))
    assert [str(node.target) for node in graph.graph.nodes if node.op == "call_module"] == [
        "network.drop_node",
        "network.drop_edge",
    ]
    network.drop_edge.p = 0.0
    assert graph(BOTH, torch.ones(101, 4)).shape == (101, 2)


class Traced(nn.Module):
    """The network with its number of nodes known, which fx cannot take the len of."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, edges: Tensor, x: Tensor) -> Tensor:
        kept = self.network.drop_node(edges, 101)
        stays = self.network.drop_edge(edges) & kept.edges
        x = (x * kept.nodes[:, None]) @ self.network.weight
        return x.index_add(0, edges[0], stays[:, None] * x[edges[1]])


def test_a_model_lists_sets_and_schedules_the_rates() -> None:
    network = Network()
    assert ad.get_rates(network) == {"drop_edge": 0.5, "drop_node": 0.5}
    assert [row[:2] for row in ad.inventory(network)] == [("drop_edge", "DropEdge"), ("drop_node", "DropNode")]
    assert all(row.reachable for row in ad.inventory(network, BOTH, torch.ones(101, 4)))
    network.idle = ad.DropEdge(0.1)
    assert [row.name for row in ad.inventory(network, BOTH, torch.ones(101, 4)).unreachable()] == ["idle"]
    del network.idle
    ad.set_rates(network, {"drop_edge": 0.2})
    network.drop_node = ad.DropNode(ad.LinearSchedule(0.0, 0.5, steps=10))
    ad.set_step(network, 5)
    assert ad.get_rates(network) == {"drop_edge": pytest.approx(0.2), "drop_node": pytest.approx(0.25)}


def test_samples_of_a_model_in_eval_mode_lose_other_edges() -> None:
    network = Network().eval()
    network.weight.data.fill_(1.0)
    x = torch.ones(101, 4)
    samples = ad.mc_samples(network, x, samples=200, forward=lambda x: network(BOTH, x))
    assert samples.shape == (200, 101, 2)
    # A node inside the path stays with q, and gets each of its two neighbours with q^3; a row of x gives 4.
    mean = samples[:, 1:-1].mean()
    assert abs(mean - 4 * (0.5 + 2 * 0.5**3)) < 0.15
    assert torch.equal(network(BOTH, x), network(BOTH, x))


def test_a_controller_of_gradients_says_that_edges_pass_none() -> None:
    network, x = Network(), torch.ones(101, 4)
    p = dict.fromkeys(ad.get_rates(network), torch.tensor(0.5))
    says = pytest.raises(TypeError, match="the noise of 'drop_edge', a DropEdge, passes no gradient")
    with says, approximated(steered_layers(network), p):
        network(BOTH, x)


class Task(L.LightningModule):
    """Trains the network to tell even nodes from odd ones."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network()
        self.x = torch.randn(101, 4)

    def _loss(self) -> Tensor:
        return nn.functional.cross_entropy(self.network(BOTH, self.x), torch.arange(101) % 2)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self._loss()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val_loss", self._loss(), batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 0.1)

    def train_dataloader(self) -> Any:
        return DataLoader(torch.zeros(2), batch_size=1)  # type: ignore[arg-type]

    val_dataloader = train_dataloader


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_adaptive_dropout_steers_both_rates(tmp_path: Any) -> None:
    control = AdaptiveDropout()
    trainer = L.Trainer(
        max_epochs=25,
        callbacks=[control],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        log_every_n_steps=1,
    )
    task = Task()
    trainer.fit(task)
    assert control.state is not None
    assert set(control.state.rates) == {"network.drop_edge", "network.drop_node"}
    assert control.start == dict.fromkeys(control.state.rates, 0.2)
    found = ad.get_rates(task)
    assert found == pytest.approx(dict(control.state.rates))


def test_a_copy_and_a_pickle_have_a_rate_of_their_own() -> None:
    network = Network()
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        twin.drop_edge.p = 0.1
        assert (twin.drop_edge.p, network.drop_edge.p) == (0.1, 0.5)
    assert list(network.state_dict()) == ["weight"]
