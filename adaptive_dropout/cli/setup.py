"""How the commands read their arguments, and the settings and checks that those which train have in common.

Nothing heavy is imported here: a command that only reads files waits for neither torch nor Lightning.
"""

from __future__ import annotations

import logging
import sys
import warnings
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from jsonargparse import ArgumentParser

P = TypeVar("P", bound=ArgumentParser)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jsonargparse import Namespace
    from lightning.pytorch.cli import LightningCLI

__all__ = ["STRICT", "check_sizes", "command_parser", "given", "lightning_settings", "only_names", "quieten", "setting"]

# Read-only, to be copied: Lightning writes into the settings of a subcommand's parser.
STRICT: Mapping[str, Any] = MappingProxyType({"exit_on_error": False, "allow_abbrev": False})
"""For every parser: raise what is wrong, and take no shortened options."""

# name in the data module: key in the configuration of the model
SIZES = {
    "num_features": "network.init_args.in_features",
    "in_channels": "network.init_args.in_channels",
    "image_size": "network.init_args.image_size",
    "num_classes": "num_classes",
    "vocabulary": "network.init_args.vocabulary",
}


def command_parser(command: str, does: str, **more: Any) -> ArgumentParser:
    """Return a parser for ``adaptive-dropout command``, for the commands that Lightning does not parse."""
    return ArgumentParser(f"adaptive-dropout {command}", description=does, **STRICT, **more)


def only_names(parser: P) -> P:
    """Let ``parser`` read files where ``--config`` names them only; return it.

    Left to itself jsonargparse takes the name of a class, there or in a configuration, for a file of that name if the
    current folder has one, and reads which class to import from it.
    """
    action: Any
    for action in parser._actions:
        if hasattr(action, "_enable_path"):
            action._enable_path = False
            action.sub_add_kwargs["sub_configs"] = False
        for part in action.choices.values() if isinstance(action.choices, dict) else ():
            only_names(part)
    return parser


def quieten() -> None:
    """Let Lightning report problems only, not the devices that there are or packages that one could install."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", r".*LeafSpec", FutureWarning)  # Lightning 2.6 on torch 2.15, its own affair


def lightning_settings(**trainer_defaults: Any) -> dict[str, Any]:
    """Return the arguments that every LightningCLI of this project gets: any task, any data, a seed, and ``runs``."""
    import lightning.pytorch as L

    return {
        "model_class": L.LightningModule,
        "datamodule_class": L.LightningDataModule,
        "subclass_mode_model": True,
        "subclass_mode_data": True,
        "seed_everything_default": 0,
        "trainer_defaults": {"default_root_dir": "runs", **trainer_defaults},
    }


def given(arguments: Sequence[str]) -> AbstractContextManager[None]:
    """Temporarily make ``arguments`` those of the process: LightningCLI warns if it gets them in another way."""
    from adaptive_dropout.contexts import replaced

    return replaced(sys, argv=[sys.argv[0], *arguments])


def setting(cli: LightningCLI, config: Namespace, key: str) -> Any:
    """Return what ``config``, of the ``cli``, has under ``key``, whether or not there are subcommands."""
    return config.get(key if cli.subcommand is None else f"{cli.subcommand}.{key}")


def check_sizes(model_config: Any, data: object) -> None:
    """Compare the sizes in the configuration of the model with those of the data.

    Raises:
        ValueError: they differ.
    """
    settings = model_config.init_args
    for attribute, key in SIZES.items():
        right, configured = getattr(data, attribute, None), settings.get(key)
        if isinstance(right, int) and isinstance(configured, int) and right != configured:
            name = key.replace(".init_args", "")
            raise ValueError(f"{name} is {configured}, but the data has {right}; set --model.init_args.{key} {right}")
