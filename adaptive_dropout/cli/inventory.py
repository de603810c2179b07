"""``adaptive-dropout inventory``: every dropout rate of a model, and which of them can be moved."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import torch
from jsonargparse import ArgumentParser
from rich.console import Console
from rich.table import Table
from torch import nn

from adaptive_dropout.cli.setup import command_parser
from adaptive_dropout.cli.terminal import cells
from adaptive_dropout.conversion import inventory as inventory_of

__all__ = ["inventory"]


def inventory(arguments: Sequence[str]) -> None:
    """Build the model that ``arguments`` name and print its rates.

    Raises:
        Exception: of any kind, if the arguments or the model are wrong.
    """
    given = _parser().parse_args(list(arguments))
    model, shape = _build(given.model)
    shape = given.shape or shape
    rows = inventory_of(model, *([torch.rand(shape)] if shape else []))
    table = Table(title=f"dropout of {given.model}", title_justify="left")
    for name, *_ in zip(*rows.cells(), strict=True):
        table.add_column(name, overflow="fold")
    for row in rows.cells()[1:]:
        table.add_row(*cells(*row))
    missed = len(rows.unreachable())
    traced = (
        f"one forward on {tuple(shape)} was watched" if shape else "give --shape to look for dropout in the code too"
    )
    Console().print(table, f"{len(rows) - missed} can be moved, {missed} cannot; {traced}", sep="\n")


def _parser() -> ArgumentParser:
    parser = command_parser("inventory", "Show every dropout rate of a model, and which of them can be moved.")
    parser.add_argument("--model", required=True, help="timm:NAME, or the path of a class or function to call")
    parser.add_argument(
        "--shape", type=int, nargs="+", help="shape of an example input, batch first; timm's own if left out"
    )
    return parser


def _build(name: str) -> tuple[nn.Module, list[int]]:
    """Return the model, and the shape of an input if it is known; it has two examples, which BatchNorm needs."""
    if name.startswith("timm:"):
        timm = _import("timm", "pip install 'adaptive-dropout[timm]'")
        model = timm.create_model(name.removeprefix("timm:"), pretrained=False)
        return model, [2, *model.pretrained_cfg["input_size"]]
    module, dot, attribute = name.rpartition(".")
    if not dot:
        raise ValueError(f"--model has to be timm:NAME or a path such as torchvision.models.resnet18, but got {name!r}")
    made = getattr(_import(module, "give the path of a class that can be imported"), attribute)()
    if not isinstance(made, nn.Module):
        raise TypeError(f"{name} makes a {type(made).__name__}, which is not a torch.nn.Module")
    return made, []


def _import(module: str, remedy: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error}; {remedy}") from error
