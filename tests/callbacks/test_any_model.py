"""`AdaptiveDropout` on models that know nothing of it, from end to end."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from adaptive_dropout.callbacks import AdaptiveDropout
from adaptive_dropout.tracking import WandbLogger, read_run
from adaptive_dropout.tracking.names import rate_keys
from tests.tracking.inspected import series_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*does not have many workers.*")]


class Plain(L.LightningModule):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        out = self.model(batch[0])
        return nn.functional.cross_entropy(getattr(out, "logits", out), batch[1])

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self.loss(batch)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.loss(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


def fit(model: nn.Module, x: Tensor, y: Tensor, folder: Path) -> AdaptiveDropout:
    callback = AdaptiveDropout()
    parts = [DataLoader(TensorDataset(x[rows], y[rows]), 32) for rows in (slice(64), slice(64, 128))]
    logger = WandbLogger(save_dir=folder, project="any-model")
    trainer = L.Trainer(
        max_epochs=20, callbacks=[callback], logger=logger, default_root_dir=folder, accelerator="cpu",
        log_every_n_steps=1, enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(Plain(model), *parts)
    logger.experiment.finish()
    return callback


def assert_rates_moved_and_were_written_down(callback: AdaptiveDropout, folder: Path, names: set[str]) -> None:
    (record,) = folder.rglob("decisions.jsonl")
    run = read_run(record.parent)
    assert len(run.decisions) == 20
    assert names <= run.rates.keys()
    assert any(run.final_rates()[name] != run.rates[name] for name in names)
    assert callback.state is not None
    assert run.final_rates() == dict(callback.state.rates)
    logged = series_of(folder)
    for name, key in rate_keys(run.rates).items():
        assert logged[key] == pytest.approx([decision.after[name] for decision in run.decisions])
        assert len(set(logged[key])) > 1, f"{name} does not move"


def test_an_unmodified_bert_classifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    settings = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = transformers.BertConfig(vocab_size=20, num_labels=2, **settings)
    x = torch.randint(1, 20, (128, 12))
    y = (x[:, 0] > 9).long()  # of which half of the words is the first one?
    callback = fit(transformers.BertForSequenceClassification(config), x, y, tmp_path)
    names = {"model.bert.embeddings.dropout", "model.bert.encoder.layer.0.output.dropout", "model.dropout"}
    assert_rates_moved_and_were_written_down(callback, tmp_path, names)


def test_an_unmodified_vit_on_real_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = timm.create_model(
            "vit_tiny_patch16_224", img_size=8, patch_size=2, in_chans=1, embed_dim=24, depth=2, num_heads=2,
            num_classes=10, drop_rate=0.1, proj_drop_rate=0.1, attn_drop_rate=0.1, drop_path_rate=0.1,
        )  # fmt: skip
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)[:128] / 16
    callback = fit(model, x, torch.tensor(digits.target)[:128], tmp_path)
    names = {"model.blocks.0.mlp.drop1", "model.blocks.1.drop_path1", "model.head_drop"}
    assert_rates_moved_and_were_written_down(callback, tmp_path, names)
