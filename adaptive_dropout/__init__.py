"""Dropout for PyTorch whose rate is scheduled, learned, or steered by validation signals during training.

The public names are listed in ``__init__.pyi`` and imported when first used, so that ``adaptive-dropout --version``
does not wait for torch. None of them needs Lightning or W&B; those are behind `adaptive_dropout.callbacks`,
`adaptive_dropout.tasks` and `adaptive_dropout.data`.
"""

import lazy_loader

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
