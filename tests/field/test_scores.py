"""A monitor that is a score, whatever its name: the run is refused before its first batch, or steered the right way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import MulticlassAccuracy

from adaptive_dropout.callbacks import AdaptiveDropout
from adaptive_dropout.callbacks.meters.monitored import Monitored
from tests.field.parts import CLASSES, FEATURES, Plain, points

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
]

# Names found in public LightningModules, of Lightning's, torchmetrics', timm's and Kaggle's examples.
SCORES = (
    "val_acc", "val_accuracy", "valAccuracy", "val/acc", "acc", "accuracy", "val_top1", "top5", "val_f1", "val_F1Score",
    "f1_macro", "val_dice", "dice_score", "val_iou", "val_mIoU", "val/MulticlassJaccardIndex", "jaccard", "val_map",
    "mAP", "map_50", "val_auc", "val_auroc", "roc_auc", "val_auprc", "val_ap", "average_precision", "val_precision",
    "val_recall", "sensitivity", "specificity", "val_r2", "R2Score", "explained_variance", "pearson", "spearman",
    "val_kappa", "qwk", "val_mcc", "psnr", "val_ssim", "bleu", "sacrebleu", "rougeL", "val_ndcg", "hit_rate",
    "recall@20", "val_elbo", "log_likelihood",
)  # fmt: skip
VALIDATIONS = 10


class Scored(Plain):
    """Logs as ``name`` the mean probability of the right class, which rises as it learns."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.scores, self.trained, self.lr = name, [], 0, 0.03

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.trained += 1
        return self.loss(batch)

    def score(self, batch: Any) -> Tensor:
        return self(batch[0]).softmax(1).gather(1, batch[1][:, None]).mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log(self.name, self.score(batch))

    def on_validation_end(self) -> None:
        self.scores.append(float(self.trainer.callback_metrics[self.name]))

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=self.lr)


class Accurate(Scored):
    """The same by a metric object, which says that higher is better."""

    def __init__(self) -> None:
        super().__init__("val_metric")
        self.metric = MulticlassAccuracy(CLASSES, average="micro")

    def score(self, batch: Any) -> Tensor:
        return (self(batch[0]).argmax(1) == batch[1]).float().mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.metric(self(batch[0]), batch[1])
        self.log("val_metric", self.metric, on_epoch=True)


class Falling(Scored):
    """A loss by a name that sounds like a score."""

    def score(self, batch: Any) -> Tensor:
        return 1.0 - super().score(batch)


def clusters(n: int, seed: int) -> TensorDataset:
    x, y = points(n, seed).tensors
    return TensorDataset(x + 2 * F.one_hot(y, FEATURES), y)


# One epoch of 20 batches, validated every other batch: 10 validations without the cost of 10 epochs.
TRAIN, VAL = DataLoader(clusters(16 * VALIDATIONS, 1), 8), DataLoader(clusters(32, 2), 32)


def steered(module: Scored, own: AdaptiveDropout, *others: L.Callback, **settings: Any) -> float | None:
    """Return the score of the weights that the run leaves; None where it was refused before the first batch."""
    torch.manual_seed(5)
    quiet: dict[str, Any] = {
        "accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False,
        "enable_checkpointing": False, "max_epochs": 1, "num_sanity_val_steps": 0, "val_check_interval": 2,
    }  # fmt: skip
    trainer = L.Trainer(callbacks=[own, *others], **quiet | settings)
    try:
        trainer.fit(module, TRAIN, VAL)
    except (ValueError, KeyError):
        assert module.trained == 0
        return None
    assert module.trained == len(TRAIN)
    with torch.no_grad():
        return float(module.eval().score(next(iter(VAL))))


def check_best_is_kept(module: Scored, own: AdaptiveDropout, left: float | None) -> None:
    if left is None:
        return
    seen = sorted(module.scores)
    assert len(seen) == VALIDATIONS
    assert own.monitored.sign == -1
    assert seen[-1] > seen[0] + 0.1, "it does not rise"
    assert left >= seen[-3], f"{left} is left of {seen}"  # of the three best of 10


@pytest.mark.parametrize("name", [*SCORES, "val_error", "one_minus_dice", "score"])
def test_no_number_is_judged_by_its_name(name: str) -> None:
    monitored = Monitored(name)
    monitored.find(L.Trainer(logger=False, accelerator="cpu", enable_checkpointing=False), {name: None})
    assert not monitored.sure, "then its values say what it is, as in the runs below"


@pytest.mark.parametrize("name", ["val_acc", "log_likelihood"])
def test_a_score_that_rises_is_not_taken_for_a_loss(name: str, tmp_path: Path) -> None:
    module, own = Scored(name), AdaptiveDropout(monitor=name)
    check_best_is_kept(module, own, steered(module, own, default_root_dir=tmp_path))


def test_a_score_that_rises_slowly_is_not_taken_for_a_loss_that_noise_swamps(tmp_path: Path) -> None:
    module, own = Scored("val_acc"), AdaptiveDropout(monitor="val_acc", start=0.2)
    module.lr = 0.008
    steered(module, own, default_root_dir=tmp_path)
    assert own.run is not None
    # the training loss, 1.2, is in other units than a score that begins at 0.3
    assert [decision.reason for decision in own.run.decisions if decision.restart] == []
    assert own.state is not None
    assert own.state.rates["net.2"] > 0.01


def test_a_score_that_nobody_names_is_found_and_not_taken_for_a_loss(tmp_path: Path) -> None:
    module, own = Scored("val_acc"), AdaptiveDropout()
    check_best_is_kept(module, own, steered(module, own, default_root_dir=tmp_path))


def test_a_metric_object_says_that_higher_is_better_at_once(tmp_path: Path) -> None:
    module, own = Accurate(), AdaptiveDropout(monitor="val_metric")
    left = steered(module, own, default_root_dir=tmp_path)
    check_best_is_kept(module, own, left)
    assert own.run is not None
    assert all(decision.signals["val_loss"] <= 0 for decision in own.run.decisions)


@pytest.mark.parametrize("watches", [ModelCheckpoint, EarlyStopping])
@pytest.mark.parametrize("monitor", ["val_score", None])
def test_a_callback_that_watches_it_says_that_higher_is_better_at_once(
    watches: Any, monitor: str | None, tmp_path: Path
) -> None:
    more = {"patience": 100} if watches is EarlyStopping else {"dirpath": tmp_path}
    module, own = Scored("val_score"), AdaptiveDropout(monitor=monitor)
    other = watches(monitor="val_score", mode="max", **more)
    left = steered(module, own, other, default_root_dir=tmp_path, enable_checkpointing=watches is ModelCheckpoint)
    check_best_is_kept(module, own, left)
    assert own.run is not None
    assert all(decision.signals["val_loss"] <= 0 for decision in own.run.decisions)


@pytest.mark.parametrize("name", ["val_acc", "val_error"])
def test_a_number_that_falls_is_a_loss_whatever_its_name(name: str, tmp_path: Path) -> None:
    module, own = Falling(name), AdaptiveDropout(monitor=name)
    left = steered(module, own, default_root_dir=tmp_path)
    if left is not None:
        assert own.monitored.sign == 1
        assert left <= sorted(module.scores)[2]
