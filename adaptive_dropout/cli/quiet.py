"""Silence about what is no news to the user: which devices there are not, and what else one could install."""

from __future__ import annotations

import logging
import warnings

__all__ = ["quieten"]


def quieten() -> None:
    """Let Lightning speak of what is wrong only."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", r".*LeafSpec", FutureWarning)  # Lightning 2.6 on torch 2.15, its own affair
