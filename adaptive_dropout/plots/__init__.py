"""Figures of runs and predictions, readable in print and for the colour-blind.

Each function returns a matplotlib ``Figure`` that belongs to nobody else: no pyplot, no screen. The names are listed
in ``__init__.pyi`` and imported when first used: figures of a run wait for neither torch nor torchmetrics.

`run_figure`, `rates_figure`, `losses_figure`, `heat_map_figure` (a row a layer, for deep models) and
`comparison_figure` take the ``history`` of ``DropoutRateMonitor`` or of a run read back; `uncertainty_figure` takes
groups of uncertainties.

>>> from adaptive_dropout.plots import grid_figure, reliability_figure
>>> grid = {0.0: [0.61], 0.3: [0.42, 0.44], 0.6: [0.55]}  # best validation losses at each fixed rate
>>> way = [(0.1, 0.9), (0.2, 0.5), (0.35, 0.41)]  # mean rate and validation loss of an adaptive run
>>> figure = grid_figure(grid, {"adaptive": way})
>>> figure = reliability_figure([0.9, 0.8, 0.6], [True, True, False])
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
