"""Batches and loaders of other forms than two tensors, and steps with other arguments than a batch and its number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from lightning.pytorch.utilities import CombinedLoader
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset

from tests.field.harness import Kind
from tests.field.parts import BATCH, CLASSES, FEATURES, Plain, loaders, points, rows


class ByName(Plain):
    # Hugging Face's collators: a dictionary, with a number and a list beside the tensors
    def loss(self, batch: Any) -> Tensor:
        assert batch["scale"].dim() == 0
        return F.cross_entropy(self(batch["x"] * batch["scale"]), batch["y"])


def to_dict(examples: Any) -> Any:
    x, y = stacked(examples)
    return {"scale": torch.tensor(0.5), "ids": [str(int(one)) for one in y], "x": x, "y": y}


def stacked(examples: Any) -> tuple[Tensor, Tensor]:
    return torch.stack([x for x, _ in examples]), torch.stack([y for _, y in examples])


class Pair(NamedTuple):
    x: Tensor
    y: Tensor


@dataclass
class Sample:
    # torch_geometric-like and detectron-like containers, which move themselves
    x: Tensor
    y: Tensor
    moves: int = 0

    def to(self, *where: Any, **how: Any) -> Sample:
        return Sample(self.x.to(*where, **how), self.y.to(*where, **how), self.moves + 1)


class ByAttribute(Plain):
    def loss(self, batch: Any) -> Tensor:
        return F.cross_entropy(self(batch.x), batch.y)


class Graphs:
    """A container without `to`, which Lightning leaves where it is."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y, self.cache = x, y, {}


class Cacheing(ByAttribute):
    # graph batches that keep what was computed of them
    def loss(self, batch: Any) -> Tensor:
        batch.cache["seen"] = batch.cache.get("seen", 0) + 1
        return super().loss(batch)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return self.loss(batch)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.log("val_loss", self.loss(batch), batch_size=len(batch.y))
        self.log("seen", float(batch.cache["seen"]), batch_size=1)


class OfLists(Plain):
    # torchvision's detection reference: a list of images, a list of dictionaries
    def loss(self, batch: Any) -> Tensor:
        images, targets = batch
        targets[0]["seen"] = True
        labels = torch.stack([target["label"] for target in targets])
        return F.cross_entropy(self(torch.stack(list(images))), labels)


def to_lists(examples: Any) -> Any:
    return [x for x, _ in examples], [{"label": y} for _, y in examples]


class OfStrings(Plain):
    # sentence-transformers and CLIP: texts come to the step, which makes tokens of them
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return self.loss(batch)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.log("val_loss", self.loss(batch), batch_size=len(batch[1]))

    def loss(self, batch: Any) -> Tensor:
        texts, labels = batch
        tokens = torch.tensor([[float(ord(letter) - 96) / 26 for letter in text] for text in texts])
        return F.cross_entropy(self(tokens), torch.tensor([int(label) for label in labels]))


def to_strings(examples: Any) -> Any:
    texts = ["".join(chr(97 + int(v.abs() * 7) % 26) for v in x) for x, _ in examples]
    return texts, [str(int(y)) for _, y in examples]


class NoneNow(Plain):
    # a collate function that gives None where nothing is left of a batch
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return None if batch is None else super().training_step(batch, batch_idx)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        return None if batch is None else super().validation_step(batch, batch_idx)


def none_of_some(examples: Any) -> Any:
    return None if int(examples[0][1]) == 0 else stacked(examples)


class Stream(IterableDataset[Any]):
    # webdataset-like streams without a length, whose position goes on
    def __init__(self, n: int, seed: int) -> None:
        self.examples, self.given = rows(n, seed), 0

    def __iter__(self) -> Iterator[Any]:
        for example in self.examples:
            self.given += 1
            yield example


def stream() -> dict[str, Any]:
    train, val = DataLoader(Stream(32, 1), BATCH), DataLoader(Stream(16, 2), BATCH)
    return {"train_dataloaders": train, "val_dataloaders": val}


class StreamCounts(Plain):
    def on_train_epoch_end(self) -> None:
        self.log("given", float(self.trainer.train_dataloader.dataset.given))
        self.log("given_val", float(self.trainer.val_dataloaders.dataset.given))


class Several(Plain):
    # domain generalisation: a loader for each domain
    def __init__(self) -> None:
        super().__init__()
        self.by_loader: dict[int, list[float]] = {}

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Any:
        loss = self.loss(batch)
        self.by_loader.setdefault(dataloader_idx, []).append(float(loss))
        self.log("val_loss", loss)
        self.log(f"own_{dataloader_idx}", loss, add_dataloader_idx=False)


def several() -> dict[str, Any]:
    made = loaders()
    return made | {"val_dataloaders": [made["val_dataloaders"], DataLoader(points(24, 5), BATCH)]}


def named_validation() -> dict[str, Any]:
    made = loaders()
    return made | {"val_dataloaders": {"near": made["val_dataloaders"], "far": DataLoader(points(24, 5), BATCH)}}


