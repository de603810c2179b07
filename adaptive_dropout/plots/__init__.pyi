from .comparison import comparison_figure as comparison_figure
from .grid import grid_figure as grid_figure
from .heat_map import heat_map_figure as heat_map_figure
from .losses import losses_figure as losses_figure
from .rates import rates_figure as rates_figure
from .reliability import reliability_figure as reliability_figure
from .run import run_figure as run_figure
from .uncertainty import uncertainty_figure as uncertainty_figure
