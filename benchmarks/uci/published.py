"""What MC dropout reached on these splits when its rate and its precision were searched on a grid.

The authors' own result files of 2018: dropout in {.005, .01, .05, .1}, the precision on a grid too, by validation on a
fifth of the training rows; then trained once more on all of them, 100 times the epochs of 2016, one hidden layer.

Source: github.com/yaringal/DropoutUncertaintyExps, commit 6eb4497, the files `*_100_xepochs_1_hidden_layers.txt`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PUBLISHED", "Published"]


@dataclass(frozen=True)
class Published:
    """Means over the splits and their standard errors.

    Args:
        splits: how many.
        rmse: of the mean of samples, in the units of the file: `test_MC_rmse`.
        rmse_error: its standard error.
        ll: log-likelihood in nats per row: `test_ll`.
        ll_error: its standard error.
    """

    splits: int
    rmse: float
    rmse_error: float
    ll: float
    ll_error: float


PUBLISHED = {
    "boston": Published(20, 2.903623, 0.176840, -2.401936, 0.041702),
    "energy": Published(20, 0.538867, 0.013524, -1.211517, 0.005319),
    "naval": Published(20, 0.000743, 0.000046, 4.449543, 0.002160),
    "power": Published(20, 4.014226, 0.036771, -2.807789, 0.008626),
    "protein": Published(5, 4.274228, 0.020866, -2.871297, 0.001492),
    "wine": Published(20, 0.621809, 0.007974, -0.928090, 0.012738),
    "yacht": Published(20, 0.666275, 0.048602, -1.250148, 0.015297),
}
"""By the name of the set."""
