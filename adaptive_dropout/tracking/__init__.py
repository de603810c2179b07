"""What a run leaves behind: the names of its numbers, its history, its decisions, and what only W&B can do.

The names are listed in ``__init__.pyi`` and imported when first used: reading a run back does not wait for Lightning.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
