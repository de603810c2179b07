"""Modules that log in other ways than a number from `validation_step`: metric objects, epoch ends, stages, loggers."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MaxMetric, MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from tests.field.harness import Kind
from tests.field.parts import BATCH, CLASSES, Plain, loaders


class MetricObjects(Plain):
    # ashleve/lightning-hydra-template: a MeanMetric for each loss, a MaxMetric for the best accuracy
    def __init__(self) -> None:
        super().__init__()
        self.train_loss, self.val_loss = MeanMetric(), MeanMetric()
        self.val_acc, self.val_acc_best = MulticlassAccuracy(CLASSES), MaxMetric()

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = self.loss(batch)
        self.train_loss(loss)
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        logits = self(batch[0])
        self.val_loss(F.cross_entropy(logits, batch[1]))
        self.val_acc(logits, batch[1])
        self.log("val/loss", self.val_loss, on_step=False, on_epoch=True)
        self.log("val/acc", self.val_acc, on_step=False, on_epoch=True)

    def on_validation_epoch_end(self) -> None:
        self.val_acc_best(self.val_acc.compute())
        self.log("val/acc_best", self.val_acc_best.compute(), sync_dist=True)


class Collection(Plain):
    # torchmetrics' documentation: clones of one collection with prefixes, updated in the step, computed at the end
    def __init__(self) -> None:
        super().__init__()
        both = MetricCollection([MulticlassAccuracy(CLASSES), MulticlassF1Score(CLASSES)])
        self.train_metrics, self.val_metrics = both.clone(prefix="train_"), both.clone(prefix="val_")

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        logits = self(batch[0])
        self.log_dict(self.train_metrics(logits, batch[1]))
        return F.cross_entropy(logits, batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        logits = self(batch[0])
        self.log("val_loss", F.cross_entropy(logits, batch[1]))
        self.val_metrics.update(logits, batch[1])

    def on_validation_epoch_end(self) -> None:
        self.log_dict(self.val_metrics.compute())
        self.val_metrics.reset()


class LoggedCollection(Collection):
    # the other form there: the collection itself is logged
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        logits = self(batch[0])
        self.log("val_loss", F.cross_entropy(logits, batch[1]))
        self.val_metrics(logits, batch[1])
        self.log_dict(self.val_metrics, on_step=False, on_epoch=True)

    def on_validation_epoch_end(self) -> None: ...


class UnregisteredMetrics(Plain):
    # metrics in a plain dictionary, as in many notebooks, which no module sees
    def __init__(self) -> None:
        super().__init__()
        self.meters = {"val": [MeanMetric(), MulticlassAccuracy(CLASSES)]}

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        logits = self(batch[0])
        loss = F.cross_entropy(logits, batch[1])
        self.meters["val"][0].update(loss)
        self.meters["val"][1].update(logits, batch[1])
        self.log("val_loss", loss)

    def on_validation_epoch_end(self) -> None:
        for name, meter in zip(("mean", "accuracy"), self.meters["val"], strict=True):
            self.log(f"val_{name}", meter.compute())
            meter.reset()


class LossAtEpochEnd(Plain):
    # Lightning-AI/tutorials, text-transformers: the loss over all outputs, logged when validation ends
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[dict[str, Tensor]] = []

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.kept.append({"logits": self(batch[0]), "labels": batch[1]})

    def on_validation_epoch_end(self) -> None:
        logits, labels = (torch.cat([one[name] for one in self.kept]) for name in ("logits", "labels"))
        self.kept.clear()
        self.log("val_loss", F.cross_entropy(logits, labels), prog_bar=True)


class StepAndEpoch(Plain):
    # Lightning's documentation of `log`: both, so that there is a curve within the validation
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.log("val_loss", self.loss(batch), on_step=True, on_epoch=True, batch_size=len(batch[0]))


class StageNames(Plain):
    # pytorch-forecasting's base model: names from the stage that the trainer is in
    def shared_step(self, batch: Any) -> Tensor:
        loss = self.loss(batch)
        self.log(f"{self.trainer.state.stage.value}_loss", loss)
        if self.trainer.validating or self.trainer.sanity_checking:
            self.log("in_validation", float(self.trainer.sanity_checking))
        return loss

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return self.shared_step(batch)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        return self.shared_step(batch)


class ToExperiment(Plain):
    # PyTorch Lightning image logging idiom: the first batch of each validation goes to the logger directly
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        if batch_idx == 0:
            self.logger.log_metrics({"first": float(batch[0][0].mean())}, step=self.global_step)
            for logger in self.trainer.loggers:
                logger.log_metrics({"again": float(batch[0].sum())}, step=self.trainer.global_step)

    def on_validation_epoch_end(self) -> None:
        self.logger.log_metrics({"norm": float(self.net[0].weight.norm())}, step=self.current_epoch)


class LoggerKept(Plain):
    # a logger that was put aside when fitting began, in a dictionary
    def on_fit_start(self) -> None:
        self.sinks = {"train": self.logger, "all": list(self.trainer.loggers)}

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        super().validation_step(batch, batch_idx)
        self.sinks["train"].log_metrics({"direct": float(self.loss(batch))}, step=batch_idx)


class ManyNames(Plain):
    # Kaggle: a dictionary of all losses, with the batch's size, progress bar and a name by the batch
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        loss = self.loss(batch)
        self.log_dict(dictionary={"val_loss": loss, "val_err": loss.item()}, batch_size=BATCH, prog_bar=True)
        self.log(f"val_batch_{batch_idx}", loss, on_epoch=True, reduce_fx="max")
        return {"loss": loss, "logits": self(batch[0])}

    def on_validation_batch_end(self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.log("logit", outputs["logits"].max())


class ReadsCallbackMetrics(Plain):
    # auto-tuned thresholds: the step reads what the last validation logged
    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        before = self.trainer.callback_metrics.get("val_loss", torch.tensor(1.0))
        self.log("val_loss", self.loss(batch))
        self.log("change", self.loss(batch) - before)


class WithCallbacks(L.Callback):
    """A user's own callback that counts what it is told, and one number by the module's own state."""

    def __init__(self) -> None:
        self.batches, self.ends = 0, 0

    def on_validation_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        self.batches += 1

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.ends += 1
        pl_module.log("told", float(self.batches + 100 * self.ends))

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self.batches, "ends": self.ends}


KINDS = [
    Kind("metric_objects", lambda _: MetricObjects(), loaders),
    Kind("metric_objects_sanity", lambda _: MetricObjects(), loaders, {"num_sanity_val_steps": 2}),
    Kind("collection", lambda _: Collection(), loaders),
    Kind("logged_collection", lambda _: LoggedCollection(), loaders),
    Kind("unregistered_metrics", lambda _: UnregisteredMetrics(), loaders),
    Kind("loss_at_epoch_end", lambda _: LossAtEpochEnd(), loaders),
    Kind("step_and_epoch", lambda _: StepAndEpoch(), loaders, monitor="val_loss_epoch"),
    Kind("stage_names", lambda _: StageNames(), loaders, {"num_sanity_val_steps": 2}, monitor="validate_loss"),
    Kind("to_experiment", lambda _: ToExperiment(), loaders),
    Kind("logger_kept", lambda _: LoggerKept(), loaders),
    Kind("many_names", lambda _: ManyNames(), loaders),
    Kind("reads_callback_metrics", lambda _: ReadsCallbackMetrics(), loaders),
    Kind("users_callback", lambda _: Plain(), loaders, {"num_sanity_val_steps": 1}, lambda: [WithCallbacks()]),
]
