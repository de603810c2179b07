from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import adaptive_dropout as ad
from adaptive_dropout.functional import drop_path, drop_path_residual
from adaptive_dropout.signals import Response, hypergradient


class Counting(nn.Module):
    """A branch that notes how many examples it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(5, 5)
        self.rows: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.rows.append(len(x))
        return self.dense(x).tanh()


def both(branch: nn.Module, x: Tensor, p: float | Tensor) -> list[list[Tensor]]:
    """The result, the gradient of x and those of the weights, without and with skipped work, of one seed."""
    found = []
    for call in (lambda leaf: leaf + drop_path(branch(leaf), p), lambda leaf: drop_path_residual(leaf, branch, p)):
        torch.manual_seed(4)
        leaf = x.clone().requires_grad_()
        y = call(leaf)
        gradients = torch.autograd.grad(y.double().square().sum(), [leaf, *branch.parameters()])
        found.append([y.detach(), *gradients])
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("p", [0.0, 0.001, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(1, 5), (7, 5), (40, 3, 5)])
def test_skipped_work_changes_neither_the_result_nor_a_gradient(
    shape: tuple[int, ...], p: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(1)
    branch, x = nn.Linear(5, 5).to(dtype), torch.randn(shape, dtype=dtype)
    tolerance: dict[str, float] = {"rtol": 0.1, "atol": 0.1} if dtype == torch.bfloat16 else {}
    for ours, expected in zip(*both(branch, x, p), strict=True):
        torch.testing.assert_close(ours, expected, **tolerance)


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.9])
def test_the_branch_runs_on_a_share_of_1_minus_p(p: float) -> None:
    torch.manual_seed(1)
    branch, x = Counting(), torch.randn(400, 5)
    for _ in range(20):
        drop_path_residual(x, branch, p)
    assert abs(sum(branch.rows) - 8000 * (1 - p)) < 5 * (8000 * p * (1 - p)) ** 0.5


def test_where_all_are_dropped_one_example_runs_so_that_each_weight_has_a_gradient() -> None:
    branch, x = Counting(), torch.randn(30, 5, requires_grad=True)
    y = drop_path_residual(x, branch, 1.0)
    assert torch.equal(y, x)
    y.sum().backward()
    assert branch.rows == [1]
    assert branch.dense.weight.grad is not None
    assert not branch.dense.weight.grad.any()


def test_without_examples_the_branch_runs_on_none() -> None:
    assert drop_path_residual(torch.ones(0, 5), Counting(), 0.5).shape == (0, 5)


def test_a_checkpoint_recomputes_the_same_examples() -> None:
    branch, x = Counting(), torch.randn(50, 5, requires_grad=True)
    gradients = []
    for call in (drop_path_residual, lambda *given: checkpoint(drop_path_residual, *given, use_reentrant=False)):
        torch.manual_seed(2)
        gradients.append(torch.autograd.grad(call(x, branch, 0.5).square().sum(), x)[0])
    assert torch.equal(*gradients)
    assert branch.rows[1] == branch.rows[2] < 50


def layer_and_input() -> tuple[ad.DropPath, Counting, Tensor]:
    return ad.DropPath(0.5), Counting(), torch.randn(60, 5)


def test_the_layer_skips_in_training_and_adds_the_whole_branch_in_eval_mode() -> None:
    layer, branch, x = layer_and_input()
    layer.residual(x, branch)
    assert branch.rows[0] < 60
    layer.eval()
    assert torch.equal(layer.residual(x, branch), x + branch(x))
    assert branch.rows[1] == 60


def test_the_layer_follows_p() -> None:
    layer, branch, x = layer_and_input()
    layer.p = 0.0
    assert torch.equal(layer.residual(x, branch), x + branch(x))
    layer.p = 1.0
    assert torch.equal(layer.residual(x, branch), x)


def hooked(layer: ad.DropPath) -> None:
    layer.register_forward_hook(lambda *_: None)


def measured(layer: ad.DropPath) -> None:
    layer.__dict__["noise"] = lambda x, p: ad.DropPath.noise(layer, x, p)


@pytest.mark.parametrize("watch", [hooked, measured])
def test_whoever_watches_the_layer_sees_its_call(watch: Callable[[ad.DropPath], None]) -> None:
    layer, branch, x = layer_and_input()
    watch(layer)
    layer.residual(x, branch)
    assert branch.rows == [60]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branch, self.drop_path = nn.Linear(5, 5), ad.DropPath(0.4)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop_path.residual(x, self.branch)


def test_the_inventory_sees_that_it_is_called() -> None:
    row = ad.inventory(Block(), torch.ones(3, 5))[0]
    assert (row.name, row.reachable) == ("drop_path", True)


def test_hypergradients_and_responses_reach_its_rate() -> None:
    block, x = Block(), torch.randn(40, 5)
    optimizer = torch.optim.SGD(block.parameters(), lr=0.1)
    loss = lambda: block(x).square().mean()  # noqa: E731
    assert hypergradient(block, [optimizer], loss, loss)["drop_path"] != 0
    response = Response(block)
    response.install()
    response.draw(40)
    loss().backward()
    response.learn()
    assert set(response.signal(loss)) == {"drop_path"}


@pytest.mark.slow
def test_compiled_code_is_one_graph_with_the_same_mask(short_noise: None) -> None:
    block, x, graphs = Block(), torch.randn(30, 5), []
    torch._dynamo.reset()

    def count(graph: Any, _: list[Tensor]) -> Any:
        graphs.append(graph)
        return graph

    compiled = torch.compile(block, backend=count, fullgraph=True)
    for p in (0.3, 0.6):
        block.drop_path.p = p
        torch.manual_seed(5)
        expected = block(x)
        torch.manual_seed(5)
        torch.testing.assert_close(compiled(x), expected)
    assert len(graphs) == 1


def test_it_can_be_traced_copied_and_vmapped() -> None:
    block = copy.deepcopy(Block())
    traced = torch.fx.symbolic_trace(block)
    torch.manual_seed(1)
    expected = block(torch.ones(20, 5))
    torch.manual_seed(1)
    torch.testing.assert_close(traced(torch.ones(20, 5)), expected)
    assert torch.vmap(block, randomness="different")(torch.ones(4, 20, 5)).shape == (4, 20, 5)


def test_wrong_branches_and_inputs_are_told() -> None:
    with pytest.raises(RuntimeError, match=r"the shape that it is given, \(\d, 5\), but returned \(\d, 3\)"):
        drop_path_residual(torch.ones(9, 5), nn.Linear(5, 3), 0.3)
    with pytest.raises(RuntimeError, match="floating-point"):
        drop_path_residual(torch.ones(9, 5, dtype=torch.int64), nn.Identity(), 0.3)
    with pytest.raises(ValueError, match=r"has to be between 0 and 1, but got -0\.5"):
        drop_path_residual(torch.ones(9, 5), nn.Identity(), -0.5)
