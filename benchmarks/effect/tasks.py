"""What is trained: images, a network with dropout after each part, Adam. A kind is a line in `TASKS`."""

from __future__ import annotations

import functools

from benchmarks.effect.networks import small_resnet, small_vit
from benchmarks.study.study import Kinds
from benchmarks.supervised.folder_task import FolderTask
from benchmarks.supervised.image_tasks import IMAGE_TASKS

__all__ = ["TASKS"]

TASKS: Kinds = {
    **IMAGE_TASKS,
    "folder-resnet": functools.partial(FolderTask, build=small_resnet),
    "folder-vit": functools.partial(FolderTask, build=small_vit),
}
"""Every kind of task by its name."""