class TwoSources(Plain):
    # semi-supervised learning: a dictionary of loaders, labelled and not
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        labelled, other = batch["labelled"], batch["other"]
        loss = self.loss(labelled) + 0.1 * self(other[0]).softmax(1).log().mean().abs()
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.log("val_loss", self.loss(batch["labelled"] if isinstance(batch, dict) else batch))


def two_sources() -> dict[str, Any]:
    made = loaders()
    other = DataLoader(points(48, 9), BATCH, shuffle=True)
    return made | {"train_dataloaders": {"labelled": made["train_dataloaders"], "other": other}}


def combined() -> dict[str, Any]:
    made = two_sources()
    return made | {"train_dataloaders": CombinedLoader(made["train_dataloaders"], "max_size_cycle")}


class StarArguments(Plain):
    # wrappers around steps (profilers, decorators) that take anything
    def validation_step(self, *args: Any) -> Any:
        self.log("index", float(args[1]))
        self.log("val_loss", self.loss(args[0]))


class Underscore(Plain):
    # `_` for what is not used
    def training_step(self, batch: Any, _: int) -> Any:
        return self.loss(batch)

    def validation_step(self, batch: Any, _: int) -> Any:
        self.log("val_loss", self.loss(batch))


class BatchOnly(Plain):
    def training_step(self, batch: Any) -> Any:  # type: ignore[override]
        return self.loss(batch)

    def validation_step(self, batch: Any) -> Any:  # type: ignore[override]
        self.log("val_loss", self.loss(batch))


class TakesIterator(Plain):
    # Megatron's and NeMo's steps, which draw their batches themselves
    def validation_step(self, dataloader_iter: Any) -> Any:  # type: ignore[override]
        batch, batch_idx, _ = next(dataloader_iter)
        self.log("val_loss", self.loss(batch))
        self.log("index", float(batch_idx))


class Changing(Plain):
    # batches of changing lengths (bucketed texts): some examples are left out by chance
    def loss(self, batch: Any) -> Tensor:
        return F.cross_entropy(self(batch[0]), batch[1], reduction="sum") / len(batch[0])


def cut(examples: Any) -> Any:
    keep = max(2, int(torch.randint(1, len(examples) + 1, ())))
    return stacked(examples[:keep])


class Generated(Plain):
    # loaders that are generators of batches, made anew for each epoch, without a dataset
    ...


class Batches:
    def __init__(self, n: int) -> None:
        self.n, self.epochs = n, 0

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[Any]:
        self.epochs += 1
        for i in range(self.n):
            generator = torch.Generator().manual_seed(100 * self.epochs + i)
            x = torch.randn(BATCH, FEATURES, generator=generator)
            yield x, torch.randint(CLASSES, (BATCH,), generator=generator)


KINDS = [
    Kind("dict", lambda _: ByName(), lambda: loaders(collate=to_dict)),
    Kind("namedtuple", lambda _: ByAttribute(), lambda: loaders(collate=lambda many: Pair(*stacked(many)))),
    Kind("dataclass", lambda _: ByAttribute(), lambda: loaders(collate=lambda many: Sample(*stacked(many)))),
    Kind("own_class", lambda _: Cacheing(), lambda: loaders(collate=lambda many: Graphs(*stacked(many)))),
    Kind("list_of_dicts", lambda _: OfLists(), lambda: loaders(collate=to_lists)),
    Kind("strings", lambda _: OfStrings(), lambda: loaders(collate=to_strings)),
    Kind("none_batches", lambda _: NoneNow(), lambda: loaders(collate=none_of_some, n=64)),
    Kind("stream", lambda _: StreamCounts(), stream, {"num_sanity_val_steps": 1}),
    Kind("several_loaders", lambda _: Several(), several, monitor="val_loss/dataloader_idx_0"),
    Kind("second_of_several", lambda _: Several(), several, monitor="val_loss/dataloader_idx_1"),
    Kind(
        "second_sanity", lambda _: Several(), several, {"num_sanity_val_steps": 1}, monitor="val_loss/dataloader_idx_1"
    ),
    Kind("named_validation", lambda _: Several(), named_validation, monitor="val_loss/dataloader_idx_0"),
    Kind("dict_of_train_loaders", lambda _: TwoSources(), two_sources),
    Kind("combined_loader", lambda _: TwoSources(), combined),
    Kind("star_arguments", lambda _: StarArguments(), loaders),
    Kind("underscore", lambda _: Underscore(), loaders),
    Kind("batch_only", lambda _: BatchOnly(), loaders),
    Kind("takes_iterator", lambda _: TakesIterator(), loaders),
    Kind("changing_sizes", lambda _: Changing(), lambda: loaders(collate=cut)),
    Kind("generated", lambda _: Generated(), lambda: {"train_dataloaders": Batches(4), "val_dataloaders": Batches(2)}),
]
