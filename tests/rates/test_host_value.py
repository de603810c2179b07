"""The p that a rate keeps on the CPU: one tensor for ever, always equal to p, in no checkpoint."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend

import adaptive_dropout as ad


def test_it_follows_p_in_place() -> None:
    rate = ad.SettableRate(0.1)
    tensor = rate.host_value
    rate.set(0.3)
    rate.half()
    rate.refresh()
    assert rate.host_value is tensor
    assert tensor == torch.tensor(0.3)
    assert tensor.dtype is torch.float32
    scheduled = ad.ScheduledRate(ad.LinearSchedule(0.0, 1.0, steps=10))
    scheduled.set_step(5)
    assert scheduled.host_value == 0.5


def test_it_stays_on_the_cpu_and_out_of_checkpoints() -> None:
    layer = ad.Dropout(0.2).to("meta")
    assert layer.rate.value.is_meta
    assert layer.rate.host_value.is_cpu
    assert layer.rate.host_value == torch.tensor(0.2)
    assert not layer.state_dict()
    assert [name for name, _ in layer.named_buffers()] == ["rate.value"]


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_clone_has_its_own(clone: object) -> None:
    rate = ad.SettableRate(0.1)
    other = clone(rate)  # type: ignore[operator]
    other.set(0.7)
    assert rate.host_value == torch.tensor(0.1)
    assert other.host_value == torch.tensor(0.7)


def test_a_learned_rate_has_none() -> None:
    assert ad.LearnedRate(0.1).host_value is None


def test_compiled_code_reads_the_new_p_from_one_graph() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rate = ad.SettableRate(0.0)

        def forward(self, x: Tensor) -> Tensor:
            return x * self.rate.kernel_value

    torch._dynamo.reset()
    counter, model = CompileCounterWithBackend("eager"), Scale()
    compiled = torch.compile(model, backend=counter, fullgraph=True)
    for step in range(20):
        model.rate.set(step / 25)
        assert compiled(torch.ones(())) == torch.tensor(step / 25)
    assert counter.frame_count == 1
    inputs = [node.name for node in counter.graphs[0].graph.nodes if node.op == "placeholder"]
    assert any("host_value" in name for name in inputs)
