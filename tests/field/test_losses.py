"""The default callback on losses that are not what validation logs, or that depend on more than the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import adaptive_dropout as ad
from tests.field.parts import BATCH, CLASSES, FEATURES, Plain, mlp, points
from tests.field.runs import EPOCHS, Spy, check_clean_loss, check_sane, in_batches, run, signals_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:this run validates"),
    pytest.mark.filterwarnings("ignore:Found .* module.s. in eval mode"),
]

TRAIN, VAL = points(64, 1), points(32, 2)


def fitted(folder: Path, module: Plain, drawn: bool = False, **settings: Any) -> tuple[Any, Spy]:
    spy = Spy(in_batches(TRAIN, BATCH))
    own = run(folder, module, DataLoader(TRAIN, BATCH, shuffle=True), DataLoader(VAL, BATCH), spy, **settings)
    check_sane(own)
    check_clean_loss(own, spy, drawn)
    return own, spy


def test_mixup_in_training_is_not_in_the_clean_loss(tmp_path: Path) -> None:
    # facebookresearch/mixup-cifar10, Kaggle notebooks
    class Mixup(Plain):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            share, order = float(torch.rand(())), torch.randperm(len(batch[0]))
            logits = self(share * batch[0] + (1 - share) * batch[0][order])
            return share * F.cross_entropy(logits, batch[1]) + (1 - share) * F.cross_entropy(logits, batch[1][order])

    fitted(tmp_path, Mixup())


def test_label_smoothing_in_training_is_not_in_the_clean_loss(tmp_path: Path) -> None:
    # timm's LabelSmoothingCrossEntropy for training, CrossEntropyLoss for validation
    class Smoothing(Plain):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            return F.cross_entropy(self(batch[0]), batch[1], label_smoothing=0.4)

    own, _ = fitted(tmp_path, Smoothing(), max_epochs=14)
    # two units are not subtracted: in the end the training loss is measured in validation's
    late = signals_of(own)[8:]
    assert all(abs(signals["train_loss"] - signals["clean_loss"]) < 0.4 for signals in late)


def test_an_annealed_weight_is_that_of_the_epoch_in_the_measurement(tmp_path: Path) -> None:
    # pytorch VAE recipes (Bowman et al., 2016): the KL term's weight grows with current_epoch
    class Annealed(Plain):
        def __init__(self) -> None:
            super().__init__(mlp(2 * 4))
            self.decode = nn.Linear(4, FEATURES)
            self.weights: list[float] = []

        def loss(self, batch: Any) -> Tensor:
            weight = min(1.0, self.current_epoch / 5)
            mean, log_variance = self.net(batch[0]).chunk(2, 1)
            z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp() if self.training else mean
            kl = 0.5 * (mean.pow(2) + log_variance.exp() - 1 - log_variance).sum(1).mean()
            return F.mse_loss(self.decode(z), batch[0]) + weight * kl + 10 * weight

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), 0.01)

    own, spy = fitted(tmp_path, Annealed())
    # ten times the weight is part of the loss: the wrong epoch would be two off
    for epoch, signals in enumerate(signals_of(own)[1:], start=1):
        assert abs(signals["clean_loss"] - sum(spy.losses[epoch]) / len(spy.losses[epoch])) < 1.0


def test_learned_weights_of_several_tasks_are_those_of_the_moment(tmp_path: Path) -> None:
    # Kendall et al. (2018), homoscedastic uncertainty, as in many multi-task repositories; the loss becomes negative
    class Weighted(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.other = mlp(1)
            self.log_variances = nn.Parameter(torch.zeros(2))

        def loss(self, batch: Any) -> Tensor:
            losses = torch.stack([super().loss(batch), F.mse_loss(self.other(batch[0])[:, 0], batch[0].sum(1))])
            return ((-self.log_variances).exp() * losses + self.log_variances).sum()

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), 0.01)

    fitted(tmp_path, Weighted())


def test_triplets_are_measured_with_the_margin_of_validation(tmp_path: Path) -> None:
    # pytorch-metric-learning's and FaceNet's triplet loss, hardest examples of the batch in training only
    class Triplets(Plain):
        def __init__(self) -> None:
            super().__init__(mlp(4))

        def loss(self, batch: Any) -> Tensor:
            made, labels = F.normalize(self(batch[0]), dim=1), batch[1]
            apart, same = torch.cdist(made, made), labels[:, None] == labels[None]
            if self.training:
                near, far = (apart - 9.0 * same).masked_fill(same, 9.0).amin(1), (apart * same).amax(1)
            else:
                near, far = (apart * ~same).sum(1) / (~same).sum(1).clamp(1), (apart * same).sum(1) / same.sum(1)
            return F.relu(far - near + 0.2).mean()

    fitted(tmp_path, Triplets())


def test_drawn_time_steps_are_averaged_over(tmp_path: Path) -> None:
    # lucidrains/denoising-diffusion-pytorch: time and noise are drawn in validation as well
    class Diffusion(Plain):
        def __init__(self) -> None:
            super().__init__(mlp(FEATURES, features=FEATURES + 1))

        def loss(self, batch: Any) -> Tensor:
            t, noise = torch.rand(len(batch[0]), 1), torch.randn_like(batch[0])
            return F.mse_loss(self.net(torch.cat([(1 - t) * batch[0] + t * noise, t], 1)), noise)

    fitted(tmp_path, Diffusion(), drawn=True)


def test_a_distilled_network_is_measured_with_its_teacher_as_it_is(tmp_path: Path) -> None:
    # Hinton et al. (2015); textbrewer, torchdistill: the teacher trained before, dropout and all, stays in eval mode
    class Student(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.teacher = mlp(p=0.6).requires_grad_(False).eval()
            self.modes: set[bool] = set()

        def on_train_epoch_start(self) -> None:
            self.teacher.eval()

        def loss(self, batch: Any) -> Tensor:
            self.modes.add(self.teacher.training)
            soft = F.softmax(self.teacher(batch[0]) / 2, 1)
            return super().loss(batch) + 4 * F.kl_div(F.log_softmax(self(batch[0]) / 2, 1), soft, reduction="batchmean")

    module = Student()
    before = {name: value.clone() for name, value in module.teacher.named_parameters()}
    fitted(tmp_path, module)
    assert module.modes == {False}
    assert all(torch.equal(value, before[name]) for name, value in module.teacher.named_parameters())


def test_all_exits_of_an_early_exit_network_are_counted_once(tmp_path: Path) -> None:
    # BranchyNet, MSDNet and Kaggle's deep supervision: a loss for each exit, an accuracy for each
    class Exits(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(
                [nn.Sequential(nn.Linear(FEATURES, FEATURES), ad.Dropout(0.2)) for _ in range(3)]
            )
            self.heads = nn.ModuleList([nn.Linear(FEATURES, CLASSES) for _ in range(3)])
            self.right = torch.zeros(3)
            self.counted, self.counts = 0, []

        def exits(self, x: Tensor) -> list[Tensor]:
            made = []
            for block, head in zip(self.blocks, self.heads, strict=True):
                x = x + torch.tanh(block(x))
                made.append(head(x))
            return made

        def loss(self, batch: Any) -> Tensor:
            return sum(0.5**i * F.cross_entropy(made, batch[1]) for i, made in enumerate(self.exits(batch[0])))

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            super().validation_step(batch, batch_idx)
            self.right += torch.stack([(made.argmax(1) == batch[1]).sum() for made in self.exits(batch[0])])
            self.counted += len(batch[0])

        def on_validation_epoch_end(self) -> None:
            self.counts.append(self.counted)
            self.log_dict({f"right_{i}": float(right) / self.counted for i, right in enumerate(self.right)})
            self.right, self.counted = torch.zeros(3), 0

    module = Exits()
    fitted(tmp_path, module)
    assert module.counts == [len(VAL)] * EPOCHS


def test_a_network_of_rays_is_measured_on_rays_where_validation_gives_images(tmp_path: Path) -> None:
    # kwea123/nerf_pl: batches of rays in training, one whole image at a time in validation
    class Rays(Plain):
        def __init__(self) -> None:
            super().__init__(mlp(3))
            self.images = 0

        def loss(self, batch: Any) -> Tensor:
            return F.mse_loss(self(batch[0].reshape(-1, FEATURES)), batch[1].reshape(-1, 3))

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            loss = self.loss(batch)
            self.images += batch[0].dim() == 3
            self.log_dict({"val_loss": loss, "val_psnr": -10 * loss.log10()})

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), 0.01)

    x = torch.randn(128, FEATURES)
    rays, color = x, x[:, :3].sin()
    images = TensorDataset(rays[64:].reshape(4, 16, FEATURES), color[64:].reshape(4, 16, 3))
    train, module = TensorDataset(rays[:64], color[:64]), Rays()
    spy = Spy(in_batches(train, BATCH))
    own = run(tmp_path, module, DataLoader(train, BATCH, shuffle=True), DataLoader(images, 1), spy)
    check_sane(own)
    check_clean_loss(own, spy)
    assert module.images == 4 * EPOCHS
