"""Running a LightningModule's own step once more within the run: nothing is logged, and no metric is updated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import lightning.pytorch as L
from torchmetrics import Metric, MetricCollection

from adaptive_dropout.contexts import replaced

__all__ = ["quiet"]


@contextmanager
def quiet(pl_module: L.LightningModule) -> Iterator[None]:
    """Let ``pl_module`` log nothing, and no metric of it take anything in, for a while."""
    # Muted, not restored: metrics in a collection share their state, and an update with other data would undo that.
    with ExitStack() as stack:
        stack.enter_context(replaced(pl_module, log=_nothing, log_dict=_nothing))
        for module in pl_module.modules():
            if isinstance(module, (Metric, MetricCollection)):
                stack.enter_context(replaced(module, update=_nothing, forward=_nothing))
        yield


def _nothing(*_: Any, **__: Any) -> None: ...
