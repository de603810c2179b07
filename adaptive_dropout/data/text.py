"""A plain text of the user's own as a sequence of characters, to predict each from those before it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from adaptive_dropout.checks import check_count
from adaptive_dropout.data.base import Batch, Examples, TensorDataModule
from adaptive_dropout.data.loaders import Draws
from adaptive_dropout.data.resumable import ResumableLoader, continue_order
from adaptive_dropout.data.splits import check_fraction

__all__ = ["Text"]

PIECE = 2**20  # characters of a text that are numbered at once


class Text(TensorDataModule):
    """Windows of a plain text file in UTF-8, character by character.

    A batch is int64 (batch, context) and the same windows one character later, int64 (batch, context). The text is
    split in its own order: the first ``1 - val_fraction`` trains, **the first half of the rest validates, the second
    half tests**. Training windows begin anywhere, drawn with replacement. Windows that validate or test lie side by
    side and are always the same; an incomplete one at the end is left out.

    The file is read at construction. Its characters are numbered in sorted order over the whole file, so every part
    has the same vocabulary.

    Args:
        path: the file.
        context: characters in a window.
        batch_size: windows in a batch.
        n_characters: how many characters are used, training, validation and test together; None uses all.
        val_fraction: the part of them that is held out, in (0, 1).
        steps_per_epoch: training batches in an epoch; on several devices they are shared out.
        seed: fixes the training windows.
        start: where in the file the characters that are used begin.

    Attributes:
        characters: the characters of the file in sorted order; a character's number is its place here.
        vocabulary: how many there are.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: a size is not an integer, or ``val_fraction`` is not a number.
        ValueError: the file is not UTF-8 text or is too short, or a value is out of its range.
    """

    def __init__(
        self,
        path: str | Path,
        context: int = 64,
        batch_size: int = 12,
        n_characters: int | None = None,
        val_fraction: float = 0.1,
        steps_per_epoch: int = 100,
        seed: int = 0,
        start: int = 0,
    ) -> None:
        super().__init__(batch_size, seed)
        self.context = check_count(context, "context")
        self.steps_per_epoch = check_count(steps_per_epoch, "steps_per_epoch")
        self.val_fraction = check_fraction(val_fraction, "val_fraction")
        path = Path(path).expanduser()
        text = _read(path)
        self.characters = "".join(_characters(text))
        self.vocabulary = len(self.characters)
        self._parts = self._split(path, self.encode(_piece(path, text, n_characters, start)))
        self._draws = torch.Generator().manual_seed(seed)

    def encode(self, text: str) -> Tensor:
        """Return the numbers of the characters of ``text``, int64 (length,).

        Raises:
            ValueError: a character does not occur in the file.
        """
        numbers = np.full(sys.maxunicode + 1, -1)
        for begin, codes in _code_points(self.characters):
            numbers[codes] = np.arange(begin, begin + len(codes))
        tokens = np.empty(len(text), dtype=np.int64)
        for begin, codes in _code_points(text):
            tokens[begin : begin + len(codes)] = numbers[codes]
        if text and tokens.min() < 0:
            unknown = text[tokens.argmin()]
            raise ValueError(f"no character {unknown!r} in the file; it has {self.characters!r}")
        return torch.from_numpy(tokens)

    def decode(self, tokens: Tensor) -> str:
        """Return the characters with the numbers ``tokens``, int64 (length,) in 0 ... ``vocabulary`` - 1.

        Raises:
            ValueError: a number is outside that range.
        """
        numbers: list[int] = tokens.tolist()
        for number in numbers:
            if not 0 <= number < self.vocabulary:
                raise ValueError(f"a token has to be between 0 and {self.vocabulary - 1}, but got {number}")
        return "".join(self.characters[number] for number in numbers)

    def examples(self) -> tuple[Examples, Examples, Examples]:
        """Cut the parts into windows; those of the training part overlap and share one piece of memory."""
        train, val, test = self._parts
        return self._windows(train, 1), self._windows(val, self.context), self._windows(test, self.context)

    def use_fold(self, fold: int, folds: int) -> None:
        """Refuse: windows overlap, so validation would see characters of training."""
        raise TypeError("a text cannot be cut into folds, because its windows overlap; use data of separate examples")

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return ``steps_per_epoch`` batches of windows that begin anywhere in the training part, new in each epoch."""
        draws = Draws(len(self.train_set), self.steps_per_epoch * self.batch_size, self._draws)
        return ResumableLoader(
            self.train_set, self.batch_size, sampler=draws, generator=self._draws, **self._loaders.options
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the sequence of training windows."""
        return {"draws": self._draws.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the sequence of training windows; in mid-epoch the loader's own state does."""
        continue_order(self._draws, state_dict, "draws")

    def _split(self, path: Path, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n_train = round((1.0 - self.val_fraction) * len(tokens))
        n_val = (len(tokens) - n_train) // 2
        train, val, test = tokens.tensor_split((n_train, n_train + n_val))
        if min(len(train), len(val), len(test)) <= self.context:
            raise ValueError(
                f"{path}: training, validation and test need {self.context + 1} characters each, one more than the "
                f"context, but {len(tokens)} characters give {len(train)}, {len(val)} and {len(test)}"
            )
        return train, val, test

    def _windows(self, tokens: Tensor, every: int) -> Examples:
        windows = tokens.unfold(0, self.context + 1, every)
        return Examples(windows[:, :-1], windows[:, 1:])


def _read(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}: path has to name a plain text file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: the text is not valid UTF-8 ({error})") from None
    if not text:
        raise ValueError(f"{path}: the file is empty")
    return text


def _characters(text: str) -> Iterator[str]:
    """Yield each character of ``text`` once, in sorted order."""
    seen = np.zeros(sys.maxunicode + 1, dtype=bool)
    for _, codes in _code_points(text):
        seen[codes] = True
    return map(chr, np.flatnonzero(seen).tolist())


def _code_points(text: str) -> Iterator[tuple[int, NDArray[np.uint32]]]:
    """Yield ``text`` as numbers, piece by piece, with the place at which each begins."""
    # A Python object for each character would take 20 s and 2 GB for a text of 100 MB.
    for begin in range(0, len(text), PIECE):
        piece = text[begin : begin + PIECE]
        yield begin, np.frombuffer(piece.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _piece(path: Path, text: str, n: int | None, start: int) -> str:
    check_count(start, "start", least=0)
    left = max(len(text) - start, 0)
    if n is not None and check_count(n, "n_characters") > left:
        raise ValueError(f"{path}: {left} characters follow start {start}, but n_characters is {n}")
    return text[start:] if n is None else text[start : start + n]
