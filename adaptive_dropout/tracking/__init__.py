"""The record of a run: the names of its numbers, its history, its decisions, and the file that holds them.

It needs the standard library only. The half that needs W&B is `adaptive_dropout.tracking.wandb`; its `WandbLogger` and
`read_run` are public here as well. The names are listed in ``__init__.pyi`` and imported when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
