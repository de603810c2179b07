"""The default callback on modules that keep a state, or count what they see: their own numbers are untouched."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import adaptive_dropout as ad
from tests.field.parts import BATCH, CLASSES, FEATURES, Plain, mlp, points
from tests.field.runs import EPOCHS, Spy, check_clean_loss, check_sane, in_batches, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
]

TRAIN, VAL = points(64, 1), points(32, 2)
BATCHES, VAL_BATCHES = len(TRAIN) // BATCH, len(VAL) // BATCH


def fitted(folder: Path, module: Plain, *others: Any, **settings: Any) -> Any:
    own = run(folder, module, DataLoader(TRAIN, BATCH, shuffle=True), DataLoader(VAL, BATCH), *others, **settings)
    check_sane(own)
    return own


def test_a_queue_turns_once_for_each_batch_of_the_run(tmp_path: Path) -> None:
    # lightning-bolts, Moco_v2: one queue for training, one for validation
    class Moco(Plain):
        def __init__(self) -> None:
            super().__init__(mlp(4))
            self.turns = {"train": 0, "val": 0}
            for name in self.turns:
                self.register_buffer(f"{name}_queue", F.normalize(torch.randn(4, 32), dim=0))
                self.register_buffer(f"{name}_at", torch.zeros(1, dtype=torch.long))

        def loss(self, batch: Any) -> Tensor:
            name = "train" if self.training else "val"
            queue, at = getattr(self, f"{name}_queue"), getattr(self, f"{name}_at")
            one, two = (F.normalize(self.net(batch[0] + 0.05 * i), dim=1) for i in (0, 1))
            logits = torch.cat([(one * two).sum(1, keepdim=True), one @ queue.clone()], 1) / 0.2
            queue[:, int(at) : int(at) + len(two)] = two.detach().T
            at[0] = (int(at) + len(two)) % 32
            self.turns[name] += 1
            return F.cross_entropy(logits, torch.zeros(len(one), dtype=torch.long))

    module = Moco()
    own = fitted(tmp_path, module)
    assert module.turns == {"train": EPOCHS * BATCHES, "val": EPOCHS * VAL_BATCHES}
    assert any("clean_loss" in d.signals for d in own.run.decisions)


def test_a_target_network_follows_each_step_of_the_run(tmp_path: Path) -> None:
    # lightning-bolts, BYOL: BYOLMAWeightUpdate, with a momentum that goes by the global step
    class Byol(Plain):
        def __init__(self) -> None:
            super().__init__(mlp(4))
            self.target, self.predict = copy.deepcopy(self.net).requires_grad_(False), nn.Linear(4, 4)
            self.taus: list[float] = []

        def loss(self, batch: Any) -> Tensor:
            made = F.normalize(self.predict(self.net(batch[0])), dim=1)
            return 2 - 2 * (made * F.normalize(self.target(batch[0] + 0.05), dim=1)).sum(1).mean()

        def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
            self.taus.append(1 - 0.1 / (1 + self.global_step))
            for slow, fast in zip(self.target.parameters(), self.net.parameters(), strict=True):
                slow.lerp_(fast.detach(), 1 - self.taus[-1])

    module = Byol()
    fitted(tmp_path, module)
    assert module.taus == [1 - 0.1 / (1 + step) for step in range(1, EPOCHS * BATCHES + 1)]


def test_a_hidden_state_goes_from_each_batch_to_the_next_one_of_the_run(tmp_path: Path) -> None:
    # salesforce/awd-lstm-lm ports: validation has a hidden state of its own, reset when it begins
    class Stateful(Plain):
        def __init__(self) -> None:
            super().__init__(
                nn.ModuleList([nn.GRU(FEATURES, 6, batch_first=True), ad.Dropout(0.2), nn.Linear(6, CLASSES)])
            )
            self.state: Any = None
            self.steps, self.kept, self.ended, self.fresh, self.begun = 0, None, [], [], []

        def forward(self, x: Tensor) -> Tensor:
            made, state = self.net[0](x[:, None], self.state)
            self.state = state.detach()
            return self.net[2](self.net[1](made[:, -1]))  # type: ignore[no-any-return]

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.fresh.append(self.state is None)
            super().validation_step(batch, batch_idx)
            self.steps += 1

        def on_validation_epoch_start(self) -> None:
            self.kept, self.state = self.state, None

        def on_validation_epoch_end(self) -> None:
            self.ended.append(self.steps)
            self.state, self.kept, self.steps = self.kept, None, 0

        def on_train_epoch_start(self) -> None:
            self.begun.append(self.state is None)

    module = Stateful()
    fitted(tmp_path, module)
    assert module.ended == [VAL_BATCHES] * EPOCHS
    assert module.fresh == [True, *[False] * (VAL_BATCHES - 1)] * EPOCHS
    assert module.begun == [True, *[False] * (EPOCHS - 1)]


class Metric:
    """Huggingface's `evaluate.Metric`: examples are added, `compute` forgets them."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int]] = []

    def add_batch(self, predictions: Any, references: Any) -> None:
        self.rows += zip(predictions.tolist(), references.tolist(), strict=True)

    def compute(self) -> dict[str, float]:
        rows, self.rows = self.rows, []
        return {"n": float(len(rows)), "accuracy": sum(a == b for a, b in rows) / len(rows)}


