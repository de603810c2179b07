"""Folders of pictures with links into each other, pipes, and names that are no names."""

from __future__ import annotations

import os
import random
from pathlib import Path

from PIL import Image

__all__ = ["write_loops"]


def write_loops(rng: random.Random, folder: Path) -> None:
    """Write a small folder of pictures with one to three of these in it."""
    for part in ("train", "val"):
        for kind in ("a", "b"):
            place = folder / part / kind
            place.mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (8, 8)).save(place / f"{number}.png")
    for number in range(rng.randint(1, 3)):
        where = folder / rng.choice(["train/a", "val/b", "train", "val"])
        rng.choice(WAYS)(where, number)


def _loop(where: Path, number: int) -> None:
    (where / f"loop{number}").symlink_to(where)


def _itself(where: Path, number: int) -> None:
    (where / f"itself{number}.png").symlink_to(where / f"itself{number}.png")


def _up(where: Path, number: int) -> None:
    (where / f"up{number}").symlink_to("..")


def _many(where: Path, number: int) -> None:
    """Thirty folders with two links to the next in each: a thousand million ways to the last."""
    for level in range(30):
        (where / f"level{number}-{level}").mkdir()
    for level in range(29):
        for link in ("x", "y"):
            (where / f"level{number}-{level}" / link).symlink_to(where / f"level{number}-{level + 1}")


def _pipe(where: Path, number: int) -> None:
    os.mkfifo(where / f"pipe{number}.png")


def _device(where: Path, number: int) -> None:
    (where / f"zero{number}.png").symlink_to("/dev/zero")


def _nowhere(where: Path, number: int) -> None:
    (where / f"nowhere{number}.png").symlink_to("/nowhere")


def _folder(where: Path, number: int) -> None:
    (where / f"folder{number}.png").mkdir()


def _odd(where: Path, number: int) -> None:
    Image.new("RGB", (8, 8)).save(where / f"\x1b[2J\u202e{number}\n.png")


WAYS = (_loop, _itself, _up, _many, _pipe, _device, _nowhere, _folder, _odd)
