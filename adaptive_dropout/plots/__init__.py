"""Figures of runs and predictions, readable in print and for the colour-blind.

Each function returns a matplotlib ``Figure`` that belongs to nobody else: no pyplot, no screen. The names are listed in
``__init__.pyi`` and imported when first used: figures of a run wait for neither torch nor torchmetrics.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