def test_an_accumulating_metric_counts_each_example_of_validation_once(tmp_path: Path) -> None:
    # huggingface/transformers' no_trainer examples as a LightningModule
    class Evaluated(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.metric, self.counts = Metric(), []

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            super().validation_step(batch, batch_idx)
            self.metric.add_batch(predictions=self(batch[0]).argmax(1), references=batch[1])

        def on_validation_epoch_end(self) -> None:
            found = self.metric.compute()
            self.counts.append(found["n"])
            self.log("val_accuracy", found["accuracy"])

    module, spy = Evaluated(), Spy(in_batches(TRAIN, BATCH))
    own = fitted(tmp_path, module, spy)
    check_clean_loss(own, spy)
    assert module.counts == [32.0] * EPOCHS


def test_texts_are_decoded_once_and_the_loss_takes_their_lengths(tmp_path: Path) -> None:
    # AssemblyAI's and NeMo's CTC models: lengths in the batch, greedy decoding and an edit count in validation
    class Ctc(Plain):
        def __init__(self) -> None:
            super().__init__(mlp(5))
            self.texts: list[str] = []
            self.counts: list[int] = []

        def loss(self, batch: Any) -> Tensor:
            sound, text, lengths, text_lengths = batch
            return F.ctc_loss(
                self(sound).log_softmax(2).transpose(0, 1), text, lengths, text_lengths, zero_infinity=True
            )

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            super().validation_step(batch, batch_idx)
            for row in self(batch[0]).argmax(2):
                self.texts.append("".join(chr(96 + int(k)) for k in row.unique_consecutive() if k))

        def on_validation_epoch_end(self) -> None:
            self.counts.append(len(self.texts))
            self.texts.clear()

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), 0.01)

    def sounds(n: int) -> TensorDataset:
        text = torch.randint(1, 5, (n, 3))
        sound = torch.randn(n, 10, FEATURES) + F.one_hot(text.repeat_interleave(4, 1)[:, :10], FEATURES)
        return TensorDataset(sound, text, torch.randint(8, 11, (n,)), torch.randint(1, 4, (n,)))

    train, val = sounds(64), sounds(32)
    module, spy = Ctc(), Spy(in_batches(train, BATCH))
    own = run(tmp_path, module, DataLoader(train, BATCH, shuffle=True), DataLoader(val, BATCH), spy)
    check_sane(own)
    check_clean_loss(own, spy)
    assert module.counts == [len(val)] * EPOCHS


def test_a_pad_that_a_module_remembers_is_that_of_its_own_images(tmp_path: Path) -> None:
    # princeton-vl/RAFT's InputPadder: validation images are larger, and the pad is remembered from forward to the end
    class Flow(Plain):
        def __init__(self) -> None:
            super().__init__(
                nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), ad.Dropout(0.2), nn.Conv2d(4, 2, 3, padding=1))
            )
            self.pad: list[int] = []
            self.pads: list[tuple[str, list[int]]] = []

        def loss(self, batch: Any) -> Tensor:
            height, width = batch[0].shape[-2:]
            self.pad = [0, -width % 8, 0, -height % 8]
            made = self.net(F.pad(batch[0], self.pad))
            return F.l1_loss(made[..., :height, :width], batch[1])

        def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
            self.pads.append(("train", self.pad))

        def on_validation_batch_end(self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
            self.pads.append(("val", self.pad))

        def on_train_epoch_start(self) -> None:
            self.pads.append(("begins", self.pad))

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), 0.01)

    def frames(n: int, height: int, width: int) -> TensorDataset:
        x = torch.randn(n, 2, height, width)
        return TensorDataset(x, 0.5 * x.roll(1, 2))

    train, val = frames(32, 6, 6), frames(8, 7, 13)
    module = Flow()
    own = run(tmp_path, module, DataLoader(train, 4, shuffle=True), DataLoader(val, 4))
    check_sane(own)
    assert "clean_loss" in own.run.decisions[-1].signals  # type: ignore[union-attr]
    of_train, of_val = [0, 2, 0, 2], [0, 3, 0, 1]
    epoch = [("begins", of_val), *[("train", of_train)] * 8, *[("val", of_val)] * 2]
    assert module.pads == [("begins", []), *(epoch * EPOCHS)[1:]]
