"""Public names of earlier versions. They still work, warn of the new name, and go in the next version."""

from __future__ import annotations

import warnings

from torch import Tensor

from adaptive_dropout.inference.uncertainty import class_uncertainty, gaussian_uncertainty, output_uncertainty

__all__ = ["class_spread", "gaussian_spread", "output_spread", "warn_renamed"]


def class_spread(samples: Tensor) -> dict[str, Tensor]:
    """Return what `class_uncertainty` returns. Deprecated."""
    warn_renamed("class_spread", "class_uncertainty")
    return class_uncertainty(samples)


def gaussian_spread(samples: Tensor) -> dict[str, Tensor]:
    """Return what `gaussian_uncertainty` returns, under the names ``mean``, ``noise``, ``disagreement``. Deprecated."""
    warn_renamed("gaussian_spread", "gaussian_uncertainty")
    found = gaussian_uncertainty(samples)
    return {"mean": found["mean"], "noise": found["aleatoric"], "disagreement": found["epistemic"]}


def output_spread(samples: Tensor) -> dict[str, Tensor]:
    """Return what `output_uncertainty` returns. Deprecated."""
    warn_renamed("output_spread", "output_uncertainty")
    return output_uncertainty(samples)


def warn_renamed(old: str, new: str) -> None:
    """Warn whoever calls what calls this that ``old`` is called ``new`` now."""
    warnings.warn(f"{old} is now called {new}; the old name goes in 0.3", DeprecationWarning, stacklevel=3)
