"""What a measurement may not do outside of the process, and what the copy that it runs on shares with the run."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from adaptive_dropout.callbacks.isolated.copying import copy_module, copy_optimizers
from adaptive_dropout.callbacks.isolated.guard import SideEffectError, fixed_seed, without_side_effects
from adaptive_dropout.callbacks.meters.batches import KeptBatches, batch_size


@pytest.mark.parametrize(
    "act",
    [
        lambda file: file.write_text("x"),
        lambda file: torch.save(torch.ones(1), file),
        lambda file: np.save(file, np.ones(1)),
        lambda file: file.mkdir(),
        lambda file: subprocess.run([sys.executable, "-c", ""], check=False),
    ],
    ids=["write", "torch.save", "numpy.save", "mkdir", "process"],
)
def test_what_cannot_be_taken_back_is_refused_before_it_is_done(act: Any, tmp_path: Path) -> None:
    with pytest.raises(SideEffectError), without_side_effects():
        act(tmp_path / "file")
    assert not list(tmp_path.iterdir())
    act(tmp_path / "file")  # allowed again


def test_what_reads_or_prints_is_let_through_and_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    with without_side_effects():
        print((tmp_path / "file").read_text())  # noqa: T201
    assert capsys.readouterr() == ("", "")


def test_other_threads_may_write_meanwhile(tmp_path: Path) -> None:
    writer = threading.Thread(target=(tmp_path / "file").write_text, args=("x",))
    with without_side_effects():
        writer.start()
        writer.join()
    assert (tmp_path / "file").read_text() == "x"


def test_the_generators_are_as_before_after_an_exception_too() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()

    @fixed_seed()
    def fails() -> None:
        torch.rand(1), np.random.rand(1), random.random()
        raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    assert random.getstate() == before[2]


class Holder(nn.Module):
    seen: list[int] = []  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.data = TensorDataset(torch.ones(4))
        self.lock, self.generator = threading.Lock(), torch.Generator()
        self.hidden = self.layer(torch.ones(1, 2))  # has a graph
        outputs: list[int] = []
        self.outputs = outputs
        self.layer.register_forward_hook(lambda *_: outputs.append(len(self.outputs)))


def test_a_copy_shares_its_data_and_nothing_that_it_changes() -> None:
    module = Holder()
    made = copy_module(module, {})
    made.layer(torch.ones(1, 2))
    made.seen.append(1)
    assert (module.outputs, made.outputs) == ([], [0])
    assert Holder.seen == []
    assert made.data is module.data
    assert made.lock is not module.lock
    assert made.generator is not module.generator
    assert not made.hidden.requires_grad
    assert made.layer.weight is not module.layer.weight


class Caller:
    """A callable of its own that holds a module, as `convert` gives attention."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return type(self.module).forward(self.module, x)


def test_modules_whose_forward_is_an_object_are_copied_with_it() -> None:
    module = nn.Sequential(*(nn.Linear(3, 3) for _ in range(20)))
    for part in module:
        vars(part)["forward"] = Caller(part)
    made = copy_module(module, {})
    assert [vars(part)["forward"].module is part for part in made] == [True] * 20
    assert torch.equal(made(torch.ones(3)), module(torch.ones(3)))
    assert not {id(weight) for weight in made.parameters()} & {id(weight) for weight in module.parameters()}


def test_optimizers_are_of_the_copied_weights_and_hold_no_moments_unless_asked_to() -> None:
    module = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.3)
    module(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    memo: dict[int, Any] = {}
    made = copy_module(module, memo)
    (light,) = copy_optimizers([optimizer], dict(memo), moments=False)
    (whole,) = copy_optimizers([optimizer], memo, moments=True)
    assert light.param_groups[0]["params"][0] is made.weight
    assert light.param_groups[0]["lr"] == 0.3
    assert (len(light.state), len(whole.state), len(optimizer.state)) == (0, 2, 2)


def test_batches_are_kept_whole_and_copied_and_much_smaller_ones_are_not() -> None:
    kept, batch = KeptBatches(3), {"x": torch.ones(8, 2)}
    for offered in (None, batch, {"x": torch.ones(3, 2)}, {"x": torch.ones(6, 2)}):
        kept.offer(offered)
    batch["x"].zero_()
    assert [batch_size(each) for each in kept.batches] == [8, 6]
    assert kept.batches[0]["x"].all()
    assert not kept.full


@pytest.mark.parametrize(
    ("batch", "size"),
    [
        ([torch.ones(4, 3), torch.ones(4)], 4),
        (({"n": torch.tensor(3.0), "x": torch.ones(5, 2)},), 5),
        ({"text": ["a", "b"]}, 2),
        (torch.tensor(1.0), None),
        (object(), None),
    ],
)
def test_the_size_of_a_batch_is_seen_where_it_can_be(batch: Any, size: int | None) -> None:
    assert batch_size(batch) == size
